"""The head of a Part 10 file (PS3.10 7.1): preamble, prefix and File Meta Information of our own.

Data sets come over the network without it. It is written from what was negotiated and asked for, in
explicit little endian, and read back when the gateway starts.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from xxhash import xxh3_128

from seriesgate.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = b"DICM"
_PREAMBLE = bytes(128)
_HEAD_SIZE = len(_PREAMBLE) + len(PREFIX)
_GROUP_LENGTH = struct.Struct("<HH2sHI")
_SHORT_ELEMENT = struct.Struct("<HH2sH")
_SEAL = struct.Struct("<Q16s")
_META_GROUP = 0x0002
#: How many bytes a seal takes.
SEAL_SIZE = _SEAL.size
# File Meta of real programs is a few hundred bytes; ours always is.
_MAX_META_SIZE = 16 * 1024


class NotPart10(Exception):
    """A file does not begin with File Meta Information that this module can read."""


class Seal(NamedTuple):
    """What the data set must be: its size in bytes, and the digest of its syntax and its bytes."""

    size: int
    digest: bytes

    def to_bytes(self) -> bytes:
        """Return the value of Private Information (0002,0102)."""
        return _SEAL.pack(self.size, self.digest)


class FileMeta(NamedTuple):
    """What our File Meta Information says of an instance."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    source_ae_title: str
    seal: Seal | None = None


class ContentDigest:
    """Digests a data set while it comes; not for security, but fast: 10 GB/s and more.

    The transfer syntax is part of it: the same bytes in another syntax are another content.
    """

    def __init__(self, transfer_syntax_uid: str) -> None:
        self._hash = xxh3_128(transfer_syntax_uid.encode("ascii", "replace"))
        self.update = self._hash.update

    def digest(self) -> bytes:
        """Return the digest of what came so far, DIGEST_SIZE bytes."""
        return self._hash.digest()


def encode_head(meta: FileMeta) -> bytes:
    """Return the 132 bytes before and the whole of the File Meta Information.

    Text that does not fit its element is cut: the File Meta describes the data set, it does not
    replace it. The preamble is zero, so that a file is nothing but DICOM.
    """
    if meta.seal is None:
        return _encode_head(meta, b"", 0)
    return encode_head_to_seal(meta) + meta.seal.to_bytes()


def encode_head_to_seal(meta: FileMeta) -> bytes:
    """Return the head of a sealed file but for the last SEAL_SIZE bytes: what the seal says."""
    return _encode_head(meta, _SEAL_ELEMENTS, SEAL_SIZE)


def _encode_head(meta: FileMeta, last: bytes, left_out: int) -> bytes:
    before, after = _encode_around(
        meta.sop_class_uid, meta.transfer_syntax_uid, meta.source_ae_title
    )
    instance = _encode_element(0x0003, b"UI", meta.sop_instance_uid, 128, b"\x00")
    length = len(before) + len(instance) + len(after) + len(last) + left_out
    group_length = _GROUP_LENGTH.pack(_META_GROUP, 0x0000, b"UL", 4, length)
    return b"".join((_PREAMBLE, PREFIX, group_length, before, instance, after, last))


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


# Private Information (PS3.10 7.1) is where a program may keep something of its own in a file.
_SEAL_ELEMENTS = _encode_element(
    0x0100, b"UI", IMPLEMENTATION_CLASS_UID, 64, b"\x00"
) + struct.pack("<HH2sHI", _META_GROUP, 0x0102, b"OB", 0, _SEAL.size)


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
    values = dict(_decode_elements(body))
    return FileMeta(
        sop_class_uid=_text(values, 0x0002),
        sop_instance_uid=_text(values, 0x0003),
        transfer_syntax_uid=_text(values, 0x0010),
        source_ae_title=_text(values, 0x0016),
        seal=_seal(values),
    )


def _text(values: dict[int, bytes], element: int) -> str:
    return values.get(element, b"").rstrip(b"\x00 ").decode("ascii", "replace")


def _seal(values: dict[int, bytes]) -> Seal | None:
    value = values.get(0x0102, b"")
    if _text(values, 0x0100) != IMPLEMENTATION_CLASS_UID or len(value) != _SEAL.size:
        return None
    return Seal(*_SEAL.unpack(value))


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
