from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from tests.examples import DIGEST, OTHER, instance
from tests.fakes import FakeClock, MemorySpool, QuietAssociation, inline, settle
from tests.memory_journal import MemoryJournal

from seriesgate.gateway import closer
from seriesgate.gateway.bulkhead import Bulkheads
from seriesgate.gateway.closer import SeriesCloser
from seriesgate.gateway.deaths import NO_DEATHS, Deaths
from seriesgate.gateway.intake import Intake
from seriesgate.gateway.ports import JournalFull, KeptAs, Outcome, SeriesUnreadable
from seriesgate.gateway.senders import Peer, SenderRegister
from seriesgate.gateway.series_reader import SeriesReader
from seriesgate.gateway.totals import GatewayTotals
from seriesgate.series.collector import SeriesCollector
from seriesgate.series.delivery import FailureKind, PublishFailure
from seriesgate.series.description import SeriesDescription
from seriesgate.series.model import InstanceCopy
from seriesgate.series.pauses import BOUNDS

if TYPE_CHECKING:
    from pathlib import Path

    from seriesgate.series.delivery import Delivery


REFUSED = PublishFailure(FailureKind.REJECTED, "the server answered 422")


def no_scanner(_transfer_syntax_uid):
    raise AssertionError("nothing is received here")


class CountingJournal(MemoryJournal):
    def __init__(self) -> None:
        super().__init__()
        self.transactions = 0

    def record(self, closed):
        self.transactions += 1
        super().record(closed)


class Bench:
    def __init__(self, deaths: Deaths = NO_DEATHS) -> None:
        self.clock = FakeClock()
        self.spool = MemorySpool()
        self.journal = CountingJournal()
        self.delivered: list[Delivery] = []
        self.is_readable = True
        self.read_files: list[Path] = []
        #: By the names of files.
        self.descriptions: dict[str, SeriesDescription] = {}
        self.came_again = 0
        self.totals = GatewayTotals()
        self.senders = SenderRegister(self.clock)
        self.intake = Intake(
            self.spool, SeriesCollector(1.0), no_scanner, self.clock, self.wake, self.totals
        )
        self.bulkheads = Bulkheads(self.clock)
        self.deaths = deaths
        self.closer = SeriesCloser(
            self.intake,
            SeriesReader(self.spool, self.read, self.deaths, self.totals),
            self.journal,
            self.clock,
            inline,
            inline,
            self.delivered.append,
            self.count_resent,
            self.totals,
            "gateway-1",
            self.senders,
            self.bulkheads,
            self.deaths,
        )

    def wake(self):
        self.closer.wake()

    def count_resent(self):
        self.came_again += 1

    def read(self, path):
        if not self.is_readable:
            raise SeriesUnreadable("not DICOM")
        self.read_files.append(path)
        return self.descriptions.get(
            path.name, SeriesDescription(patient_name="Doe^Jane", patient_id="A/17", modality="MR")
        )

    def receive(self, sop, series="1.2", calling_host="", **attributes):
        stored = instance(sop, series, at=self.clock.utcnow(), **attributes)
        stored = stored._replace(calling_host=calling_host)
        self.spool.add(stored)
        self.intake.hold(stored.header)
        self.intake.count(stored, KeptAs.NEW)

    def settle(self, failure=None):
        self.journal.settle(
            [Outcome(self.delivered[-1], failure, is_final=failure is not None)],
            self.clock.utcnow(),
        )

    def releasable(self):
        return self.journal.take_releasable(self.clock.utcnow())

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
            (owed,) = bench.journal.undelivered()
            assert bench.journal.load(owed.delivery_id) == bench.delivered[0]
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
            assert bench.came_again == 1
            assert bench.releasable() == {}
            bench.settle(REFUSED)
            bench.receive("1.1")
            await bench.clock.advance(1)
            assert bench.releasable() == {}

    asyncio.run(scenario())


