"""Two server processes on one PostgreSQL: what is posted at one is news at the other, once."""

from __future__ import annotations

import base64
import json
import signal
from contextlib import ExitStack
from time import monotonic

import httpx
from tests.e2e.processes import PATIENCE, Process, free_port, seriesgate_command
from tests.integration.running_server import read_events
from tests.integration.webhook_receiver import webhook_receiver
from tests.unit.server.examples import FIVE_FIELDS

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
POSTS = 20
# The other server is asked for changes twice a second; the rest is for a busy machine.
AT_ONCE = 5.0


def start(stack, folder, database_url, webhook_url):
    port = free_port()
    webhook = {"name": "ris", "url": webhook_url, "secret": SECRET}
    process = Process(
        *seriesgate_command(),
        *("server", f"--port={port}", f"--database-url={database_url}"),
        cwd=folder,
        env={"SERIESGATE_SERVER__WEBHOOKS": json.dumps([webhook])},
    )
    stack.callback(process.stop)
    return process, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE)


def test_each_change_reaches_every_reader_and_the_webhook_once(tmp_path, postgresql):
    database_url = postgresql.migrated_database()
    with ExitStack() as stack:
        receiver = stack.enter_context(webhook_receiver())
        servers = [start(stack, tmp_path, database_url, receiver.url) for _ in range(2)]
        clients = [stack.enter_context(client) for _, client in servers]
        for process, _ in servers:
            process.wait_for("listens")
        from_now = stack.enter_context(clients[1].stream("GET", "/events"))
        everything = stack.enter_context(clients[1].stream("GET", "/events?after=0"))
        begin = monotonic()
        for number in range(POSTS):
            report = FIVE_FIELDS | {"SeriesInstanceUID": f"1.{number}"}
            assert clients[number % 2].post("/series", json=report).status_code == 201
        posted = monotonic() - begin
        found = read_events(from_now, POSTS)
        assert monotonic() - begin - posted < AT_ONCE
        assert [number for number, _, _ in found] == list(range(1, POSTS + 1))
        assert read_events(everything, POSTS) == found
        delivered = sorted(receiver.next_data()["SeriesInstanceUID"] for _ in range(POSTS))
        assert delivered == sorted(f"1.{number}" for number in range(POSTS))
        for process, _ in servers:
            process.signal(signal.SIGTERM)
            assert process.wait() == 0
        assert receiver.got.empty()  # nothing twice
    postgresql.wait_until_left(database_url)
    postgresql.give_back(database_url)
