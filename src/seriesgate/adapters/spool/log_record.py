"""The form of a segment of the write-ahead log: a head, then records, in blocks of their own. Pure.

    segment   one block: magic, generation, mark, digest; then records, one behind the other
    record    magic, mark, generation, size, digest, name, check, content; zeros up to the next
              block

Nothing that was promised shares a block with what is written later, so a write that the loss of
power tears takes nothing else with it. A segment that begins anew has a higher generation, and a
mark that nobody can guess: what is left in it of an earlier one is no record any more.

What a sender puts into its pixels can look like a record, and be one of an earlier time, bit for
bit. So no record is ever searched for: each begins where the one before it ends, and says how long
it is.

Decided in ADR 55.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from xxhash import xxh3_64, xxh3_128

#: What a disk and the page cache write at once, in bytes.
BLOCK = 4096
MARK_SIZE = 16
#: A generation begins with each full segment: this many are never reached, and one that says more
#: is damaged.
LAST_GENERATION = 2**48
_SEGMENT_MAGIC = b"SGWAL-02"
_RECORD_MAGIC = b"SGREC-02"
_SEGMENT_HEAD = struct.Struct(f"<8sQ{MARK_SIZE}s16s")
# Mark, generation, length of the content, digest, name.
_FIELDS = struct.Struct(f"<{MARK_SIZE}sQI16s69s")
_CHECK_SIZE = 8
_HEAD_SIZE = len(_RECORD_MAGIC) + _FIELDS.size + _CHECK_SIZE
_NAME = re.compile(rb"[0-9a-f]{32}/[0-9a-f]{32}\.dcm")
#: What is written over the magic of a record that is none any more. Its length still counts.
VOID = bytes(len(_RECORD_MAGIC))


class SegmentHead(NamedTuple):
    """What tells the records of a segment from all that was, or will be, in their place."""

    generation: int
    mark: bytes


class RecordHead(NamedTuple):
    """What a record says of itself. `name` is relative to the spool, `size` that of the content."""

    segment: SegmentHead
    name: str
    size: int
    digest: bytes
    is_void: bool

    @property
    def blocks_size(self) -> int:
        """How many bytes the record takes in its segment."""
        return record_size(self.size)


def record_size(content_size: int) -> int:
    """Return how many bytes a record takes: whole blocks."""
    return -(-(_HEAD_SIZE + content_size) // BLOCK) * BLOCK


def encode_segment_head(head: SegmentHead) -> bytes:
    """Return the first block of a segment."""
    digest = xxh3_128(_SEGMENT_MAGIC + head.generation.to_bytes(8, "little") + head.mark).digest()
    packed = _SEGMENT_HEAD.pack(_SEGMENT_MAGIC, head.generation, head.mark, digest)
    return packed.ljust(BLOCK, b"\0")


def decode_segment_head(block: bytes) -> SegmentHead | None:
    """Return what the first block of a segment says; None where it is no head, or damaged."""
    if len(block) < BLOCK:
        return None
    _, generation, mark, _ = _SEGMENT_HEAD.unpack_from(block)
    head = SegmentHead(generation, mark)
    is_head = generation <= LAST_GENERATION and block == encode_segment_head(head)
    return head if is_head else None


def encode_record(head: SegmentHead, name: str, content: bytes) -> bytes:
    """Return the blocks of a record. `name` is that of a file in a folder of the spool."""
    given = name.encode("ascii")
    digest = _digest(head, given, content)
    fields = _FIELDS.pack(head.mark, head.generation, len(content), digest, given)
    check = xxh3_64(fields).digest()
    parts = (_RECORD_MAGIC, fields, check, content)
    return b"".join(parts).ljust(record_size(len(content)), b"\0")


def decode_record_head(block: bytes) -> RecordHead | None:
    """Return what the record says that begins with this block; None where none does."""
    magic = block[: len(_RECORD_MAGIC)]
    fields = block[len(_RECORD_MAGIC) : _HEAD_SIZE - _CHECK_SIZE]
    if magic not in (_RECORD_MAGIC, VOID) or len(block) < _HEAD_SIZE:
        return None
    if xxh3_64(fields).digest() != block[_HEAD_SIZE - _CHECK_SIZE : _HEAD_SIZE]:
        return None
    mark, generation, size, digest, name = _FIELDS.unpack(fields)
    if _NAME.fullmatch(name) is None or generation > LAST_GENERATION:
        return None
    segment = SegmentHead(generation, mark)
    return RecordHead(segment, name.decode("ascii"), size, digest, magic == VOID)


def content_of(head: RecordHead, record: bytes) -> bytes | None:
    """Return the content in the blocks of a record; None if it is not what was written."""
    content = record[_HEAD_SIZE : _HEAD_SIZE + head.size]
    is_whole = _digest(head.segment, head.name.encode("ascii"), content) == head.digest
    return content if len(content) == head.size and is_whole else None


def _digest(head: SegmentHead, name: bytes, content: bytes) -> bytes:
    digest = xxh3_128(head.mark + head.generation.to_bytes(8, "little") + name)
    digest.update(content)
    return digest.digest()
