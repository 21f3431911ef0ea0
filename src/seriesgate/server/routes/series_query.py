"""The query parameters that lists and exports of series share, and how they are read."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from seriesgate.server.http.problem import FieldError, ProblemError
from seriesgate.server.registry.cursor import LONGEST, decode_cursor
from seriesgate.server.registry.query import Attribute, OneOf, Order, SeriesFilter, SortBy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from seriesgate.server.registry.store import PagePosition

# A database or a log may choke on control characters; no value that is kept has any.
VALUE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]*$"
Value = Annotated[str, StringConstraints(max_length=1024, pattern=VALUE_PATTERN)]
Uid = Annotated[str, StringConstraints(max_length=128, pattern=VALUE_PATTERN)]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=VALUE_PATTERN)]


def _no_number(value: object) -> object:
    """Refuse the seconds since 1970 that would be taken for a time: nobody was told of them."""
    if isinstance(value, str) and not _DATE.match(value):
        raise ValueError("must be a time such as 2026-01-01T00:00:00Z")
    return value


_DATE = re.compile(r"[0-9]{4}-")
_Moment = Annotated[AwareDatetime, BeforeValidator(_no_number)]

#: How long a request may search on when a page is not full, in seconds.
_PATIENCE = 2.0
_MOST_EXACT = (
    Attribute.STUDY,
    Attribute.PATIENT_ID,
    Attribute.ACCESSION_NUMBER,
    Attribute.MODALITY,
    Attribute.GATEWAY,
)

Item = TypeVar("Item")


class SeriesConditions(BaseModel):
    """Which series are wanted: those that meet every parameter that is given."""

    model_config = ConfigDict(extra="forbid")

    StudyInstanceUID: Uid | None = None
    PatientID: Value | None = Field(
        None,
        description="as a whole, in this case of letters; spaces at its ends don't count, nor how "
        "accents are written",
    )
    AccessionNumber: Value | None = None
    Modality: Value | None = None
    Gateway: Value | None = Field(None, description="name of the gateway that sent the report")
    text: _Text | None = Field(
        None,
        description="is contained, in any case, however accents are written, in PatientName, "
        "PatientID, AccessionNumber, StudyDescription or SeriesDescription",
    )
    received_from: _Moment | None = Field(
        None, description="first report at this time or later", examples=["2026-01-01T00:00:00Z"]
    )
    received_before: _Moment | None = Field(
        None, description="first report before this time", examples=["2026-01-02T00:00:00+01:00"]
    )

    def filter(self) -> SeriesFilter:
        """Give these conditions as stores take them. Raises ProblemError for impossible times."""
        conditions = tuple(
            OneOf(attribute, (value,))
            for attribute in _MOST_EXACT
            if (value := getattr(self, attribute)) is not None
        )
        return SeriesFilter(
            conditions,
            self.text or "",
            _in_utc("received_from", self.received_from),
            _in_utc("received_before", self.received_before),
        )


class PageQuery(SeriesConditions):
    """Which series are wanted, and which page of them."""

    limit: int = Field(100, ge=1, le=1000, description="at most this many on a page")
    cursor: str | None = Field(
        None, max_length=LONGEST, description="`next_cursor` of the page before this one"
    )

    def position(self) -> PagePosition | None:
        """Give where the page starts. Raises ProblemError for what is no cursor."""
        try:
            return None if self.cursor is None else decode_cursor(self.cursor)
        except ValueError as error:
            raise unprocessable("cursor", str(error)) from None


class SeriesQuery(PageQuery):
    """Which series are wanted, which page of them, and in which order."""

    sort: Literal[
        "-ReceivedAt",
        "ReceivedAt",
        "-PatientName",
        "PatientName",
        "-PatientID",
        "PatientID",
        "-StudyDate",
        "StudyDate",
        "-InstancesInSeries",
        "InstancesInSeries",
    ] = Field(
        "-ReceivedAt",
        description="by what the list is sorted, with `-` downwards; names in any case of letters, "
        "equal ones by when they came. Use it alike on all pages",
    )

    def order(self) -> Order:
        """Give the order as stores take it."""
        return Order(SortBy(self.sort.removeprefix("-")), self.sort.startswith("-"))


async def full_page(
    read: Callable[[int, PagePosition | None], Awaitable[tuple[list[Item], PagePosition | None]]],
    limit: int,
    after: PagePosition | None,
) -> tuple[list[Item], PagePosition | None]:
    """Read on while a page is not full and there may be more, but not for long.

    A store looks at a bounded number of series at a time, so that a rare text holds up no one
    else. What was found when time is up is the page.
    """
    now = asyncio.get_running_loop().time
    deadline = now() + _PATIENCE
    items, following = await read(limit, after)
    while following is not None and len(items) < limit and now() < deadline:
        more, following = await read(limit - len(items), following)
        items += more
    return items, following


def _in_utc(name: str, moment: datetime | None) -> datetime | None:
    try:
        return None if moment is None else moment.astimezone(UTC)
    except OverflowError:
        raise unprocessable(name, "Is outside the years 1 to 9999 in UTC") from None


def unprocessable(field: str, message: str) -> ProblemError:
    """Give the answer to a parameter that is well-formed and yet not valid."""
    return ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "a parameter is not valid",
        [FieldError(field=field, message=message)],
    )
