from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.administered import AdministeredGateway
from tests.examples import AT
from tests.fakes import settle

from seriesgate.gateway.administration import InstanceSum
from seriesgate.gateway.intake import RefusalReason, Refused
from seriesgate.gateway.outbox import AmbiguousDeadLetter, NoSuchDeadLetter, find_dead_letter
from seriesgate.gateway.ports import JournalFailed, JournalFull, Outcome
from seriesgate.series.delivery import DeliveryState, FailureKind, PublishFailure

NO_SPACE = Refused(RefusalReason.OUT_OF_RESOURCES, "No space left on device")


def scenario(steps):
    """Run steps with a gateway in a loop."""

    async def run():
        gateway = AdministeredGateway()
        gateway.administration.recovered()
        await steps(gateway)

    asyncio.run(run())


@asynccontextmanager
async def running(*coroutines):
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    await settle()
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_gateway_that_works_is_ready_and_tells_how_it_stands():
    async def steps(gateway):
        gateway.clock.now += 90
        status = await gateway.administration.status()
        assert status.not_ready == ()
        assert (status.now - status.started_at).total_seconds() == 90
        assert status.instances == InstanceSum(0, 0, 0, 0, 0, 0)
        assert (status.associations.open, status.quarantined, status.free_bytes) == (0, 0, 10**12)
        assert status.oldest_pending_at is None

    scenario(steps)


def test_gateway_is_not_ready_and_says_why():
    async def run():
        gateway = AdministeredGateway()
        reasons = gateway.administration.reasons_not_ready
        assert len(await reasons()) == 1
        assert "still being read" in (await reasons())[0]
        gateway.administration.recovered()
        assert await reasons() == ()
        gateway.spool.full = True
        assert ["gateway.min_free_bytes" in line for line in await reasons()] == [True]
        gateway.intake.count_refusal(NO_SPACE)
        assert len(await reasons()) == 2
        gateway.spool.full = False
        assert await reasons() == ("the latest instance could not be stored",)
        gateway.receive("1")
        assert await reasons() == ()
        gateway.administration.stopping()
        assert await reasons() == ("the gateway stops",)

    asyncio.run(run())


def test_sum_has_every_acknowledged_instance_once_whatever_becomes_of_it():
    async def steps(gateway):
        for series in ("1.4", "1.6"):
            gateway.bury(series)
        await gateway.administration.discard(gateway.journal.dead_letters()[0].delivery_id)
        owed = gateway.owe("1.8")
        gateway.journal.settle([Outcome(gateway.owe("1.10"))], AT)
        gateway.receive("1")
        gateway.receive("2")
        gateway.receive("3", "1.12")
        status = await gateway.administration.status()
        assert status.instances == InstanceSum(
            acknowledged=11, open=3, owed=2, delivered=2, dead=2, discarded=2
        )
        assert status.instances.adds_up
        assert status.open_series == 2
        assert status.deliveries[DeliveryState.DEAD] == 1
        assert status.oldest_pending_at == owed.report.ClosedAt == AT

    scenario(steps)


def test_sum_that_misses_an_instance_does_not_add_up():
    assert not InstanceSum(9, 3, 2, 2, 1, 0).adds_up
    assert not InstanceSum(7, 3, 2, 2, 1, 0).adds_up


def test_series_that_is_being_closed_is_not_lost_from_the_sum():
    async def steps(gateway):
        gateway.receive("1")
        gateway.receive("2")
        gateway.memory_journal.failure = JournalFull("no room")
        async with running(gateway.closer.run()):
            await gateway.clock.advance(1.5)
            status = await gateway.administration.status()
            assert status.instances == InstanceSum(2, 2, 0, 0, 0, 0)
            assert status.open_series == 1
            gateway.memory_journal.failure = None
            await gateway.clock.advance(10)
            status = await gateway.administration.status()
            assert status.instances == InstanceSum(2, 0, 2, 0, 0, 0)
            assert status.open_series == 0

    scenario(steps)


def test_disk_that_does_not_answer_leaves_its_numbers_out():
    async def steps(gateway):
        def broken():
            gateway.spool.full = True
            gateway.spool.check()

        gateway.spool.free_bytes = gateway.spool.quarantine_count = broken
        status = await gateway.administration.status()
        assert (status.free_bytes, status.quarantined) == (None, None)

    scenario(steps)


def test_retried_dead_letter_is_delivered():
    async def steps(gateway):
        delivery = gateway.bury("1.4")
        async with running(gateway.dispatcher.run()):
            assert gateway.publisher.published == []
            assert await gateway.administration.retry(delivery.delivery_id) == delivery.delivery_id
            await settle()
            assert [sent.delivery_id for sent in gateway.publisher.published] == [
                delivery.delivery_id
            ]
        outbox = await gateway.administration.outbox(10)
        assert (outbox.entries, outbox.dead, outbox.pending) == ([], 0, 0)
        with pytest.raises(NoSuchDeadLetter):
            await gateway.administration.retry(delivery.delivery_id)

    scenario(steps)


