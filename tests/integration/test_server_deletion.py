"""The registry lets go of series and patients, and all who know of them are told."""

from __future__ import annotations

import asyncio
import json
from asyncio import run
from contextlib import closing, suppress
from datetime import timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from sqlalchemy import select
from tests.e2e.processes import PATIENCE
from tests.fakes_server import MemorySeriesStore
from tests.integration.app_client import SECRET, AppClient, assert_problem
from tests.integration.running_server import read_events, running_server
from tests.integration.webhook_receiver import webhook_receiver
from tests.unit.server.examples import FIVE_FIELDS, START, report, ticking_clock
from typer.testing import CliRunner

from seriesgate.adapters.server_answer import ServerAnswer
from seriesgate.cli import app as command_line
from seriesgate.server.changes.feed import ChangeFeed
from seriesgate.server.changes.webhook_queue import WebhookQueue
from seriesgate.server.changes.webhooks import TOTAL_TIMEOUT as WEBHOOK_TIMEOUT
from seriesgate.server.registry.preview import PNG, Preview
from seriesgate.server.registry.query import SeriesFilter
from seriesgate.server.registry.store import (
    Change,
    Deletion,
    DeletionReason,
    SeriesWasDeleted,
)
from seriesgate.server.sql import deletion
from seriesgate.server.sql.housekeeping import Housekeeping
from seriesgate.server.sql.opening import open_store
from seriesgate.server.sql.sqlite_upkeep import SqliteUpkeep
from seriesgate.server.sql.tables import metadata

if TYPE_CHECKING:
    from pathlib import Path

DAY = timedelta(days=1)
READER = {"name": "reader", "token": "a-token-that-reads", "scopes": ["read", "register"]}
ADMIN = {"name": "boss", "token": "a-token-of-the-boss", "scopes": ["admin"]}
WEBHOOK_SECRET = "a secret of at least 24 bytes"


@pytest.fixture
def client():
    with AppClient() as client:
        yield client


def test_deleted_series_is_unknown_and_counted(client):
    client.register()
    answer = client.request("DELETE", "/series/1.2")
    assert (answer.status_code, answer.json()) == (200, {"Series": 1})
    assert_problem(client.get("/series/1.2"), 404)
    assert_problem(client.request("DELETE", "/series/1.2"), 404)
    assert client.get("/stats").json()["Totals"]["Series"] == 0
    counted = 'seriesgate_server_series_deleted_total{reason="deleted"} 1.0'
    assert counted in client.get("/metrics").text


def test_late_report_is_taken_and_not_kept_and_a_gateway_counts_it_as_delivered(client):
    client.register()
    client.request("DELETE", "/series/1.2")
    answer = client.register(Revision=2, InstancesInSeries=99)
    assert (answer.status_code, answer.json()["Outcome"]) == (200, "deleted")
    assert ServerAnswer(200, "", answer.content).failure("1.2", START) is None
    assert client.get("/series").json()["series"] == []
    assert 'server_reports_total{outcome="deleted"} 1.0' in client.get("/metrics").text


def test_series_may_return_when_that_is_said_then_or_later(client):
    client.register()
    client.request("DELETE", "/series/1.2?may_return=true")
    assert client.register().status_code == 201
    client.request("DELETE", "/series/1.2")
    assert client.request("DELETE", "/series/1.2?may_return=true").json() == {"Series": 0}
    assert client.register().status_code == 201


@pytest.mark.parametrize("patient_id", ["A/17", "..", "a b?c#d%2F", "Zürich-7", "preview"])
def test_patient_is_deleted_whatever_the_id(client, patient_id):
    client.register(PatientID=patient_id)
    client.register(SeriesInstanceUID="1.4", PatientID=patient_id)
    client.register(SeriesInstanceUID="1.5", PatientID="another")
    path = f"/patients/{quote(patient_id, safe='').replace('.', '%2E')}"
    assert client.request("DELETE", path).json() == {"Series": 2}
    assert_problem(client.request("DELETE", path), 404)
    (left,) = client.get("/series").json()["series"]
    assert left["SeriesInstanceUID"] == "1.5"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/patients/", "PatientID"),
        ("/patients/%20%20", "PatientID"),
        ("/patients/a%00", "PatientID"),
        ("/series/1.2%00", "SeriesInstanceUID"),
    ],
)
def test_nobody_and_what_cannot_be_are_refused(client, path, field):
    client.register(PatientID="")
    assert_problem(client.request("DELETE", path), 422, field)
    assert client.get("/stats").json()["Totals"]["Series"] == 1


def test_unknown_parameter_deletes_nothing(client):
    """A misspelt one would delete for good what was to return."""
    client.register()
    assert_problem(client.request("DELETE", "/series/1.2?mayreturn=true"), 422, "")
    assert client.get("/series/1.2").status_code == 200


