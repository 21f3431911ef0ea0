"""The index that finds the few series which contain a text: by its trigrams, three letters each.

SQLite has FTS5 for it, PostgreSQL an inverted index (GIN) over an array of numbers, which needs no
extension and no rights but those of the owner. Either gives series that may contain a text, by
their `Number` in `series_index`; whether they do is for the query to try.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from zlib import crc32

from sqlalchemy import ARRAY, Integer, Select, cast, column, func, literal, select, table, text

from seriesgate.server.registry.store import DatabaseUnusable
from seriesgate.server.sql.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Connection

#: The table; SQLite has others for its own use whose names start with this one and `_`.
TEXT_INDEX = "series_text"
_TRIGRAM = 3
_MOST_TRIGRAMS = 24
_SIGN = 2**31
# So many with a text, of so many series anywhere, are one in sixteen: no chance for what few have.
_SAMPLE, _MANY = 256, 16
# Where these are, in millionths of all: the steps of the golden ratio, which meet no rhythm of what
# comes in. The same ones each time, which stay in memory.
_PLACES = [618_034 * number % 1_000_000 for number in range(1, _SAMPLE + 1)]

# What was written lately waits in a list, in KB, that every search reads as a whole.
_CREATE_TRIGRAMS = """CREATE INDEX ix_series_text_trigrams ON series_text
    USING gin ("Trigrams") WITH (gin_pending_list_limit = 256)"""
_CREATE = {
    "sqlite": (
        # Without a copy of the texts, and without the places of the trigrams in them.
        """CREATE VIRTUAL TABLE series_text USING fts5(
            Text, content='', detail=none, columnsize=0, tokenize='trigram case_sensitive 1'
        )""",
        # Parts of it are merged when there is nothing else to do (see sql.sqlite_upkeep).
        "INSERT INTO series_text (series_text, rank) VALUES ('automerge', 0)",
    ),
    "postgresql": (
        'CREATE TABLE series_text ("Number" BIGINT PRIMARY KEY, "Trigrams" INTEGER[] NOT NULL)',
        _CREATE_TRIGRAMS,
    ),
}
_ADD = {
    "sqlite": Prepared(text("INSERT INTO series_text (rowid, Text) VALUES (:number, :entry)")),
    "postgresql": Prepared(text("INSERT INTO series_text VALUES (:number, :entry)")),
}
_FTS5_REMOVE = text(
    "INSERT INTO series_text (series_text, rowid, Text) VALUES ('delete', :number, :entry)"
)
# So many pages: a millisecond.
_FTS5_BEGIN_FULL_MERGE = "INSERT INTO series_text (series_text, rank) VALUES ('merge', -16)"
_FTS5_MERGE = "INSERT INTO series_text (series_text, rank) VALUES ('merge', 16)"
# Not in a form that the index could answer: that is what the sample is there to avoid.
_COUNT_SAMPLE = text("""SELECT count(*) FROM series_text WHERE "Number" = ANY(ARRAY(
    SELECT first + (place * ("Numbers" - first) + 999999) / 1000000 FROM server_totals,
    (SELECT coalesce(min("Number") - 1, 0) AS first FROM series_index) AS oldest,
    unnest(CAST(:places AS bigint[])) AS place WHERE "Series" >= :least))
    AND coalesce("Trigrams", '{}') @> CAST(:wanted AS integer[])""")
_REMOVE_TRIGRAMS = text('DELETE FROM series_text WHERE "Number" = ANY(:numbers)')
_REPLACE_TRIGRAMS = text('UPDATE series_text SET "Trigrams" = :entry WHERE "Number" = :number')


def create_text_index(connection: Connection) -> None:
    """Make the index, empty. Raises DatabaseUnusable where SQLite was built without it."""
    if connection.dialect.name == "sqlite":
        _require_trigrams(connection)
    for statement in _CREATE[connection.dialect.name]:
        connection.exec_driver_sql(statement)


def drop_text_index(connection: Connection) -> None:
    """Remove it with all that is in it."""
    connection.exec_driver_sql(f"DROP TABLE {TEXT_INDEX}")


@contextmanager
def filling(connection: Connection) -> Iterator[None]:
    """Within this block many texts are added: PostgreSQL sorts them at its end, all at once."""
    is_postgresql = connection.dialect.name == "postgresql"
    if is_postgresql:
        connection.exec_driver_sql("DROP INDEX ix_series_text_trigrams")
    yield
    if is_postgresql:
        connection.exec_driver_sql(_CREATE_TRIGRAMS)


def add_texts(connection: Connection, texts: Mapping[int, str]) -> None:
    """Enter the texts of new series, by their numbers."""
    dialect = connection.dialect.name
    entries = [{"number": each, "entry": _entry(dialect, texts[each])} for each in sorted(texts)]
    _ADD[dialect].run(connection, *entries)


def replace_text(connection: Connection, number: int, before: str, after: str) -> None:
    """Enter the text that a series has now; `before` is exactly what was entered for it."""
    dialect = connection.dialect.name
    entry = {"number": number, "entry": _entry(dialect, after)}
    if dialect == "sqlite":
        connection.execute(_FTS5_REMOVE, {"number": number, "entry": before})
        _ADD[dialect].run(connection, entry)
    else:
        connection.execute(_REPLACE_TRIGRAMS, entry)


def remove_texts(connection: Connection, texts: Mapping[int, str]) -> None:
    """Remove series by their numbers; each text is exactly what was entered for it.

    SQLite keeps what is removed, and a mark that it is, in different parts of its index until all
    of them are merged (see `begin_full_merge`).
    """
    if connection.dialect.name == "sqlite":
        entries = [{"number": number, "entry": entry} for number, entry in texts.items()]
        connection.execute(_FTS5_REMOVE, entries)
    else:
        numbers = list(texts)
        connection.execute(_REMOVE_TRIGRAMS, {"numbers": numbers})


def begin_full_merge(connection: Connection) -> None:
    """Begin to merge all parts of SQLite's index into one; `merge_texts` goes on with it."""
    connection.exec_driver_sql(_FTS5_BEGIN_FULL_MERGE)