def test_resend_is_not_reported_and_its_files_are_let_go():
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.receive("1.1")
            await bench.clock.advance(1)
            bench.settle()
            assert bench.releasable() != {}
            bench.receive("1.1")
            await bench.clock.advance(1)
            assert len(bench.delivered) == 1
            assert bench.releasable() == {"1.2": {InstanceCopy("1.1", DIGEST)}}
            assert bench.totals.series_repeated == 1

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


def test_series_that_cannot_be_read_back_keeps_the_description_it_had():
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.receive("1.1")
            await bench.clock.advance(1)
            bench.is_readable = False
            bench.receive("1.9")
            await bench.clock.advance(1)
            assert [report.PatientName for report in bench.reports()] == ["Doe^Jane"] * 2

    asyncio.run(scenario())


def test_contradictions_are_in_the_report():
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.receive("1.1")
            bench.receive("1.1", digest=OTHER)
            bench.receive("1.5", study="9.9")
            await bench.clock.advance(1)
            (report,) = bench.reports()
        assert report.InstancesInSeries == 2
        assert report.ConflictingInstances == ["1.1"]
        assert report.InconsistentAttributes == ["StudyInstanceUID"]
        assert bench.totals.instances_conflicting == 1

    asyncio.run(scenario())


def test_damaged_instance_of_an_earlier_run_is_not_counted_and_named():
    async def scenario():
        bench = Bench()
        bench.spool.damaged = {InstanceCopy("1.5", DIGEST)}
        async with bench.running():
            bench.receive("1.1", is_recovered=True)
            bench.receive("1.5", is_recovered=True)
            await bench.clock.advance(1)
            (report,) = bench.reports()
        assert (report.InstancesInSeries, report.DamagedInstances) == (1, ["1.5"])
        assert bench.totals.instances_damaged == 1

    asyncio.run(scenario())


def test_what_this_run_received_is_not_read_again():
    async def scenario():
        bench = Bench()
        bench.spool.damaged = {InstanceCopy("1.1", DIGEST)}
        async with bench.running():
            bench.receive("1.1")
            await bench.clock.advance(1)
            assert bench.reports()[0].InstancesInSeries == 1

    asyncio.run(scenario())


def test_full_journal_is_waited_for_and_the_series_then_closes():
    async def scenario():
        bench = Bench()
        async with bench.running():
            bench.journal.failure = JournalFull("no room")
            bench.receive("1.1")
            await bench.clock.advance(30)
            assert bench.delivered == []
            bench.journal.failure = None
            await bench.clock.advance(10)
            assert len(bench.reports()) == 1

    asyncio.run(scenario())


def test_hundred_series_at_once_close_in_few_transactions():
    async def scenario():
        bench = Bench()
        async with bench.running():
            for number in range(100):
                bench.receive("1.1", f"1.2.{number}")
            await bench.clock.advance(1)
            await settle()
            assert len(bench.reports()) == 100
        assert bench.journal.transactions == 4

    asyncio.run(scenario())


def test_sender_is_remembered_with_the_pauses_in_its_series_and_between_their_revisions():
    async def scenario():
        bench = Bench()
        peer = Peer("10.0.0.1", "MODALITY")
        bench.senders.accepted(peer, QuietAssociation())
        async with bench.running():
            bench.receive("1.1", calling_host=peer.host)
            await bench.clock.advance(0.75)
            bench.receive("1.5", calling_host=peer.host)
            await bench.clock.advance(4.0)
            bench.receive("1.7", calling_host=peer.host)  # late
            await bench.clock.advance(4.0)
            bench.receive("1.7", calling_host=peer.host)  # nothing new: not late
            await bench.clock.advance(4.0)
            bench.receive("1.7", calling_host=peer.host, digest=OTHER)  # a revision, not late
            await bench.clock.advance(4.0)
            assert bench.reports()[-1].Revision == 3
        (sender,) = bench.senders.senders()
        assert (sender.series, sender.late) == (1, 1)
        counts = dict(zip(BOUNDS, sender.pauses.counts, strict=True))
        assert {bound: count for bound, count in counts.items() if count} == {0.5: 1, 3.0: 1}

    asyncio.run(scenario())