def test_no_answer_and_no_log_names_who_was_deleted(client, caplog):
    caplog.set_level("WARNING", logger="httpx")  # which is the client here
    caplog.set_level("INFO")
    client.register(PatientID=SECRET, PatientName=SECRET)
    answer = client.request("DELETE", f"/patients/{SECRET}")
    assert SECRET not in answer.text + caplog.text
    assert "1 series deleted, as someone without a token asked" in caplog.text


@pytest.mark.parametrize("path", ["/series/1.2", "/patients/A%2F17"])
def test_only_an_administrator_deletes(tmp_path, path):
    url = f"sqlite:///{tmp_path}/a.db"
    with running_server(url, tokens=[READER, ADMIN]) as server:
        reader, boss = ({"Authorization": f"Bearer {each['token']}"} for each in (READER, ADMIN))
        server.client.post("/series", json=FIVE_FIELDS, headers=reader)
        assert server.client.delete(path).status_code == 401
        assert server.client.delete(path, headers=reader).status_code == 403
        assert server.client.get("/series/1.2", headers=reader).status_code == 200
        assert server.client.delete(path, headers=boss).status_code == 200


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path, postgresql):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/series_data.db"
    else:
        url = postgresql.migrated_database()
        yield url
        postgresql.wait_until_left(url)
        postgresql.give_back(url)


def test_followers_are_told_and_a_replay_has_nothing_of_the_patient(database_url):
    with running_server(database_url) as server, server.follow() as live:
        server.register(PatientName=SECRET)
        server.register(SeriesInstanceUID="1.9")
        created = read_events(live, 2)
        assert SECRET in str(created)
        with server.follow(**{"Last-Event-ID": "2"}) as following:
            server.client.delete("/series/1.2")
            ((number, kind, data),) = read_events(following, 1)
        assert (number, kind, data["SeriesInstanceUID"]) == (3, "deleted", "1.2")
        assert set(data) == {"SeriesInstanceUID", "DeletedAt", "Reason"}
        # Also from what the process remembers, while somebody follows.
        with server.follow(**{"Last-Event-ID": "0"}) as again:
            events = read_events(again, 2)
        assert [(number, kind) for number, kind, _ in events] == [(2, "created"), (3, "deleted")]
        assert SECRET not in str(events)


def test_webhooks_get_the_deletion_and_nothing_that_was_still_owed(database_url, monkeypatch):
    monkeypatch.setattr(
        "seriesgate.server.changes.webhook_queue._ATTEMPTS_ARE_OVER", timedelta(seconds=0)
    )
    with webhook_receiver() as receiver:
        hook = {"name": "ris", "url": receiver.url, "secret": WEBHOOK_SECRET}
        receiver.answer(422)
        with running_server(database_url, webhooks=[hook]) as server:
            server.register(PatientName=SECRET)
            receiver.next()
            _wait_until(lambda: _webhook(server)["dead"] == 1)
            server.client.delete("/series/1.2")
            message = json.loads(receiver.next()[1])
            _wait_until(lambda: (_webhook(server)["dead"], _webhook(server)["pending"]) == (0, 0))
        assert message["type"] == "series.deleted"
        assert message["data"]["SeriesInstanceUID"] == "1.2"
        assert SECRET not in str(message)


def test_webhook_is_told_when_no_attempt_with_the_data_can_be_under_way(database_url):
    with closing(_Store(database_url, ticking_clock())) as opened:
        store = opened.store
        queue = WebhookQueue(store.database)
        run(queue.claim("ris", START, limit=0))
        run(store.register(report()))
        (claim,) = run(queue.claim("ris", START + DAY, limit=9))  # an attempt begins
        run(store.delete_series("1.2"))
        (deletion,) = run(store.changes(0, limit=9))
        assert isinstance(deletion, Deletion)
        at = deletion.series.DeletedAt
        assert run(queue.claim("ris", at + timedelta(seconds=WEBHOOK_TIMEOUT), limit=9)) == []
        run(queue.reschedule(claim, at, "it failed"))  # and ends
        (later,) = run(queue.claim("ris", at + timedelta(seconds=20), limit=9))
        assert later.change == deletion


def _webhook(server):
    (webhook,) = server.client.get("/webhooks").json()["webhooks"]
    return webhook


def _wait_until(condition):
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end
        sleep(0.02)


