"""The grammar all variable items share: one type byte, one reserved byte, a 16-bit length, a body.

PS3.8 9.3: numbers are big-endian; reserved bytes are sent as zero and not looked at.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from seriesgate.upper_layer.errors import PeerViolation
from seriesgate.upper_layer.pdu import AbortReason

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = Struct(">BxH")
_LENGTH = Struct(">H")


def invalid(detail: str) -> PeerViolation:
    """Return the violation for a parameter whose value makes no sense."""
    return PeerViolation(AbortReason.INVALID_PDU_PARAMETER_VALUE, detail)


def encode_item(item_type: int, body: bytes) -> bytes:
    """Return an item or sub-item. A body over 65,535 bytes raises `struct.error`."""
    return _HEADER.pack(item_type, len(body)) + body


def decode_items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of each item in `data`, the variable part of an association PDU.

    Raises PeerViolation when what is left is no whole item: nobody can tell what was meant to
    follow.
    """
    position = 0
    for item_type, body in whole_items(data):
        yield item_type, body
        position += _HEADER.size + len(body)
    if position < len(data):
        raise invalid(f"association PDU: its last {len(data) - position} bytes are no item")


def whole_items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of each item in `data` up to the first that goes beyond it.

    For the inside of an item: one that is damaged must not cost those beside it.
    """
    position = 0
    while (start := position + _HEADER.size) <= len(data):
        item_type, length = _HEADER.unpack_from(data, position)
        position = start + length
        if position > len(data):
            return
        yield item_type, data[start:position]


def encode_counted(value: bytes) -> bytes:
    """Return `value` behind its 16-bit length."""
    return _LENGTH.pack(len(value)) + value


def decode_counted(data: bytes, position: int) -> tuple[bytes, int]:
    """Return the value behind the 16-bit length at `position`, and the position after it.

    Raises ValueError when it goes beyond `data`.
    """
    start = position + _LENGTH.size
    end = start + int.from_bytes(data[position:start])
    if end > len(data):
        raise ValueError("a field is longer than its item")
    return data[start:end], end
