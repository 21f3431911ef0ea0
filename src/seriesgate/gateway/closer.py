"""The use case of closing: a series that has become quiet turns into a report that is owed."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from seriesgate.containment import Unit, contained
from seriesgate.gateway.bulkhead import EXPECTED
from seriesgate.gateway.deaths import NO_DEATHS, NOT_AT_ALL
from seriesgate.gateway.ports import JournalFull
from seriesgate.gateway.senders import Peer
from seriesgate.gateway.series_reader import CLOSING
from seriesgate.series.delivery import Delivery, delivery_id_of
from seriesgate.series.report import Series, fitting_report
from seriesgate.series.revision import KnownSeries, SeriesRevision, next_revision
from seriesgate.series.uid import is_uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from seriesgate.gateway.bulkhead import Bulkheads
    from seriesgate.gateway.deaths import Deaths
    from seriesgate.gateway.intake import Intake
    from seriesgate.gateway.ports import Clock, Journal, Offload
    from seriesgate.gateway.previews import PreviewQueue
    from seriesgate.gateway.senders import SenderRegister
    from seriesgate.gateway.series_reader import SeriesReader
    from seriesgate.gateway.totals import GatewayTotals
    from seriesgate.series.model import CollectedSeries, InstanceCopy

_log = logging.getLogger(__name__)

# Series that close at the same time share transactions; those of a batch wait for each other.
_BATCH = 32
# A batch has no more instances than this, or is one series.
_BATCH_INSTANCES = 10_000
_FULL_PAUSE = 5.0


class _Closing(NamedTuple):
    """A series that closes: what came, what was known, and what was made of both, if anything."""

    collected: CollectedSeries
    known: KnownSeries | None
    revision: SeriesRevision | None
    delivery: Delivery | None


class SeriesCloser:
    """Waits for series to become quiet, writes each down and hands its delivery on.

    `journal_thread` and `file_thread` run the blocking work; `came_again` is called after a closing
    that brought nothing new. `senders` is told how late series come. `previews` keeps an instance
    of each series for its picture. A series that cannot be closed is put aside in `bulkheads`, at
    once if earlier runs have died of it, whatever was left out.
    """

    def __init__(
        self,
        intake: Intake,
        reader: SeriesReader,
        journal: Journal,
        clock: Clock,
        journal_thread: Offload,
        file_thread: Offload,
        hand_over: Callable[[Delivery], None],
        came_again: Callable[[], None],
        totals: GatewayTotals,
        gateway_name: str,
        senders: SenderRegister,
        bulkheads: Bulkheads,
        deaths: Deaths = NO_DEATHS,
        previews: PreviewQueue | None = None,
    ) -> None:
        self._intake = intake
        self._reader = reader
        self._journal = journal
        self._clock = clock
        self._journal_thread = journal_thread
        self._file_thread = file_thread
        self._hand_over = hand_over
        self._came_again = came_again
        self._totals = totals
        self._gateway_name = gateway_name
        self._senders = senders
        self._bulkheads = bulkheads
        self._deaths = deaths
        self._previews = previews
        self._woken = asyncio.Event()
        # What was put aside, and is to be closed again.
        self._again: list[CollectedSeries] = []

    def wake(self) -> None:
        """Look at the deadlines again. To be called on the event loop."""
        self._woken.set()

    async def run(self) -> None:
        """Close series for ever. Stops only by cancellation, or when the journal fails."""
        while True:
            self._woken.clear()
            deadline = self._intake.next_deadline()
            if not self._again:
                await self._clock.wait(self._woken, deadline)
            again, self._again = self._again, []
            closed = [*again, *self._intake.close_quiet()]
            for batch in _batches(each for each in closed if self._may_close(each)):
                await self._close(batch)

    def _may_close(self, collected: CollectedSeries) -> bool:
        if self._deaths.of(CLOSING, collected.series_instance_uid) < NOT_AT_ALL:
            return True
        self._put_aside(collected, "earlier runs have died of it")
        return False

    async def _close(self, batch: list[CollectedSeries]) -> None:
        """Close series together; if that fails, each for itself, so that only one suffers."""
        unit = Unit()
        closings: list[_Closing] = []
        with contained(unit, EXPECTED):
            closings = await self._write_down(batch)
        if not unit.failure:
            await self._tell(closings)
        elif len(batch) > 1:
            for collected in batch:
                await self._close([collected])
        else:
            self._put_aside(batch[0], unit.failure)

    def _put_aside(self, collected: CollectedSeries, reason: str) -> None:
        uid = collected.series_instance_uid

        def close_again() -> None:
            self._deaths.allow(CLOSING, uid)
            self._again.append(collected)
            self.wake()

        self._bulkheads.put_aside(CLOSING, uid, reason, close_again)

    async def _write_down(self, batch: list[CollectedSeries]) -> list[_Closing]:
        """Write what is new. Until then nothing is changed but what is in the spool."""
        known = await self._journal_thread(
            lambda: [self._journal.known(collected) for collected in batch]
        )
        closings = await self._file_thread(
            lambda: [self._revise(*pair) for pair in zip(batch, known, strict=True)]
        )
        await self._while_full(lambda: self._record(closings))
        return closings

    def _revise(self, collected: CollectedSeries, known: KnownSeries | None) -> _Closing:
        with self._deaths.noted(CLOSING, collected.series_instance_uid):
            return self._revised(collected, known)

    def _revised(self, collected: CollectedSeries, known: KnownSeries | None) -> _Closing:
        checked = self._reader.checked(collected)
        revision = next_revision(known, checked, self._clock.utcnow())
        if revision is None:
            return _Closing(collected, known, None, None)
        majority = revision.summary.identities.majority
        revision = revision.described(self._reader.describe(checked, majority))
        report = report_of(revision, self._gateway_name)
        return _Closing(collected, known, revision, Delivery(delivery_id_of(report), report))

    def _record(self, closings: list[_Closing]) -> None:
        # Both on the journal's thread: whoever adds up there meets each instance once.
        new = [
            (each.revision, each.delivery) for each in closings if each.revision and each.delivery
        ]
        if new:
            self._journal.record(new)
        self._intake.written_down([each.collected for each in closings])

    async def _while_full(self, write: Callable[[], None]) -> None:
        """Write until there is room. What is not written yet is still in the spool."""
        while True:
            try:
                await self._journal_thread(write)
            except JournalFull as error:
                _log.error("closed series cannot be written down now: %s", error)
                await self._clock.wait(asyncio.Event(), self._clock.monotonic() + _FULL_PAUSE)
            else:
                return

    async def _tell(self, closings: list[_Closing]) -> None:
        """Tell everyone of what is written down. Nothing that goes wrong here undoes it."""
        made = [(c.collected, c.known, c.revision, c.delivery) for c in closings]
        if self._previews is not None:
            with self._bulkheads.unit("keeping of instances for previews", ""):
                await self._previews.keep([(c, r) for c, _, r, _ in made if r is not None])
        for collected, known, revision, delivery in made:
            uid = collected.series_instance_uid
            with self._bulkheads.unit("telling of a closed series", uid):
                if revision is not None and delivery is not None:
                    self._hand_over(delivery)
                    self._report_closing(revision, delivery)
                    self._note_arrival(collected, known, revision)
            await self._forget_deaths(uid)
        resent = {
            each.collected.series_instance_uid: each.known.copies if each.known else frozenset()
            for each in closings
            if each.revision is None
        }
        if resent:
            await self._release_again(resent)

    async def _release_again(self, resent: dict[str, frozenset[InstanceCopy]]) -> None:
        for uid, copies in resent.items():
            with self._bulkheads.unit("release of what came again", uid):
                await self._while_full(partial(self._journal.hold, uid, copies))
            _log.info("a series came again, nothing in it is new")
        self._totals.series_repeated += len(resent)
        self._came_again()

    async def _forget_deaths(self, uid: str) -> None:
        unit_id = self._deaths.forget(CLOSING, uid)
        if unit_id is not None:
            await self._while_full(partial(self._journal.forget_death, unit_id))

    def _note_arrival(
        self, collected: CollectedSeries, known: KnownSeries | None, made: SeriesRevision
    ) -> None:
        """Have it remembered of the sender how late it was; what came again is not late."""
        peer = Peer(collected.calling_host, collected.calling_ae_title)
        if known is None:
            self._senders.series_closed(peer, collected.pauses)
        elif made.added_instances:
            late_by = (collected.first_instance_at - known.summary.last_instance_at).total_seconds()
            self._senders.series_closed(peer, collected.pauses, late_by)

    def _report_closing(self, revision: SeriesRevision, delivery: Delivery) -> None:
        summary, strays = revision.summary, revision.added_strays()
        self._totals.series_closed += 1
        if summary.revision > 1:
            self._totals.series_reopened += 1
            self._totals.instances_late += len(revision.added_instances)
        self._totals.series_with_gaps += bool(revision.missing_instance_numbers)
        self._totals.instances_conflicting += len(revision.added_conflicts)
        self._totals.instances_inconsistent += strays
        _log.info(
            "series closed (%s): %d instances, %d of them new, revision %d",
            delivery.short_id,
            summary.instances,
            len(revision.added_instances),
            summary.revision,
        )
        if revision.added_conflicts:
            _log.warning(
                "series %s: %d instances came again with other content, all are kept",
                delivery.short_id,
                len(revision.added_conflicts),
            )
        no_uids = _count_no_uids(revision)
        if no_uids:
            _log.warning(
                "series %s: %d of its UIDs are none (PS3.5 9.1)", delivery.short_id, no_uids
            )
        if summary.inconsistent_attributes:
            _log.warning(
                "series %s: its instances differ in %s: %d of %d do not agree with most",
                delivery.short_id,
                ", ".join(sorted(summary.inconsistent_attributes)),
                summary.inconsistent_instances,
                summary.instances,
            )


def _count_no_uids(revision: SeriesRevision) -> int:
    """Return how many UIDs of a series, its study and its new instances are none."""
    summary = revision.summary
    uids = (summary.series_instance_uid, summary.study_instance_uid, *revision.added_instances)
    return sum(not is_uid(uid) for uid in uids)


def report_of(revision: SeriesRevision, gateway_name: str) -> Series:
    """Return what the server is told of a revision: its attributes are those of one instance."""
    summary = revision.summary
    description = summary.description
    fields = {
        "SeriesInstanceUID": summary.series_instance_uid,
        "PatientName": description.patient_name,
        "PatientID": description.patient_id,
        "StudyInstanceUID": summary.study_instance_uid,
        "InstancesInSeries": summary.instances,
        "Revision": summary.revision,
        "AddedInstances": len(revision.added_instances),
        "Modality": description.modality,
        "SeriesNumber": description.series_number,
        "SeriesDescription": description.series_description,
        "BodyPartExamined": description.body_part_examined,
        "StudyDate": description.study_date,
        "StudyDescription": description.study_description,
        "AccessionNumber": description.accession_number,
        "Manufacturer": description.manufacturer,
        "CallingAETitle": summary.identities.majority.calling_ae_title,
        "Gateway": gateway_name,
        "Bytes": summary.size,
        "FirstInstanceAt": summary.first_instance_at,
        "LastInstanceAt": summary.last_instance_at,
        "ClosedAt": summary.closed_at,
        "MissingInstanceNumbers": list(revision.missing_instance_numbers),
        "ConflictingInstances": list(summary.conflicting_instances),
        "InconsistentAttributes": sorted(summary.inconsistent_attributes),
        "InconsistentInstances": summary.identities.strays(),
        "InconsistentInstanceCount": summary.inconsistent_instances,
        "DamagedInstances": list(summary.damaged_instances),
    }
    report, unfit = fitting_report(fields)
    if unfit:
        _log.error("a series is reported without what does not fit: %s", ", ".join(sorted(unfit)))
    return report


def _batches(closed: Iterable[CollectedSeries]) -> Iterator[list[CollectedSeries]]:
    """Share out what closes; a very large series comes last, so that the others need not wait."""
    batch: list[CollectedSeries] = []
    instances = 0
    for series in sorted(closed, key=_is_large):
        added = len(series.instances) + len(series.conflicting_copies)
        if len(batch) == _BATCH or (batch and instances + added > _BATCH_INSTANCES):
            yield batch
            batch, instances = [], 0
        batch.append(series)
        instances += added
    if batch:
        yield batch


def _is_large(series: CollectedSeries) -> bool:
    return len(series.instances) > _BATCH_INSTANCES
