"""Walks the head of a data set while its bytes arrive, and keeps the values that are asked for.

It reads what senders really send: either VR encoding whatever was negotiated, group 0002 in front,
sequences that hold anything. It does so in bounded memory and time, without recursion, and trusts
no declared length.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from seriesgate.adapters.data_set.element_header import (
    LENGTH_FORMATS,
    UNDEFINED_LENGTH,
    ReadHeader,
    item_reader,
    read_explicit_le,
    read_implicit_le,
    recognise_byte_order,
    recognise_vr,
)
from seriesgate.adapters.data_set.head_layout import MAX_STEPS
from seriesgate.adapters.data_set.inflater import InflateError, Inflater
from seriesgate.gateway.ports import HeaderUnreadable

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from seriesgate.adapters.data_set.head_layout import Step

#: The whole data set is deflated (PS3.5 A.5), also in the two of JPIP (A.7, A.9).
DEFLATED = frozenset(
    {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"}
)
#: Implicit VR Little Endian, Papyrus's, and GE's private one with big endian pixels. All others are
# explicit VR (PS3.5 annex A), or private and not known before their first element.
IMPLICIT_VR = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.20", "1.2.840.113619.5.2"})

_PIECE_SIZE = 4096
_FILE_META_GROUP = 0x0002
_DELIMITER_GROUP = 0xFFFE
_ITEM = 0xFFFEE000
_ITEM_DELIMITER = 0xFFFEE00D
_SEQUENCE_DELIMITER = 0xFFFEE0DD


class HeadLimits(NamedTuple):
    """What a sender can make us read before we give up.

    What is skipped takes no memory: so `max_bytes`, after inflating, and `max_elements` are more
    than any real head has. `max_depth` counts open sequences of undefined length, and of a wanted
    value only the first `max_value_bytes` are kept.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_depth: int = 64
    max_elements: int = 1_000_000
    max_value_bytes: int = 1024


class _OpenSequence(NamedTuple):
    outside: ReadHeader
    elements: ReadHeader


