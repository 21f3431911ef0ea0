"""The header scanner reads every encoding that senders use, whatever they declare."""

import struct

import pytest
from tests.unit.adapters.data_set_bytes import (
    ENCODINGS,
    EXPLICIT_BE,
    EXPLICIT_LE,
    HEADER,
    IMPLICIT_LE,
    UNDEFINED,
)
from tests.unit.adapters.header_scanning import each_encoding, reason, scan, scan_encoded

GE_PRIVATE = "1.2.840.113619.5.2"
UNKNOWN_PRIVATE = "2.16.840.1.113709.1.2.2"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
RLE = "1.2.840.10008.1.2.5"


@pytest.mark.parametrize("uid", [JPEG_2000, RLE, UNKNOWN_PRIVATE])
def test_other_transfer_syntaxes_are_explicit_vr_little_endian(uid):
    assert scan(EXPLICIT_LE.data_set(), uid) == HEADER


@pytest.mark.parametrize("uid", [GE_PRIVATE, UNKNOWN_PRIVATE])
def test_private_transfer_syntaxes_may_be_implicit(uid):
    assert scan(IMPLICIT_LE.data_set(), uid) == HEADER


@each_encoding
@pytest.mark.parametrize("declared", [e.transfer_syntax_uid for e in ENCODINGS])
def test_first_element_tells_the_encoding_whatever_was_declared(encoding, declared):
    assert scan(encoding.data_set(), declared) == HEADER


@each_encoding
@pytest.mark.parametrize("declared", [e.transfer_syntax_uid for e in ENCODINGS])
def test_group_length_in_front_tells_the_encoding_too(encoding, declared):
    data = encoding.element(0x00080000, "UL", b"\0\0\0\0") + encoding.data_set()
    assert scan(data, declared) == HEADER


@pytest.mark.parametrize("letters", [b"LO", b"PN", b"DA", b"TM"])
@pytest.mark.parametrize("declared", [IMPLICIT_LE.transfer_syntax_uid, GE_PRIVATE])
def test_implicit_length_that_looks_like_a_vr_is_a_length(letters, declared):
    value = bytes(int.from_bytes(letters, "little"))
    first = IMPLICIT_LE.element(0x00080001, "UN", value)
    assert first[4:8] == letters + b"\0\0"
    assert scan(first + IMPLICIT_LE.data_set(), declared) == HEADER


@pytest.mark.parametrize("vr", ["LO", "OB", "SQ", "CS"])
def test_explicit_first_element_is_seen_though_implicit_was_declared(vr):
    first = EXPLICIT_LE.element(0x00080001, vr, b"ab")
    assert scan(first + EXPLICIT_LE.data_set(), IMPLICIT_LE.transfer_syntax_uid) == HEADER


@pytest.mark.parametrize("vr", [b"ZZ\0\0\x02\0\0\0ab", b"ZZ\x02\0ab"])
def test_vr_of_the_future_or_of_a_vendor_is_skipped(vr):
    odd = struct.pack("<HH", 0x0009, 0x1001) + vr
    assert scan_encoded(EXPLICIT_LE, EXPLICIT_LE.data_set(odd)) == HEADER
    assert scan_encoded(EXPLICIT_LE, odd + EXPLICIT_LE.data_set()) == HEADER


def test_implicit_element_between_explicit_ones_is_skipped():
    odd = IMPLICIT_LE.element(0x00191001, "UN", b"abcd")
    assert scan_encoded(EXPLICIT_LE, EXPLICIT_LE.data_set(odd)) == HEADER


@each_encoding
@pytest.mark.parametrize("meta", ENCODINGS, ids=lambda e: f"meta {e.name}")
def test_file_meta_group_in_front_is_skipped_in_its_own_encoding(encoding, meta):
    group = b"".join(
        (
            meta.element(0x00020000, "UL", b"\0\0\0\0"),
            meta.element(0x00020001, "OB", b"\0\1"),
            meta.ui(0x00020003, "9.9.9"),
        )
    )
    assert scan_encoded(encoding, group + encoding.data_set()) == HEADER


