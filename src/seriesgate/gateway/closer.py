"""The use case of closing: a series that has become quiet turns into a report that is owed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from seriesgate.gateway.ports import SeriesUnreadable
from seriesgate.series.delivery import Delivery, delivery_id_of
from seriesgate.series.description import SeriesDescription
from seriesgate.series.report import Series
from seriesgate.series.revision import MAX_LISTED, next_revision

if TYPE_CHECKING:
    from collections.abc import Callable

    from seriesgate.gateway.intake import Intake
    from seriesgate.gateway.ports import (
        Clock,
        DescriptionReader,
        InstanceSpool,
        Journal,
        Offload,
    )
    from seriesgate.series.model import CollectedSeries
    from seriesgate.series.revision import SeriesRevision

_log = logging.getLogger(__name__)


class SeriesCloser:
    """Waits for series to become quiet, writes each down and hands its delivery on."""

    def __init__(
        self,
        intake: Intake,
        spool: InstanceSpool,
        journal: Journal,
        read_description: DescriptionReader,
        clock: Clock,
        offload: Offload,
        hand_over: Callable[[Delivery], None],
        gateway_name: str,
    ) -> None:
        self._intake = intake
        self._spool = spool
        self._journal = journal
        self._read_description = read_description
        self._clock = clock
        self._offload = offload
        self._hand_over = hand_over
        self._gateway_name = gateway_name
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
            for collected in self._intake.close_quiet():
                delivery = await self._offload(self._close, collected)
                if delivery is not None:
                    self._hand_over(delivery)

    def _close(self, collected: CollectedSeries) -> Delivery | None:
        """Write the next revision of a series and the delivery of its report in one transaction."""
        uid = collected.series_instance_uid
        revision = next_revision(self._journal.known(uid), collected, self._clock.utcnow())
        if revision is None:
            # Everything in it was reported before. What is not delivered yet keeps its files: they
            # are released with their delivery, or rebuild the series after a restart.
            if self._journal.is_delivered(uid):
                self._spool.release(uid, collected.instances)
            _log.info("a series came again, nothing in it is new")
            return None
        report = _report(revision, self._describe(collected), self._gateway_name)
        delivery = Delivery(delivery_id_of(report), report)
        self._journal.record(revision, delivery)
        _log.info(
            "series closed (%s): %d instances, %d of them new, revision %d",
            delivery.short_id,
            len(revision.instances),
            revision.added_instances,
            revision.revision,
        )
        return delivery

    def _describe(self, collected: CollectedSeries) -> SeriesDescription:
        """Read one instance; what can't be read stays empty, for the series must be reported."""
        try:
            return self._read_description(self._spool.sample(collected.series_instance_uid))
        except SeriesUnreadable as error:
            _log.error("a closed series is reported without its description: %s", error)
            return SeriesDescription()


def _report(revision: SeriesRevision, description: SeriesDescription, gateway_name: str) -> Series:
    return Series(
        SeriesInstanceUID=revision.series_instance_uid,
        PatientName=description.patient_name,
        PatientID=description.patient_id,
        StudyInstanceUID=revision.study_instance_uid,
        InstancesInSeries=len(revision.instances),
        Revision=revision.revision,
        AddedInstances=revision.added_instances,
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
    )
