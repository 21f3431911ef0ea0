"""Compressed frames, as a plugin of pydicom's decoders: `imagecodecs` knows all of the syntaxes.

pydicom finds the frame in its fragments and makes of the decoded bytes an array, and RGB of YBR
where the codec has not done so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder

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

#: The syntaxes that this plugin decodes; pydicom itself decodes RLE and what is not compressed.
DECODER_DEPENDENCIES = dict.fromkeys((*_JPEG, *_JPEG_LS, *_JPEG_2000), ("imagecodecs",))

# Markers by which a JPEG says itself what its colours are: JFIF and Adobe (ITU-T T.871, T.872).
_SAYS_ITS_COLOURS = (b"JFIF\x00", b"Adobe")
_HEAD = 1024
_BITS_OF_A_BYTE = 8


def is_available(transfer_syntax: str) -> bool:
    """Return whether this plugin decodes a transfer syntax."""
    return transfer_syntax in DECODER_DEPENDENCIES


def decode_frame(content: bytes, runner: DecodeRunner) -> bytes:
    """Decode one frame for pydicom, and tell it what the frame is. Raises whatever a codec does."""
    syntax = runner.transfer_syntax
    is_color = runner.samples_per_pixel > 1
    frame: Any
    if syntax in _JPEG:
        frame = imagecodecs.jpeg8_decode(content, **_jpeg_colours(content, runner))
    elif syntax in _JPEG_LS:
        frame = imagecodecs.jpegls_decode(content)
    else:
        frame = imagecodecs.jpeg2k_decode(content)
    expected: tuple[int, ...] = (runner.rows, runner.columns)
    if is_color:
        expected += (runner.samples_per_pixel,)
    if frame.shape != expected:
        raise ValueError("the frame is of another size than the data set says")
    if is_color and syntax not in _JPEG_LS:
        runner.set_option("photometric_interpretation", "RGB")
    runner.set_option("planar_configuration", 0)
    runner.set_option("bits_allocated", _BITS_OF_A_BYTE * frame.dtype.itemsize)
    if frame.dtype.kind == "i":
        runner.set_option("pixel_representation", 1)
    return np.ascontiguousarray(frame).tobytes()


def install() -> None:
    """Have pydicom decode with this plugin. To be called once in a process."""
    for syntax in DECODER_DEPENDENCIES:
        get_decoder(syntax).add_plugin(NAME, (__name__, "decode_frame"))


def _jpeg_colours(content: bytes, runner: DecodeRunner) -> dict[str, Any]:
    """Tell the codec what the data set says of colours, unless the JPEG itself says it."""
    if runner.samples_per_pixel == 1 or any(
        marker in content[:_HEAD] for marker in _SAYS_ITS_COLOURS
    ):
        return {}
    is_ybr = runner.photometric_interpretation.startswith("YBR")
    return {"colorspace": "YCBCR" if is_ybr else "RGB", "outcolorspace": "RGB"}
