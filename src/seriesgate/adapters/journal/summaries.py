"""The summary of a series in the journal: one row of `series`."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from seriesgate.adapters.journal.seals import DamagedRow, seal
from seriesgate.series.description import SeriesDescription
from seriesgate.series.identity_groups import MAX_LISTED, IdentityGroup, IdentityGroups
from seriesgate.series.model import Identity
from seriesgate.series.revision import SeriesSummary

if TYPE_CHECKING:
    import sqlite3

    from seriesgate.series.model import CollectedSeries

_COLUMNS = (
    "series_instance_uid",
    "revision",
    "instances",
    "size",
    "identities",
    "inconsistent_attributes",
    "conflicting_instances",
    "damaged_instances",
    "first_instance_at",
    "last_instance_at",
    "closed_at",
)
_SELECT = f"SELECT series_id, {', '.join(_COLUMNS)}, seal FROM series WHERE series_instance_uid = ?"  # noqa: S608
_UPSERT = (
    f"INSERT INTO series ({', '.join(_COLUMNS)}, seal)"  # noqa: S608
    f" VALUES ({', '.join('?' * len(_COLUMNS))}, ?)"
    " ON CONFLICT (series_instance_uid) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*_COLUMNS[1:], "seal"))
    + " RETURNING series_id"
)


def latest_revision(connection: sqlite3.Connection, summary: SeriesSummary) -> int:
    """Return the revision that is known of a series, 0 if none is."""
    row = connection.execute(
        "SELECT revision FROM series WHERE series_instance_uid = ?", (summary.series_instance_uid,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def write_summary(connection: sqlite3.Connection, summary: SeriesSummary) -> int:
    """Write what is known of a series now; return the number that its other rows have."""
    values = (
        summary.series_instance_uid,
        summary.revision,
        summary.instances,
        summary.size,
        json.dumps(_identities_as_json(summary.identities)),
        json.dumps(sorted(summary.inconsistent_attributes)),
        json.dumps(summary.conflicting_instances),
        json.dumps(summary.damaged_instances),
        summary.first_instance_at.isoformat(),
        summary.last_instance_at.isoformat(),
        summary.closed_at.isoformat(),
    )
    (series_id,) = connection.execute(_UPSERT, (*values, seal(*values))).fetchone()
    return int(series_id)


def read_summary(
    connection: sqlite3.Connection, series_instance_uid: str
) -> tuple[int, SeriesSummary] | None:
    """Return the number of a series and its summary, None if it is not known.

    Raises DamagedRow when it is damaged.
    """
    row = connection.execute(_SELECT, (series_instance_uid,)).fetchone()
    if row is None:
        return None
    series_id, *values, kept = row
    if kept and kept != seal(*values):
        raise DamagedRow("a series is not what was written")
    uid, revision, instances, size, identities, inconsistent, conflicting, damaged, *times = values
    first, last, closed = map(datetime.fromisoformat, times)
    return series_id, SeriesSummary(
        series_instance_uid=uid,
        revision=revision,
        instances=instances,
        size=size,
        identities=_read_identities(identities),
        inconsistent_attributes=frozenset(json.loads(inconsistent)),
        conflicting_instances=tuple(json.loads(conflicting)),
        damaged_instances=tuple(json.loads(damaged)),
        first_instance_at=first,
        last_instance_at=last,
        closed_at=closed,
    )


def named_before_divided(
    connection: sqlite3.Connection,
    series_id: int,
    identities: IdentityGroups,
    collected: CollectedSeries,
) -> IdentityGroups:
    """Return the groups; where the only one is about to get a second beside it, with its members.

    Up to then all instances are of that one, so the first of the table will do.
    """
    (only, *others) = identities.groups
    if others or identities.others or collected.identities() <= {only.identity}:
        return identities
    members = connection.execute(
        "SELECT DISTINCT sop_instance_uid FROM copy WHERE series_id = ?"
        " ORDER BY sop_instance_uid LIMIT ?",
        (series_id, MAX_LISTED),
    )
    return IdentityGroups((replace(only, members=tuple(uid for (uid,) in members)),))


def _identities_as_json(identities: IdentityGroups) -> dict[str, Any]:
    return {
        "groups": [
            {
                "study_instance_uid": group.identity.study_instance_uid,
                "patient_id": group.identity.patient_id.hex(),
                "calling_ae_title": group.calling_ae_title,
                "instances": group.instances,
                "members": group.members,
                "description": asdict(group.description),
            }
            for group in identities.groups
        ],
        "others": identities.others,
    }


def _read_identities(text: str) -> IdentityGroups:
    """Return the groups. Raises DamagedRow when they are damaged: what has no seal may be."""
    try:
        value = json.loads(text)
        groups = tuple(
            IdentityGroup(
                Identity(group["study_instance_uid"], bytes.fromhex(group["patient_id"])),
                group["calling_ae_title"],
                group["instances"],
                tuple(group["members"]),
                SeriesDescription(**group["description"]),
            )
            for group in value["groups"]
        )
        return IdentityGroups(groups, tuple(value["others"]))
    except (KeyError, TypeError) as error:
        raise DamagedRow("the identities of a series cannot be read") from error