def test_big_endian_data_set_keeps_its_order_behind_a_little_endian_meta_group():
    data = EXPLICIT_LE.ui(0x00020010, EXPLICIT_BE.transfer_syntax_uid) + EXPLICIT_BE.data_set()
    assert scan(data, UNKNOWN_PRIVATE) == HEADER


# Sequences


@each_encoding
@pytest.mark.parametrize("is_defined", [True, False])
@pytest.mark.parametrize("is_item_defined", [True, False])
@pytest.mark.parametrize("vr", ["SQ", "UN"])
def test_sequence_is_skipped_with_the_uids_in_it(encoding, is_defined, is_item_defined, vr):
    inner = IMPLICIT_LE if vr == "UN" and not is_defined else encoding
    wrong = inner.ui(0x00080018, "6.6.6") + inner.ui(0x0020000E, "6.6.7")
    items = [inner.item(wrong, is_defined=is_item_defined)] * 2 + [inner.item(b"")]
    sequence = encoding.header(0x00091140, vr, UNDEFINED) + b"".join(items)
    sequence += inner.bare(0xFFFEE0DD, 0)
    if is_defined:
        sequence = encoding.sequence(0x00091140, *items, vr=vr, is_defined=True)
    data = sequence + encoding.data_set()
    assert scan_encoded(encoding, data) == HEADER
    assert scan_encoded(encoding, encoding.data_set(sequence)) == HEADER


def test_item_may_be_implicit_in_an_explicit_sequence():
    item = EXPLICIT_LE.item(IMPLICIT_LE.element(0x00081150, "UI", b"1.2\0"))
    sequence = EXPLICIT_LE.sequence(0x00081140, item)
    assert scan_encoded(EXPLICIT_LE, EXPLICIT_LE.data_set(sequence)) == HEADER


def test_item_of_an_unknown_vr_may_be_explicit():
    item = EXPLICIT_LE.item(EXPLICIT_LE.element(0x00091001, "LO", b"ab"))
    sequence = EXPLICIT_LE.sequence(0x00091140, item, vr="UN")
    assert scan_encoded(EXPLICIT_LE, EXPLICIT_LE.data_set(sequence)) == HEADER


@each_encoding
def test_length_of_an_item_may_look_like_a_vr(encoding):
    content = bytes(int.from_bytes(b"LO", "little"))
    like_a_vr = encoding.item(content, is_defined=True)
    other = encoding.item(encoding.element(0x00091001, "LO", b"ab"))
    sequence = encoding.sequence(0x00091140, like_a_vr, other, like_a_vr)
    assert scan_encoded(encoding, encoding.data_set(sequence)) == HEADER


@each_encoding
def test_item_goes_on_behind_a_sequence_in_it(encoding):
    inner = encoding.sequence(0x00091140, encoding.item(b""))
    item = encoding.item(inner + encoding.element(0x00091141, "LO", b"ab"))
    data = encoding.data_set(encoding.sequence(0x00091140, item))
    assert scan_encoded(encoding, data) == HEADER


@each_encoding
def test_item_without_delimiter_ends_with_the_next_item_or_the_sequence(encoding):
    open_item = encoding.bare(0xFFFEE000, UNDEFINED) + encoding.element(0x00091001, "LO", b"ab")
    sequence = encoding.sequence(0x00091140, open_item, open_item)
    assert scan_encoded(encoding, encoding.data_set(sequence)) == HEADER


@each_encoding
def test_superfluous_delimiter_is_ignored(encoding):
    sequence = encoding.sequence(0x00091140, encoding.item(b""), is_defined=True)
    stray = encoding.bare(0xFFFEE0DD, 0)
    assert scan_encoded(encoding, encoding.data_set(sequence, stray)) == HEADER


@each_encoding
def test_sequence_that_holds_no_items_is_unreadable(encoding):
    data = encoding.header(0x00081140, "SQ", UNDEFINED) + encoding.data_set()
    assert "no item" in reason(data, encoding.transfer_syntax_uid)
