"""What goes wrong with one series harms no other that closes with it."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.gateway.test_bulkhead import Note
from tests.unit.gateway.test_closer import Bench

from seriesgate.gateway.bulkhead import unit_id_of
from seriesgate.gateway.deaths import NOT_AT_ALL, WITH_CARE, Deaths
from seriesgate.gateway.series_reader import CLOSING

CULPRIT, INNOCENT = "1.666", "1.2"


def spoil(bench: Bench, kind: type[Exception]) -> None:
    """Have the closing of one series raise something that nobody expects."""
    known = bench.journal.known

    def spoiled(collected):
        if collected.series_instance_uid == CULPRIT:
            raise kind("Doe^Jane")
        return known(collected)

    bench.journal.known = spoiled  # type: ignore[method-assign]


@pytest.mark.parametrize("kind", [ValueError, RecursionError, MemoryError, OverflowError])
def test_series_that_cannot_be_closed_is_put_aside_and_the_others_close(kind, caplog):
    async def scenario():
        bench = Bench()
        spoil(bench, kind)
        async with bench.running():
            for number, uid in enumerate((*(f"1.2.{n}" for n in range(5)), CULPRIT, INNOCENT)):
                bench.receive(f"1.{number}", series=uid)
            await bench.clock.advance(1.0)
            assert len(bench.delivered) == 6
            (unit,) = bench.bulkheads.aside()
            assert unit.reason.startswith(kind.__name__)
            # What is put aside is acknowledged and not written down: it stays in the sum.
            assert bench.intake.open_counts() == (1, 1)
            del bench.journal.known
            bench.bulkheads.retry(unit.unit_id)
            await bench.clock.settle()
        assert [each.report.SeriesInstanceUID for each in bench.delivered[6:]] == [CULPRIT]
        assert bench.intake.open_counts() == (0, 0)

    asyncio.run(scenario())
    assert "Doe" not in caplog.text


def test_series_of_which_runs_have_died_is_reported_without_its_description():
    async def scenario():
        counted = {unit_id_of(CLOSING, CULPRIT): WITH_CARE}
        bench = Bench(Deaths(Note(), counted))
        bench.journal.count_death(unit_id_of(CLOSING, CULPRIT))
        async with bench.running():
            bench.receive("1.1", series=CULPRIT)
            bench.receive("1.1", series=INNOCENT)
            await bench.clock.advance(1.0)
        names = {each.report.SeriesInstanceUID: each.report.PatientName for each in bench.delivered}
        assert names == {CULPRIT: "", INNOCENT: "Doe^Jane"}
        assert bench.journal.deaths() == {}

    asyncio.run(scenario())


def test_series_of_which_runs_have_died_all_the_same_is_put_aside_until_a_person_wants_it():
    async def scenario():
        counted = {unit_id_of(CLOSING, CULPRIT): NOT_AT_ALL}
        bench = Bench(Deaths(Note(), counted))
        async with bench.running():
            bench.receive("1.1", series=CULPRIT)
            bench.receive("1.1", series=INNOCENT)
            await bench.clock.advance(1.0)
            assert [each.report.SeriesInstanceUID for each in bench.delivered] == [INNOCENT]
            assert bench.bulkheads.retry_all() == 1
            await bench.clock.settle()
        assert [each.report.PatientName for each in bench.delivered] == ["Doe^Jane", ""]

    asyncio.run(scenario())


def test_description_that_fails_unexpectedly_is_left_out():
    async def scenario():
        bench = Bench()

        def fail(_path):
            raise RecursionError

        bench.closer._reader._read_description = fail
        async with bench.running():
            bench.receive("1.1")
            await bench.clock.advance(1.0)
        (delivery,) = bench.delivered
        assert (delivery.report.PatientName, delivery.report.InstancesInSeries) == ("", 1)
        assert bench.bulkheads.aside() == ()

    asyncio.run(scenario())
