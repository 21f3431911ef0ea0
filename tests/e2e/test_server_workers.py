"""Several workers on one port are one server, whichever answers, and whoever of them dies."""

from __future__ import annotations

import base64
import json
import os
import signal
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.load import Load, assert_kept
from tests.e2e.processes import PATIENCE, Process, free_port, run, seriesgate_command
from tests.integration.running_server import read_events
from tests.integration.webhook_receiver import webhook_receiver
from tests.unit.server.examples import FIVE_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = 2
ADMIN = "a-token-for-the-administrator"
BEARER = {"Authorization": f"Bearer {ADMIN}"}


class Server:
    """`seriesgate server` with several workers."""

    def __init__(self, process: Process, url: str) -> None:
        self.process = process
        self.url = url

    def workers(self) -> set[int]:
        """Return the IDs of the worker processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {int(pid) for pid in children.split() if _is_worker(int(pid))}

    def client(self) -> httpx.Client:
        """Return a client, whose connection is with one of the workers until it is closed."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=PATIENCE)

    def ask(self, path: str, **options: object) -> httpx.Response:
        """Ask over a new connection, which any worker may take."""
        with self.client() as client:
            return client.get(path, **options)  # type: ignore[arg-type]

    def metrics(self) -> dict[tuple[object, ...], float]:
        families = text_string_to_metric_families(self.ask("/metrics", headers=BEARER).text)
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }


def _is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@contextmanager
def server(folder: Path, database_url: str, **environment: str) -> Iterator[Server]:
    port = free_port()
    process = Process(
        *seriesgate_command(),
        *("server", f"--port={port}", f"--database-url={database_url}", f"--workers={WORKERS}"),
        cwd=folder,
        env={"TMPDIR": str(folder), **environment},
    )
    try:
        process.wait_for("listens")
        yield Server(process, f"http://127.0.0.1:{port}")
    finally:
        process.stop()


@pytest.fixture
def database_url(postgresql):
    url = postgresql.migrated_database()
    yield url
    postgresql.wait_until_left(url)
    postgresql.give_back(url)


def with_token() -> dict[str, str]:
    token = {"name": "admin", "token": ADMIN, "scopes": ["admin", "read", "register"]}
    return {"SERIESGATE_SERVER__TOKENS": json.dumps([token])}


@pytest.mark.fault("F35")
def test_worker_that_is_killed_under_load_loses_nothing_and_is_started_again(
    tmp_path, database_url
):
    with server(tmp_path, database_url) as several:
        with Load([several.url], prefix="1.9") as load:
            for _ in range(2):
                load.wait_for(60)
                before = several.workers()
                assert len(before) == WORKERS
                killed = min(before)
                os.kill(killed, signal.SIGKILL)
                said = several.process.wait_for(rf"worker \d \(process {killed}\) was killed")
                assert "(Killed); it is started again" in said.string
                several.process.wait_for(r"worker \d is there again")
                assert len(several.workers()) == WORKERS
            load.wait_for(60)
            several.process.signal(signal.SIGTERM)
            assert several.process.wait() == 0
        # On a busy machine one may have to wait too long for what a killed one had locked: 503.
        assert load.promises.statuses <= {200, 201, 503}
        assert not any("Traceback" in line for line in several.process.output)
    assert [each for each in tmp_path.iterdir() if each.name.startswith("seriesgate-")] == []
    with server(tmp_path, database_url) as several:
        assert_kept(load.promises, several.url)


def test_workers_end_with_their_parent(tmp_path, database_url):
    """So the database is left, which the fixture waits for."""
    with server(tmp_path, database_url) as several:
        several.process.signal(signal.SIGKILL)
        assert several.process.wait() == -signal.SIGKILL


