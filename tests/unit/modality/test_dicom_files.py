from __future__ import annotations

import os
import struct
import tracemalloc
import warnings
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.sequence import Sequence
from tests.data_sets import (
    DEFLATED,
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    MR_IMAGE_STORAGE,
    encode,
    mr_data_set,
    mr_instance,
    write_file,
)

from seriesgate.adapters.spool.part10 import FileMeta, encode_head
from seriesgate.modality.dicom_files import (
    DicomFile,
    UnsendableFileError,
    find_dicom_files,
    read_dicom_file,
)

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"


def _head(
    sop_class: str = MR_IMAGE_STORAGE, sop: str = "1.1", transfer_syntax: str = EXPLICIT_LE
) -> bytes:
    return encode_head(FileMeta(sop_class, sop, transfer_syntax, ""))


def _read(tmp_path: Path, content: bytes) -> DicomFile | None:
    path = tmp_path / "file"
    path.write_bytes(content)
    return read_dicom_file(path)


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED])
def test_a_part10_file_names_its_uids_and_where_its_data_set_begins(tmp_path, transfer_syntax):
    path = write_file(tmp_path / "a.dcm", mr_instance("1.9"), transfer_syntax)

    file = read_dicom_file(path)

    assert file is not None
    assert file.context == (MR_IMAGE_STORAGE, transfer_syntax)
    assert file.sop_instance_uid == "1.9"
    with file.open() as data_set:
        assert data_set.read() == encode(mr_instance("1.9"), transfer_syntax)


def test_a_compressed_transfer_syntax_is_taken_from_the_file_meta(tmp_path):
    file = _read(tmp_path, _head(transfer_syntax=JPEG_BASELINE) + mr_data_set())
    assert file is not None
    assert file.context.transfer_syntax_uid == JPEG_BASELINE


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE])
def test_a_bare_data_set_shows_its_transfer_syntax_in_its_first_element(tmp_path, transfer_syntax):
    content = encode(mr_instance("1.9"), transfer_syntax)
    file = _read(tmp_path, content)
    assert file is not None
    assert file.context == (MR_IMAGE_STORAGE, transfer_syntax)
    assert (file.offset, file.sop_instance_uid) == (0, "1.9")


def test_file_meta_without_preamble_is_understood(tmp_path):
    head = _head(transfer_syntax=IMPLICIT_LE)[132:]
    file = _read(tmp_path, head + encode(mr_instance(), IMPLICIT_LE))
    assert file is not None
    assert file.offset == len(head)
    assert file.context.transfer_syntax_uid == IMPLICIT_LE


def test_the_data_set_is_believed_before_the_file_meta(tmp_path):
    """PS3.10 7.1 wants both to agree; the C-STORE must name what it carries (PS3.7 9.1.1.1)."""
    file = _read(tmp_path, _head(sop="1.2.3") + mr_data_set(sop="1.9"))
    assert file is not None
    assert file.sop_instance_uid == "1.9"


def test_the_file_meta_helps_out_where_the_data_set_is_silent(tmp_path):
    dataset = Dataset()
    dataset.PatientID = "A"
    file = _read(tmp_path, _head(sop="1.2.3") + encode(dataset))
    assert file is not None
    assert (file.context.sop_class_uid, file.sop_instance_uid) == (MR_IMAGE_STORAGE, "1.2.3")


def test_uids_behind_a_sequence_of_undefined_length_are_found(tmp_path):
    dataset = mr_instance("1.9")
    item = Dataset()
    item.CodeValue = "en"
    dataset.LanguageCodeSequence = Sequence([item])
    dataset["LanguageCodeSequence"].is_undefined_length = True
    file = _read(tmp_path, encode(dataset))
    assert file is not None
    assert file.sop_instance_uid == "1.9"


def test_a_wrong_group_length_of_the_file_meta_does_not_matter(tmp_path):
    head = bytearray(_head())
    head[140:144] = struct.pack("<I", 7)
    file = _read(tmp_path, bytes(head) + mr_data_set(sop="1.9"))
    assert file is not None
    assert file.offset == len(head)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08",
        b"hello, world",
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        bytes(128) + b"dicm" + bytes(100),
        b"\x08\x00" + bytes(200),
        b"\x00\x08" + b"\xff" * 200,
        b"\x02\x00\x00\x00UL\x04\x00" + bytes(4),
    ],
)
def test_what_is_not_dicom_is_none(tmp_path, content):
    assert _read(tmp_path, content) is None


def test_a_dicomdir_is_none(tmp_path):
    assert _read(tmp_path, _head(MEDIA_STORAGE_DIRECTORY, "1.5")) is None


def test_dicom_without_what_a_c_store_needs_is_unsendable(tmp_path):
    dataset = Dataset()
    dataset.PatientID = "A"
    with pytest.raises(UnsendableFileError, match="it has no SOP Class UID"):
        _read(tmp_path, _head("", "1.1") + encode(dataset))
    with pytest.raises(UnsendableFileError, match="it has no SOP Instance UID"):
        _read(tmp_path, _head(sop="") + encode(dataset))
    with pytest.raises(UnsendableFileError, match="its SOP Instance UID is not valid"):
        _read(tmp_path, _head(sop="1." + "2" * 80) + encode(dataset))
    with pytest.raises(UnsendableFileError, match="its Transfer Syntax UID is not valid"):
        _read(tmp_path, _head(transfer_syntax="not a uid") + mr_data_set())


