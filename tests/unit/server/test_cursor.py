"""The text of a cursor."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.server.examples import START

from seriesgate.server.registry.cursor import LONGEST, decode_cursor, encode_cursor
from seriesgate.server.registry.store import PagePosition

uids = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=128)
keys = st.none() | st.integers(-(2**31), 2**31 - 1)


@given(st.datetimes(timezones=st.just(UTC)), uids, keys)
def test_cursor_leads_back_to_its_position(moment, uid, key):
    position = PagePosition(moment, uid, key)
    cursor = encode_cursor(position)
    assert decode_cursor(cursor) == position
    assert cursor.isascii()
    assert not set(cursor) & set(" /?#&=+%")


def test_cursor_of_the_longest_uid_is_within_the_limit_of_the_parameter():
    assert len(encode_cursor(PagePosition(START, "\U0001f984" * 128, -(2**31)))) <= LONGEST


@given(st.text())
def test_any_text_is_a_position_or_a_value_error(text):
    try:
        position = decode_cursor(text)
    except ValueError:
        return
    assert encode_cursor(position) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-01T12:00:00\n1.2",
        "2026-01-01\n1.2",
        "never\n1.2",
        "2026-01-01T12:00:00+00:00",
        "2026-01-01T12:00:00+00:00\n1\x00",
        # These lead out of the years that there are, once they are taken to UTC.
        "0001-01-01T00:00:00+14:00\n1.2",
        "9999-12-31T23:59:59-14:00\n1.2",
        # These are more than 64 bits, or no text that `str` gives of a number.
        f"2026-01-01T12:00:00+00:00\n1.2\n{2**63}",
        f"2026-01-01T12:00:00+00:00\n1.2\n{-(2**64)}",
        "2026-01-01T12:00:00+00:00\n1.2\n" + "9" * 300,
        "2026-01-01T12:00:00+00:00\n1.2\n" + "9" * 5000,
        "2026-01-01T12:00:00+00:00\n1.2\n01",
        "2026-01-01T12:00:00+00:00\n1.2\n-0",
        "2026-01-01T12:00:00+00:00\n1.2\n\u0661",
        "2026-01-01T12:00:00+00:00\n1.2\n1\n1",
    ],
)
def test_well_formed_base64_of_something_else_is_refused(text):
    cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    with pytest.raises(ValueError, match="not a cursor of this server"):
        decode_cursor(cursor)


def test_position_keeps_its_microseconds():
    moment = datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=UTC)
    assert decode_cursor(encode_cursor(PagePosition(moment, "1.2"))).received_at == moment