class DataSetHead:
    """The values of the `wanted` top-level elements of a data set without preamble.

    `values` maps their tags to raw bytes, padding included; the first of duplicates wins. The head
    ends with the greatest wanted tag. Data sets are ascending (PS3.5 7.1); as long as one of the
    `required` tags is missing, one that is not is looked for up to the element `search_to`.

    `steps` gets what was walked, as far as it is of use to a HeadLayout.
    """

    def __init__(
        self,
        transfer_syntax_uid: str,
        *,
        wanted: AbstractSet[int],
        required: AbstractSet[int],
        limits: HeadLimits,
        search_to: int,
        steps: list[Step] | None = None,
    ) -> None:
        self.values: dict[int, bytes] = {}
        self.is_complete = False
        self._wanted = frozenset(wanted)
        self._required = frozenset(required)
        self._last_tag = max(wanted)
        self._limits = limits
        self._search_to = search_to
        self._bytes_left = limits.max_bytes
        self._elements_left = limits.max_elements
        is_implicit = transfer_syntax_uid in IMPLICIT_VR
        self._declared: ReadHeader = read_implicit_le if is_implicit else read_explicit_le
        self._read: ReadHeader = self._read_first
        self._sequences: list[_OpenSequence] = []
        self._is_in_item = False
        self._tail = b""
        self._skip = 0
        is_deflated = transfer_syntax_uid in DEFLATED
        self._inflater = Inflater(limits.max_bytes) if is_deflated else None
        self._steps = None if is_deflated else steps

    def feed(self, fragment: bytes | memoryview) -> bool:
        """Take the next bytes of the data set; return whether its head has ended.

        The fragment is borrowed: nothing refers to it afterwards. Raises HeaderUnreadable when a
        limit is hit or the bytes are no data set; the rest of the data set is of no use then.
        """
        if self.is_complete:
            return True
        view = memoryview(fragment)
        if self._inflater is None:
            self._take(view)
            return self.is_complete
        try:
            for piece in self._inflater.feed(view):
                self._take(memoryview(piece))
                if self.is_complete:
                    break
        except InflateError as error:
            raise HeaderUnreadable(str(error)) from error
        return self.is_complete

    def _take(self, view: memoryview) -> None:
        is_too_long = len(view) > self._bytes_left
        if is_too_long:
            view = view[: self._bytes_left]
        self._bytes_left -= len(view)
        position = self._skip
        while position < len(view):
            # Copies of a few KiB cost next to nothing, and bound what is carried over.
            piece = self._tail + view[position : position + _PIECE_SIZE]
            end = self._walk(piece)
            if self.is_complete:
                return
            position += len(piece) - len(self._tail) + max(end - len(piece), 0)
            self._tail = piece[end:]
            if self._steps is not None and len(self._steps) > MAX_STEPS:
                self._steps = None
        self._skip = position - len(view)
        if is_too_long:
            limit = self._limits.max_bytes
            raise HeaderUnreadable(f"the head of the data set is longer than {limit} bytes")

    def _walk(self, data: bytes) -> int:
        """Return where the first element starts that is not all here; it may be beyond `data`."""
        wanted, last_tag, sequences = self._wanted, self._last_tag, self._sequences
        elements_left, steps = self._elements_left, self._steps
        position = 0
        try:
            while elements_left:
                read, wanted_tag = self._read, None
                tag, start, length = read(data, position)
                if sequences:
                    length = self._step_inside(data, position, tag, length)
                elif tag > last_tag and self._is_end(tag):
                    self.is_complete = True
                elif length == UNDEFINED_LENGTH:
                    length = self._open_sequence(data, position)
                elif tag in wanted:
                    end = start + min(length, self._limits.max_value_bytes)
                    if end > len(data):
                        break
                    self.values.setdefault(tag, data[start:end])
                    wanted_tag = tag
                    self.is_complete = tag == last_tag and self._is_end(tag)
                if steps is not None:
                    length_format = LENGTH_FORMATS.get(read, "")
                    steps.append((data[position:start], length, length_format, wanted_tag))
                if self.is_complete:
                    break
                position = start + length
                elements_left -= 1
            else:
                limit = self._limits.max_elements
                raise HeaderUnreadable(f"the head of the data set has over {limit} elements")
        except struct.error:
            pass  # the header of the next element is not all here
        self._elements_left = elements_left
        return position

    def _is_end(self, tag: int) -> bool:
        # A superfluous delimiter behind a sequence of defined length says nothing about the order.
        return tag >> 16 != _DELIMITER_GROUP and (
            self.values.keys() >= self._required or tag >= self._search_to
        )

    def _read_first(self, data: bytes, position: int) -> tuple[int, int, int]:
        """Read the first element of the data set or of an item, and so learn how it is encoded."""
        if self._sequences:
            declared = self._sequences[-1].elements
        else:
            declared = recognise_byte_order(data, position, self._declared)
        read = recognise_vr(data, position, declared)
        header = read(data, position)
        # Group 0002 has an encoding of its own, and the data set after it another (PS3.10 7.1).
        if header[0] >> 16 != _FILE_META_GROUP:
            self._read = read
        return header

    def _open_sequence(self, data: bytes, position: int) -> int:
        if len(self._sequences) >= self._limits.max_depth:
            depth = self._limits.max_depth
            raise HeaderUnreadable(f"sequences are nested more than {depth} levels deep")
        # The items of an UN of undefined length are implicit VR little endian (PS3.5 6.2.2).
        is_unknown = data[position + 4 : position + 6] == b"UN"
        elements = read_implicit_le if is_unknown else self._read
        self._sequences.append(_OpenSequence(outside=self._read, elements=elements))
        self._end_item()
        return 0

    def _step_inside(self, data: bytes, position: int, tag: int, length: int) -> int:
        """Follow one header inside a sequence; return how many bytes of value to skip."""
        if tag == _ITEM and length == UNDEFINED_LENGTH:
            self._is_in_item = True
            self._read = self._read_first
        elif tag in {_ITEM, _ITEM_DELIMITER}:
            self._end_item()
            return length
        elif tag == _SEQUENCE_DELIMITER:
            self._read = self._sequences.pop().outside
            self._is_in_item = True  # of the sequence outside, if there is one
        elif not self._is_in_item:
            raise HeaderUnreadable("a sequence of undefined length holds something that is no item")
        elif length == UNDEFINED_LENGTH:
            return self._open_sequence(data, position)
        else:
            return length
        return 0

    def _end_item(self) -> None:
        self._is_in_item = False
        self._read = item_reader(self._sequences[-1].elements)
