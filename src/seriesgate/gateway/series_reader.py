"""What the files of a closing series say: which are whole, and what the report tells of them."""

from __future__ import annotations

import heapq
import logging
from typing import TYPE_CHECKING

from seriesgate.containment import Unit, contained
from seriesgate.gateway.deaths import WITH_CARE
from seriesgate.gateway.ports import SeriesUnreadable, SpoolUnavailable
from seriesgate.series.description import SeriesDescription
from seriesgate.series.model import InstanceCopy

if TYPE_CHECKING:
    from seriesgate.gateway.deaths import Deaths
    from seriesgate.gateway.ports import DescriptionReader, InstanceSpool
    from seriesgate.gateway.totals import GatewayTotals
    from seriesgate.series.identity_groups import IdentityGroup
    from seriesgate.series.model import CollectedSeries

_log = logging.getLogger(__name__)

CLOSING = "closing of a series"
"""What a unit of this work is called, here and where a closing is put aside."""

# How many instances are tried for one that can be described.
_MAX_SAMPLES = 3


class SeriesReader:
    """Reads the files of series that close. Blocks; for one thread at a time.

    Of what earlier runs have died of (`deaths`), no file is opened.
    """

    def __init__(
        self,
        spool: InstanceSpool,
        read_description: DescriptionReader,
        deaths: Deaths,
        totals: GatewayTotals,
    ) -> None:
        self._spool = spool
        self._read_description = read_description
        self._deaths = deaths
        self._totals = totals

    def checked(self, collected: CollectedSeries) -> CollectedSeries:
        """Read again what an earlier run stored: the disk may have lost it in between."""
        uid = collected.series_instance_uid
        if self._is_dangerous(uid):
            return collected
        damaged = frozenset(
            copy for copy in collected.recovered_copies if self._spool.is_damaged(uid, copy)
        )
        if damaged:
            self._totals.instances_damaged += len(damaged)
            _log.error("%d instances of a series are damaged and not counted", len(damaged))
        return collected.without(damaged)

    def describe(self, collected: CollectedSeries, majority: IdentityGroup) -> SeriesDescription:
        """Read one instance that agrees with most; else what such a one has said still holds.

        Nothing is taken from any other: a report never mixes what two instances say.
        """
        uid = collected.series_instance_uid
        problem = "its files are not in the spool"
        if self._is_dangerous(uid):
            problem = "earlier runs have died of reading it"
        else:
            samples = (
                InstanceCopy(sop, summary.digest)
                for sop, summary in collected.instances.items()
                if summary.identity == majority.identity
            )
            for copy in heapq.nsmallest(_MAX_SAMPLES, samples):
                description = self._read(uid, copy)
                if isinstance(description, SeriesDescription):
                    return description
                problem = description
        if majority.description == SeriesDescription():
            _log.error("a closed series is reported without its description: %s", problem)
        return majority.description

    def _read(self, uid: str, copy: InstanceCopy) -> SeriesDescription | str:
        """Return what one instance says, or why it can't be read."""
        unit = Unit()
        try:
            with contained(unit, (SeriesUnreadable, SpoolUnavailable)):
                return self._read_description(self._spool.path_of(uid, copy))
        except SeriesUnreadable as error:
            return str(error)
        return unit.failure

    def _is_dangerous(self, uid: str) -> bool:
        return self._deaths.of(CLOSING, uid) >= WITH_CARE