def test_series_are_deleted_when_they_are_too_old_and_may_return(database_url, monkeypatch):
    monkeypatch.setattr(deletion, "BATCH", 2)
    told = []
    clock = ticking_clock()
    with closing(_Store(database_url, clock)) as opened:
        store = opened.store
        for number in range(5):
            run(store.register(report(SeriesInstanceUID=f"1.{number}")))
        # Of the series that came first there is news after the others.
        run(store.register(report(SeriesInstanceUID="1.0", InstancesInSeries=11)))
        newest = run(store.get("1.0"))
        assert newest is not None
        at = newest.UpdatedAt + DAY
        house = Housekeeping(
            store.database,
            lambda: at,
            100 * DAY,
            keep_series=DAY,
            deleted=lambda *each: told.append(each),
        )
        run(house.once())
        assert run(store.totals()).Series == 1
        assert run(store.get("1.0")) is not None
        assert told == [(DeletionReason.EXPIRED, 4)]
        *_, last = run(store.changes(0, limit=99))
        assert isinstance(last, Deletion)
        assert last.series.Reason is DeletionReason.EXPIRED
        run(store.register(report(SeriesInstanceUID="1.4")))
        assert run(store.totals()).Series == 2


class _Store:
    def __init__(self, url, clock):
        self.store = open_store(url, clock=clock)

    def close(self):
        run(self.store.close())


def test_without_the_setting_series_stay(database_url):
    with closing(_Store(database_url, ticking_clock())) as opened:
        run(opened.store.register(report()))
        run(Housekeeping(opened.store.database, lambda: START + 9999 * DAY, DAY).once())
        assert run(opened.store.totals()).Series == 1


def content_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("a.db*")))


def test_nothing_of_a_patient_is_left_in_the_sqlite_file_nor_in_its_log(tmp_path):
    """But for the UIDs, in the changes that tell of the deletion."""
    url = f"sqlite:///{tmp_path}/a.db"
    mine = (b"Zyxwvut", b"zyxwvut", b"ID-4711", b"2.71.82", b"PICTURE", b"Rare words")
    with closing(_Store(url, ticking_clock())) as opened:
        store = opened.store
        for number in range(60):
            uid = f"1.5.{number}"
            fields = {"PatientName": SECRET, "PatientID": "ID-4711", "StudyInstanceUID": "2.71.82"}
            # Rows that grow move within the file.
            for count in (1, 2):
                text = "Rare words " * 20 * count
                run(
                    store.register(
                        report(
                            SeriesInstanceUID=uid,
                            InstancesInSeries=count,
                            SeriesDescription=text,
                            **fields,
                        )
                    )
                )
            run(store.put_preview(uid, Preview(PNG, b"PICTURE" * 1000)))
            run(store.register(report(SeriesInstanceUID=f"1.6.{number}")))
        there = content_of(tmp_path)
        assert all(each in there for each in mine)
        assert run(store.delete_patient("ID-4711")) == 60
        _wait_until(lambda: not any(each in content_of(tmp_path) for each in mine))
        assert run(store.totals()).Series == 60
        assert _parts_of_the_text_index(store) <= 1
    left = content_of(tmp_path)
    assert not any(each in left for each in mine)


def _parts_of_the_text_index(store):
    def count(connection):
        query = "SELECT count(DISTINCT segid) FROM series_text_idx"
        return connection.exec_driver_sql(query).scalar_one()

    return run(store.database.read(count))


