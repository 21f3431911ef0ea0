"""One frame of an image as an array, by what its pixel data is, whatever is said of it."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from pydicom import uid
from pydicom.encaps import encapsulate, generate_fragments, get_frame
from pydicom.pixels.decoders.base import get_decoder

from seriesgate.adapters.preview import frame_decoder
from seriesgate.adapters.preview.codestream import Kind, kind_of
from seriesgate.adapters.preview.image_elements import (
    EXTENDED_OFFSET_LENGTHS,
    EXTENDED_OFFSETS,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seriesgate.adapters.preview.image_attributes import ImageAttributes
    from seriesgate.adapters.preview.image_elements import PixelPlace

SAMPLES, INTERPRETATION, PLANAR, FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
ROWS, COLUMNS = 0x00280010, 0x00280011
BITS_ALLOCATED, BITS_STORED, PIXEL_REPRESENTATION = 0x00280100, 0x00280101, 0x00280103

# A mammogram has 25 million pixels of 2 bytes; a frame may be as long as this when decoded.
MAX_FRAME_BYTES = 128 * 2**20
_COLORS = 3
_BITS_OF_A_BYTE = 8
_MOST_SIDE = 2**16 - 1
_MOST_FRAMES = 2**31
_PALETTE = "PALETTE COLOR"
_BITS = (1, 8, 16, 32, 64)

# What a codestream is says itself; which of the syntaxes of its kind was negotiated means nothing.
_SYNTAXES = {
    Kind.JPEG: uid.JPEGBaseline8Bit,
    Kind.JPEG_LS: uid.JPEGLSLossless,
    Kind.JPEG_2000: uid.JPEG2000,
    Kind.RLE: uid.RLELossless,
}


class NoPicture(Exception):
    """There is no picture of this file. The text is one line of ASCII without patient data."""


@dataclass(frozen=True, slots=True)
class FrameShape:
    """What of an image its frames are read by, made to agree with itself."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    interpretation: str
    is_planar: bool
    frames: int

    @property
    def frame_bits(self) -> int:
        """How many bits a frame takes that is not compressed."""
        samples = self.samples
        if self.interpretation == "YBR_FULL_422":
            samples = 2
        return self.rows * self.columns * samples * self.bits_allocated

    @property
    def frame_bytes(self) -> int:
        """The same in bytes."""
        return -(-self.frame_bits // _BITS_OF_A_BYTE)

    @property
    def middle(self) -> int:
        """The frame to show."""
        return self.frames // 2 if self.frames > 1 else 0


def shape_of(attributes: ImageAttributes, pixels: PixelPlace) -> FrameShape:
    """Return the shape of the frames. Raises NoPicture for those that must not be decoded."""
    rows, columns = attributes.count(ROWS), attributes.count(COLUMNS)
    if rows is None or columns is None:
        raise NoPicture("it is no image")
    if not (0 < rows <= _MOST_SIDE and 0 < columns <= _MOST_SIDE):
        raise NoPicture("its frame has no size")
    term = attributes.term(INTERPRETATION).replace(" ", "_").replace("PALETTE_COLOR", _PALETTE)
    samples = _samples(attributes, pixels, term, rows * columns)
    frames = _frames(attributes)
    allocated = _bits_allocated(attributes, pixels, rows * columns * samples * frames)
    if rows * columns * samples * max(allocated, _BITS_OF_A_BYTE) // 8 > MAX_FRAME_BYTES:
        raise NoPicture("its frame is too large")
    interpretation = _interpretation(term, samples)
    full = rows * columns * samples * frames * allocated // _BITS_OF_A_BYTE
    if interpretation == "YBR_FULL_422" and not pixels.is_encapsulated and pixels.length >= full:
        interpretation = "YBR_FULL"
    stored = attributes.count(BITS_STORED) or allocated
    return FrameShape(
        rows,
        columns,
        samples,
        allocated,
        stored if 0 < stored <= allocated else allocated,
        attributes.count(PIXEL_REPRESENTATION) == 1,
        interpretation,
        attributes.count(PLANAR) == 1,
        frames,
    )


def _samples(attributes: ImageAttributes, pixels: PixelPlace, term: str, places: int) -> int:
    """Return the samples of a pixel: as it is said, unless the data has other ones."""
    said = attributes.count(SAMPLES)
    is_color = term in _OF_COLOR
    if said not in (1, _COLORS):
        return _COLORS if is_color else 1
    if pixels.is_encapsulated or is_color == (said == _COLORS):
        return said
    return _COLORS if pixels.length >= _COLORS * places and (is_color or said == _COLORS) else 1


_OF_GREY = frozenset({"MONOCHROME1", "MONOCHROME2", _PALETTE})
_OF_COLOR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})


def _interpretation(term: str, samples: int) -> str:
    """Return a Photometric Interpretation that there is, and that fits the samples."""
    if term in (_OF_COLOR if samples == _COLORS else _OF_GREY):
        return term
    if samples == _COLORS:
        return "YBR_FULL" if term.startswith("YBR") else "RGB"
    return "MONOCHROME2"


