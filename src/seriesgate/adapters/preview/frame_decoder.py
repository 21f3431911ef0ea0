"""Compressed frames, as a plugin of pydicom's decoders: `imagecodecs` knows all of the syntaxes.

pydicom makes of the decoded bytes an array, and RGB of YBR where the codec has not done so. No
codec is asked before the codestream's own header says the same as the data set, whose size has been
checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder

from seriesgate.adapters.preview.codestream import (
    BadCodestream,
    FrameShape,
    jpeg_2000_is_transformed,
    jpeg_2000_shape,
    jpeg_is_ybr,
    jpeg_ls_shape,
    jpeg_shape,
    rle_segments,
    without_jp2,
)

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import DecodeRunner

NAME = "imagecodecs"

_JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
_JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
_JPEG_2000 = (
    uid.JPEG2000Lossless,
    uid.JPEG2000,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.HTJ2K,
)

#: The syntaxes that this plugin decodes; pydicom itself reads what is not compressed.
DECODER_DEPENDENCIES = dict.fromkeys(
    (*_JPEG, *_JPEG_LS, *_JPEG_2000, uid.RLELossless), ("imagecodecs",)
)


_BITS_OF_A_BYTE = 8
# A run that ends behind the last pixel of a segment: encoders that fill up.
_LONGEST_RUN = 128


def is_available(transfer_syntax: str) -> bool:
    """Return whether this plugin decodes a transfer syntax."""
    return transfer_syntax in DECODER_DEPENDENCIES


def decode_frame(content: bytes, runner: DecodeRunner) -> bytes:
    """Decode one frame for pydicom, and tell it what the frame is. Raises whatever a codec does.

    pydicom makes one error of all: so why a frame is refused goes to the list that was passed to
    pydicom as `refusals`.
    """
    try:
        if runner.transfer_syntax == uid.RLELossless:
            return _of_rle(content, runner)
        return _of_codec(content, runner)
    except BadCodestream as error:
        runner.get_option("refusals", []).append(str(error))
        raise


def _of_codec(content: bytes, runner: DecodeRunner) -> bytes:
    syntax = runner.transfer_syntax
    is_color = runner.samples_per_pixel > 1
    is_rgb = syntax in _JPEG
    frame: Any
    if syntax in _JPEG:
        _require_agreement(jpeg_shape(content), runner)
        frame = imagecodecs.jpeg8_decode(content, **_jpeg_colours(content, runner))
    elif syntax in _JPEG_LS:
        _require_agreement(jpeg_ls_shape(content), runner)
        frame = imagecodecs.jpegls_decode(content)
    else:
        codestream = without_jp2(content)
        _require_agreement(jpeg_2000_shape(codestream), runner)
        frame = imagecodecs.jpeg2k_decode(codestream)
        is_rgb = jpeg_2000_is_transformed(codestream)
    if is_color and is_rgb:
        runner.set_option("photometric_interpretation", "RGB")
    runner.set_option("planar_configuration", 0)
    runner.set_option("bits_allocated", _BITS_OF_A_BYTE * frame.dtype.itemsize)
    if frame.dtype.kind == "i":
        runner.set_option("pixel_representation", 1)
    return np.ascontiguousarray(frame).tobytes()


def _of_rle(content: bytes, runner: DecodeRunner) -> bytes:
    """Decode RLE (PS3.5 G): for each sample its bytes, the most significant first."""
    pixels = runner.rows * runner.columns
    segments = rle_segments(content)
    width = runner.bits_allocated // _BITS_OF_A_BYTE
    if len(segments) != runner.samples_per_pixel * width:
        raise BadCodestream("its codestream is of another size than the data set says")
    frame = np.empty((runner.samples_per_pixel, pixels, width), np.uint8)
    for number, segment in enumerate(segments):
        sample, byte = divmod(number, width)
        decoded = imagecodecs.packbits_decode(segment, out=bytearray(pixels + _LONGEST_RUN))
        frame[sample, :, width - 1 - byte] = np.frombuffer(decoded, np.uint8, pixels)
    runner.set_option("planar_configuration", 1)
    return frame.tobytes()


def _require_agreement(shape: FrameShape, runner: DecodeRunner) -> None:
    """Refuse a codestream that needs more, or less, than the data set says."""
    expected = runner.rows, runner.columns, runner.samples_per_pixel
    if (shape.rows, shape.columns, shape.samples) != expected:
        raise BadCodestream("its codestream is of another size than the data set says")
    if shape.bits > runner.bits_allocated:
        raise BadCodestream("its codestream has more bits than the data set says")


def install() -> None:
    """Have pydicom decode with this plugin. To be called once in a process."""
    for syntax in DECODER_DEPENDENCIES:
        get_decoder(syntax).add_plugin(NAME, (__name__, "decode_frame"))


def _jpeg_colours(content: bytes, runner: DecodeRunner) -> dict[str, Any]:
    """Tell the codec what the colours of a JPEG are."""
    if runner.samples_per_pixel == 1:
        return {}
    said_to_be = runner.photometric_interpretation.startswith("YBR")
    is_ybr = jpeg_is_ybr(content, said_to_be=said_to_be)
    return {"colorspace": "YCBCR" if is_ybr else "RGB", "outcolorspace": "RGB"}
