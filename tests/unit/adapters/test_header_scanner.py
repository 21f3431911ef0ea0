"""When the header of an instance is known, and what is in it."""

import pytest
from tests.unit.adapters.data_set_bytes import (
    EXPLICIT_LE,
    HEADER,
    SERIES,
    SOP_INSTANCE,
    STUDY,
    UNDEFINED,
)
from tests.unit.adapters.header_scanning import each_encoding, reason, scan, scan_encoded

from seriesgate.adapters.data_set.header_scanner import HeaderScanner

# When the header is known


@each_encoding
def test_header_is_known_at_the_instance_number_and_not_before(encoding):
    scanner = HeaderScanner(encoding.transfer_syntax_uid)
    assert scanner.feed(encoding.before_uids() + encoding.uids()) is None
    assert scanner.feed(encoding.instance_number()) == HEADER


@each_encoding
def test_header_is_known_at_the_first_greater_tag(encoding):
    scanner = HeaderScanner(encoding.transfer_syntax_uid)
    assert scanner.feed(encoding.before_uids() + encoding.uids()) is None
    header = scanner.feed(encoding.element(0x00280010, "US", b"\1\0"))
    assert header is not None
    assert header.instance_number is None
    assert header.series_instance_uid == SERIES


@each_encoding
def test_sequence_after_the_head_need_not_be_read_to_end_it(encoding):
    scanner = HeaderScanner(encoding.transfer_syntax_uid)
    assert scanner.feed(encoding.before_uids() + encoding.uids()) is None
    assert scanner.feed(encoding.header(0x00209222, "SQ", UNDEFINED)) is not None


def test_header_comes_again_when_more_is_fed():
    scanner = HeaderScanner(EXPLICIT_LE.transfer_syntax_uid)
    assert scanner.feed(EXPLICIT_LE.data_set()) == HEADER
    assert scanner.feed(b"\xff" * 100) == HEADER
    assert scanner.finish() == HEADER


@each_encoding
def test_data_set_may_end_behind_its_uids(encoding):
    header = scan_encoded(encoding, encoding.before_uids() + encoding.uids())
    assert header.series_instance_uid == SERIES
    assert header.instance_number is None


@each_encoding
def test_uid_that_is_cut_off_is_missing(encoding):
    data = encoding.before_uids() + encoding.uids()
    assert "Series Instance UID" in reason(data[:-1], encoding.transfer_syntax_uid)


def test_fragment_may_be_overwritten_after_feed():
    data = EXPLICIT_LE.data_set()
    scanner = HeaderScanner(EXPLICIT_LE.transfer_syntax_uid)
    buffer = bytearray(11)
    header = None
    for start in range(0, len(data), len(buffer)):
        piece = data[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        header = scanner.feed(memoryview(buffer)[: len(piece)])
        if header is not None:
            break
        buffer[:] = b"\xee" * len(buffer)
    assert header == HEADER


# Order and repetition


@each_encoding
def test_first_of_duplicates_wins(encoding):
    data = b"".join(
        (
            encoding.before_uids(),
            encoding.ui(0x00080018, "6.6.6"),
            encoding.uids(),
            encoding.ui(0x0020000E, "6.6.7"),
            encoding.instance_number(),
        )
    )
    assert scan_encoded(encoding, data) == HEADER


def test_order_does_not_matter_up_to_group_0020():
    parts = (
        EXPLICIT_LE.element(0x00200032, "DS", b"0\\0\\0 "),
        EXPLICIT_LE.instance_number(),
        EXPLICIT_LE.ui(0x0020000E, SERIES),
        EXPLICIT_LE.before_uids(),
        EXPLICIT_LE.ui(0x0020000D, STUDY),
        EXPLICIT_LE.after(),
    )
    assert scan(b"".join(parts)) == HEADER


def test_uids_are_found_wherever_they_stand():
    data = EXPLICIT_LE.before_uids() + EXPLICIT_LE.after() + EXPLICIT_LE.uids()
    scanner = HeaderScanner(EXPLICIT_LE.transfer_syntax_uid)
    scanner.feed(data)
    assert scanner.finish().series_instance_uid == SERIES


# What is missing or no UID


@pytest.mark.parametrize("encoded", [b"", b"\x08", b"\0" * 132, b"DICM", b"\xff" * 64])
def test_data_set_without_elements_has_no_uids(encoded):
    assert reason(encoded) == (
        "no SOP Instance UID (0008,0018), no Study Instance UID (0020,000D), "
        "no Series Instance UID (0020,000E)"
    )


@each_encoding
@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (0x00080018, "no SOP Instance UID (0008,0018)"),
        (0x0020000D, "no Study Instance UID (0020,000D)"),
        (0x0020000E, "no Series Instance UID (0020,000E)"),
    ],
)
@pytest.mark.parametrize("value", [None, b"", b"\0\0", b"  ", b"\\1.2"])
def test_reason_names_the_one_uid_that_is_missing(encoding, tag, name, value):
    elements = [
        encoding.ui(present, "1.2.3")
        for present in (0x00080018, 0x0020000D, 0x0020000E)
        if present != tag
    ]
    if value is not None:
        elements.insert(0, encoding.ui(tag, value))
    assert reason(b"".join(elements), encoding.transfer_syntax_uid) == name


