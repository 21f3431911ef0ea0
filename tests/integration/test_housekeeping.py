"""What is forgotten, and what is not, on both databases."""

from __future__ import annotations

from asyncio import run
from datetime import timedelta

import pytest
from tests.integration.running_server import read_events, running_server
from tests.unit.server.examples import START, report, ticking_clock

from seriesgate.server.changes.webhook_queue import WebhookQueue
from seriesgate.server.sql import forget
from seriesgate.server.sql.housekeeping import Housekeeping
from seriesgate.server.sql.opening import open_store

KEEP = timedelta(days=30)
LATER = START + timedelta(days=60)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path, postgresql):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/series_data.db"
    else:
        url = postgresql.migrated_database()
        yield url
        postgresql.give_back(url)


@pytest.fixture
def store(database_url):
    store = open_store(database_url, clock=ticking_clock())
    yield store
    run(store.close())


@pytest.fixture
def queue(store):
    """The queue of a webhook that is to get every change."""
    queue = WebhookQueue(store.database)
    run(queue.claim("ris", START, limit=0))
    return queue


def register(store, count):
    for number in range(count):
        run(store.register(report(SeriesInstanceUID=f"1.{number}")))


def keep_house(store, *webhooks, at=LATER):
    run(Housekeeping(store.database, lambda: at, KEEP, webhooks).once())


def changes(store):
    return [change.sequence for change in run(store.changes(0, limit=100))]


def test_old_changes_are_forgotten_whatever_their_number(store, monkeypatch):
    monkeypatch.setattr(forget, "BATCH", 2)
    register(store, 7)
    keep_house(store, at=START + KEEP + timedelta(seconds=4.5))
    kept = changes(store)
    assert 0 < len(kept) < 7
    assert kept == list(range(run(store.forgotten_changes()) + 1, 8))
    keep_house(store)
    assert changes(store) == []
    assert run(store.forgotten_changes()) == run(store.latest_change()) == 7
    assert run(store.totals()).Series == 7
    assert len(run(store.history("1.3", limit=9))) == 1
    assert run(store.minutes(START, LATER)) == []


def test_numbers_go_on_after_what_is_forgotten(store):
    register(store, 2)
    keep_house(store)
    run(store.register(report(SeriesInstanceUID="1.9")))
    assert changes(store) == [3]


def test_what_a_webhook_is_owed_is_kept_however_old(store, queue):
    register(store, 4)
    refused, delivered, *_ = run(queue.claim("ris", START, limit=2))
    run(queue.bury(refused, "refused"))
    run(queue.finish(delivered))
    keep_house(store, "ris")
    assert changes(store) == [1, 3, 4]
    run(queue.retry("ris", LATER))
    again = run(queue.claim("ris", LATER, limit=9))
    assert sorted(claim.change.sequence for claim in again) == [1, 3, 4]
    for claim in again:
        run(queue.finish(claim))
    keep_house(store, "ris")
    assert changes(store) == []


@pytest.mark.usefixtures("queue")
def test_changes_that_a_webhook_has_not_seen_yet_are_kept(store):
    register(store, 3)
    keep_house(store, "ris")
    assert changes(store) == [1, 2, 3]


def test_webhook_of_no_settings_is_forgotten_in_time(store, queue):
    register(store, 2)
    (claim, _) = run(queue.claim("ris", START, limit=2))
    run(queue.bury(claim, "refused"))
    keep_house(store, at=START + timedelta(days=29))
    assert run(queue.state("ris")).dead == 1
    keep_house(store, "ris", at=START + timedelta(days=29))
    keep_house(store, at=START + timedelta(days=50))
    assert run(queue.state("ris")).dead == 1
    keep_house(store)
    state = run(queue.state("ris"))
    assert (state.pending, state.dead) == (0, 0)
    assert changes(store) == []
    register(store, 1)
    assert run(queue.claim("ris", LATER, limit=9)) == []  # a new webhook, from now on


def test_reader_who_comes_back_late_is_told_what_is_missing(database_url, store):
    register(store, 3)
    keep_house(store)
    run(store.close())
    with running_server(database_url) as server:
        server.register(SeriesInstanceUID="1.9")
        with server.follow(**{"Last-Event-ID": "1"}) as stream:
            gap, created = read_events(stream, 2)
        with server.follow(**{"Last-Event-ID": "3"}) as stream:
            assert read_events(stream, 1) == [created]
    assert gap == (3, "forgotten", {"From": 2, "To": 3})
    assert (created[0], created[1]) == (4, "created")
