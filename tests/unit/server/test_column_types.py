"""What a moment is in each database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import DateTime, Text
from sqlalchemy.dialects import postgresql, sqlite

from seriesgate.server.sql.column_types import UtcDateTime

SQLITE = sqlite.dialect()
POSTGRESQL = postgresql.dialect()
INDIA = timezone(timedelta(hours=5, minutes=30))

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(timezones=offsets).filter(
    lambda moment: datetime.min.replace(tzinfo=UTC) <= moment <= datetime.max.replace(tzinfo=UTC)
)


def sqlite_text(moment: datetime) -> str:
    stored = UtcDateTime().process_bind_param(moment, SQLITE)
    assert isinstance(stored, str)
    return stored


@given(moments)
def test_sqlite_keeps_the_moment_as_text_of_one_width(moment):
    stored = sqlite_text(moment)
    assert len(stored) == len("2026-01-01T12:00:00.000000+00:00")
    read = UtcDateTime().process_result_value(stored, SQLITE)
    assert read == moment
    assert read is not None
    assert read.tzinfo is UTC


@given(moments, moments)
def test_order_of_the_text_is_that_of_time(one, other):
    assert (sqlite_text(one) < sqlite_text(other)) == (one < other)


def test_postgresql_keeps_a_time_with_time_zone():
    moment = datetime(2026, 1, 1, 12, 0, tzinfo=INDIA)
    stored = UtcDateTime().process_bind_param(moment, POSTGRESQL)
    assert isinstance(stored, datetime)
    assert stored.tzinfo is UTC
    read = UtcDateTime().process_result_value(moment, POSTGRESQL)
    assert read == moment
    assert read is not None
    assert read.tzinfo is UTC


def test_type_is_that_of_the_database():
    assert isinstance(UtcDateTime().load_dialect_impl(SQLITE), Text)
    kind = UtcDateTime().load_dialect_impl(POSTGRESQL)
    assert isinstance(kind, DateTime)
    assert kind.timezone


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRESQL], ids=["sqlite", "postgresql"])
def test_null_is_null_and_a_naive_time_an_error(dialect):
    assert UtcDateTime().process_bind_param(None, dialect) is None
    assert UtcDateTime().process_result_value(None, dialect) is None
    naive = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="without time zone"):
        UtcDateTime().process_bind_param(naive, dialect)
