"""Exports: every series of a filter as text, a page at a time, so that memory stays the same."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from seriesgate.server.registry.query import OLDEST_FIRST
from seriesgate.server.registry.store import StoredSeries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from seriesgate.server.registry.query import SeriesFilter
    from seriesgate.server.registry.store import SeriesStore

_PAGE = 500
_COLUMNS = (*StoredSeries.model_fields, *StoredSeries.model_computed_fields)
# What spreadsheets take for the start of a formula (OWASP, CSV injection). Some skip spaces.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format: the text before the first series, and that of some series."""

    media_type: str
    suffix: str
    head: str
    lines: Callable[[Sequence[StoredSeries]], str]


async def export(
    store: SeriesStore, wanted: SeriesFilter, export_format: ExportFormat
) -> AsyncIterator[str]:
    """Give the export in pieces, the oldest series first: those that come meanwhile are in it.

    Raises StoreUnavailable, also between two pieces: then the export has no proper end.
    """
    page = await store.page(wanted, limit=_PAGE, order=OLDEST_FIRST)
    yield export_format.head + export_format.lines(page.series)
    while page.following is not None:
        page = await store.page(wanted, limit=_PAGE, after=page.following, order=OLDEST_FIRST)
        yield export_format.lines(page.series)


def _csv_lines(series: Sequence[StoredSeries]) -> str:
    return _csv_text([[_cell(getattr(row, name)) for name in _COLUMNS] for row in series])


def _csv_text(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case list():
            return json.dumps(value)
        case str() if value.lstrip(" ").startswith(_FORMULA):
            return "'" + value
        case _:
            return str(value)


def _json_lines(series: Sequence[StoredSeries]) -> str:
    return "".join(row.model_dump_json() + "\n" for row in series)


CSV = ExportFormat("text/csv", "csv", _csv_text([_COLUMNS]), _csv_lines)
JSON_LINES = ExportFormat("application/jsonl", "jsonl", "", _json_lines)
