"""The queue of webhooks, on both databases."""

from __future__ import annotations

import asyncio
from asyncio import run
from datetime import timedelta

import pytest
from tests.unit.server.examples import START, report, ticking_clock

from seriesgate.server.changes.webhook_queue import WebhookQueue
from seriesgate.server.sql.opening import open_store

LATER = START + timedelta(hours=1)


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
    run(store.register(report(SeriesInstanceUID="1.0")))
    yield store
    run(store.close())


@pytest.fixture
def queue(store):
    """A queue that a webhook has begun to use, after a first change that is not for it."""
    queue = WebhookQueue(store.database)
    assert numbers(run(queue.claim("ris", START, limit=9))) == []
    return queue


def numbers(claims):
    return [claim.change.sequence for claim in claims]


def register(store, *series, count=10):
    for uid in series:
        run(store.register(report(SeriesInstanceUID=uid, InstancesInSeries=count)))


def claim(queue, *, limit=9, at=START):
    return run(queue.claim("ris", at, limit=limit))


def test_changes_are_claimed_once_and_finished(store, queue):
    register(store, "1.1", "1.2", "1.3")
    first = claim(queue, limit=2)
    assert numbers(first) == [2, 3]
    assert [each.change.series.SeriesInstanceUID for each in first] == ["1.1", "1.2"]
    assert numbers(claim(queue)) == [4]
    assert numbers(claim(queue)) == []
    for each in first:
        run(queue.finish(each))
    state = run(queue.state("ris"))
    assert (state.pending, state.dead, state.latest_failure) == (1, 0, None)


def test_changes_of_a_series_come_one_after_the_other(store, queue):
    register(store, "1.1", "1.2")
    register(store, "1.1", count=11)
    first, other = claim(queue)
    assert numbers([first, other]) == [2, 3]
    run(queue.reschedule(first, START + timedelta(seconds=9), "503"))
    assert numbers(claim(queue)) == []
    (again,) = claim(queue, at=START + timedelta(seconds=9))
    assert (again.change.sequence, again.attempt) == (2, 2)
    run(queue.finish(again))
    assert numbers(claim(queue)) == [4]


def test_claim_of_a_server_that_died_ends(store, queue):
    register(store, "1.1")
    assert numbers(claim(queue)) == [2]
    assert numbers(claim(queue, at=START + timedelta(seconds=59))) == []
    (again,) = claim(queue, at=START + timedelta(seconds=60))
    assert (again.change.sequence, again.attempt) == (2, 1)


def test_dead_letters_are_listed_and_retried_and_hold_up_nothing(store, queue):
    register(store, "1.1")
    register(store, "1.1", count=11)
    (refused,) = claim(queue)
    run(queue.bury(refused, "the receiver answered 422"))
    assert numbers(claim(queue)) == [3]
    (letter,) = run(queue.dead_letters("ris", limit=9))
    assert (letter.sequence, letter.series_instance_uid, letter.attempts) == (2, "1.1", 1)
    state = run(queue.state("ris"))
    assert (state.pending, state.dead) == (1, 1)
    assert state.latest_failure == letter.reason == "the receiver answered 422"
    assert run(queue.retry("ris", START)) == 1
    assert run(queue.retry("ris", START)) == 0
    assert numbers(claim(queue)) == [2]


def test_retry_makes_waiting_ones_due(store, queue):
    register(store, "1.1")
    (failed,) = claim(queue)
    run(queue.reschedule(failed, LATER, "503"))
    assert run(queue.retry("ris", START)) == 1
    assert numbers(claim(queue)) == [2]


def test_webhooks_have_a_queue_each(store, queue):
    assert run(queue.claim("other", START, limit=9)) == []
    register(store, "1.1")
    assert numbers(claim(queue)) == numbers(run(queue.claim("other", START, limit=9))) == [2]
    register(store, "1.2")
    late = run(queue.state("late"))
    assert (late.pending, late.dead) == (0, 0)
    assert run(queue.claim("late", START, limit=9)) == []


def test_rows_of_a_webhook_that_is_down_are_bounded(store, queue, monkeypatch):
    monkeypatch.setattr("seriesgate.server.changes.webhook_queue._MOST_OWED", 3)
    monkeypatch.setattr("seriesgate.server.changes.webhook_queue._FAN_OUT", 2)
    register(store, *(f"1.{number}" for number in range(1, 9)))
    found = []
    while claims := claim(queue):
        found += claims
    assert numbers(found) == [2, 3, 4, 5]
    assert run(queue.state("ris")).pending == 8
    for each in found:
        run(queue.finish(each))
    assert numbers(claim(queue)) == [6, 7]


def test_two_servers_share_the_work(postgresql):
    """They claim at the same time; each change goes to one of them."""
    url = postgresql.migrated_database()

    async def scenario():
        stores = [open_store(url, clock=ticking_clock()) for _ in range(2)]
        queues = [WebhookQueue(store.database) for store in stores]
        await queues[0].claim("ris", START, limit=1)
        for number in range(40):
            await stores[0].register(report(SeriesInstanceUID=f"1.{number}"))
        await queues[1].claim("ris", START, limit=0)  # each change has its row now
        claims = await asyncio.gather(
            *(queues[number % 2].claim("ris", START, limit=3) for number in range(30))
        )
        for store in stores:
            await store.close()
        return [sequence for each in claims for sequence in numbers(each)]

    found = run(scenario())
    assert sorted(found) == list(range(1, 41))
    postgresql.give_back(url)
