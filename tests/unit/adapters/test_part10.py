from __future__ import annotations

from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from tests.data_sets import EXPLICIT_LE, IMPLICIT_LE, mr_data_set

from seriesgate.adapters.spool.part10 import (
    ContentDigest,
    FileMeta,
    NotPart10,
    Seal,
    encode_head,
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


def test_seal_is_read_back_and_does_not_change_the_length():
    sealed = META._replace(seal=Seal(7, bytes(range(16))))
    head = encode_head(sealed)
    assert read_head(BytesIO(head)) == sealed
    assert len(encode_head(META._replace(seal=Seal(2**40, bytes(16))))) == len(head)


def test_private_information_of_another_program_is_no_seal():
    head = bytearray(encode_head(META._replace(seal=Seal(7, bytes(16)))))
    creator = head.index(b"UI", head.index(b"\x02\x00\x00\x01"))
    head[creator + 4] ^= 1
    assert read_head(BytesIO(bytes(head))).seal is None


def test_digest_tells_contents_and_syntaxes_apart():
    def digest(syntax, *pieces):
        content = ContentDigest(syntax)
        for piece in pieces:
            content.update(piece)
        return content.digest()

    assert digest(EXPLICIT_LE, b"ab", b"c") == digest(EXPLICIT_LE, b"abc")
    assert len({digest(EXPLICIT_LE, b"a"), digest(IMPLICIT_LE, b"a"), digest(EXPLICIT_LE)}) == 3
