"""No data set makes the header scanner take more than its limits."""

import tracemalloc

import pytest
from tests.unit.adapters.data_set_bytes import (
    DEFLATED,
    EXPLICIT_LE,
    HEADER,
    SERIES,
    UNDEFINED,
    Encoding,
    deflate,
)
from tests.unit.adapters.header_scanning import each_encoding, reason, scan, scan_encoded

from seriesgate.adapters.data_set.data_set_head import HeadLimits
from seriesgate.adapters.data_set.header_scanner import HeaderScanner
from seriesgate.gateway.ports import HeaderUnreadable


def peak_memory(data: bytes, transfer_syntax_uid: str, step: int) -> int:
    """Scan until the end or a refusal and return the most memory it took, in bytes."""
    view = memoryview(data)
    scanner = HeaderScanner(transfer_syntax_uid)
    tracemalloc.start()
    try:
        for start in range(0, len(data), step):
            scanner.feed(view[start : start + step])
        scanner.finish()
    except HeaderUnreadable:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFF])
@pytest.mark.parametrize("tag", [0x00080018, 0x00090001, 0x0020000E])
@each_encoding
def test_no_memory_is_taken_for_a_declared_length(encoding, tag, length):
    data = encoding.header(tag, "UN", length) + bytes(1000)
    assert "no SOP Instance UID" in reason(data, encoding.transfer_syntax_uid)
    assert peak_memory(data, encoding.transfer_syntax_uid, 64) < 20_000


@each_encoding
def test_length_beyond_the_data_does_not_hide_the_uids_before_it(encoding):
    data = encoding.before_uids() + encoding.uids()
    data += encoding.header(0x00200010, "UN", 0x7FFFFFFF) + bytes(100)
    assert scan_encoded(encoding, data).series_instance_uid == SERIES


@pytest.mark.parametrize("step", [1_000, 65_536])
def test_long_value_is_skipped_without_being_kept(step):
    data = EXPLICIT_LE.data_set(EXPLICIT_LE.element(0x00091001, "OB", bytes(3_000_000)))
    assert scan(data) == HEADER
    assert peak_memory(data, EXPLICIT_LE.transfer_syntax_uid, step) < 40_000


def test_head_may_be_as_long_as_the_limit_and_no_longer():
    head = EXPLICIT_LE.before_uids() + EXPLICIT_LE.uids() + EXPLICIT_LE.instance_number()
    data = head + EXPLICIT_LE.after()
    assert scan(data, max_bytes=len(head)) == HEADER
    text = reason(data, max_bytes=len(head) - 1)
    assert text == f"the head of the data set is longer than {len(head) - 1} bytes"


def test_data_set_of_the_limit_may_end_without_an_end_of_its_head():
    data = EXPLICIT_LE.before_uids() + EXPLICIT_LE.uids()
    assert scan(data, max_bytes=len(data)).series_instance_uid == SERIES


def test_elements_are_counted_also_in_sequences():
    item = EXPLICIT_LE.item(EXPLICIT_LE.element(0x00091001, "LO", b"") * 6)
    data = EXPLICIT_LE.sequence(0x00091140, item) + EXPLICIT_LE.data_set()
    # The sequence, its item, what is in it, two delimiters, and nine elements up to the last.
    assert scan(data, max_elements=19) == HEADER
    assert reason(data, max_elements=18) == "the head of the data set has over 18 elements"


def test_elements_are_counted_over_all_fragments():
    scanner = HeaderScanner(EXPLICIT_LE.transfer_syntax_uid, limits=HeadLimits(max_elements=20))
    element = EXPLICIT_LE.element(0x00091001, "LO", b"ab")
    for _ in range(19):
        scanner.feed(element)
    with pytest.raises(HeaderUnreadable, match="over 20 elements"):
        scanner.feed(element)


def nested(encoding: Encoding, depth: int) -> bytes:
    opened = encoding.header(0x00091140, "SQ", UNDEFINED) + encoding.bare(0xFFFEE000, UNDEFINED)
    closed = encoding.bare(0xFFFEE00D, 0) + encoding.bare(0xFFFEE0DD, 0)
    return opened * depth + closed * depth


@each_encoding
def test_sequences_may_be_nested_64_levels_deep(encoding):
    data = nested(encoding, 64) + encoding.data_set()
    assert scan_encoded(encoding, data) == HEADER


@each_encoding
@pytest.mark.parametrize("depth", [65, 1_000, 100_000])
def test_deeper_sequences_are_unreadable(encoding, depth):
    data = nested(encoding, depth) + encoding.data_set()
    assert "64 levels" in reason(data, encoding.transfer_syntax_uid)


def test_deep_sequences_of_defined_length_are_skipped_as_one():
    content = b""
    for _ in range(1_000):
        content = EXPLICIT_LE.sequence(
            0x00091140, EXPLICIT_LE.item(content, is_defined=True), is_defined=True
        )
    assert scan_encoded(EXPLICIT_LE, EXPLICIT_LE.data_set(content)) == HEADER


# Deflated data sets


@pytest.mark.parametrize("syntax", [DEFLATED, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"])
def test_deflated_data_set_is_inflated(syntax):
    assert scan(deflate(EXPLICIT_LE.data_set()), syntax) == HEADER


def test_what_follows_the_deflate_stream_is_padding():
    data = deflate(EXPLICIT_LE.before_uids() + EXPLICIT_LE.uids()) + b"\0" * 5000
    scanner = HeaderScanner(DEFLATED, limits=HeadLimits(max_bytes=2000))
    for start in range(0, len(data), 100):
        assert scanner.feed(data[start : start + 100]) is None
    assert scanner.finish().series_instance_uid == SERIES


def test_head_before_a_damage_is_read():
    damaged = deflate(EXPLICIT_LE.data_set() + bytes(100_000))[:-20] + b"\xff" * 1000
    for step in (1, 7, len(damaged)):
        scanner = HeaderScanner(DEFLATED)
        pieces = (damaged[start : start + step] for start in range(0, len(damaged), step))
        assert next(header for piece in pieces if (header := scanner.feed(piece))) == HEADER


def test_damage_before_the_uids_is_unreadable():
    assert "deflate" in reason(b"\xff" * 1000, DEFLATED)


def test_deflate_bomb_is_inflated_up_to_the_limit_only():
    value = EXPLICIT_LE.element(0x00091001, "OB", bytes(70_000_000))
    bomb = deflate(EXPLICIT_LE.data_set(value))
    assert "longer than 67108864 bytes" in reason(bomb, DEFLATED)
    assert peak_memory(bomb, DEFLATED, len(bomb)) < 200_000


def test_deflate_stream_that_inflates_to_nothing_is_bounded():
    empty_stored_block = b"\0\0\0\xff\xff"
    data = empty_stored_block * 1000
    assert "too long" in reason(data, DEFLATED, max_bytes=4999)
    assert "no SOP Instance UID" in reason(data, DEFLATED, max_bytes=5000)
