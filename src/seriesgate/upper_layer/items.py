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


def decode_items(data: bytes, owner: str) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of each item in `data`, the variable part of `owner` (named in errors).

    Raises PeerViolation when an item goes beyond its owner.
    """
    position = 0
    while position < len(data):
        if len(data) - position < _HEADER.size:
            raise invalid(f"{owner}: {len(data) - position} bytes left over after the last item")
        item_type, length = _HEADER.unpack_from(data, position)
        start = position + _HEADER.size
        position = start + length
        if position > len(data):
            raise invalid(f"{owner}: item {item_type:02X}H is longer than what is left")
        yield item_type, data[start:position]


def encode_counted(value: bytes) -> bytes:
    """Return `value` behind its 16-bit length."""
    return _LENGTH.pack(len(value)) + value


def decode_counted(data: bytes, position: int, owner: str) -> tuple[bytes, int]:
    """Return the value behind the 16-bit length at `position`, and the position after it."""
    start = position + _LENGTH.size
    if start > len(data):
        raise invalid(f"{owner}: ends before a length field")
    end = start + _LENGTH.unpack_from(data, position)[0]
    if end > len(data):
        raise invalid(f"{owner}: a field is longer than what is left")
    return data[start:end], end


def encode_text(value: str) -> bytes:
    """Return a UID or a name as it is sent: without padding (PS3.8 Annex F)."""
    return value.encode("ascii")


def decode_text(raw: bytes) -> str:
    """Return a UID or a name.

    Padding is forbidden here, yet real senders add NULs and spaces. Bytes beyond ASCII come out
    escaped: they match nothing and break nothing.
    """
    return raw.strip(b" \0").decode("ascii", "backslashreplace")
