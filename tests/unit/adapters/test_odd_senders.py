"""Data sets as some senders write them, against the standard, and as other receivers take them."""

from __future__ import annotations

import gzip
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data_sets import DEFLATED, EXPLICIT_LE, IMPLICIT_LE, MR_IMAGE_STORAGE
from tests.unit.adapters.data_set_bytes import EXPLICIT_BE as BIG
from tests.unit.adapters.data_set_bytes import EXPLICIT_LE as LITTLE
from tests.unit.adapters.data_set_bytes import HEADER, SERIES, SOP_INSTANCE, STUDY, deflate
from tests.unit.adapters.data_set_bytes import IMPLICIT_LE as IMPLICIT

from seriesgate.adapters.data_set.element_value import decode_date
from seriesgate.adapters.data_set.header_scanner import HeaderScanner
from seriesgate.adapters.data_set.series_description import read_series_description
from seriesgate.adapters.spool.part10 import FileMeta, encode_head

NO_VRS = [b"--", b"??", b"  ", b"\0\0", b"a}", b"us", b"1A", b"\xff\xfe", b"XY"]


def scanned(data, syntax=EXPLICIT_LE, step=2**20):
    scanner = HeaderScanner(syntax)
    for start in range(0, len(data), step):
        header = scanner.feed(data[start : start + step])
        if header is not None:
            return header
    return scanner.finish()


def without_vr(order, vr, length_size, size):
    """Return a private element that has something else where its VR would be."""
    length = struct.pack(f"{order}{'H' if length_size == 2 else 'xxL'}", size)
    return struct.pack(f"{order}HH", 0x0010, 0x21B0) + vr + length + b"G" * size


@pytest.mark.parametrize("vr", NO_VRS)
@pytest.mark.parametrize("encoding", [LITTLE, BIG], ids=["little", "big"])
@pytest.mark.parametrize("size", [0, 2, 84, 5000, 65000])
def test_element_without_a_vr_is_passed_over_by_its_short_length(encoding, vr, size):
    odd = without_vr(encoding.order, vr, 2, size)
    data = encoding.data_set(odd)
    for step in (2**20, 4096, 7):
        assert scanned(data, encoding.transfer_syntax_uid, step) == HEADER


@pytest.mark.parametrize("vr", [vr for vr in NO_VRS if vr != b"us"])
@pytest.mark.parametrize("size", [2, 84, 5000, 60000])
def test_element_without_a_vr_is_passed_over_by_its_long_length(vr, size):
    odd = without_vr("<", vr, 4, size)
    data = LITTLE.data_set(odd)
    assert scanned(data) == HEADER


@pytest.mark.parametrize("vr", NO_VRS)
def test_first_element_of_a_data_set_or_of_an_item_may_have_no_vr(vr):
    odd = struct.pack("<HH", 0x0008, 0x0001) + vr + struct.pack("<H", 6) + b"abcdef"
    assert scanned(odd + LITTLE.data_set()) == HEADER
    item = LITTLE.item(odd + LITTLE.element(0x00081150, "UI", b"1.2\0"))
    references = LITTLE.sequence(0x00101140, item, item)
    assert scanned(LITTLE.data_set(references)) == HEADER


def test_elements_without_a_vr_may_follow_each_other_and_end_an_item():
    odd = without_vr("<", b"??", 2, 10)
    item = LITTLE.item(LITTLE.element(0x00081150, "UI", b"1.2\0") + odd)
    assert scanned(LITTLE.data_set(LITTLE.sequence(0x00101140, item))) == HEADER


def test_implicit_elements_in_an_explicit_data_set_are_still_read():
    odd = struct.pack("<HHL", 0x0010, 0x21B0, 300) + b"G" * 300
    assert scanned(LITTLE.data_set(odd)) == HEADER


@pytest.mark.parametrize(
    "pack",
    [
        deflate,
        zlib.compress,
        lambda data: zlib.compress(data, 1),
        gzip.compress,
        lambda data: data,
        lambda data: deflate(data) + b"\0",
        lambda data: zlib.compress(data) + b"rest",
    ],
    ids=["raw", "zlib", "fastest", "gzip", "not at all", "padded", "with a rest"],
)
@pytest.mark.parametrize("step", [1, 5, 4096, 2**20])
def test_deflated_data_set_as_senders_have_it(pack, step):
    assert scanned(pack(LITTLE.data_set()), DEFLATED, step) == HEADER