def test_erasure_that_the_end_of_the_program_cut_short_is_made_up_for(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/a.db"
    monkeypatch.setattr(SqliteUpkeep, "step", lambda _self: False)
    with closing(_Store(url, ticking_clock())) as opened:
        for number in range(3):
            run(opened.store.register(report(SeriesInstanceUID=f"1.{number}")))
        run(opened.store.delete_series("1.0"))
        assert _parts_of_the_text_index(opened.store) > 1
    monkeypatch.undo()
    with closing(_Store(url, ticking_clock())) as opened:
        _wait_until(lambda: _parts_of_the_text_index(opened.store) <= 1)


def test_no_table_has_anything_of_a_deleted_series_but_its_deletion(database_url):
    with closing(_Store(database_url, ticking_clock())) as opened:
        store = opened.store
        queue = WebhookQueue(store.database)
        run(queue.claim("ris", START, limit=0))
        for count in (1, 2):
            run(store.register(report(InstancesInSeries=count)))
        run(store.put_preview("1.2", Preview(PNG, b"PICTURE")))
        run(queue.claim("ris", START, limit=1))
        tables = [table for table in metadata.sorted_tables if "SeriesInstanceUID" in table.columns]
        assert len(tables) > 5
        assert all(_rows_of(store, table) for table in tables)
        run(store.delete_series("1.2"))
        left = {table.name: _rows_of(store, table) for table in tables}
        ((change,),) = [rows for rows in left.values() if rows]
        assert left["series_changes"] == [change]
        assert (change.Outcome, change.Digest) == ("deleted", "")


def _rows_of(store, table):
    statement = select(table).where(table.c.SeriesInstanceUID == "1.2")
    return run(store.database.read(lambda connection: connection.execute(statement).all()))


def test_feed_that_remembers_changes_forgets_those_of_a_deleted_series():
    """Where somebody follows, others read on from memory."""

    async def follow():
        store = MemorySeriesStore(ticking_clock())
        feed = ChangeFeed(store, poll_interval=60)
        with feed.following():
            news = asyncio.ensure_future(feed.wait(PATIENCE))
            await asyncio.sleep(0)  # it waits before there is any
            running = asyncio.create_task(feed.run())
            for change in (
                lambda: store.register(report(PatientName=SECRET)),
                lambda: store.register(report(SeriesInstanceUID="1.9")),
                lambda: store.delete_series("1.2"),
            ):
                assert await news
                await change()
                news = asyncio.ensure_future(feed.wait(PATIENCE))
                await asyncio.sleep(0)
                feed.announce()
            assert await news
            store.out_of_order = True  # so that nothing comes from there
            remembered = [*feed._recent]
            assert list(await feed.after(remembered[0].sequence - 1)) == remembered
        running.cancel()
        return remembered

    remembered = run(follow())
    assert [change.sequence for change in remembered] == [2, 3]
    assert SECRET not in str(remembered)


def test_servers_that_share_a_database_delete_and_register_at_once(postgresql):
    """Deletions, reports, pictures and readers of changes meet, and the sums are right after."""
    url = postgresql.migrated_database()
    with closing(_Store(url, ticking_clock())) as one, closing(_Store(url, ticking_clock())) as two:
        stores = (one.store, two.store)
        queues = [WebhookQueue(store.database) for store in stores]

        async def report_all(store, rounds):
            for count in range(1, rounds + 1):
                for number in range(12):
                    fields = {"SeriesInstanceUID": f"1.{number}", "PatientID": f"P{number % 3}"}
                    with suppress(SeriesWasDeleted):
                        await store.register(report(InstancesInSeries=count, **fields))
                        await store.put_preview(f"1.{number}", Preview(PNG, b"PICTURE"))

        async def delete_some(store):
            for _ in range(5):
                await store.delete_series("1.1")
                await store.delete_series("1.2", may_return=True)
                await store.delete_patient("P0", may_return=True)

        async def follow(store, queue):
            for _ in range(20):
                await store.changes(0, limit=100)
                for claim in await queue.claim("ris", START + DAY, limit=5):
                    await queue.finish(claim)

        async def all_of_it():
            await queues[0].claim("ris", START, limit=0)
            await asyncio.gather(
                *(report_all(store, 5) for store in stores),
                *(delete_some(store) for store in stores),
                *(follow(*each) for each in zip(stores, queues, strict=True)),
            )
            await stores[1].delete_series("1.1")
            totals = await stores[0].totals()
            page = await stores[0].page(SeriesFilter(), limit=100)
            changes = await stores[0].changes(0, limit=1000)
            return totals, page.series, changes

        totals, rows, changes = run(all_of_it())
        assert "1.1" not in {row.SeriesInstanceUID for row in rows}
        assert (totals.Series, totals.Instances) == (
            len(rows),
            sum(row.InstancesInSeries for row in rows),
        )
        assert totals.Patients == len({row.PatientID for row in rows})
        assert [each.sequence for each in changes] == sorted({each.sequence for each in changes})
        told = {each.series.SeriesInstanceUID for each in changes if isinstance(each, Change)}
        assert told == {row.SeriesInstanceUID for row in rows}
    postgresql.give_back(url)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(f"sqlite:///{tmp_path_factory.mktemp('server')}/a.db") as server:
        yield server


@pytest.fixture
def call(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments, answer=None, expect=0):
        url = f"--server-url={server.url}"
        done = CliRunner().invoke(command_line, [*arguments, url], input=answer)
        assert done.exit_code == expect, done.output
        return done.output

    return call


def test_command_asks_before_it_deletes(server, call):
    server.register()
    assert "nothing is deleted" in call("series", "delete", "1.2", answer="n\n", expect=1)
    assert server.client.get("/series/1.2").status_code == 200
    assert "1 series deleted" in call("series", "delete", "1.2", answer="y\n")
    assert server.client.get("/series/1.2").status_code == 404
    assert "404" in call("series", "delete", "1.2", "--yes", expect=1)
    assert "may return now" in call("series", "delete", "1.2", "--allow-return", "--yes")


def test_command_says_how_many_series_a_patient_has_and_deletes_them(server, call):
    for number in range(3):
        server.register(SeriesInstanceUID=f"1.7.{number}", PatientID="..")
    asked = call("patient", "delete", "..", answer="n\n", expect=1)
    assert "Delete the 3 series of the patient .." in asked
    assert json.loads(call("patient", "delete", "..", "--yes", "--json")) == {"Series": 3}
    server.register(SeriesInstanceUID="..")
    assert "1 series deleted" in call("series", "delete", "..", "--yes")
    assert "must not be empty" in call("patient", "delete", " ", "--yes", expect=2)
