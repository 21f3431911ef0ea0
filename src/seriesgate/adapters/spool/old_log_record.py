"""The first form of a segment, which a version before this one may have left. Pure.

Its records were searched for, and had no mark. It is read once, by its own rules, and never
written.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from xxhash import xxh3_128

from seriesgate.adapters.spool.log_record import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SEGMENT_MAGIC = b"SGWAL-01"
_RECORD_MAGIC = b"SGREC-01"
_SEGMENT_HEAD = struct.Struct("<8sQ16s")
# Magic, generation, length of the content, digest, name.
_RECORD_HEAD = struct.Struct("<8sQI16s69s")
_NAME = re.compile(rb"[0-9a-f]{32}/[0-9a-f]{32}\.dcm")


def generation_of(block: bytes) -> int | None:
    """Return the generation of a segment of that form; None where the block is no head of one."""
    magic, generation, digest = _SEGMENT_HEAD.unpack_from(block.ljust(_SEGMENT_HEAD.size, b"\0"))
    number = generation.to_bytes(8, "little")
    is_head = magic == _SEGMENT_MAGIC and digest == xxh3_128(_SEGMENT_MAGIC + number).digest()
    return generation if is_head else None


def old_records(
    generation: int, size: int, read: Callable[[int, int], bytes]
) -> Iterator[tuple[str, int, bytes]]:
    """Yield name, offset and content of each record of a segment of `size` bytes.

    `read(size, offset)` reads the segment. Only records of the generation that the head names
    count: a higher one is forged.
    """
    offset = BLOCK
    while offset < size:
        taken = BLOCK
        found = old_record(generation, size, offset, read)
        if found is not None:
            name, content = found
            yield name, offset, content
            taken = -(-(_RECORD_HEAD.size + len(content)) // BLOCK) * BLOCK
        offset += taken


def old_record(
    generation: int, size: int, offset: int, read: Callable[[int, int], bytes]
) -> tuple[str, bytes] | None:
    """Return name and content of the record at an offset; None where none of them is."""
    block = read(BLOCK, offset)
    if len(block) < _RECORD_HEAD.size:
        return None
    magic, number, length, digest, name = _RECORD_HEAD.unpack_from(block)
    if magic != _RECORD_MAGIC or number != generation or _NAME.fullmatch(name) is None:
        return None
    if offset + _RECORD_HEAD.size + length > size:
        return None
    content = read(_RECORD_HEAD.size + length, offset)[_RECORD_HEAD.size :]
    right = xxh3_128(number.to_bytes(8, "little") + name + content).digest()
    return (name.decode("ascii"), content) if digest == right else None
