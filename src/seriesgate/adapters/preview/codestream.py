"""What a compressed frame says of its own size, read before a codec is asked to decode it.

A codec reserves memory for what the head of the codestream declares, and the data set around it
may declare something else. Sources: ITU-T T.81 B.2 (JPEG), T.87 C.2 (JPEG-LS), T.800 A.5.1
(JPEG 2000, and T.814 with it), PS3.5 G.3 (RLE). Bytes in, numbers out; no codec, no library.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise


class BadCodestream(ValueError):
    """A frame must not be decoded. The text is one line of ASCII, with no bytes of the frame."""


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
# What may stand before a frame header: tables, restart interval, comment, applications' own
# (T.81 table B.1), and the parameters of JPEG-LS (T.87 C.1.1).
_BEFORE_SOF = frozenset({0xC4, 0xCC, 0xDB, 0xDD, 0xFE, 0xF8, *range(0xE0, 0xF0)})
_MAX_SEGMENTS = 1000
_FRAME_HEADER = struct.Struct(">BHHB")

_SOC_AND_SIZ = b"\xff\x4f\xff\x51"
_JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
# Lsiz, Rsiz; Xsiz, Ysiz, XOsiz, YOsiz; XTsiz, YTsiz, XTOsiz, YTOsiz; Csiz
_SIZ = struct.Struct(">HH4I4IH")
_OF_A_COMPONENT = 3
# A codec keeps some kilobytes for each tile, before it has read any.
_MAX_TILES = 4096

_RLE_HEADER = struct.Struct("<16I")


def jpeg_shape(content: bytes) -> FrameShape:
    """Return what the frame header of a JPEG says. Raises BadCodestream."""
    return _shape_of_frame_header(content, _SOF_OF_JPEG)


def jpeg_ls_shape(content: bytes) -> FrameShape:
    """Return what the frame header of a JPEG-LS says. Raises BadCodestream."""
    return _shape_of_frame_header(content, _SOF_OF_JPEG_LS)


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


def _shape_of_frame_header(content: bytes, sof: frozenset[int]) -> FrameShape:
    """Walk the segments to the frame header; whatever a codec might read otherwise is refused."""
    if not content.startswith(_SOI):
        raise BadCodestream("its codestream does not begin as one of JPEG")
    place = len(_SOI)
    for _ in range(_MAX_SEGMENTS):
        while content[place : place + 2] == b"\xff\xff":
            place += 1  # fill bytes (T.81 B.1.1.2)
        prefix, marker, *length = content[place : place + 4].ljust(4, b"\0")
        end = place + 2 + int.from_bytes(length)
        place += 4
        if prefix != _MARKER or end < place:
            break
        if marker in sof:
            return _shape_of_segment(content[place:end])
        if marker not in _BEFORE_SOF:
            break
        place = end
    raise BadCodestream("the header of its codestream is damaged")


def _shape_of_segment(segment: bytes) -> FrameShape:
    if len(segment) < _FRAME_HEADER.size:
        raise BadCodestream("the header of its codestream is damaged")
    bits, rows, columns, samples = _FRAME_HEADER.unpack_from(segment)
    if not (bits and rows and columns and samples):
        # Rows may follow the first scan (T.81 B.2.5), columns and rows a segment of their own
        # (T.87 C.2.4.1.4): no codec knows then what it will need.
        raise BadCodestream("its codestream has no size")
    return FrameShape(rows, columns, samples, bits)
