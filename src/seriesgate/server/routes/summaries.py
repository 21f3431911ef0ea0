"""`/studies`, `/patients` and `/stats`: what the series add up to."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from seriesgate.server.access.tokens import Scope
from seriesgate.server.registry.cursor import encode_cursor
from seriesgate.server.registry.store import (
    PagePosition,
    PatientSummary,
    StudySummary,
    Totals,
)
from seriesgate.server.routes.access import requires
from seriesgate.server.routes.answers import json_answer
from seriesgate.server.routes.openapi import operation_id
from seriesgate.server.routes.series_query import PageQuery, full_page
from seriesgate.server.routes.store import Clock, Store

router = APIRouter(generate_unique_id_function=operation_id)

_MOST_POINTS = 1500
_WEEK = 7 * 24 * 60


class StudyList(BaseModel):
    """One page of studies, newest first."""

    studies: list[StudySummary]
    next_cursor: str | None = Field(description="cursor of the next page; null on the last one")


class PatientList(BaseModel):
    """One page of patients, newest first."""

    patients: list[PatientSummary]
    next_cursor: str | None = Field(description="cursor of the next page; null on the last one")


class StatsQuery(BaseModel):
    """The window of the counts."""

    model_config = ConfigDict(extra="forbid")

    minutes: int = Field(60, ge=1, le=_WEEK, description="length of the window, until now")
    step: int = Field(1, ge=1, le=1440, description="minutes that are added up to one point")

    @model_validator(mode="after")
    def _not_too_many(self) -> "StatsQuery":
        if self.minutes > self.step * _MOST_POINTS:
            raise ValueError(f"more than {_MOST_POINTS} points: choose a greater step")
        return self


class Point(BaseModel):
    """What came in the time that starts at `At`, and how much of it a minute."""

    At: AwareDatetime
    Series: int = Field(description="new series")
    Instances: int = Field(description="new instances, of new and of known series")
    SeriesPerMinute: float
    InstancesPerMinute: float


class Stats(BaseModel):
    """What is stored, and what came lately."""

    Totals: Totals
    Points: list[Point] = Field(description="the oldest first; the last one has not ended yet")


@router.get(
    "/studies", tags=["studies"], response_model=StudyList, dependencies=[requires(Scope.READ)]
)
async def list_studies(query: Annotated[PageQuery, Query()], store: Store) -> Response:
    """List the studies, newest first: by when the first report of each came.

    The conditions are those of `GET /series`; the series of a study that came first has to meet
    them. Its fields are what this series says.
    """
    wanted = query.filter()

    async def read(
        limit: int, after: PagePosition | None
    ) -> tuple[list[StudySummary], PagePosition | None]:
        page = await store.studies(wanted, limit=limit, after=after)
        return list(page.studies), page.following

    studies, following = await full_page(read, query.limit, query.position())
    next_cursor = None if following is None else encode_cursor(following)
    return json_answer(StudyList(studies=studies, next_cursor=next_cursor))


@router.get(
    "/patients", tags=["patients"], response_model=PatientList, dependencies=[requires(Scope.READ)]
)
async def list_patients(query: Annotated[PageQuery, Query()], store: Store) -> Response:
    """List the patients, newest first: by when the first report of each came.

    The conditions are those of `GET /series`; the series of a patient that came first has to meet
    them. A patient is a PatientID: two hospitals may give one to two people.
    """
    wanted = query.filter()

    async def read(
        limit: int, after: PagePosition | None
    ) -> tuple[list[PatientSummary], PagePosition | None]:
        page = await store.patients(wanted, limit=limit, after=after)
        return list(page.patients), page.following

    patients, following = await full_page(read, query.limit, query.position())
    next_cursor = None if following is None else encode_cursor(following)
    return json_answer(PatientList(patients=patients, next_cursor=next_cursor))


@router.get("/stats", tags=["stats"], response_model=Stats, dependencies=[requires(Scope.READ)])
async def read_stats(query: Annotated[StatsQuery, Query()], store: Store, clock: Clock) -> Response:
    """Say how much is stored in all, and how much came in each step of a window that ends now."""
    step = timedelta(minutes=query.step)
    last = clock().replace(second=0, microsecond=0)
    # Steps start at multiples of themselves since midnight, so that charts don't jitter.
    last -= timedelta(minutes=(last.hour * 60 + last.minute) % query.step)
    starts = [last - each * step for each in reversed(range(-(-query.minutes // query.step)))]
    counts = {start: [0, 0] for start in starts}
    for each in await store.minutes(starts[0], last + step):
        count = counts[starts[(each.Minute - starts[0]) // step]]
        count[0] += each.Series
        count[1] += each.Instances
    points = [_point(start, query.step, *count) for start, count in counts.items()]
    return json_answer(Stats(Totals=await store.totals(), Points=points))


def _point(start: datetime, minutes: int, series: int, instances: int) -> Point:
    return Point(
        At=start,
        Series=series,
        Instances=instances,
        SeriesPerMinute=series / minutes,
        InstancesPerMinute=instances / minutes,
    )