def named(sop, patient, digest=DIGEST):
    """Where the file of an instance is in the spool, and what it says."""
    return {f"{sop}-{digest.hex()}": SeriesDescription(patient_id=patient, modality=patient)}


STRANGER = {"study": "9.9", "patient_id": b"OTHER"}


def test_report_is_what_most_say_and_names_the_strays(caplog):
    """The stray comes first and has the lowest UID, and nothing of it is in the report."""

    async def scenario():
        bench = Bench()
        bench.descriptions = named("0.1", "OTHER") | named("1.1", "REAL")
        async with bench.running():
            bench.receive("0.1", **STRANGER)
            for number in range(1, 11):
                bench.receive(f"1.{number}")
            await bench.clock.advance(1)
            (report,) = bench.reports()
        assert (report.PatientID, report.Modality) == ("REAL", "REAL")
        assert report.StudyInstanceUID == "1.3"
        assert report.InconsistentAttributes == ["PatientID", "StudyInstanceUID"]
        assert (report.InconsistentInstances, report.InconsistentInstanceCount) == (["0.1"], 1)
        assert report.InstancesInSeries == 11
        assert bench.totals.instances_inconsistent == 1

    asyncio.run(scenario())
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "1 of 11 do not agree with most" in warning
    assert "OTHER" not in caplog.text
    assert "9.9" not in caplog.text


def test_stray_that_comes_late_leaves_the_report_what_most_say():
    async def scenario():
        bench = Bench()
        bench.descriptions = named("0.1", "OTHER") | named("1.1", "REAL") | named("1.3", "REAL")
        async with bench.running():
            bench.receive("1.1")
            bench.receive("1.2")
            await bench.clock.advance(1)
            bench.receive("0.1", **STRANGER)
            await bench.clock.advance(1)
            bench.receive("0.2", **STRANGER)
            bench.receive("1.3")
            await bench.clock.advance(1)
        assert [report.PatientID for report in bench.reports()] == ["REAL"] * 3
        assert bench.reports()[-1].InconsistentInstances == ["0.1", "0.2"]

    asyncio.run(scenario())


def test_stray_alone_gives_way_when_the_others_come():
    async def scenario():
        bench = Bench()
        bench.descriptions = named("0.1", "OTHER") | named("1.1", "REAL")
        async with bench.running():
            bench.receive("0.1", **STRANGER)
            await bench.clock.advance(1)
            for number in range(1, 4):
                bench.receive(f"1.{number}")
            await bench.clock.advance(1)
            first, second = bench.reports()
        assert (first.PatientID, first.StudyInstanceUID) == ("OTHER", "9.9")
        assert (second.PatientID, second.StudyInstanceUID) == ("REAL", "1.3")
        assert (second.Revision, second.InconsistentInstances) == (2, ["0.1"])

    asyncio.run(scenario())


def test_series_whose_majority_cannot_be_read_takes_nothing_from_a_stray():
    async def scenario():
        bench = Bench()
        bench.descriptions = named("0.1", "OTHER")
        async with bench.running():
            bench.receive("0.1", **STRANGER)
            await bench.clock.advance(1)
            bench.is_readable = False
            bench.receive("1.1")
            bench.receive("1.2")
            await bench.clock.advance(1)
            report = bench.reports()[-1]
        assert (report.PatientID, report.StudyInstanceUID, report.Modality) == ("", "1.3", "")

    asyncio.run(scenario())


def test_very_large_series_is_closed_after_the_others(monkeypatch):
    monkeypatch.setattr(closer, "_BATCH_INSTANCES", 5)

    async def scenario():
        bench = Bench()
        async with bench.running():
            for number in range(20):
                bench.receive(f"1.{number}", "large")
            for series in ("a", "b", "c"):
                bench.receive("1.1", series)
                bench.receive("1.2", series)
            await bench.clock.advance(1)
            assert [r.SeriesInstanceUID for r in bench.reports()] == ["a", "b", "c", "large"]
        assert bench.journal.transactions == 3

    asyncio.run(scenario())
