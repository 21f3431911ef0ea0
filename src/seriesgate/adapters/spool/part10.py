"""The head of a Part 10 file (PS3.10 7.1): preamble, prefix and File Meta Information of our own.

Data sets come over the network without it. It is written from what was negotiated and asked for, in
explicit little endian, and read back when the gateway starts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO

from seriesgate.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = b"DICM"
_PREAMBLE = bytes(128)
_HEAD_SIZE = len(_PREAMBLE) + len(PREFIX)
_GROUP_LENGTH = struct.Struct("<HH2sHI")
_SHORT_ELEMENT = struct.Struct("<HH2sH")
_META_GROUP = 0x0002
# File Meta of real programs is a few hundred bytes; ours always is.
_MAX_META_SIZE = 16 * 1024
_COMPARE_PIECE = 256 * 1024


class NotPart10(Exception):
    """A file does not begin with File Meta Information that this module can read."""


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What our File Meta Information says of an instance."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    source_ae_title: str


def encode_head(meta: FileMeta) -> bytes:
    """Return the 132 bytes before and the whole of the File Meta Information.

    Text that does not fit its element is cut: the File Meta describes the data set, it does not
    replace it. The preamble is zero, so that a file is nothing but DICOM.
    """
    before, after = _encode_around(
        meta.sop_class_uid, meta.transfer_syntax_uid, meta.source_ae_title
    )
    instance = _encode_element(0x0003, b"UI", meta.sop_instance_uid, 128, b"\x00")
    length = len(before) + len(instance) + len(after)
    group_length = _GROUP_LENGTH.pack(_META_GROUP, 0x0000, b"UL", 4, length)
    return b"".join((_PREAMBLE, PREFIX, group_length, before, instance, after))


@lru_cache(maxsize=256)
def _encode_around(
    sop_class_uid: str, transfer_syntax_uid: str, source_ae_title: str
) -> tuple[bytes, bytes]:
    """Return the elements before and after the SOP Instance UID: those of a series are the same."""
    before = (
        # File Meta Information Version is OB, with a length of four bytes (PS3.5 7.1.2).
        struct.pack("<HH2sHI2s", _META_GROUP, 0x0001, b"OB", 0, 2, b"\x00\x01"),
        _encode_element(0x0002, b"UI", sop_class_uid, 64, b"\x00"),
    )
    after = (
        _encode_element(0x0010, b"UI", transfer_syntax_uid, 64, b"\x00"),
        _encode_element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID, 64, b"\x00"),
        _encode_element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME, 16, b" "),
        _encode_element(0x0016, b"AE", source_ae_title, 16, b" "),
    )
    return b"".join(before), b"".join(after)


def _encode_element(element: int, vr: bytes, text: str, max_length: int, padding: bytes) -> bytes:
    value = text.encode("ascii", "replace")[:max_length]
    if len(value) % 2:
        value += padding
    return _SHORT_ELEMENT.pack(_META_GROUP, element, vr, len(value)) + value


def read_head(file: BinaryIO) -> FileMeta:
    """Read the head of a file; `file` then stands at the first byte of the data set.

    Raises NotPart10.
    """
    head = file.read(_HEAD_SIZE + _GROUP_LENGTH.size)
    if len(head) < _HEAD_SIZE + _GROUP_LENGTH.size or head[128:132] != PREFIX:
        raise NotPart10("the file has no DICM prefix")
    group, element, vr, length, size = _GROUP_LENGTH.unpack_from(head, _HEAD_SIZE)
    if (group, element, vr, length) != (0x0002, 0x0000, b"UL", 4) or size > _MAX_META_SIZE:
        raise NotPart10("the file does not begin with a File Meta group length")
    body = file.read(size)
    if len(body) < size:
        raise NotPart10("the file ends inside its File Meta")
    values = {
        element: value.rstrip(b"\x00 ").decode("ascii", "replace")
        for element, value in _decode_elements(body)
    }
    return FileMeta(
        sop_class_uid=values.get(0x0002, ""),
        sop_instance_uid=values.get(0x0003, ""),
        transfer_syntax_uid=values.get(0x0010, ""),
        source_ae_title=values.get(0x0016, ""),
    )


def _decode_elements(body: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + _SHORT_ELEMENT.size <= len(body):
        group, element, vr, length = _SHORT_ELEMENT.unpack_from(body, position)
        position += _SHORT_ELEMENT.size
        if vr == b"OB":
            length = int.from_bytes(body[position : position + 4], "little")
            position += 4
        if group != _META_GROUP or position + length > len(body):
            raise NotPart10("an element of the File Meta is damaged")
        yield element, body[position : position + length]
        position += length


def is_same_data_set(path: str, other_path: str) -> bool:
    """Return whether two Part 10 files hold the same data set, bit for bit, in the same syntax.

    Their File Meta may name different senders. Raises OSError.
    """
    with open(path, "rb") as file, open(other_path, "rb") as other:
        try:
            if read_head(file).transfer_syntax_uid != read_head(other).transfer_syntax_uid:
                return False
        except NotPart10:
            return False
        while piece := file.read(_COMPARE_PIECE):
            if piece != other.read(len(piece)):
                return False
        return not other.read(1)