def test_of_a_deflated_bomb_only_the_head_is_inflated(tmp_path, monkeypatch):
    dataset = mr_instance("1.9")
    dataset.PixelData = bytes(64 * 1024 * 1024)
    content = _head(transfer_syntax=DEFLATED) + encode(dataset, DEFLATED)
    inflated = []

    def read_head(head, *args, **kwargs):
        inflated.append(len(head))
        return BytesIO(head, *args, **kwargs)

    monkeypatch.setattr("seriesgate.modality.dicom_files.BytesIO", read_head)
    file = _read(tmp_path, content)
    assert file is not None
    assert file.sop_instance_uid == "1.9"
    assert inflated == [64 * 1024]


def test_a_long_value_is_stepped_over(tmp_path):
    uids = Dataset()
    uids.SOPClassUID = MR_IMAGE_STORAGE
    uids.SOPInstanceUID = "1.9"
    length = 64 * 1024 * 1024
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.write(_head() + struct.pack("<HH2s2xI", 0x0008, 0x0002, b"OB", length))
        file.seek(length, os.SEEK_CUR)
        file.write(encode(uids))
    tracemalloc.start()
    found = read_dicom_file(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found is not None
    assert found.sop_instance_uid == "1.9"
    assert peak < 1024 * 1024


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_any_bytes_behind_a_file_meta_are_read_without_a_surprise(tmp_path_factory, garbage):
    path = tmp_path_factory.getbasetemp() / "garbage"
    path.write_bytes(_head() + garbage)
    try:
        file = read_dicom_file(path)
    except UnsendableFileError:
        return
    assert file is not None


@given(st.sampled_from([b"\x08\x00", b"\x00\x08", b"\x02\x00"]), st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes_without_prefix_are_read_without_a_surprise(tmp_path_factory, start, garbage):
    path = tmp_path_factory.getbasetemp() / "garbage"
    path.write_bytes(start + garbage)
    try:
        read_dicom_file(path)
    except UnsendableFileError:
        return


def test_folders_are_searched_to_the_bottom_in_the_order_of_names(tmp_path):
    for name, sop in (("b/2", "1.2"), ("b/1/x", "1.1"), ("a", "1.0"), ("c", "1.3")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, mr_instance(sop))
    (tmp_path / "b" / "readme.txt").write_text("hello")

    found = find_dicom_files([tmp_path])

    assert [file.sop_instance_uid for file in found.files] == ["1.0", "1.1", "1.2", "1.3"]
    assert found.skipped == 1
    assert found.unusable == []


def test_files_and_folders_come_in_the_order_they_are_named(tmp_path):
    first = write_file(tmp_path / "z", mr_instance("1.1"))
    (tmp_path / "folder").mkdir()
    write_file(tmp_path / "folder" / "a", mr_instance("1.2"))
    found = find_dicom_files([first, tmp_path / "folder"])
    assert [file.sop_instance_uid for file in found.files] == ["1.1", "1.2"]


def test_symbolic_links_are_followed_and_circles_end(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "elsewhere").mkdir()
    write_file(tmp_path / "elsewhere" / "x", mr_instance("1.1"))
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "there").symlink_to(tmp_path / "elsewhere")
    found = find_dicom_files([tmp_path])
    assert [file.sop_instance_uid for file in found.files] == ["1.1"]


def test_links_that_lead_nowhere_get_a_line_each(tmp_path):
    (tmp_path / "broken").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    found = find_dicom_files([tmp_path])
    assert found.unusable == [
        f"cannot read {tmp_path / 'broken'}: no such file or directory",
        f"cannot read {tmp_path / 'loop'}: too many levels of symbolic links",
    ]


def test_pipes_are_skipped_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    found = find_dicom_files([tmp_path])
    assert (found.files, found.skipped, found.unusable) == ([], 1, [])


def test_what_cannot_be_read_gets_a_line_and_stops_nothing(tmp_path, monkeypatch):
    secret = write_file(tmp_path / "a", mr_instance("1.1"))
    write_file(tmp_path / "b", mr_instance("1.2"))
    (tmp_path / "c").write_bytes(_head(sop="") + encode(Dataset()))
    open_path = type(secret).open

    def refuse(path, *args, **kwargs):
        # Permissions bind nobody who runs the tests as root.
        if path == secret:
            raise PermissionError(13, "Permission denied")
        return open_path(path, *args, **kwargs)

    monkeypatch.setattr(type(secret), "open", refuse)
    found = find_dicom_files([tmp_path])
    assert [file.sop_instance_uid for file in found.files] == ["1.2"]
    assert found.unusable == [
        f"cannot read {secret}: permission denied",
        f"cannot send {tmp_path / 'c'}: it has no SOP Instance UID",
    ]


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("MR_small.dcm", (MR_IMAGE_STORAGE, EXPLICIT_LE)),
        ("MR_small_bigendian.dcm", (MR_IMAGE_STORAGE, EXPLICIT_BE)),
        ("rtplan.dcm", ("1.2.840.10008.5.1.4.1.1.481.5", IMPLICIT_LE)),
        ("image_dfl.dcm", ("1.2.840.10008.5.1.4.1.1.7", DEFLATED)),
        ("ExplVR_BigEndNoMeta.dcm", ("1.2.840.10008.5.1.4.1.1.481.8", EXPLICIT_BE)),
        ("ExplVR_LitEndNoMeta.dcm", ("1.2.840.10008.5.1.4.1.1.481.8", EXPLICIT_LE)),
    ],
)
def test_files_of_other_programs_are_understood(name, context):
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = read_dicom_file(Path(path))
    assert file is not None
    assert file.context == context