def merge_texts(connection: Connection) -> bool:
    """Merge a few pages of SQLite's index; return whether there was anything to merge.

    Each transaction adds a part to the index, and a search looks into all parts.
    """
    before = _total_changes(connection)
    connection.exec_driver_sql(_FTS5_MERGE)
    # What it writes in any case is one row at most (its documentation, 6.8).
    return _total_changes(connection) - before > 1


def _total_changes(connection: Connection) -> int:
    changes: int = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
    return changes


def numbers_with(dialect: str, texts: Iterable[str]) -> Select[Any] | None:
    """Give the query for the numbers of series that may contain all these texts.

    None where no text has three letters.
    """
    found = _wanted(texts)
    if not found:
        return None
    if dialect == "sqlite":
        match = " AND ".join('"' + each.replace('"', '""') + '"' for each in found)
        index = table(TEXT_INDEX, column("rowid", Integer))
        is_match = column(TEXT_INDEX).op("MATCH", is_comparison=True)(match)
        return select(index.c.rowid).where(is_match)
    index = table(TEXT_INDEX, column("Number", Integer), column("Trigrams", ARRAY(Integer)))
    wanted = cast(literal([_number(each) for each in found], ARRAY(Integer)), ARRAY(Integer))
    return select(index.c.Number).where(index.c.Trigrams.op("@>", is_comparison=True)(wanted))


def are_in_many(connection: Connection, texts: Iterable[str], least: int) -> bool:
    """Return whether it is certain that far more than one in a hundred series have all these texts.

    PostgreSQL's index has found all of them before it gives the first, 30 ms for those of a sixth
    of a million; so a few series are looked at instead. That tells nothing of texts that fewer
    have, nor of fewer than `least` series, and SQLite's index gives one after the other.
    """
    if connection.dialect.name == "sqlite":
        return False
    wanted = [_number(each) for each in _wanted(texts)]
    parameters = {"places": _PLACES, "least": least, "wanted": wanted}
    count: int = connection.execute(_COUNT_SAMPLE, parameters).scalar_one()
    return count >= _MANY


def _require_trigrams(connection: Connection) -> None:
    version = func.sqlite_version()
    has_fts5 = connection.scalar(select(func.sqlite_compileoption_used("ENABLE_FTS5")))
    release = tuple(int(part) for part in str(connection.scalar(select(version))).split(".")[:2])
    if not has_fts5 or release < (3, 34):
        raise DatabaseUnusable(
            "this Python's SQLite has no full-text search by trigrams (FTS5, since 3.34); install "
            "a Python with a newer SQLite, or use PostgreSQL"
        )


def _entry(dialect: str, given: str) -> str | list[int]:
    if dialect == "sqlite":
        return given
    return sorted({_number(each) for each in _trigrams(given)})


def _wanted(texts: Iterable[str]) -> list[str]:
    """Give the trigrams to look for; those of a long text are more than are needed."""
    return sorted({trigram for each in texts for trigram in _trigrams(each)})[:_MOST_TRIGRAMS]


def _trigrams(given: str) -> set[str]:
    return {given[at : at + _TRIGRAM] for at in range(len(given) - _TRIGRAM + 1)}


def _number(trigram: str) -> int:
    """Give a number of 32 bits with a sign. Some trigrams share one, which costs a try."""
    number = crc32(trigram.encode())
    return number - 2**32 if number >= _SIGN else number
