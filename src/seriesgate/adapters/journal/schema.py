"""The tables of the journal, as migrations: each brings the schema one version forward."""

from __future__ import annotations

# Version n is reached by running MIGRATIONS[n - 1]; PRAGMA user_version says which one a file has.
# A migration that was released is never changed.
MIGRATIONS = (
    """
    CREATE TABLE series (
        series_id INTEGER PRIMARY KEY,
        series_instance_uid TEXT NOT NULL UNIQUE,
        study_instance_uid TEXT NOT NULL,
        patient_id BLOB NOT NULL,
        calling_ae_title TEXT NOT NULL,
        revision INTEGER NOT NULL,
        inconsistent_attributes TEXT NOT NULL,
        damaged_instances TEXT NOT NULL,
        first_instance_at TEXT NOT NULL,
        last_instance_at TEXT NOT NULL,
        closed_at TEXT NOT NULL,
        description TEXT NOT NULL
    ) STRICT;

    -- Each content of each instance; `revision` is that which first had it.
    CREATE TABLE copy (
        series_id INTEGER NOT NULL REFERENCES series ON DELETE CASCADE,
        sop_instance_uid TEXT NOT NULL,
        digest BLOB NOT NULL,
        is_conflict INTEGER NOT NULL,
        size INTEGER,
        instance_number INTEGER,
        revision INTEGER NOT NULL,
        PRIMARY KEY (series_id, sop_instance_uid, digest)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE delivery (
        serial INTEGER PRIMARY KEY,
        delivery_id TEXT NOT NULL UNIQUE,
        series_id INTEGER NOT NULL REFERENCES series ON DELETE CASCADE,
        revision INTEGER NOT NULL,
        added_instances INTEGER NOT NULL,
        report TEXT NOT NULL,
        state TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        reason TEXT NOT NULL,
        died_at REAL,
        settled_at REAL,
        is_released INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX delivery_of_series ON delivery (series_id, revision);
    CREATE INDEX delivery_unsettled ON delivery (state, serial)
        WHERE state IN ('pending', 'dead');
    CREATE INDEX delivery_unreleased ON delivery (settled_at)
        WHERE settled_at IS NOT NULL AND is_released = 0;
    CREATE INDEX delivery_by_state ON delivery (state, added_instances);

    -- Running totals, so that what is forgotten still counts.
    CREATE TABLE total (
        name TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    # SQLite keeps no checksums. What was written before this version has none: an empty one.
    """
    ALTER TABLE series ADD COLUMN seal BLOB NOT NULL DEFAULT x'';
    ALTER TABLE delivery ADD COLUMN seal BLOB NOT NULL DEFAULT x'';
    """,
    # What was seen of each sender, as JSON; the latest has the least place.
    """
    CREATE TABLE sender (
        place INTEGER PRIMARY KEY,
        statistics TEXT NOT NULL,
        quiet_period REAL NOT NULL
    ) STRICT;
    """,
    # How often a run has died of a unit of its work.
    """
    CREATE TABLE death (
        unit_id TEXT PRIMARY KEY,
        times INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
)
