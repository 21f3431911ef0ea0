"""The form of a segment of the write-ahead log: a head, then records, in blocks of their own. Pure.

    segment   one block: magic, generation, digest; then records
    record    magic, generation, size, digest, name, content; zeros up to the next block

Nothing that was promised shares a block with what is written later, so a write that the loss of
power tears takes nothing else with it. A segment that begins anew has a higher generation; what is
left in it of an earlier one is no record any more.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from xxhash import xxh3_128

#: What a disk and the page cache write at once, in bytes.
BLOCK = 4096
_SEGMENT_MAGIC = b"SGWAL-01"
_RECORD_MAGIC = b"SGREC-01"
_SEGMENT_HEAD = struct.Struct("<8sQ16s")
# Magic, generation, length of the content, digest, name.
_RECORD_HEAD = struct.Struct("<8sQI16s69s")
_NAME = re.compile(rb"[0-9a-f]{32}/[0-9a-f]{32}\.dcm")
#: What is written over the head of a record that is none any more.
VOID = bytes(len(_RECORD_MAGIC))


class RecordHead(NamedTuple):
    """What a record says of itself. `name` is relative to the spool, `size` that of the content."""

    generation: int
    name: str
    size: int
    digest: bytes

    @property
    def blocks_size(self) -> int:
        """How many bytes the record takes in its segment."""
        return record_size(self.size)


def record_size(content_size: int) -> int:
    """Return how many bytes a record takes: whole blocks."""
    return -(-(_RECORD_HEAD.size + content_size) // BLOCK) * BLOCK


def encode_segment_head(generation: int) -> bytes:
    """Return the first block of a segment."""
    number = generation.to_bytes(8, "little")
    digest = xxh3_128(_SEGMENT_MAGIC + number).digest()
    return _SEGMENT_HEAD.pack(_SEGMENT_MAGIC, generation, digest).ljust(BLOCK, b"\0")


def decode_segment_head(block: bytes) -> int | None:
    """Return the generation of a segment, None where the block is no head."""
    if len(block) < BLOCK:
        return None
    _, generation, _ = _SEGMENT_HEAD.unpack_from(block)
    return generation if block == encode_segment_head(generation) else None


def encode_record(generation: int, name: str, content: bytes) -> bytes:
    """Return the blocks of a record. `name` is that of a file in a folder of the spool."""
    given = name.encode("ascii")
    head = _RECORD_HEAD.pack(
        _RECORD_MAGIC, generation, len(content), _digest(generation, given, content), given
    )
    return b"".join((head, content)).ljust(record_size(len(content)), b"\0")


def decode_record_head(block: bytes) -> RecordHead | None:
    """Return what the record says that begins with this block; None where none does."""
    if len(block) < _RECORD_HEAD.size:
        return None
    magic, generation, size, digest, name = _RECORD_HEAD.unpack_from(block)
    if magic != _RECORD_MAGIC or _NAME.fullmatch(name) is None:
        return None
    return RecordHead(generation, name.decode("ascii"), size, digest)


def content_of(head: RecordHead, record: bytes) -> bytes | None:
    """Return the content in the blocks of a record; None if it is not what was written."""
    content = record[_RECORD_HEAD.size : _RECORD_HEAD.size + head.size]
    is_whole = _digest(head.generation, head.name.encode("ascii"), content) == head.digest
    return content if len(content) == head.size and is_whole else None


def _digest(generation: int, name: bytes, content: bytes) -> bytes:
    digest = xxh3_128(generation.to_bytes(8, "little") + name)
    digest.update(content)
    return digest.digest()
