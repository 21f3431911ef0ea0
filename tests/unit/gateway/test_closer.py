from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from tests.examples import instance
from tests.fakes import FakeClock, MemorySpool, inline, settle

from seriesgate.adapters.memory_journal import MemoryJournal
from seriesgate.gateway.closer import SeriesCloser
from seriesgate.gateway.intake import Intake
from seriesgate.gateway.ports import SeriesUnreadable
from seriesgate.series.collector import SeriesCollector
from seriesgate.series.delivery import FailureKind, PublishFailure
from seriesgate.series.description import SeriesDescription

if TYPE_CHECKING:
    from seriesgate.series.delivery import Delivery


REFUSED = PublishFailure(FailureKind.REJECTED, "the server answered 422")


def no_scanner(_transfer_syntax_uid):
    raise AssertionError("nothing is received here")


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.spool = MemorySpool()
        self.journal = MemoryJournal()
        self.delivered: list[Delivery] = []
        self.is_readable = True
        self.intake = Intake(self.spool, SeriesCollector(1.0), no_scanner, self.clock, self.wake)
        self.closer = SeriesCloser(
            self.intake,
            self.spool,
            self.journal,
            self.read,
            self.clock,
            inline,
            self.delivered.append,
            "gateway-1",
        )

    def wake(self):
        self.closer.wake()

    def read(self, _path):
        if not self.is_readable:
            raise SeriesUnreadable("not DICOM")
        return SeriesDescription(patient_name="Doe^Jane", patient_id="A/17", modality="MR")

    def receive(self, sop, series="1.2", **attributes):
        stored = instance(sop, series, at=self.clock.utcnow(), **attributes)
        self.spool.files[series, sop] = [(stored, b"abc")]
        self.intake.count(stored, held=False)

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.closer.run())
        await settle()
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    def reports(self):
        return [delivery.report for delivery in self.delivered]


def test_series_is_recorded_and_handed_over_exactly_when_it_is_quiet():
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.receive("1.1", number=1)
            await bench.clock.advance(0.5)
            bench.receive("1.5", number=5)
            await bench.clock.advance(0.999)
            assert bench.delivered == []
            await bench.clock.advance(0.001)
            (report,) = bench.reports()
            assert bench.journal.undelivered() == bench.delivered
        assert report.SeriesInstanceUID == "1.2"
        assert report.StudyInstanceUID == "1.3"
        assert (report.PatientName, report.PatientID) == ("Doe^Jane", "A/17")
        assert (report.InstancesInSeries, report.AddedInstances, report.Revision) == (2, 2, 1)
        assert report.MissingInstanceNumbers == [2, 3, 4]
        assert report.Gateway == "gateway-1"
        assert report.Bytes == 200
        assert (report.ClosedAt - report.FirstInstanceAt).total_seconds() == 1.5
        assert (report.ClosedAt - report.LastInstanceAt).total_seconds() == 1.0

    asyncio.run(scenario())


def test_late_instance_is_a_second_revision_with_the_cumulative_count():
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.receive("1.1")
            await bench.clock.advance(1)
            bench.receive("1.9")
            await bench.clock.advance(1)
            second = bench.reports()[1]
            assert (second.Revision, second.InstancesInSeries, second.AddedInstances) == (2, 2, 1)

    asyncio.run(scenario())


def test_resend_of_a_series_that_is_still_owed_keeps_its_files():
    """They are all that a restart can rebuild the series from."""

    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.receive("1.1")
            await bench.clock.advance(1)
            bench.receive("1.1")
            await bench.clock.advance(1)
            assert len(bench.delivered) == 1
            assert list(bench.spool.files) == [("1.2", "1.1")]
            bench.journal.bury(bench.delivered[0].delivery_id, REFUSED)
            bench.receive("1.1")
            await bench.clock.advance(1)
            assert list(bench.spool.files) == [("1.2", "1.1")]

    asyncio.run(scenario())


def test_resend_is_not_reported_and_its_files_are_let_go():
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.receive("1.1")
            await bench.clock.advance(1)
            bench.journal.finish(bench.delivered[0].delivery_id)
            bench.receive("1.1")
            await bench.clock.advance(1)
            assert len(bench.delivered) == 1
            assert bench.spool.files == {}

    asyncio.run(scenario())


def test_series_that_cannot_be_read_back_is_reported_without_description():
    async def scenario():
        bench = Bench()
        bench.is_readable = False
        async with bench.running():
            bench.receive("1.1")
            await bench.clock.advance(1)
            (report,) = bench.reports()
            assert (report.PatientName, report.PatientID, report.InstancesInSeries) == ("", "", 1)
            assert report.StudyInstanceUID == "1.3"

    asyncio.run(scenario())


def test_each_series_is_closed_after_its_own_quiet_period():
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.receive("1.1", "a")
            await bench.clock.advance(0.4)
            bench.receive("1.1", "b")
            await bench.clock.advance(0.6)
            assert [r.SeriesInstanceUID for r in bench.reports()] == ["a"]
            await bench.clock.advance(0.4)
            assert [r.SeriesInstanceUID for r in bench.reports()] == ["a", "b"]

    asyncio.run(scenario())
