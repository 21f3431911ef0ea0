"""By which names a server may be called, and what is a page of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriesgate.server.http.host_names import HostNames

NOT_LISTED = HostNames()
LISTED = HostNames(["Series.Example.org", "gate_1"])


@pytest.mark.parametrize(
    "authority",
    [
        "localhost",
        "LOCALHOST:8000",
        "localhost.:8000",
        "127.0.0.1:8000",
        "127.9.9.9",
        "10.0.0.7:80",
        "[::1]:8000",
        "[fe80::1]",
    ],
)
def test_localhost_and_addresses_are_always_names(authority):
    assert NOT_LISTED.include(authority)
    assert LISTED.include(authority)


@pytest.mark.parametrize(
    "authority",
    [
        "",
        ":8000",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example@127.0.0.1",
        "localhost@evil.example",
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::1",
        "[v1.x]",
        "localhost, evil.example",
        "a" * 301,
        "series.example.org.evil.example",
    ],
)
def test_everything_else_is_a_name_only_where_it_is_listed(authority):
    assert not NOT_LISTED.include(authority)
    assert not LISTED.include(authority)


@pytest.mark.parametrize("authority", ["series.example.org", "SERIES.example.ORG.:443", "gate_1:1"])
def test_listed_name_is_a_name_in_any_case_and_with_any_port(authority):
    assert LISTED.include(authority)
    assert not NOT_LISTED.include(authority)


@pytest.mark.parametrize(
    ("origin", "is_ours"),
    [
        ("http://localhost:8000", True),
        ("https://LOCALHOST:8000", True),
        ("https://series.example.org", True),
        ("http://localhost:3000", False),
        ("http://localhost", False),
        ("http://evil.example:8000", False),
        ("https://series.example.org.evil.example", False),
        ("https://evil.example@series.example.org", False),
        ("null", False),
        ("", False),
        ("https://" + "a" * 300, False),
    ],
)
def test_page_is_ours_by_what_the_server_was_called_or_a_listed_name(origin, is_ours):
    assert LISTED.are_origin(origin, "localhost:8000") is is_ours


@given(st.text(), st.text())
def test_any_text_is_judged(one, other):
    assert isinstance(LISTED.include(one), bool)
    assert isinstance(LISTED.are_origin(one, other), bool)
    assert LISTED.are_origin(f"http://{one[:99]}", one[:99])
