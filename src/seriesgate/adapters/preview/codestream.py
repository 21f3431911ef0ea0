"""What a compressed frame says of itself, read before a codec is asked to decode it.

A codec reserves memory for what the head of the codestream declares, and the data set around it
may declare something else. Sources: ITU-T T.81 B.2 (JPEG), T.87 C.2 (JPEG-LS), T.800 A.5.1
(JPEG 2000, and T.814 with it), PS3.5 G.3 (RLE). Bytes in, numbers out; no codec, no library.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class BadCodestream(ValueError):
    """A frame must not be decoded. The text is one line of ASCII, with no bytes of the frame."""


class Kind(Enum):
    """Which family of codecs a codestream is for."""

    JPEG = auto()
    JPEG_LS = auto()
    JPEG_2000 = auto()
    RLE = auto()


@dataclass(frozen=True, slots=True)
class FrameShape:
    """Rows, columns and samples of a frame, and the bits of its largest sample."""

    rows: int
    columns: int
    samples: int
    bits: int


_SOI = b"\xff\xd8"
_MARKER = 0xFF
_SOF_OF_JPEG = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SOF_OF_JPEG_LS = frozenset({0xF7})
# Huffman and arithmetic coding, sequential and hierarchical (T.81 table B.1).
_LOSSLESS_SOF = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_APP0, _APP14 = 0xE0, 0xEE
# Behind the name, a version and two words of flags.
_ADOBE_TRANSFORM = 11
# What may stand before a frame header: tables, restart interval, comment, applications' own
# (T.81 table B.1), and the parameters of JPEG-LS (T.87 C.1.1).
_BEFORE_SOF = frozenset({0xC4, 0xCC, 0xDB, 0xDD, 0xFE, 0xF8, *range(0xE0, 0xF0)})
_MAX_SEGMENTS = 1000
_FRAME_HEADER = struct.Struct(">BHHB")

_SOC = b"\xff\x4f"
_COD, _SOT = 0x52, 0x90
# Behind the marker, Lcod, Scod, the order of progression and the number of layers.
_COD_TRANSFORM = 8
_SOC_AND_SIZ = b"\xff\x4f\xff\x51"
_JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
# Lsiz, Rsiz; Xsiz, Ysiz, XOsiz, YOsiz; XTsiz, YTsiz, XTOsiz, YTOsiz; Csiz
_SIZ = struct.Struct(">HH4I4IH")
_OF_A_COMPONENT = 3
# A codec keeps some kilobytes for each tile, before it has read any.
_MAX_TILES = 4096

_RLE_HEADER = struct.Struct("<16I")
_RLE_START = struct.Struct("<2I")
_MOST_RLE_SEGMENTS = 15


def kind_of(content: bytes) -> Kind | None:
    """Return what a codestream is by its first bytes; None for one of no kind that is known."""
    if content.startswith(_SOI):
        return Kind.JPEG_LS if _frame_header(content)[0] in _SOF_OF_JPEG_LS else Kind.JPEG
    if content.startswith((_SOC_AND_SIZ, _JP2)):
        return Kind.JPEG_2000
    # The number of segments, and the offset of the first: behind the header (PS3.5 G.5).
    count, first = _RLE_START.unpack_from(content.ljust(_RLE_START.size, b"\0"))
    is_rle = len(content) >= _RLE_HEADER.size and first == _RLE_HEADER.size
    return Kind.RLE if is_rle and 1 <= count <= _MOST_RLE_SEGMENTS else None


def jpeg_shape(content: bytes) -> FrameShape:
    """Return what the frame header of a JPEG says. Raises BadCodestream."""
    return _shape_of_frame_header(content, _SOF_OF_JPEG)


def jpeg_ls_shape(content: bytes) -> FrameShape:
    """Return what the frame header of a JPEG-LS says. Raises BadCodestream."""
    return _shape_of_frame_header(content, _SOF_OF_JPEG_LS)


def jpeg_is_ybr(content: bytes, *, said_to_be: bool) -> bool:
    """Return whether the colours of a JPEG of three components are YCbCr, or else RGB.

    In this order: components called R, G and B; what Adobe's segment says (T.872), and JFIF's
    (T.871); then, as libjpeg has it, components called 1, 2 and 3, or chroma with fewer samples.
    Lossless JPEG leaves colours as they are, and says nothing of them: there, and otherwise,
    `said_to_be` counts, which is what the data set says.
    """
    marker, header = _frame_header(content)
    components = header[_FRAME_HEADER.size :]
    ids, samplings = components[::_OF_A_COMPONENT], components[1::_OF_A_COMPONENT]
    if ids.upper() == b"RGB":
        return False
    for application, segment in _segments(content):
        if application == _APP14 and segment.startswith(b"Adobe"):
            return segment[_ADOBE_TRANSFORM : _ADOBE_TRANSFORM + 1] != b"\0"
        if application == _APP0 and segment.startswith(b"JFIF\0"):
            return True
    if marker in _LOSSLESS_SOF:
        return said_to_be
    return said_to_be or ids == b"\1\2\3" or len(set(samplings)) > 1


def jpeg_2000_is_transformed(content: bytes) -> bool:
    """Return whether a JPEG 2000 codestream turns its colours into RGB itself (T.800 A.6.1)."""
    place = len(_SOC)
    while len(head := content[place : place + 4]) == 4 and head[0] == _MARKER:  # noqa: PLR2004
        if head[1] == _COD:
            return content[place + _COD_TRANSFORM : place + _COD_TRANSFORM + 1] not in (b"", b"\0")
        if head[1] == _SOT:
            return False
        place += 2 + max(int.from_bytes(head[2:]), 2)
    return False


def without_jp2(content: bytes) -> bytes:
    """Return the codestream of a JPEG 2000, which some files have with the boxes of JP2 around it.

    The boxes can promise more than the codestream has, a palette for instance, and DICOM has none
    of them (PS3.5 A.4.4). Raises BadCodestream.
    """
    start = content.find(_SOC_AND_SIZ) if content.startswith(_JP2) else 0
    if not content.startswith(_SOC_AND_SIZ, max(start, 0)):
        raise BadCodestream("its codestream does not begin as one of JPEG 2000")
    return content[start:]


def jpeg_2000_shape(content: bytes) -> FrameShape:
    """Return what the SIZ segment of a JPEG 2000 or HTJ2K codestream says. Raises BadCodestream."""
    start = len(_SOC_AND_SIZ)
    if not content.startswith(_SOC_AND_SIZ) or len(content) < start + _SIZ.size:
        raise BadCodestream("its codestream has no header")
    length, _, right, bottom, left, top, *tile, samples = _SIZ.unpack_from(content, start)
    components = content[start + _SIZ.size : start + length]
    if samples == 0 or len(components) != _OF_A_COMPONENT * samples:
        raise BadCodestream("the header of its codestream is damaged")
    width, height, tile_left, tile_top = tile
    if not (width and height and tile_left <= left < right and tile_top <= top < bottom):
        raise BadCodestream("its codestream has no size")
    if -(-(right - tile_left) // width) * -(-(bottom - tile_top) // height) > _MAX_TILES:
        raise BadCodestream("its codestream has too many tiles")
    if any(steps != 1 for steps in (*components[1::3], *components[2::3])):
        raise BadCodestream("its samples are not all of one size")
    bits = max((each & 0x7F) + 1 for each in components[::_OF_A_COMPONENT])
    return FrameShape(bottom - top, right - left, samples, bits)


def rle_segments(content: bytes) -> list[bytes]:
    """Return the segments of a frame in RLE, each a byte of all pixels. Raises BadCodestream."""
    if len(content) < _RLE_HEADER.size:
        raise BadCodestream("its codestream has no header")
    count, *offsets = _RLE_HEADER.unpack_from(content)
    if not 1 <= count <= len(offsets):
        raise BadCodestream("the header of its codestream is damaged")
    bounds = [*offsets[:count], len(content)]
    if bounds[0] < _RLE_HEADER.size or bounds != sorted(bounds):
        raise BadCodestream("the header of its codestream is damaged")
    return [content[start:end] for start, end in pairwise(bounds)]


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of each segment of a JPEG up to its frame header, which is the last.

    Whatever a codec might read otherwise ends it.
    """
    place = len(_SOI)
    for _ in range(_MAX_SEGMENTS):
        while content[place : place + 2] == b"\xff\xff":
            place += 1  # fill bytes (T.81 B.1.1.2)
        prefix, marker, *length = content[place : place + 4].ljust(4, b"\0")
        end = place + 2 + int.from_bytes(length)
        place += 4
        is_frame_header = marker in _SOF_OF_JPEG or marker in _SOF_OF_JPEG_LS
        if prefix != _MARKER or end < place or not (is_frame_header or marker in _BEFORE_SOF):
            return
        yield marker, content[place:end]
        if is_frame_header:
            return
        place = end


