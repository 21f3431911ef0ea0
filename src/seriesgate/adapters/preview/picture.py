"""One small picture of one instance: its middle frame, as a person would see it.

Nothing of the file is trusted: a picture is made of what is there (ADR 58). Only the attributes
that are needed are read, only one frame, and no frame is decoded before its size is known to be
within bounds, by the data set and, if it is compressed, by its own header as well (see
`codestream`). What a codec takes besides is bounded by the memory of the process (see `worker`).
"""

from __future__ import annotations

import io
import logging
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image
from pydicom import config

from seriesgate.adapters.data_set.data_set_head import DEFLATED, IMPLICIT_VR
from seriesgate.adapters.preview import frame_decoder
from seriesgate.adapters.preview.grey_levels import grey_levels
from seriesgate.adapters.preview.image_attributes import ImageAttributes, with_groups
from seriesgate.adapters.preview.image_elements import (
    FRAME_GROUPS,
    IMAGER_PIXEL_SPACING,
    ImageElements,
)
from seriesgate.adapters.preview.palette import palette_colors
from seriesgate.adapters.preview.pixel_frame import FrameShape, NoPicture, middle_frame, shape_of
from seriesgate.adapters.spool.part10 import NotPart10, read_head

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 256
"""How wide or high a picture is, in pixels, whichever is more."""

# Preamble and prefix (PS3.10 7.1).
_META = 128 + 4
_MAX_INFLATED = 256 * 2**20
_MAX_ASPECT = 20.0
_OF_TWO = 2
# Samples are left out before anything is computed: what is scaled down has at most this many.
_MAX_COMPUTED_SIDE = 4 * SIDE
_COLORS = 3
_PALETTE = "PALETTE COLOR"
_ASPECT_RATIO, _PIXEL_SPACING = 0x00280034, 0x00280030

# As raw deflate (RFC 1951), as the standard has it (PS3.5 A.5), or with a header (RFC 1950).
_WINDOWS = (-zlib.MAX_WBITS, zlib.MAX_WBITS)
# GE's private syntax: implicit VR little endian, with pixel data in big endian.
_BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"


frame_decoder.install()
# What is wrong with a value is told by a log line that has the value in it, or an exception.
logging.getLogger("pydicom").addHandler(logging.NullHandler())
logging.getLogger("pydicom").propagate = False
config.settings.reading_validation_mode = config.IGNORE


def picture_of(path: str) -> bytes:
    """Return a PNG of the instance in a Part 10 file. Raises NoPicture, whatever the file is."""
    try:
        with warnings.catch_warnings(), Path(path).open("rb") as file:
            warnings.simplefilter("ignore")
            return _picture(file)
    except NoPicture:
        raise
    except MemoryError:
        raise NoPicture("it takes too much memory") from None
    except Exception as error:  # noqa: BLE001 - a decoder may raise anything, and its text may be data
        raise NoPicture(f"its pixel data cannot be decoded ({type(error).__name__})") from None


def _picture(file: BinaryIO) -> bytes:
    syntax = _negotiated_syntax(file)
    source, start = _inflated(file, syntax)
    elements = ImageElements(source, start, is_implicit=syntax in IMPLICIT_VR)
    if elements.pixels is None:
        raise NoPicture("it is no image")
    shape = shape_of(ImageAttributes(elements.root), elements.pixels)
    groups = elements.functional_groups(shape.middle)
    attributes = ImageAttributes(*with_groups(elements.root, groups, FRAME_GROUPS))
    frame = middle_frame(
        source,
        elements.pixels,
        shape,
        attributes,
        is_little_endian=elements.root.is_little_endian and syntax != _BIG_ENDIAN_PIXELS,
    )
    shown = _on_screen(_thinned(frame), attributes, shape)
    return _png(shown, _pixel_aspect(attributes))


def _negotiated_syntax(file: BinaryIO) -> str:
    """Return what the head of the spool says, and stand behind it."""
    try:
        return read_head(file).transfer_syntax_uid
    except NotPart10:
        # Not as the spool writes it; the elements pass over File Meta Information of any form.
        file.seek(_META)
        return ""


def _inflated(file: BinaryIO, syntax: str) -> tuple[BinaryIO, int]:
    """Return a file and where in it the data set begins: as it is, or inflated up to a bound."""
    start = file.tell()
    if syntax not in DEFLATED:
        return file, start
    deflated = file.read(_MAX_INFLATED)
    for window in _WINDOWS:
        inflater = zlib.decompressobj(window)
        try:
            data_set = inflater.decompress(deflated, _MAX_INFLATED)
        except zlib.error:
            continue
        if inflater.unconsumed_tail:
            raise NoPicture("its data set is too long when inflated")
        return io.BytesIO(data_set), 0
    return file, start  # it was not deflated, whatever was negotiated


def _thinned(frame: NDArray[Any]) -> NDArray[Any]:
    """Leave rows and columns out of a large frame, so that what follows is quick."""
    step = max(1, max(frame.shape[:2]) // _MAX_COMPUTED_SIDE)
    return frame[::step, ::step]


def _on_screen(
    frame: NDArray[Any], attributes: ImageAttributes, shape: FrameShape
) -> NDArray[np.uint8]:
    """Return 8-bit grey or RGB."""
    if frame.ndim == _COLORS:
        scaled = frame[..., :_COLORS].astype(np.float32) * (255.0 / (2**shape.bits_stored - 1))
        shown: NDArray[np.uint8] = scaled.round().clip(0, 255).astype(np.uint8)
        return shown
    if shape.interpretation == _PALETTE:
        colors = palette_colors(frame, attributes, is_signed=shape.is_signed)
        if colors is not None:
            return colors
    is_inverted = shape.interpretation == "MONOCHROME1"
    return grey_levels(frame, attributes, is_signed=shape.is_signed, is_inverted=is_inverted)


def _pixel_aspect(attributes: ImageAttributes) -> float:
    """Return how many times as high as wide a pixel is (PS3.3 10.7.1.3, C.7.6.3.1.7)."""
    for tag in (_ASPECT_RATIO, _PIXEL_SPACING, IMAGER_PIXEL_SPACING):
        numbers = attributes.decimals(tag)
        if len(numbers) == _OF_TWO and all(numbers):
            height, width = (number or 1.0 for number in numbers)
            if 1 / _MAX_ASPECT <= height / width <= _MAX_ASPECT:
                return height / width
    return 1.0


def _png(shown: NDArray[np.uint8], aspect: float) -> bytes:
    height, width = shown.shape[0] * aspect, float(shown.shape[1])
    scale = SIDE / max(height, width)
    if scale > 1 and aspect == 1.0:
        scale = 1.0  # a small image stays as it is
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(shown).resize(size, Image.Resampling.BOX)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()
