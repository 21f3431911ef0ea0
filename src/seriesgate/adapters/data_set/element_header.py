"""Decodes the header of one data element: tag, where its value starts, length (PS3.5 7.1).

Each way to encode a data set is one `ReadHeader`; all raise struct.error when the bytes end inside
the header.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

ReadHeader = Callable[[bytes, int], tuple[int, int, int]]
"""(data, position of the header) -> (tag, position of the value, length of the value)."""

UNDEFINED_LENGTH = 0xFFFFFFFF

# PS3.5 table 7.1-2: a 16-bit length. All others have two reserved bytes and a 32-bit length.
_SHORT_VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split(),
)
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_VRS = _SHORT_VRS | _LONG_VRS


def _explicit_vr(byte_order: str) -> ReadHeader:
    unpack_header = Struct(f"{byte_order}HH2sH").unpack_from
    unpack_length = Struct(f"{byte_order}L").unpack_from

    def read_header(data: bytes, position: int) -> tuple[int, int, int]:
        group, element, vr, length = unpack_header(data, position)
        tag = group << 16 | element
        if vr in _SHORT_VRS:
            return tag, position + 8, length
        # A VR younger than this table has a 32-bit length (PS3.5 6.2), after two zero bytes.
        # Anything else in their place is the 16-bit length of a VR that somebody made up.
        if vr in _LONG_VRS or (_is_like_a_vr(vr) and not length):
            return tag, position + 12, unpack_length(data, position + 8)[0]
        if _is_like_a_vr(vr):
            return tag, position + 8, length
        # A delimiter has no VR (PS3.5 7.5), and some senders leave it out of private elements.
        return tag, position + 8, unpack_length(data, position + 4)[0]

    return read_header


def _implicit_vr(byte_order: str) -> ReadHeader:
    unpack_header = Struct(f"{byte_order}HHL").unpack_from

    def read_header(data: bytes, position: int) -> tuple[int, int, int]:
        group, element, length = unpack_header(data, position)
        return group << 16 | element, position + 8, length

    return read_header


def _is_like_a_vr(vr: bytes) -> bool:
    return vr.isalpha() and vr.isupper()


read_explicit_le = _explicit_vr("<")
read_explicit_be = _explicit_vr(">")
read_implicit_le = _implicit_vr("<")
_read_item_be = _implicit_vr(">")

_unpack_probe = Struct("<HH2sH").unpack_from

LENGTH_FORMATS = {read_explicit_le: "<H", read_explicit_be: ">H", read_implicit_le: "<L"}
"""How the length at the end of a usual header is packed, for each way to read headers."""

_DELIMITER_GROUPS = (b"\xfe\xff", b"\xff\xfe")


def has_plain_length(header: bytes, length_format: str) -> bool:
    """Whether a header would be read just the same with any other length but the undefined one.

    It would not be for delimiters, a VR that the table does not have, and an undefined length.
    """
    if header[:2] in _DELIMITER_GROUPS:
        return False
    if length_format == "<L":
        return header[4:] != b"\xff\xff\xff\xff"
    return header[4:6] in _SHORT_VRS


def item_reader(elements: ReadHeader) -> ReadHeader:
    """Return the reader of the items that hold such elements: an item has no VR (PS3.5 7.5.1)."""
    return _read_item_be if elements is read_explicit_be else read_implicit_le


def recognise_byte_order(data: bytes, position: int, declared: ReadHeader) -> ReadHeader:
    """Return `declared`, or the big endian reader when the first group number asks for it.

    A data set starts with a group below 0x0100, so its byte order is plain to see.
    """
    group = _unpack_probe(data, position)[0]
    return read_explicit_be if group and group % 256 == 0 else declared


def recognise_vr(data: bytes, position: int, declared: ReadHeader) -> ReadHeader:
    """Return the reader that the first element of a data set or an item really needs.

    Senders negotiate one VR encoding and send the other, for the whole data set or for an item.
    Where a VR would stand, two letters tell; but they may also be part of an implicit length.
    """
    if declared is read_explicit_be:
        return declared
    _, _, vr, length = _unpack_probe(data, position)
    if declared is read_explicit_le:
        return read_explicit_le if _is_like_a_vr(vr) else read_implicit_le
    # No implicit length is odd (PS3.5 7.1.1), and hardly a first element is 64 KiB long.
    is_no_length = vr[0] % 2 == 1 or (length > 0 and length % 2 == 0)
    return read_explicit_le if vr in _VRS and is_no_length else read_implicit_le
