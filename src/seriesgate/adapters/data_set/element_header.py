"""Decodes the header of one data element: tag, where its value starts, length (PS3.5 7.1).

Each way to encode a data set is one `ReadHeader`; all raise struct.error when the bytes end inside
the header.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct, error

ReadHeader = Callable[[bytes, int], tuple[int, int, int]]
"""(data, position of the header) -> (tag, position of the value, length of the value)."""

UNDEFINED_LENGTH = 0xFFFFFFFF

# PS3.5 table 7.1-2: a 16-bit length. All others have two reserved bytes and a 32-bit length.
_SHORT_VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split(),
)
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_VRS = _SHORT_VRS | _LONG_VRS

_DELIMITER_GROUP = 0xFFFE
_DELIMITER_ELEMENTS = frozenset({0xE000, 0xE00D, 0xE0DD})
_PROBE_SIZE = 8
_LONGEST_HEADER = 12
# So far behind an element without a VR it is looked for the next one: all that 16 bits can count.
_LOOK_AHEAD = 0x10000
LOOK_AHEAD = _LOOK_AHEAD + 2 * _LONGEST_HEADER
"""With so many bytes a header can be read, whatever it is."""


def _explicit_vr(byte_order: str) -> ReadHeader:
    unpack_header = Struct(f"{byte_order}HH2sH").unpack_from
    unpack_length = Struct(f"{byte_order}L").unpack_from

    def read_header(data: bytes, position: int) -> tuple[int, int, int]:
        group, element, vr, length = unpack_header(data, position)
        tag = group << 16 | element
        if vr in _SHORT_VRS:
            return tag, position + 8, length
        if vr in _LONG_VRS:
            return tag, position + 12, unpack_length(data, position + 8)[0]
        if group == _DELIMITER_GROUP:  # a delimiter has no VR (PS3.5 7.5)
            return tag, position + 8, unpack_length(data, position + 4)[0]
        return read_odd(data, position, tag, vr, length)

    def read_odd(
        data: bytes, position: int, tag: int, vr: bytes, length: int
    ) -> tuple[int, int, int]:
        """Read the header of an element whose VR nobody knows, as what follows it suggests."""
        short = (position + 8, length)
        if _is_like_a_vr(vr) and not length:
            # A VR younger than this table has a 32-bit length (PS3.5 6.2), after two zero bytes.
            tries = [(position + 12, unpack_length(data, position + 8)[0]), short]
        elif _is_like_a_vr(vr):
            return tag, *short  # what stands in their place is the length of a made-up VR
        else:
            # Fillers in place of a VR; or none at all, as some senders have private elements.
            plain = (position + 8, unpack_length(data, position + 4)[0])
            tries = [short, plain]
            if not length:
                tries.insert(1, (position + 12, unpack_length(data, position + 8)[0]))
        must_wait = False
        for start, size in tries:
            end = start + size
            if end + _PROBE_SIZE <= len(data):
                if is_next(data, end, tag):
                    return tag, start, size
            elif size <= _LOOK_AHEAD:
                must_wait = True
        if must_wait and len(data) - position <= _LOOK_AHEAD + _LONGEST_HEADER:
            raise error("what follows an element without a VR is not all here")
        return tag, *tries[0 if _is_like_a_vr(vr) else -1]

    def is_next(data: bytes, position: int, before: int) -> bool:
        """Return whether a header stands there that may follow the element `before`."""
        group, element, vr, _ = unpack_header(data, position)
        if group == _DELIMITER_GROUP:
            return element in _DELIMITER_ELEMENTS
        return (group << 16 | element) > before and vr in _VRS

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


def _has_filler_for_vr(data: bytes, position: int) -> bool:
    """Whether an explicit header follows the first element, and none that is implicit."""
    tag, start, length = read_implicit_le(data, position)
    if length <= _LOOK_AHEAD:
        following, _, _ = read_implicit_le(data, start + length)
        if tag < following and following >> 16 in (tag >> 16, (tag >> 16) + 1, _DELIMITER_GROUP):
            return False
    end = position + 8 + _unpack_probe(data, position)[3]
    group, element, vr, _ = _unpack_probe(data, end)
    return vr in _VRS and (group << 16 | element) > tag


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
        is_explicit = _is_like_a_vr(vr) or _has_filler_for_vr(data, position)
        return read_explicit_le if is_explicit else read_implicit_le
    # No implicit length is odd (PS3.5 7.1.1), and hardly a first element is 64 KiB long.
    is_no_length = vr[0] % 2 == 1 or (length > 0 and length % 2 == 0)
    return read_explicit_le if vr in _VRS and is_no_length else read_implicit_le
