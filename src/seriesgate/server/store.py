"""The port between the API and the database: what is kept of a series, and what a store does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from pydantic import AwareDatetime, Field

from seriesgate.series.report import Series
from seriesgate.startup import CannotStart

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class StoredSeries(Series):
    """The one row that the server keeps of a series: a report, and when it came. Times are UTC."""

    ReceivedAt: AwareDatetime = Field(description="when the first report of the series came")
    UpdatedAt: AwareDatetime = Field(description="when the report came that the row shows")


class Outcome(Enum):
    """What a report did to the row of its series."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Registration:
    """The answer to an accepted report: the row as it is now, and what the report did to it."""

    series: StoredSeries
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class AcceptedReport:
    """One entry of a series' history: the JSON text of a report as it was accepted."""

    report: str
    received_at: datetime
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class SeriesFilter:
    """Which series to list: those that have each value that is not None, exactly."""

    study_instance_uid: str | None = None
    patient_id: str | None = None
    modality: str | None = None


@dataclass(frozen=True, slots=True)
class PagePosition:
    """Where a page of series ends. Both values never change, so a position stays valid for good."""

    received_at: datetime
    series_instance_uid: str


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """Series, newest first; `following` is where the next page starts, None after the last one."""

    series: Sequence[StoredSeries]
    following: PagePosition | None


class SeriesContradiction(Exception):
    """A known series was reported with another study or patient.

    `field` names the field that differs. The values stay out of the text: they are patient data.
    """

    def __init__(self, field: str) -> None:
        super().__init__(f"the series is known with another {field}")
        self.field = field


class StoreUnavailable(Exception):
    """The database can't be used now (locked, full, restarting, overloaded). Try again later."""


class DatabaseUnusable(CannotStart):
    """The database that the settings name can't be opened. The text is one line that says why."""


class DatabaseInUse(DatabaseUnusable):
    """A running server has the database to itself."""


class SeriesStore(Protocol):
    """Keeps one row per series and the history of its reports.

    Every method may raise `StoreUnavailable`, and then nothing of the call was kept.
    """

    async def register(self, report: Series, idempotency_key: str | None = None) -> Registration:
        """Take a report; it would survive a power loss when this returns.

        The row and the history that a set of reports leaves depend neither on their order nor on
        repeats (see `merge` for the rule). Reports that are equal are one history entry, with the
        idempotency key of the first. Raises `SeriesContradiction` for another study or patient
        than the row has; such a report leaves no trace.
        """
        ...

    async def get(self, series_instance_uid: str) -> StoredSeries | None:
        """Give the row of a series, or None when it is not known."""
        ...

    async def page(
        self, wanted: SeriesFilter, *, limit: int, after: PagePosition | None = None
    ) -> SeriesPage:
        """Give at most `limit` series that came before the position `after`, newest first."""
        ...

    async def history(self, series_instance_uid: str, *, limit: int) -> list[AcceptedReport]:
        """Give the latest `limit` accepted reports of a series, newest first."""
        ...

    async def check(self) -> None:
        """Return when the database could take a report now."""
        ...

    async def close(self) -> None:
        """Finish what was begun and let go of the database. Later calls raise StoreUnavailable."""
        ...