def test_metrics_are_those_of_all_workers_also_of_one_that_has_ended(tmp_path, database_url):
    created = ("seriesgate_server_reports_total", "created")
    with server(tmp_path, database_url, **with_token()) as several:
        for number in range(20):
            with several.client() as client:
                report = FIVE_FIELDS | {"SeriesInstanceUID": f"1.{number}"}
                assert client.post("/series", json=report, headers=BEARER).status_code == 201
        for _ in range(10):
            assert several.metrics()[created] == 20
        before = several.metrics()
        assert before[("process_resident_memory_bytes",)] > WORKERS * 50e6
        os.kill(min(several.workers()), signal.SIGKILL)
        several.process.wait_for(r"worker \d is there again")
        after = several.metrics()
        assert after[created] == 20
        for each in ("process_cpu_seconds_total", "seriesgate_server_requests_total"):
            assert sum(v for k, v in after.items() if k[0] == each) >= sum(
                v for k, v in before.items() if k[0] == each
            )
        assert after[("process_start_time_seconds",)] == before[("process_start_time_seconds",)]


def test_wrong_tokens_are_counted_by_all_workers_together(tmp_path, database_url):
    wrong = {"Authorization": "Bearer a-token-that-is-not-known"}
    with server(tmp_path, database_url, **with_token()) as several:
        statuses: list[int] = []
        while statuses[-10:] != [429] * 10:
            statuses.append(several.ask("/series", headers=wrong).status_code)
        # Each worker by itself would answer 401 twenty times.
        assert 20 <= statuses.count(401) < WORKERS * 20


def test_token_that_one_worker_revokes_is_of_no_use_at_another(tmp_path, database_url):
    with server(tmp_path, database_url, **with_token()) as several, ExitStack() as stack:
        clients = [stack.enter_context(several.client()) for _ in range(8)]
        made = clients[0].post("/tokens", json={"name": "x", "scopes": ["read"]}, headers=BEARER)
        bearer = {"Authorization": f"Bearer {made.json()['token']}"}
        _until_all_answer(clients, bearer, 200)
        begin = monotonic()
        assert clients[0].delete("/tokens/x", headers=BEARER).is_success
        _until_all_answer(clients, bearer, 401)
        assert (
            monotonic() - begin < 4.0
        )  # the tokens are read anew after five seconds at the latest


def _until_all_answer(clients, headers, status):
    end = monotonic() + PATIENCE
    while {client.get("/series", headers=headers).status_code for client in clients} != {status}:
        assert monotonic() < end


def test_each_change_reaches_every_reader_and_the_webhook_once(tmp_path, database_url):
    posts = 20
    with ExitStack() as stack:
        receiver = stack.enter_context(webhook_receiver())
        secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
        webhook = {"name": "ris", "url": receiver.url, "secret": secret}
        several = stack.enter_context(
            server(tmp_path, database_url, SERIESGATE_SERVER__WEBHOOKS=json.dumps([webhook]))
        )
        readers = [
            stack.enter_context(stack.enter_context(several.client()).stream("GET", "/events"))
            for _ in range(4)
        ]
        for number in range(posts):
            with several.client() as client:
                report = FIVE_FIELDS | {"SeriesInstanceUID": f"1.{number}"}
                assert client.post("/series", json=report).status_code == 201
        for reader in readers:
            assert [number for number, _, _ in read_events(reader, posts)] == [*range(1, posts + 1)]
        delivered = sorted(receiver.next_data()["SeriesInstanceUID"] for _ in range(posts))
        assert delivered == sorted(f"1.{number}" for number in range(posts))
        several.process.signal(signal.SIGTERM)
        assert several.process.wait() == 0
        assert receiver.got.empty()  # nothing twice


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--database-url=sqlite:///x.db"], "server: workers = 2 needs PostgreSQL"),
        (["--database-url=postgresql://nobody@127.0.0.1:1/x"], "seriesgate: database postgresql:"),
    ],
)
def test_what_cannot_start_says_why_once(tmp_path, options, reason):
    output = run(
        *(*seriesgate_command(), "server", "--workers=2", f"--port={free_port()}", *options),
        cwd=tmp_path,
        expect=None,
    )
    assert [reason in line for line in output] == [True]
