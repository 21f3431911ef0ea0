"""The port between the API and the database: what is kept of a series, and what a store does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pydantic import AwareDatetime, BaseModel, Field, computed_field

from seriesgate.series.report import Series
from seriesgate.series.uid import is_uid
from seriesgate.server.registry.query import NEWEST_FIRST
from seriesgate.startup import CannotStart

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from seriesgate.server.registry.preview import Preview
    from seriesgate.server.registry.query import Order, SeriesFilter


_UIDS = ("SeriesInstanceUID", "StudyInstanceUID")


class StoredSeries(Series):
    """The one row that the server keeps of a series: a report, and when it came. Times are UTC."""

    ReceivedAt: AwareDatetime = Field(description="when the first report of the series came")
    UpdatedAt: AwareDatetime = Field(description="when the report came that the row shows")
    HasPreview: bool = Field(default=False, description="whether there is a picture of the series")

    @computed_field(description="attributes whose values are no UIDs (PS3.5 9.1)")  # type: ignore[prop-decorator]
    @property
    def InvalidUIDs(self) -> list[str]:  # noqa: N802 - a field like the others
        """Names of attributes: what is no UID is kept as it is, for sites have such objects."""
        return [name for name in _UIDS if not is_uid(getattr(self, name))]


class Outcome(Enum):
    """What a report did to the row of its series."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    #: The series was deleted, and the report is not kept.
    DELETED = "deleted"


class DeletionReason(Enum):
    """Why a series was deleted: a person asked for it, or it was older than series are kept."""

    DELETED = "deleted"
    EXPIRED = "expired"


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
class PagePosition:
    """Where a page ends. Time and UID never change, so a position stays valid for good.

    `key` is the name or date of a list that is led by a range of these; such a position is for use
    at once.
    """

    received_at: datetime
    series_instance_uid: str
    key: str | int | None = None


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """Series in the order of a list; `following` is where the next page starts, None at the end.

    A search looks at a bounded number of series. So a page may have fewer than were asked for, or
    none, though others follow.
    """

    series: Sequence[StoredSeries]
    following: PagePosition | None


class StudySummary(BaseModel):
    """A study: what the series of it that came first says of it, and what is stored of it."""

    StudyInstanceUID: str
    PatientID: str
    PatientName: str
    StudyDate: str
    StudyDescription: str
    AccessionNumber: str
    ModalitiesInStudy: list[str]
    NumberOfStudyRelatedSeries: int
    NumberOfStudyRelatedInstances: int
    ReceivedAt: AwareDatetime = Field(description="when the first report of the study came")


class PatientSummary(BaseModel):
    """A patient: what the series that came first says of it, and what is stored of it."""

    PatientID: str
    PatientName: str
    NumberOfPatientRelatedStudies: int
    NumberOfPatientRelatedSeries: int
    NumberOfPatientRelatedInstances: int
    ReceivedAt: AwareDatetime = Field(description="when the first report of the patient came")


@dataclass(frozen=True, slots=True)
class StudyPage:
    """As `SeriesPage`, of studies."""

    studies: Sequence[StudySummary]
    following: PagePosition | None


@dataclass(frozen=True, slots=True)
class PatientPage:
    """As `SeriesPage`, of patients."""

    patients: Sequence[PatientSummary]
    following: PagePosition | None


class Totals(BaseModel):
    """What is stored in all."""

    Patients: int
    Studies: int
    Series: int
    Instances: int


class MinuteCount(BaseModel):
    """What came in the minute that starts at `Minute`: new series, and instances of any."""

    Minute: AwareDatetime
    Series: int
    Instances: int


@dataclass(frozen=True, slots=True)
class Change:
    """A report became the row of its series.

    Changes are numbered from 1 in the order of their commits. The numbers of those of a deleted
    series are not given again.
    """

    sequence: int
    outcome: Outcome
    series: StoredSeries


class DeletedSeries(BaseModel):
    """A series that was deleted, for those who may have a copy of it."""

    SeriesInstanceUID: str
    DeletedAt: AwareDatetime
    Reason: DeletionReason


@dataclass(frozen=True, slots=True)
class Deletion:
    """A series was deleted, with all of its changes so far. It is numbered as a change is."""

    sequence: int
    series: DeletedSeries


@dataclass(frozen=True, slots=True)
class UnreadableChange:
    """A change that can't be read, whatever is wrong with it; `reason` says what was raised."""

    sequence: int
    reason: str