def _frames(attributes: ImageAttributes) -> int:
    number = attributes.decimal(FRAMES)
    return int(number) if number is not None and 1 <= number <= _MOST_FRAMES else 1


def _bits_allocated(attributes: ImageAttributes, pixels: PixelPlace, samples: int) -> int:
    """Return the bits of a sample: as it is said if that can be, or else as many as there are."""
    said = attributes.count(BITS_ALLOCATED)
    if pixels.is_encapsulated:
        if said is None:
            raise NoPicture("it is no image")
        return said if said in _BITS else 16 if said > _BITS_OF_A_BYTE else _BITS_OF_A_BYTE
    there = pixels.length * _BITS_OF_A_BYTE // samples
    if said in _BITS and (said <= there or there not in _BITS[1:]):
        return said
    return next((bits for bits in reversed(_BITS) if bits <= there), 1)


def middle_frame(
    file: BinaryIO,
    pixels: PixelPlace,
    shape: FrameShape,
    attributes: ImageAttributes,
    *,
    is_little_endian: bool,
) -> NDArray[Any]:
    """Return the frame in the middle, or the first if that is not there; colours are RGB.

    Raises NoPicture, and whatever a decoder does.
    """
    refusals: list[str] = []
    if pixels.is_encapsulated:
        codestream = _codestream(file, pixels, shape, attributes)
    else:
        file.seek(pixels.offset)
        codestream = file.read(min(pixels.length, shape.frame_bytes))
        # It may be one, without the items that belong around it.
        codestream = b"" if pixels.length >= shape.frame_bytes else codestream
    kind = kind_of(codestream)
    if kind is not None:
        syntax, content = _SYNTAXES[kind], encapsulate([codestream], has_bot=False)
    elif pixels.is_encapsulated:
        raise NoPicture("its pixel data is in a form that is not known")
    else:
        syntax = uid.ExplicitVRLittleEndian if is_little_endian else uid.ExplicitVRBigEndian
        content = _native(file, pixels, shape)
    options: dict[str, Any] = {
        "rows": shape.rows,
        "columns": shape.columns,
        "samples_per_pixel": shape.samples,
        "bits_allocated": shape.bits_allocated,
        "bits_stored": shape.bits_stored,
        "pixel_representation": int(shape.is_signed),
        "photometric_interpretation": shape.interpretation,
        "planar_configuration": int(shape.is_planar),
        "number_of_frames": 1,
        "pixel_keyword": pixels.keyword,
        "pixel_vr": pixels.vr or "OW",
        "allow_excess_frames": False,
        "refusals": refusals,
    }
    # No other plugin is asked if ours refuses.
    plugin = "" if kind is None else frame_decoder.NAME
    try:
        frame, _ = get_decoder(syntax).as_array(content, index=0, decoding_plugin=plugin, **options)
    except RuntimeError:
        if refusals:
            raise NoPicture(refusals[0]) from None
        raise
    return frame


def _codestream(
    file: BinaryIO, pixels: PixelPlace, shape: FrameShape, attributes: ImageAttributes
) -> bytes:
    """Return the compressed frame in the middle, or else the first, or else all there is."""
    offsets = attributes.raw(EXTENDED_OFFSETS)[0], attributes.raw(EXTENDED_OFFSET_LENGTHS)[0]
    tries = [
        (shape.middle, offsets if all(offsets) else None),
        *((number, None) for number in dict.fromkeys((shape.middle, 0))),
    ]
    for number, extended in tries:
        file.seek(pixels.offset)
        try:
            frame = get_frame(
                file, number, number_of_frames=shape.frames, extended_offsets=extended
            )
        except (ValueError, IndexError, EOFError, struct.error):
            continue
        if frame:
            return frame
    file.seek(pixels.offset)
    with suppress(ValueError, EOFError, struct.error):
        _table, *fragments = generate_fragments(file)
        return b"".join(fragments)
    raise NoPicture("its pixel data is damaged")


def _native(file: BinaryIO, pixels: PixelPlace, shape: FrameShape) -> bytes:
    """Return a frame that is not compressed; what is missing of it is zero."""
    there = pixels.length * _BITS_OF_A_BYTE // shape.frame_bits
    first_bit = min(shape.middle, max(0, there - 1)) * shape.frame_bits
    first, inside = divmod(first_bit, _BITS_OF_A_BYTE)
    file.seek(pixels.offset + first)
    # Of single bits, a frame may begin and end inside a byte; of bytes, the last may be swapped.
    size = shape.frame_bytes + 1
    content = file.read(min(size, pixels.length - first)).ljust(size, b"\0")
    if inside:
        bits = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")
        content = np.packbits(bits[inside:], bitorder="little").tobytes().ljust(size, b"\0")
    return content[: shape.frame_bytes + shape.frame_bytes % 2]
