from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriesgate.ae_title import checked_ae_title
from seriesgate.requestor.remote_ae import RemoteAE, parse_address

_AE_CHARACTERS = [chr(code) for code in range(0x20, 0x7F) if chr(code) != "\\"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:6667", ("127.0.0.1", 6667)),
        ("pacs.example:104", ("pacs.example", 104)),
        ("[::1]:104", ("::1", 104)),
        ("[fe80::1%eth0]:11112", ("fe80::1%eth0", 11112)),
        ("localhost:65535", ("localhost", 65535)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_host_and_port_are_told_apart(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "pacs", ":104", "[]:104", "::1:104", "pacs:", "pacs:104:", "a b:104", "http://pacs:104"],
)
def test_what_is_no_address_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"HOST:PORT|\[::1\]:104|the port must be"):
        parse_address(text)


@pytest.mark.parametrize(
    "port", ["0", "65536", "-1", "+1", "1_0", "٣", "http", "1" * 5000, "0655350", "000104"]
)
def test_what_is_no_port_is_refused(port):
    with pytest.raises(ValueError, match="the port must be 1 to 65535"):
        parse_address(f"pacs:{port}")


def test_port_behind_thousands_of_zeros_is_refused_before_it_is_converted():
    for port in ("00001" + "9" * 5000, "0" * 5000 + "104"):
        with pytest.raises(ValueError, match="the port must be 1 to 65535") as refusal:
            parse_address(f"pacs:{port}")
        assert len(str(refusal.value)) < 100


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_value_error(text):
    try:
        host, port = parse_address(text)
    except ValueError:
        return
    assert host
    assert 1 <= port <= 65535


@given(st.text(_AE_CHARACTERS, min_size=1, max_size=16).filter(str.strip))
def test_an_ae_title_loses_the_spaces_around_it_and_nothing_else(text):
    assert checked_ae_title(f" {text}  ") == text.strip()


@pytest.mark.parametrize("text", ["", "    ", "A" * 17, "A\\B", "A\nB", "A\0", "ÄE", "A\x7f"])
def test_what_is_no_ae_title_is_refused(text):
    with pytest.raises(ValueError, match="an AE title"):
        checked_ae_title(text)


def test_a_destination_checks_both_ae_titles_and_the_port():
    assert RemoteAE("pacs", 104, " STORE ", "ME ").called_ae_title == "STORE"
    with pytest.raises(ValueError, match="must not be empty"):
        RemoteAE("pacs", 104, calling_ae_title=" ")
    with pytest.raises(ValueError, match="must not be empty"):
        RemoteAE("pacs", 104, called_ae_title="")
    with pytest.raises(ValueError, match="the port must be"):
        RemoteAE("pacs", 0)


def test_an_ipv6_address_is_shown_in_brackets():
    assert RemoteAE("::1", 104).address == "[::1]:104"
    assert RemoteAE("pacs", 104).address == "pacs:104"