def _frame_header(content: bytes) -> tuple[int, bytes]:
    """Return the marker and the content of the frame header of a JPEG; 0 if there is none."""
    marker, segment = 0, b""
    for marker, segment in _segments(content):  # noqa: B007 - the last is wanted
        pass
    is_frame_header = marker in _SOF_OF_JPEG or marker in _SOF_OF_JPEG_LS
    return (marker, segment) if is_frame_header else (0, b"")


def _shape_of_frame_header(content: bytes, sof: frozenset[int]) -> FrameShape:
    """Return what the frame header says, if it is one of `sof`."""
    if not content.startswith(_SOI):
        raise BadCodestream("its codestream does not begin as one of JPEG")
    marker, segment = _frame_header(content)
    if marker not in sof:
        raise BadCodestream("the header of its codestream is damaged")
    return _shape_of_segment(segment)


def _shape_of_segment(segment: bytes) -> FrameShape:
    if len(segment) < _FRAME_HEADER.size:
        raise BadCodestream("the header of its codestream is damaged")
    bits, rows, columns, samples = _FRAME_HEADER.unpack_from(segment)
    if not (bits and rows and columns and samples):
        # Rows may follow the first scan (T.81 B.2.5), columns and rows a segment of their own
        # (T.87 C.2.4.1.4): no codec knows then what it will need.
        raise BadCodestream("its codestream has no size")
    return FrameShape(rows, columns, samples, bits)
