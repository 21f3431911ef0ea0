"""The use case of closing: a series that has become quiet turns into a report that is owed."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from seriesgate.gateway.ports import JournalFull, SeriesUnreadable
from seriesgate.gateway.senders import Peer
from seriesgate.series.delivery import Delivery, delivery_id_of
from seriesgate.series.description import SeriesDescription
from seriesgate.series.report import Series
from seriesgate.series.revision import MAX_LISTED, SeriesRevision, next_revision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from seriesgate.gateway.intake import Intake
    from seriesgate.gateway.ports import (
        Clock,
        DescriptionReader,
        InstanceSpool,
        Journal,
        Offload,
    )
    from seriesgate.gateway.previews import PreviewQueue
    from seriesgate.gateway.senders import SenderRegister
    from seriesgate.gateway.totals import GatewayTotals
    from seriesgate.series.model import CollectedSeries

_log = logging.getLogger(__name__)

# Series that close at the same time share transactions; those of a batch wait for each other.
_BATCH = 32
# How many instances are tried for one that can be described.
_MAX_SAMPLES = 3
_FULL_PAUSE = 5.0


class SeriesCloser:
    """Waits for series to become quiet, writes each down and hands its delivery on.

    `journal_thread` and `file_thread` run the blocking work; `came_again` is called after a closing
    that brought nothing new. `senders` is told how late series come. `previews` keeps an instance
    of each series for its picture.
    """

    def __init__(
        self,
        intake: Intake,
        spool: InstanceSpool,
        journal: Journal,
        read_description: DescriptionReader,
        clock: Clock,
        journal_thread: Offload,
        file_thread: Offload,
        hand_over: Callable[[Delivery], None],
        came_again: Callable[[], None],
        totals: GatewayTotals,
        gateway_name: str,
        senders: SenderRegister,
        previews: PreviewQueue | None = None,
    ) -> None:
        self._intake = intake
        self._spool = spool
        self._journal = journal
        self._read_description = read_description
        self._clock = clock
        self._journal_thread = journal_thread
        self._file_thread = file_thread
        self._hand_over = hand_over
        self._came_again = came_again
        self._totals = totals
        self._gateway_name = gateway_name
        self._senders = senders
        self._previews = previews
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at the deadlines again. To be called on the event loop."""
        self._woken.set()

    async def run(self) -> None:
        """Close series for ever. Stops only by cancellation, or when the journal fails."""
        while True:
            self._woken.clear()
            deadline = self._intake.next_deadline()
            await self._clock.wait(self._woken, deadline)
            for batch in _batches(self._intake.close_quiet()):
                await self._close(batch)

    async def _close(self, batch: list[CollectedSeries]) -> None:
        known = await self._journal_thread(
            lambda: [self._journal.known(collected.series_instance_uid) for collected in batch]
        )
        revisions = await self._file_thread(
            lambda: [self._revise(*pair) for pair in zip(batch, known, strict=True)]
        )
        closed = [(made, self._delivery(made)) for made in revisions if made is not None]
        resent = [
            collected.series_instance_uid
            for collected, made in zip(batch, revisions, strict=True)
            if made is None
        ]
        await self._write_down(batch, closed, resent)
        if self._previews is not None:
            pairs = zip(batch, revisions, strict=True)
            await self._previews.keep([(each, made) for each, made in pairs if made is not None])
        for revision, delivery in closed:
            self._report_closing(revision, delivery)
            self._hand_over(delivery)
        for collected, before, made in zip(batch, known, revisions, strict=True):
            if made is not None:
                self._note_arrival(collected, before, made)
        if resent:
            self._totals.series_repeated += len(resent)
            for _ in resent:
                _log.info("a series came again, nothing in it is new")
            self._came_again()

    def _revise(
        self, collected: CollectedSeries, known: SeriesRevision | None
    ) -> SeriesRevision | None:
        collected = self._checked(collected)
        revision = next_revision(known, collected, self._clock.utcnow())
        if revision is None:
            return None
        return replace(revision, description=self._describe(collected, revision.description))

    def _checked(self, collected: CollectedSeries) -> CollectedSeries:
        """Read again what an earlier run stored: the disk may have lost it in between."""
        uid = collected.series_instance_uid
        damaged = frozenset(
            copy for copy in collected.recovered_copies if self._spool.is_damaged(uid, copy)
        )
        if damaged:
            self._totals.instances_damaged += len(damaged)
            _log.error("%d instances of a series are damaged and not counted", len(damaged))
        return collected.without(damaged)

    def _describe(self, collected: CollectedSeries, known: SeriesDescription) -> SeriesDescription:
        """Read one instance; if none can be read, what was known before still holds."""
        uid = collected.series_instance_uid
        problem = "its files are not in the spool"
        for copy in islice(sorted(collected.copies), _MAX_SAMPLES):
            try:
                return self._read_description(self._spool.path_of(uid, copy))
            except SeriesUnreadable as error:
                problem = str(error)
        if known == SeriesDescription():
            _log.error("a closed series is reported without its description: %s", problem)
        return known

    def _delivery(self, revision: SeriesRevision) -> Delivery:
        report = report_of(revision, self._gateway_name)
        return Delivery(delivery_id_of(report), report)

    async def _write_down(
        self,
        batch: list[CollectedSeries],
        closed: list[tuple[SeriesRevision, Delivery]],
        resent: list[str],
    ) -> None:
        """Write until there is room. What is not written yet is still in the spool."""
        is_recorded = False
        while True:
            try:
                if not is_recorded:
                    await self._journal_thread(self._record, batch, closed)
                    is_recorded = True
                if resent:
                    await self._journal_thread(self._hold_delivered, resent)
            except JournalFull as error:
                _log.error("closed series cannot be written down now: %s", error)
                await self._clock.wait(asyncio.Event(), self._clock.monotonic() + _FULL_PAUSE)
            else:
                return

    def _record(
        self, batch: list[CollectedSeries], closed: list[tuple[SeriesRevision, Delivery]]
    ) -> None:
        # Both on the journal's thread: whoever adds up there meets each instance once.
        if closed:
            self._journal.record(closed)
        self._intake.written_down(batch)

    def _hold_delivered(self, resent: list[str]) -> None:
        # What is still owed keeps its files: they are released with their delivery.
        for uid in resent:
            if self._journal.is_delivered(uid):
                self._journal.hold(uid)

    def _note_arrival(
        self, collected: CollectedSeries, known: SeriesRevision | None, made: SeriesRevision
    ) -> None:
        """Have it remembered of the sender how late it was; what came again is not late."""
        peer = Peer(collected.calling_host, collected.calling_ae_title)
        if known is None:
            self._senders.series_closed(peer, collected.pauses)
        elif made.added_instances:
            late_by = (collected.first_instance_at - known.last_instance_at).total_seconds()
            self._senders.series_closed(peer, collected.pauses, late_by)

    def _report_closing(self, revision: SeriesRevision, delivery: Delivery) -> None:
        self._totals.series_closed += 1
        if revision.revision > 1:
            self._totals.series_reopened += 1
            self._totals.instances_late += len(revision.added_instances)
        self._totals.series_with_gaps += bool(delivery.report.MissingInstanceNumbers)
        self._totals.instances_conflicting += len(revision.added_conflicts)
        _log.info(
            "series closed (%s): %d instances, %d of them new, revision %d",
            delivery.short_id,
            len(revision.instances),
            len(revision.added_instances),
            revision.revision,
        )
        if revision.added_conflicts:
            _log.warning(
                "series %s: %d instances came again with other content, all are kept",
                delivery.short_id,
                len(revision.added_conflicts),
            )
        if revision.inconsistent_attributes:
            _log.warning(
                "series %s: its instances differ in %s",
                delivery.short_id,
                ", ".join(sorted(revision.inconsistent_attributes)),
            )


