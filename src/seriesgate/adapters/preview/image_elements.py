"""What a picture is made of: the elements of an image, in whatever encoding they really have.

A data set is not always encoded as was negotiated, and holds what no dictionary knows. So its
elements are found here as the header scanner finds those it wants, by their own first bytes, and
handed on as bytes. Where it is damaged the walk ends; what was found until then counts. Memory and
time are bounded, and no declared length is trusted.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from seriesgate.adapters.data_set.element_header import (
    LOOK_AHEAD,
    UNDEFINED_LENGTH,
    ReadHeader,
    item_reader,
    read_explicit_be,
    read_explicit_le,
    read_implicit_le,
    recognise_byte_order,
    recognise_vr,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PIXEL_TAGS = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
SHARED_FUNCTIONAL_GROUPS = 0x52009229
PER_FRAME_FUNCTIONAL_GROUPS = 0x52009230
IMAGER_PIXEL_SPACING = 0x00181164
EXTENDED_OFFSETS, EXTENDED_OFFSET_LENGTHS = 0x7FE00001, 0x7FE00002

_IMAGE_GROUP = 0x0028
_META_GROUP = 0x0002
_WANTED = frozenset({IMAGER_PIXEL_SPACING, EXTENDED_OFFSETS, EXTENDED_OFFSET_LENGTHS})
# Of these the items are wanted: LUTs, and where an enhanced image has what a simple one has at its
# root (PS3.3 C.7.6.16.2).
MODALITY_LUT, VOI_LUT = 0x00283000, 0x00283010
FRAME_GROUPS = (0x00289110, 0x00289132, 0x00289145)
_SEQUENCES = frozenset(
    {MODALITY_LUT, VOI_LUT, SHARED_FUNCTIONAL_GROUPS, PER_FRAME_FUNCTIONAL_GROUPS, *FRAME_GROUPS}
)

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_HEADER_SIZE = 12
_PROBE_SIZE = 8
# A table of 65,536 entries of two bytes is the longest value with a meaning.
_MAX_VALUE = 2**20
_MAX_DEPTH = 16
# Some seconds of work; an enhanced image of a thousand frames has a tenth of it.
_MAX_ELEMENTS = 500_000


@dataclass(slots=True)
class Elements:
    """A data set, or an item: the values that are wanted, as bytes, and the items of sequences."""

    is_little_endian: bool
    values: dict[int, bytes] = field(default_factory=dict)
    items: dict[int, list[Elements]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PixelPlace:
    """Where the pixel data is: the first byte of its value, and its length in the file.

    `is_encapsulated` says that it consists of items; `vr` is empty in implicit VR.
    """

    keyword: str
    offset: int
    length: int
    is_encapsulated: bool
    vr: str


class ImageElements:
    """The elements of the data set that begins at `start` in a file. Raises OSError only.

    `is_implicit` is what was negotiated, for what could be either.
    """

    def __init__(self, file: BinaryIO, start: int, *, is_implicit: bool) -> None:
        self._file = file
        self._size = file.seek(0, 2)
        self._elements_left = _MAX_ELEMENTS
        self._per_frame: Callable[[int], Elements] | None = None
        self.pixels: PixelPlace | None = None
        self.root = Elements(is_little_endian=True)
        declared = read_implicit_le if is_implicit else read_explicit_le
        with suppress(struct.error, _DamagedError):
            start = self._after_meta(start)
            probe = self._ahead(start)
            read = recognise_vr(probe, 0, recognise_byte_order(probe, 0, declared))
            self.root.is_little_endian = read is not read_explicit_be
            self._data_set(start, self._size, read, 0, self.root)

    def functional_groups(self, frame: int) -> list[Elements]:
        """Return what an enhanced image says of all frames, and then of this one."""
        groups = self.root.items.get(SHARED_FUNCTIONAL_GROUPS, [])[:1]
        if self._per_frame is not None:
            with suppress(struct.error, _DamagedError):
                groups.append(self._per_frame(frame))
        return groups

    def _after_meta(self, position: int) -> int:
        """Pass over File Meta Information that was sent along (PS3.10 7.1)."""
        while True:
            tag, start, length = self._read(read_explicit_le, position, _HEADER_SIZE)
            if tag >> 16 != _META_GROUP:
                return position
            position += start + length

    def _data_set(
        self, position: int, end: int, read: ReadHeader, depth: int, kept: Elements | None
    ) -> int:
        """Walk a data set or an item; return where it ends."""
        while position < end:
            header = self._header(position)
            tag, start, length = self._read(read, position, _HEADER_SIZE)
            start += position
            if tag == _ITEM_END and depth:
                return start
            if tag in PIXEL_TAGS and not depth:
                position = self._take_pixels(tag, header, read, start, length)
            elif length == UNDEFINED_LENGTH or (tag in _SEQUENCES and kept is not None):
                is_unknown = header[4:6] == b"UN" and read is not read_implicit_le
                inner = read_implicit_le if is_unknown else read
                position = self._take_sequence(tag, start, end, length, inner, depth, kept)
            else:
                position = start + length
                if position > end:
                    raise _DamagedError
                if kept is not None and length <= _MAX_VALUE and _is_wanted(tag):
                    kept.values.setdefault(tag, self._bytes(start, length))
        return position

    def _take_sequence(
        self,
        tag: int,
        start: int,
        end: int,
        length: int,
        read: ReadHeader,
        depth: int,
        kept: Elements | None,
    ) -> int:
        is_open = length == UNDEFINED_LENGTH
        end = end if is_open else min(end, start + length)
        items: list[Elements] | None = None
        if tag == PER_FRAME_FUNCTIONAL_GROUPS and not depth:
            # Which one is wanted is not known before all is read, and there may be thousands.
            self._per_frame = lambda frame: self._item(start, end, read, frame)
        elif kept is not None and tag in _SEQUENCES:
            items = kept.items.setdefault(tag, [])
        if is_open:
            return self._sequence(start, end, read, depth, items)
        if items is not None:
            with suppress(_DamagedError, struct.error):  # what comes after it is found all the same
                self._sequence(start, end, read, depth, items)
        return end

    def _item(self, start: int, end: int, read: ReadHeader, number: int) -> Elements:
        items: list[Elements] = []
        self._sequence(start, end, read, 0, items, only=number)
        if not items:
            raise _DamagedError
        return items[0]

    def _sequence(
        self,
        position: int,
        end: int,
        read: ReadHeader,
        depth: int,
        kept: list[Elements] | None,
        only: int | None = None,
    ) -> int:
        """Walk the items of a sequence and keep them, or one of them; return where it ends."""
        if depth >= _MAX_DEPTH:
            raise _DamagedError
        read_item = item_reader(read)
        number = 0
        while position < end:
            tag, start, length = read_item(self._header(position), 0)
            start += position
            if tag == _SEQUENCE_END:
                return start
            if tag != _ITEM:
                raise _DamagedError
            is_open = length == UNDEFINED_LENGTH
            item_end = end if is_open else min(end, start + length)
            is_kept = kept is not None and only in (None, number)
            if is_open or is_kept:
                inner = self._recognised(start, read)
                item = Elements(inner is not read_explicit_be) if is_kept else None
                position = self._data_set(start, item_end, inner, depth + 1, item)
                if kept is not None and item is not None:
                    kept.append(item)
            position = position if is_open else item_end
            if number == only:
                return position
            number += 1
        return position

    def _recognised(self, position: int, declared: ReadHeader) -> ReadHeader:
        probe = self._ahead(position)
        return recognise_vr(probe, 0, declared)

    def _take_pixels(
        self, tag: int, header: bytes, read: ReadHeader, start: int, length: int
    ) -> int:
        """Note where the pixel data is; return where it ends, for an element may come after it."""
        has_items = self._bytes(start, 4) == b"\xfe\xff\x00\xe0"
        is_open = length == UNDEFINED_LENGTH
        end = self._after_fragments(start) if is_open else start + length
        if self.pixels is None:
            vr = "" if read is read_implicit_le else header[4:6].decode("ascii", "replace")
            within = min(end, self._size) - start
            self.pixels = PixelPlace(PIXEL_TAGS[tag], start, within, is_open or has_items, vr)
        return end

    def _after_fragments(self, position: int) -> int:
        while position < self._size:
            header = self._header(position)
            if len(header) < _PROBE_SIZE:
                break
            tag, start, length = read_implicit_le(header, 0)
            position += start
            if tag != _ITEM or length == UNDEFINED_LENGTH:
                break
            position += length
        return position

    def _header(self, position: int) -> bytes:
        if self._elements_left == 0:
            raise _DamagedError
        self._elements_left -= 1
        return self._bytes(position, _HEADER_SIZE)

    def _read(self, read: ReadHeader, position: int, size: int) -> tuple[int, int, int]:
        """Read a header; one without a VR that is known, by what follows it."""
        with suppress(struct.error):
            return read(self._bytes(position, size), 0)
        return read(self._ahead(position), 0)

    def _ahead(self, position: int) -> bytes:
        """Return what is needed to read a header, whatever it is, also at the end of the file."""
        return self._bytes(position, LOOK_AHEAD).ljust(LOOK_AHEAD, b"\0")

    def _bytes(self, position: int, length: int) -> bytes:
        self._file.seek(position)
        return self._file.read(length)


class _DamagedError(Exception):
    """What follows cannot be read."""


def _is_wanted(tag: int) -> bool:
    return tag >> 16 == _IMAGE_GROUP or tag in _WANTED
