"""What elements say of an image, as far as it can be made out; what makes no sense is not there.

Displays show an image whose window is no number, and so does a picture: each value is judged by
itself, and none that is damaged costs the picture. Every text is bounded before it is converted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from seriesgate.adapters.preview.image_elements import Elements

_PADDING = b" \0"
_MAX_NUMBER = 64
_MAX_TEXT = 64
_MOST_NUMBERS = 16
# Of what is computed with. What is beyond is damage, and overflows.
_LARGEST = 1e12
_SHORT, _LONG = 2, 4
_MAX_ENTRIES = 2**16
_DESCRIPTOR = 3
_BITS_OF_A_BYTE = 8
_MAX_BITS = 16


@dataclass(frozen=True, slots=True)
class Table:
    """A look-up table (PS3.3 C.11.1.1): what becomes of the value `first`, and of those after it.

    Values before and behind it become its first and last entry. `white` is the greatest entry that
    its bits allow.
    """

    first: int
    entries: NDArray[Any]
    white: int

    def apply(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return what becomes of values."""
        places = np.nan_to_num(values).astype(np.int64) - self.first
        return np.asarray(self.entries[places.clip(0, len(self.entries) - 1)])


class ImageAttributes:
    """Of several elements with the same tag the one of the last of `levels` counts."""

    def __init__(self, *levels: Elements) -> None:
        self._levels = levels

    def count(self, tag: int) -> int | None:
        """Return the number of a US element, also where it was written as a text or as UL."""
        value, order = self.raw(tag)
        if len(value) == _SHORT:
            return int.from_bytes(value, order)
        text = value.strip(_PADDING)
        if 0 < len(text) <= _MAX_NUMBER and text.isdigit():
            return int(text)
        if len(value) == _LONG:
            return int.from_bytes(value, order)
        return int.from_bytes(value[:_SHORT], order) if len(value) > _SHORT else None

    def number(self, tag: int, *, is_signed: bool) -> int | None:
        """Return the number of an element that is US or SS."""
        value, order = self.raw(tag)
        return int.from_bytes(value, order, signed=is_signed) if len(value) == _SHORT else None

    def decimals(self, tag: int) -> list[float | None]:
        """Return the numbers of a DS or IS element; a comma is taken for a point."""
        value, _ = self.raw(tag)
        parts = value[: _MOST_NUMBERS * _MAX_NUMBER].split(b"\\")[:_MOST_NUMBERS]
        return [_decimal(part) for part in parts]

    def decimal(self, tag: int) -> float | None:
        """Return the first number of a DS or IS element."""
        return self.decimals(tag)[0]

    def term(self, tag: int) -> str:
        """Return a CS element in its normal form: padding, case and what follows a NUL are not."""
        value, _ = self.raw(tag)
        text = value[:_MAX_TEXT].split(b"\\")[0].strip(_PADDING).partition(b"\0")[0]
        return " ".join(text.decode("ascii", "replace").upper().split())

    def table(self, descriptor: int, data: int, *, is_signed: bool) -> Table | None:
        """Return a look-up table; None where there is none that makes sense."""
        described, order = self.raw(descriptor)
        content, data_order = self.raw(data)
        if len(described) < _SHORT * _DESCRIPTOR or not content:
            return None
        count, first, bits = (
            int.from_bytes(described[place : place + _SHORT], order) for place in (0, 2, 4)
        )
        count = count or _MAX_ENTRIES
        if is_signed and first >= 2**15:
            first -= 2**16
        fits_in_bytes = len(content) == count + count % 2
        kind = np.dtype("u1" if fits_in_bytes else "<u2" if data_order == "little" else ">u2")
        entries = np.frombuffer(content[: len(content) // kind.itemsize * kind.itemsize], kind)
        entries = entries[:count].astype(np.uint16)
        if entries.size == 0:
            return None
        largest = int(entries.max())
        if not _BITS_OF_A_BYTE <= bits <= _MAX_BITS or largest >= 2**bits:
            bits = max(_BITS_OF_A_BYTE, largest.bit_length())
        return Table(first, entries, 2**bits - 1)

    def first_item(self, tag: int) -> ImageAttributes | None:
        """Return the first item of a sequence."""
        for level in reversed(self._levels):
            if items := level.items.get(tag):
                return ImageAttributes(items[0])
        return None

    def raw(self, tag: int) -> tuple[bytes, Literal["little", "big"]]:
        """Return the bytes of a value, none if it is not there, and their order."""
        for level in reversed(self._levels):
            if value := level.values.get(tag):
                return value, "little" if level.is_little_endian else "big"
        return b"", "little"


def with_groups(root: Elements, groups: Sequence[Elements], names: Sequence[int]) -> list[Elements]:
    """Return the levels of an enhanced image: its root, and the groups that say more of a frame."""
    return [root, *(item for group in groups for tag in names for item in group.items.get(tag, []))]


def _decimal(part: bytes) -> float | None:
    text = part.strip(_PADDING).partition(b"\0")[0].rstrip(_PADDING)
    if not 0 < len(text) <= _MAX_NUMBER:
        return None
    try:
        number = float(text.replace(b",", b"."))
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) <= _LARGEST else None