def report_of(revision: SeriesRevision, gateway_name: str) -> Series:
    """Return what the server is told of a revision."""
    description = revision.description
    return Series(
        SeriesInstanceUID=revision.series_instance_uid,
        PatientName=description.patient_name,
        PatientID=description.patient_id,
        StudyInstanceUID=revision.study_instance_uid,
        InstancesInSeries=len(revision.instances),
        Revision=revision.revision,
        AddedInstances=len(revision.added_instances),
        Modality=description.modality,
        SeriesNumber=description.series_number,
        SeriesDescription=description.series_description,
        BodyPartExamined=description.body_part_examined,
        StudyDate=description.study_date,
        StudyDescription=description.study_description,
        AccessionNumber=description.accession_number,
        Manufacturer=description.manufacturer,
        CallingAETitle=revision.calling_ae_title,
        Gateway=gateway_name,
        Bytes=revision.size,
        FirstInstanceAt=revision.first_instance_at,
        LastInstanceAt=revision.last_instance_at,
        ClosedAt=revision.closed_at,
        MissingInstanceNumbers=revision.missing_instance_numbers(),
        ConflictingInstances=sorted(revision.conflicting_instances)[:MAX_LISTED],
        InconsistentAttributes=sorted(revision.inconsistent_attributes),
        DamagedInstances=sorted(revision.damaged_instances)[:MAX_LISTED],
    )


def _batches(closed: Iterable[CollectedSeries]) -> Iterator[list[CollectedSeries]]:
    remaining = iter(closed)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