ELEMENTS = {
    0x00080016: ("UI", MR_IMAGE_STORAGE.encode()),
    0x00080018: ("UI", SOP_INSTANCE.encode()),
    0x00080020: ("DA", b"2026.03.04"),
    0x00080050: ("SH", b"ACC1"),
    0x00080060: ("CS", b"CT"),
    0x00100010: ("PN", b"Doe^John\0\xcc\xcc\xcd\xfd"),
    0x00100020: ("LO", b"123\0\xfd\xcc"),
    0x0020000D: ("UI", STUDY.encode()),
    0x0020000E: ("UI", SERIES.encode() + b"\0\xcc\xfd"),
    0x00200011: ("IS", b"7.0"),
    0x00200013: ("IS", b"4.0"),
}


def unsorted(order, encoding):
    return b"".join(encoding.element(tag, *ELEMENTS[tag]) for tag in order)


@given(st.permutations(list(ELEMENTS)), st.sampled_from([LITTLE, IMPLICIT]))
def test_uids_are_found_in_any_order(order, encoding):
    header = scanned(unsorted(order, encoding), encoding.transfer_syntax_uid)
    assert (header.sop_instance_uid, header.study_instance_uid) == (SOP_INSTANCE, STUDY)
    assert header.series_instance_uid == SERIES
    assert header.patient_id in {b"123", b""}
    assert header.instance_number in {4, None}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("odd") / "instance.dcm"


@given(order=st.permutations(list(ELEMENTS)))
def test_series_is_described_in_any_order(path, order):
    pixels = LITTLE.element(0x7FE00010, "OW", bytes(100))
    meta = encode_head(FileMeta(MR_IMAGE_STORAGE, SOP_INSTANCE, EXPLICIT_LE, "MR1"))
    path.write_bytes(meta + unsorted(order, LITTLE) + pixels)
    found = read_series_description(path)
    assert (found.patient_name, found.patient_id) == ("Doe^John", "123")
    assert (found.modality, found.accession_number) == ("CT", "ACC1")
    assert (found.series_number, found.study_date) == (7, "20260304")
    assert (found.study_instance_uid, found.series_instance_uid) == (STUDY, SERIES)


def test_what_every_image_has_and_this_one_does_not_is_said(path, caplog):
    meta = encode_head(FileMeta(MR_IMAGE_STORAGE, SOP_INSTANCE, EXPLICIT_LE, "MR1"))
    tags = [tag for tag in ELEMENTS if tag >> 16 != 0x0010]
    path.write_bytes(meta + unsorted(tags, LITTLE))
    assert read_series_description(path).patient_id == ""
    assert "do not have these attributes: PatientID, PatientName" in caplog.text


@pytest.mark.parametrize("is_defined", [True, False])
def test_thousands_of_references_before_the_uids_are_passed_over(is_defined):
    item = LITTLE.item(
        LITTLE.ui(0x00081150, MR_IMAGE_STORAGE) + LITTLE.ui(0x00081155, "1.2.3.4567"),
        is_defined=is_defined,
    )
    references = LITTLE.sequence(0x00081140, *[item] * 20_000, is_defined=is_defined)
    data = LITTLE.data_set(references)
    assert scanned(data, step=64 * 1024) == HEADER


@pytest.mark.parametrize("encoding", [LITTLE, IMPLICIT])
def test_megabytes_of_private_data_before_the_uids_are_passed_over(encoding):
    private = encoding.element(0x00091010, "OB", bytes(20 * 2**20))
    data = encoding.data_set(private)
    syntax = EXPLICIT_LE if encoding is LITTLE else IMPLICIT_LE
    assert scanned(data, syntax, 64 * 1024) == HEADER


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("20260304", "20260304"),
        ("2026.03.04", "20260304"),
        ("2026-03-04", "20260304"),
        (" 2026.03.04 ", "20260304"),
        ("2026.13.04", "2026.13.04"),
        ("2026.03-04", "2026.03-04"),
        ("20260230", "20260230"),
        ("00000000", "00000000"),
        ("2026", "2026"),
        ("20260101-20260304", "20260101-20260304"),
        ("last week", "last week"),
        ("", ""),
        ("٢٠٢٦.٠٣.٠٤", "٢٠٢٦.٠٣.٠٤"),
    ],
)
def test_dates_as_senders_write_them(text, date):
    assert decode_date(text) == date