def test_outbox_tells_what_is_under_way_and_when_the_rest_is_tried_next():
    async def steps(gateway):
        down = PublishFailure(FailureKind.TRANSIENT, "nothing listens there")
        gateway.publisher.outcomes.append(down)
        failed = gateway.owe("1.4")
        async with running(gateway.dispatcher.run()):
            gateway.publisher.gate = asyncio.Event()
            under_way = gateway.owe("1.8")
            gateway.dispatcher.deliver(under_way)
            await settle()
            entries = {
                entry.delivery_id: entry
                for entry in (await gateway.administration.outbox(10)).entries
            }
            waiting = entries[failed.delivery_id]
            assert (waiting.state, waiting.attempts) == (DeliveryState.PENDING, 1)
            assert waiting.reason == "nothing listens there"
            assert waiting.next_attempt_at - gateway.clock.utcnow() == timedelta(seconds=0.5)
            entry = entries[under_way.delivery_id]
            assert (entry.state, entry.next_attempt_at) == (DeliveryState.IN_FLIGHT, None)
            assert (await gateway.administration.status()).deliveries_in_flight == 1

    scenario(steps)


def test_throughput_is_that_of_the_latest_minute():
    async def steps(gateway):
        async with running(gateway.administration.run()):
            for number in range(20):
                gateway.receive(str(number))
                await gateway.clock.advance(1.0)
            throughput = (await gateway.administration.status()).throughput
            assert (throughput.seconds, throughput.instances) == (20.0, 1.0)
            await gateway.clock.advance(120.0)
            assert (await gateway.administration.status()).throughput.instances == 0.0

    scenario(steps)


def test_dead_letter_that_is_retried_before_the_start_is_delivered_once():
    async def steps(gateway):
        delivery = gateway.bury("1.4")
        await gateway.administration.retry(delivery.delivery_id)
        async with running(gateway.dispatcher.run()):
            assert len(gateway.publisher.published) == 1

    scenario(steps)


def test_discarded_dead_letter_lets_its_files_go():
    async def steps(gateway):
        delivery = gateway.bury("1.4")
        async with running(gateway.retention.run()):
            await gateway.administration.discard(delivery.delivery_id)
            await settle()
            assert gateway.journal.dead_letters() == []
            assert gateway.journal.take_releasable(gateway.clock.utcnow()) == {}
        with pytest.raises(NoSuchDeadLetter):
            await gateway.administration.discard(delivery.delivery_id)

    scenario(steps)


def test_beginning_of_an_id_is_enough_unless_several_begin_so():
    async def steps(gateway):
        letters = [gateway.bury(f"1.{number}").delivery_id for number in range(20)]
        with pytest.raises(NoSuchDeadLetter):
            await gateway.administration.retry("")
        alike = [
            replace(letter, delivery_id="0123456789")
            for letter in gateway.journal.dead_letters()[:2]
        ]
        with pytest.raises(AmbiguousDeadLetter):
            find_dead_letter(alike, "01234567")
        with pytest.raises(NoSuchDeadLetter):
            await gateway.administration.discard("no such id")
        assert await gateway.administration.retry(letters[3][:8]) == letters[3]

    scenario(steps)


def test_all_dead_letters_are_retried_or_discarded_at_once():
    async def steps(gateway):
        for number in range(3):
            gateway.bury(f"1.{number}")
        outbox = await gateway.administration.outbox(2)
        assert (len(outbox.entries), outbox.dead) == (2, 3)
        assert await gateway.administration.retry_all() == 3
        assert await gateway.administration.retry_all() == 0
        for number in range(3, 5):
            gateway.bury(f"1.{number}")
        assert await gateway.administration.discard_all() == 2
        outbox = await gateway.administration.outbox(2)
        assert (outbox.dead, outbox.pending) == (0, 3)

    scenario(steps)


def test_dead_letter_that_somebody_else_took_is_no_error_for_all():
    async def steps(gateway):
        first, second = gateway.bury("1.1"), gateway.bury("1.2")
        letters = gateway.journal.dead_letters()
        gateway.journal.dead_letters = lambda: letters
        gateway.journal.revive(first.delivery_id)
        assert await gateway.administration.discard_all() == 1
        with pytest.raises(NoSuchDeadLetter):
            await gateway.administration.retry(second.delivery_id)

    scenario(steps)


def test_journal_that_fails_for_a_request_stops_the_gateway():
    async def steps(gateway):
        delivery = gateway.bury("1.4")
        stops = asyncio.create_task(gateway.administration.run())
        await settle()
        assert not stops.done()
        gateway.memory_journal.failure = JournalFailed("the journal failed: disk I/O error")
        with pytest.raises(JournalFailed):
            await gateway.administration.retry(delivery.delivery_id)
        await settle()
        with pytest.raises(JournalFailed, match="disk I/O error"):
            await stops
        assert await gateway.administration.reasons_not_ready() == ("the journal failed",)

    scenario(steps)


def test_journal_without_room_fails_the_request_only():
    async def steps(gateway):
        delivery = gateway.bury("1.4")
        gateway.memory_journal.failure = JournalFull("no room")
        with pytest.raises(JournalFull):
            await gateway.administration.discard(delivery.delivery_id)
        assert await gateway.administration.reasons_not_ready() == ()
        assert gateway.journal.dead_letters()[0].delivery_id == delivery.delivery_id

    scenario(steps)


def test_spool_that_fails_is_one_line_in_the_log_and_one_when_it_is_over(caplog):
    caplog.set_level(logging.INFO)

    async def steps(gateway):
        for _ in range(1000):
            gateway.intake.count_refusal(NO_SPACE)
        gateway.receive("1")
        gateway.receive("2")

    scenario(steps)
    assert caplog.messages == [
        "instances are refused until it is over: No space left on device",
        "instances are stored again",
    ]