AnyChange: TypeAlias = Change | Deletion
FoundChange: TypeAlias = AnyChange | UnreadableChange


def kind_of(change: AnyChange) -> str:
    """Return what followers are told that a change is: `created`, `updated` or `deleted`."""
    outcome = change.outcome if isinstance(change, Change) else Outcome.DELETED
    return outcome.value


class SeriesContradiction(Exception):
    """A known series was reported with another study or patient.

    `field` names the field that differs. The values stay out of the text: they are patient data.
    """

    def __init__(self, field: str) -> None:
        super().__init__(f"the series is known with another {field}")
        self.field = field


class NoOtherReport(Exception):
    """A series can't be repaired: all of its reports would have to be withdrawn."""


class SeriesWasDeleted(Exception):
    """The series of a report was deleted, and was not told to come back."""


class StoreUnavailable(Exception):
    """The database can't be used now (locked, full, restarting, overloaded). Try again later."""


class UnknownPosition(ValueError):
    """The series of a position is not there: the cursor is of another database."""


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
        than the row has, `SeriesWasDeleted`; such a report leaves no trace.
        """
        ...

    async def repair(self, series_instance_uid: str, at_most: int | None) -> Registration | None:
        """Withdraw reports of a series, and give its row without them; None if it is not known.

        Which ones, see `repaired`. They stay in the history, and change nothing when they come
        again. Raises NoOtherReport.
        """
        ...

    async def get(self, series_instance_uid: str) -> StoredSeries | None:
        """Give the row of a series, or None when it is not known."""
        ...

    async def page(
        self,
        wanted: SeriesFilter,
        *,
        limit: int,
        after: PagePosition | None = None,
        order: Order = NEWEST_FIRST,
    ) -> SeriesPage:
        """Give at most `limit` of the series that are wanted, from the position `after` on.

        Those of a range of names or dates are sorted by these instead of by arrival. Raises
        `UnknownPosition`.
        """
        ...

    async def studies(
        self, wanted: SeriesFilter, *, limit: int, after: PagePosition | None = None
    ) -> StudyPage:
        """Give studies whose first series is wanted, in the order of `page`."""
        ...

    async def patients(
        self, wanted: SeriesFilter, *, limit: int, after: PagePosition | None = None
    ) -> PatientPage:
        """Give patients whose first series is wanted, in the order of `page`."""
        ...

    async def totals(self) -> Totals:
        """Give what is stored in all."""
        ...

    async def minutes(self, since: datetime, before: datetime) -> list[MinuteCount]:
        """Give the counts of the minutes in which something came, the oldest first."""
        ...

    async def changes(self, after: int, *, limit: int) -> Sequence[FoundChange]:
        """Give the first `limit` changes whose number is over `after`, in their order.

        Once change n was given, every change before it can be read too, whoever makes them, but
        for those that are forgotten, and those of series that were deleted meanwhile.
        """
        ...

    async def latest_change(self) -> int:
        """Give the number of the latest change, 0 when there was none."""
        ...

    async def forgotten_changes(self) -> int:
        """Give the number of the latest change that may be forgotten, 0 when none is."""
        ...

    async def history(self, series_instance_uid: str, *, limit: int) -> list[AcceptedReport]:
        """Give the latest `limit` accepted reports of a series, newest first."""
        ...

    async def put_preview(self, series_instance_uid: str, preview: Preview) -> bool:
        """Keep the picture of a series in place of the one before; False for an unknown series."""
        ...

    async def preview(self, series_instance_uid: str) -> Preview | None:
        """Give the picture of a series, or None when there is none."""
        ...

    async def delete_series(self, series_instance_uid: str, *, may_return: bool = False) -> bool:
        """Delete a series with all that is kept of it; return whether there was anything to do.

        Reports of it are not kept from then on, unless it `may_return`: that is forgotten too then,
        also of a series that was deleted before.
        """
        ...

    async def delete_patient(self, patient_id: str, *, may_return: bool = False) -> int:
        """Delete every series of a patient, as `delete_series` does; return how many there were.

        Spaces at the ends of a PatientID don't count. It may be cut short, with some deleted.
        """
        ...

    async def check(self) -> None:
        """Return when the database could take a report now."""
        ...

    async def close(self) -> None:
        """Finish what was begun and let go of the database. Later calls raise StoreUnavailable."""
        ...
