"""What is a UID, and how one that is none goes into a path."""

from __future__ import annotations

from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriesgate.series.uid import as_path_segment, is_uid


@pytest.mark.parametrize("text", ["1.2.840.10008.1.2", "0", "0.0", "2.25.1", "1", "1." * 31 + "10"])
def test_numbers_and_dots_are_a_uid(text):
    assert is_uid(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "1.",
        ".1",
        "1..2",
        "01.2",
        "1.02",
        "1.2 ",
        "1/2",
        "1.2\n",
        "\u0661.2",
        "a",
        "-1",
    ],
)
def test_anything_else_is_none(text):
    assert not is_uid(text)


def test_uid_has_64_characters_at_most():
    assert is_uid("1" * 64)
    assert not is_uid("1" * 65)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).map(str.strip))
def test_any_text_is_one_segment_that_clients_leave_as_it_is(text):
    segment = as_path_segment(text)
    assert unquote(segment).strip(" ") == text.strip(" ")
    if text:
        url = httpx.URL(f"http://localhost/series/{segment}")
        assert url.raw_path == f"/series/{segment}".encode()
