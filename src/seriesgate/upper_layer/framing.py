"""The byte stream of one connection, cut into PDUs, and P-DATA-TF into pieces of its fragments.

P-DATA-TF is streamed: a piece is a view into the caller's buffer, so a PDU of any length costs no
memory. Every other PDU is kept until it is whole, within limits that its header is held to first.
Knows neither states nor messages.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from seriesgate.upper_layer.errors import PeerViolation
from seriesgate.upper_layer.items import invalid
from seriesgate.upper_layer.pdu import AbortReason, PduType

# What DCMTK allows too; an honest A-ASSOCIATE-RQ with 128 contexts is some 20 KB long.
MAX_ASSOCIATE_LENGTH = 1024 * 1024
_SHORT_LENGTH = 4

_HEADER_SIZE = 6
_PDU_HEADER = Struct(">BxI")
_BOTH_HEADERS = Struct(">BxIIBB")
_PDV_HEADER = Struct(">IBB")
# The PDV length counts the context id and the message control header (PS3.8 9.3.5.1).
_PDV_LENGTH_SIZE = 4
_MIN_PDV_LENGTH = 2
_COMMAND_BIT = 0x01
_LAST_BIT = 0x02

_P_DATA_TF = int(PduType.P_DATA_TF)
_ASSOCIATE_TYPES = (PduType.A_ASSOCIATE_RQ, PduType.A_ASSOCIATE_AC)
_NOTHING = memoryview(b"")


class Fragment(NamedTuple):
    """A piece of a fragment. `is_last` marks the final piece of a last fragment (PS3.8 E.2)."""

    context_id: int
    is_command: bool
    is_last: bool
    data: memoryview


class WholePdu(NamedTuple):
    """The body of a PDU that is not P-DATA-TF."""

    pdu_type: PduType
    body: bytes


class PduReader:
    """Takes the received bytes piece by piece and gives fragments and whole PDUs in their order.

    `oversized_pdus` counts the P-DATA-TF PDUs over `max_pdu_length` (0: without limit). Being
    streamed they do no harm, so they are not refused, though PS3.8 D.1 forbids them. `longest_pdu`
    is the greatest length of one, in bytes after its header.
    """

    __slots__ = (
        "_body",
        "_context_id",
        "_control",
        "_end",
        "_fragment_left",
        "_gathered",
        "_in_fragment",
        "_lost",
        "_max_pdu_length",
        "_pdu_left",
        "_position",
        "_usual_length",
        "_view",
        "longest_pdu",
        "oversized_pdus",
    )

    def __init__(self, max_pdu_length: int) -> None:
        self._max_pdu_length = max_pdu_length
        self._view = _NOTHING
        self._position = 0
        self._end = 0
        self._lost = False
        # The first bytes of a header or of a whole PDU that has not arrived completely.
        self._gathered = bytearray()
        self._body: tuple[PduType, int] | None = None
        # Bytes of the current P-DATA-TF that follow the current fragment.
        self._pdu_left = 0
        self._in_fragment = False
        self._fragment_left = 0
        self._context_id = 0
        self._control = 0
        # No P-DATA-TF up to this length is worth noting.
        self._usual_length = 0
        self.longest_pdu = 0
        self.oversized_pdus = 0

    @property
    def has_unread(self) -> bool:
        """Whether bytes of the last `feed` have not been looked at yet."""
        return self._position < self._end

    @property
    def between_pdus(self) -> bool:
        """Whether the next byte will be the first of a PDU."""
        return not (self._pdu_left or self._in_fragment or self._gathered or self._body)

    def feed(self, data: bytes | memoryview) -> None:
        """Take received bytes. They stay the caller's; `next_part` reads them in place."""
        if not self._lost:
            self._view = memoryview(data)
            self._position = 0
            self._end = len(data)

    def discard(self) -> None:
        """Drop what is left and all that comes: the stream has lost its meaning or its use."""
        self._lost = True
        self._return_buffer()
        self._gathered.clear()
        self._body = None
        self._pdu_left = 0
        self._in_fragment = False

    def next_part(self) -> Fragment | WholePdu | None:
        """Return the next piece of a fragment or the next whole PDU; None when bytes run out.

        Raises PeerViolation for an unknown or malformed PDU. There is no way to find the next PDU
        then, so all that follows is dropped.
        """
        if self._begins_usual_pdu():
            return self._next_piece()
        try:
            while not self._in_fragment:
                if self._body is not None:
                    return self._next_whole_pdu(*self._body)
                header = self._next_header()
                if header is None:
                    return None
                if self._pdu_left:
                    self._open_fragment(header)
                else:
                    self._open_pdu(header)
        except PeerViolation:
            self.discard()
            raise
        return self._next_piece()

    def _begins_usual_pdu(self) -> bool:
        """Take the headers of a P-DATA-TF PDU with one PDV, if that is what comes next.

        Nearly every PDU is such a one; its twelve bytes of headers in one step cost a third.
        """
        start = self._position
        if start + _BOTH_HEADERS.size > self._end or not self.between_pdus:
            return False
        header = _BOTH_HEADERS.unpack_from(self._view, start)
        pdu_type, length, pdv_length, context_id, control = header
        fragment_length = pdv_length - _MIN_PDV_LENGTH
        if pdu_type != _P_DATA_TF or length != pdv_length + _PDV_LENGTH_SIZE or fragment_length < 0:
            return False
        if length > self._usual_length:
            self._note_length(length)
        self._position = start + _BOTH_HEADERS.size
        self._context_id = context_id
        self._control = control
        self._fragment_left = fragment_length
        self._in_fragment = True
        return True

    def _next_piece(self) -> Fragment | None:
        position = self._position
        wanted = self._fragment_left
        end = position + wanted
        if end <= self._end:
            self._position = end
            self._in_fragment = False
            is_last = self._control & _LAST_BIT != 0
        elif position < self._end:
            end = self._position = self._end
            self._fragment_left = wanted - (end - position)
            is_last = False
        else:
            self._return_buffer()
            return None
        is_command = self._control & _COMMAND_BIT != 0
        return Fragment(self._context_id, is_command, is_last, self._view[position:end])

    def _next_header(self) -> memoryview | bytes | None:
        """Return the next six bytes: PDU and PDV headers happen to be equally long."""
        start = self._position
        if not self._gathered:
            if start + _HEADER_SIZE <= self._end:
                self._position = start + _HEADER_SIZE
                return self._view[start : self._position]
            if start == self._end:
                self._return_buffer()
                return None
        return self._gather(_HEADER_SIZE)

    def _gather(self, size: int) -> bytes | None:
        """Return `size` bytes that may have come in several pieces; None until they are there."""
        start = self._position
        self._position = min(self._end, start + size - len(self._gathered))
        self._gathered += self._view[start : self._position]
        if len(self._gathered) < size:
            self._return_buffer()
            return None
        whole = bytes(self._gathered)
        self._gathered.clear()
        return whole

    def _return_buffer(self) -> None:
        self._view = _NOTHING
        self._position = self._end = 0

    def _open_fragment(self, header: memoryview | bytes) -> None:
        length, self._context_id, self._control = _PDV_HEADER.unpack(header)
        left = self._pdu_left - _PDV_LENGTH_SIZE - length
        if length < _MIN_PDV_LENGTH:
            raise invalid(f"PDV length {length} leaves no room for its context id and control")
        if left < 0:
            raise invalid(f"PDV length {length} goes beyond its P-DATA-TF PDU")
        if 0 < left < _HEADER_SIZE:
            raise invalid(f"P-DATA-TF PDU with {left} bytes left over after its last PDV")
        self._pdu_left = left
        self._fragment_left = length - _MIN_PDV_LENGTH
        self._in_fragment = True

    def _open_pdu(self, header: memoryview | bytes) -> None:
        pdu_type, length = _PDU_HEADER.unpack(header)
        if pdu_type == _P_DATA_TF:
            if length < _HEADER_SIZE:
                raise invalid(f"P-DATA-TF PDU of {length} bytes holds no PDV")
            if length > self._usual_length:
                self._note_length(length)
            self._pdu_left = length
            return
        try:
            known_type = PduType(pdu_type)
        except ValueError:
            raise PeerViolation(
                AbortReason.UNRECOGNIZED_PDU, f"unknown PDU type {pdu_type:02X}H"
            ) from None
        if known_type in _ASSOCIATE_TYPES:
            if length > MAX_ASSOCIATE_LENGTH:
                raise invalid(f"association PDU of {length} bytes is over the limit")
        elif length != _SHORT_LENGTH:
            raise invalid(f"{known_type.name} PDU of {length} bytes instead of 4")
        self._body = (known_type, length)

    def _note_length(self, length: int) -> None:
        """Note a P-DATA-TF that is longer than all before, or than it may be."""
        limit = self._max_pdu_length
        if length > limit > 0:
            self.oversized_pdus += 1
        self.longest_pdu = max(self.longest_pdu, length)
        self._usual_length = min(self.longest_pdu, limit) if limit else self.longest_pdu

    def _next_whole_pdu(self, pdu_type: PduType, length: int) -> WholePdu | None:
        body = self._gather(length)
        if body is None:
            return None
        self._body = None
        return WholePdu(pdu_type, body)
