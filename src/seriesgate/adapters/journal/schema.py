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
    # What is known of a series is kept as a summary beside its copies: a late instance costs what
    # is new. What was written before this version has no seal: an empty one, or NULL.
    """
    ALTER TABLE copy ADD COLUMN seal INTEGER;
    -- Most copies are of the first revision; those of a later one must not be searched for.
    CREATE INDEX copy_late ON copy (series_id, revision) WHERE revision > 1;

    -- Where the first copy of an instance was found damaged, another one counts.
    UPDATE copy SET is_conflict = 0, size = 0 WHERE is_conflict = 1 AND NOT EXISTS (
        SELECT 1 FROM copy AS other WHERE other.series_id = copy.series_id
        AND other.sop_instance_uid = copy.sop_instance_uid
        AND (other.is_conflict = 0 OR other.digest < copy.digest)
    );

    -- The Instance Numbers that are there.
    CREATE TABLE number_range (
        series_id INTEGER NOT NULL REFERENCES series ON DELETE CASCADE,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        seal INTEGER,
        PRIMARY KEY (series_id, first)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO number_range
        SELECT series_id, min(number), max(number), NULL FROM (
            SELECT series_id, number,
                number - row_number() OVER (PARTITION BY series_id ORDER BY number) AS run
            FROM (
                SELECT DISTINCT series_id, instance_number AS number FROM copy
                WHERE is_conflict = 0 AND instance_number IS NOT NULL
            )
        ) GROUP BY series_id, run;

    -- Copies that came again after their files were released: these are there once more.
    CREATE TABLE returned_copy (
        series_id INTEGER NOT NULL REFERENCES series ON DELETE CASCADE,
        sop_instance_uid TEXT NOT NULL,
        digest BLOB NOT NULL,
        PRIMARY KEY (series_id, sop_instance_uid, digest)
    ) STRICT, WITHOUT ROWID;

    -- How far the release of a delivery has come.
    ALTER TABLE delivery ADD COLUMN released_instance_uid TEXT;
    ALTER TABLE delivery ADD COLUMN released_digest BLOB;

    ALTER TABLE series ADD COLUMN instances INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE series ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE series ADD COLUMN identities TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE series ADD COLUMN conflicting_instances TEXT NOT NULL DEFAULT '[]';
    UPDATE series SET seal = x'',
        (instances, size) = (
            SELECT count(*), coalesce(sum(size), 0) FROM copy
            WHERE copy.series_id = series.series_id AND is_conflict = 0
        ),
        conflicting_instances = (
            SELECT coalesce(json_group_array(sop_instance_uid), '[]') FROM (
                SELECT DISTINCT sop_instance_uid FROM copy
                WHERE copy.series_id = series.series_id AND is_conflict = 1
                ORDER BY sop_instance_uid LIMIT 1000
            )
        );
    -- Whose each instance was is not known of these: all count as the first.
    UPDATE series SET identities = json_object(
        'groups', json_array(json_object(
            'study_instance_uid', study_instance_uid,
            'patient_id', hex(patient_id),
            'calling_ae_title', calling_ae_title,
            'instances', instances,
            'members', json('[]'),
            'description', json(description)
        )),
        'others', json('[]')
    );
    ALTER TABLE series DROP COLUMN study_instance_uid;
    ALTER TABLE series DROP COLUMN patient_id;
    ALTER TABLE series DROP COLUMN calling_ae_title;
    ALTER TABLE series DROP COLUMN description;
    """,
)