def test_sop_class_uid_may_be_missing():
    data = EXPLICIT_LE.ui(0x00080018, SOP_INSTANCE) + EXPLICIT_LE.uids()
    assert scan(data).sop_class_uid == ""


@pytest.mark.parametrize(
    ("value", "uid"),
    [
        (b"1.2.3\0", "1.2.3"),
        (b"1.2.3 ", "1.2.3"),
        (b" 1.2.3\0\0\0 ", "1.2.3"),
        (b"1.2\\3.4", "1.2"),
        (b"..", ".."),
        (b"/etc/x", "/etc/x"),
        (b"C:x;$(touch)", "C:x;$(touch)"),
        (b"1" * 65, "1" * 65),
        (b"1" * 128, "1" * 128),
    ],
)
def test_uid_is_text_without_padding(value, uid):
    data = EXPLICIT_LE.data_set().replace(
        EXPLICIT_LE.ui(0x0020000E, SERIES), EXPLICIT_LE.element(0x0020000E, "UI", value)
    )
    assert scan(data).series_instance_uid == uid


@pytest.mark.parametrize(
    "value", [b"1.2\n", b"\x1b[2J", b"1.\x9b", b"1.\x7f2", b"1" * 129, b"1" * 5000]
)
@pytest.mark.parametrize("tag", [0x00080016, 0x00080018, 0x0020000D, 0x0020000E])
def test_value_that_is_no_uid_is_unreadable(tag, value):
    text = reason(EXPLICIT_LE.element(tag, "UI", value) + EXPLICIT_LE.data_set())
    assert f"({tag >> 16:04X},{tag & 0xFFFF:04X})" in text
    assert len(text) < 100
    assert text.isascii()
    assert text.isprintable()


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (b"1", 1),
        (b" 0012 ", 12),
        (b"+5", 5),
        (b"-5", -5),
        (b"3\\4", 3),
        (b"7\0", 7),
        (b"2147483647", 2**31 - 1),
        (b"-2147483648", -(2**31)),
        (b"2147483648", None),
        (b"-2147483649", None),
        (b"", None),
        (b"  ", None),
        (b"1.0", 1),
        (b"-3.", -3),
        (b"4,00", 4),
        (b"+1e3", 1000),
        (b"2.5e1", 25),
        (b" 12\\13", 12),
        (b"7\0\xcc\xcd", 7),
        (b"2147483647.0", 2147483647),
        (b"1.5", None),
        (b"1,000,000", None),
        (b"1e99", None),
        (b"1e-2", None),
        (b"9" * 4400, None),
        (b"0" * 4400, None),
        (b"1." + b"0" * 4400, None),
        (b"1_0", None),
        (b"0x1", None),
        (b"\xb2", None),
        (b"++1", None),
        (b"9" * 5000, None),
    ],
)
def test_instance_number_is_an_integer_of_32_bits_or_none(value, number):
    data = EXPLICIT_LE.before_uids() + EXPLICIT_LE.uids() + EXPLICIT_LE.instance_number(value)
    assert scan(data).instance_number == number


@pytest.mark.parametrize(
    ("value", "patient_id"),
    [
        (b"0012", b"0012"),
        (b" A/17 \xdf ", b"A/17 \xdf"),
        (b"A\\B", b"A\\B"),
        (b"\0\0", b""),
        (b"x" * 5000, b"x" * 1024),
    ],
)
def test_patient_id_is_raw_without_padding(value, patient_id):
    data = EXPLICIT_LE.element(0x00100020, "LO", value) + EXPLICIT_LE.data_set()
    assert scan(data).patient_id == patient_id
