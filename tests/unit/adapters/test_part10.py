from __future__ import annotations

from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from tests.data_sets import EXPLICIT_LE, IMPLICIT_LE, mr_data_set, mr_instance, write_file

from seriesgate.adapters.spool.part10 import (
    FileMeta,
    NotPart10,
    encode_head,
    is_same_data_set,
    read_head,
)

META = FileMeta("1.2.840.10008.5.1.4.1.1.4", "1.2.3", EXPLICIT_LE, "MODALITY")
UIDS = st.text("0123456789.", min_size=1, max_size=64)
AE_TITLES = st.from_regex(r"[!-\[\]-~]{1,16}", fullmatch=True)


@given(UIDS, UIDS, UIDS, AE_TITLES)
def test_what_is_written_is_read_back(sop_class, instance, syntax, title):
    meta = FileMeta(sop_class, instance, syntax, title)
    file = BytesIO(encode_head(meta) + b"data set")
    assert read_head(file) == meta
    assert file.read() == b"data set"


def test_pydicom_reads_the_same(tmp_path):
    path = tmp_path / "one.dcm"
    path.write_bytes(encode_head(META) + mr_data_set(sop="1.2.3"))
    meta = read_file_meta_info(path)
    assert meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert meta.TransferSyntaxUID == EXPLICIT_LE
    assert meta.SourceApplicationEntityTitle == "MODALITY"
    assert str(meta.ImplementationVersionName).startswith("SERIESGATE")
    assert dcmread(path).PatientID == "A/17"


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_head_stays_a_head_whatever_the_peer_wrote(sop_class, instance, title):
    head = encode_head(FileMeta(sop_class, instance, EXPLICIT_LE, title))
    assert len(head) % 2 == 0
    assert len(head) < 1024
    assert read_head(BytesIO(head)).transfer_syntax_uid == EXPLICIT_LE


@given(st.integers(0, 400))
def test_cut_head_is_not_part10(length):
    head = encode_head(META)
    if length < len(head):
        with pytest.raises(NotPart10):
            read_head(BytesIO(head[:length]))


@given(st.binary(max_size=300))
def test_garbage_is_not_part10(garbage):
    with pytest.raises(NotPart10):
        read_head(BytesIO(garbage))
    damaged = bytearray(encode_head(META))
    damaged[140 : 140 + len(garbage)] = garbage
    with suppress(NotPart10):
        read_head(BytesIO(damaged))


def test_same_data_set_under_another_sender_is_the_same(tmp_path):
    content = mr_data_set()
    first, second, third = (tmp_path / name for name in ("1", "2", "3"))
    first.write_bytes(encode_head(META) + content)
    second.write_bytes(encode_head(FileMeta("1.2", "1.2.3", EXPLICIT_LE, "OTHER")) + content)
    assert is_same_data_set(str(first), str(second))
    for other in (content[:-2], content + b"\0\0", content[:-2] + b"xx"):
        third.write_bytes(encode_head(META) + other)
        assert not is_same_data_set(str(first), str(third))
        assert not is_same_data_set(str(third), str(first))


def test_same_instance_in_another_transfer_syntax_is_not_the_same(tmp_path):
    first = write_file(tmp_path / "1", mr_instance(), EXPLICIT_LE)
    second = write_file(tmp_path / "2", mr_instance(), IMPLICIT_LE)
    assert not is_same_data_set(str(first), str(second))
