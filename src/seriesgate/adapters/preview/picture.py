"""One small picture of one instance: its middle frame, as a person would see it.

Nothing of the file is trusted. Only the attributes that are needed are read, only one frame, and
no frame is decoded before its size is known to be within bounds, by the data set and, if it is
compressed, by its own header as well (see `codestream`). What a codec takes besides is bounded by
the memory of the process (see `worker`).
"""

from __future__ import annotations

import io
import logging
import math
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image
from pydicom import config, dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from seriesgate.adapters.preview import frame_decoder
from seriesgate.adapters.preview.grey_levels import grey_levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 256
"""How wide or high a picture is, in pixels, whichever is more."""

# A mammogram has 25 million pixels of 2 bytes; a frame may be as long as this when decoded.
MAX_FRAME_BYTES = 128 * 2**20
_MAX_INFLATED = 256 * 2**20
_MAX_ASPECT = 20.0
# Where the file meta information goes on after its length (PS3.10 7.1).
_META = 128 + 4 + 12
_OF_TWO = 2
# Samples are left out before anything is computed: what is scaled down has at most this many.
_MAX_COMPUTED_SIDE = 4 * SIDE
_COLORS = 3
_PALETTE = "PALETTE COLOR"

_SIZE = [
    Tag(name) for name in ("Rows", "Columns", "BitsAllocated", "SamplesPerPixel", "NumberOfFrames")
]
# Beside those of the group 0028, which pydicom reads by itself.
_WANTED: list[int] = [
    Tag("SharedFunctionalGroupsSequence"),
    Tag("PerFrameFunctionalGroupsSequence"),
    Tag("ImagerPixelSpacing"),
]
# Where an enhanced image has what a simple one has at its root (PS3.3 C.7.6.16.2).
_FUNCTIONAL_GROUPS = (
    "FrameVOILUTSequence",
    "PixelValueTransformationSequence",
    "PixelMeasuresSequence",
)


class NoPicture(Exception):
    """There is no picture of this file. The text is one line of ASCII without patient data."""


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
    source = _inflated(file)
    index = _middle_frame(dcmread(source, force=True, specific_tags=_SIZE, stop_before_pixels=True))
    ds = Dataset()
    source.seek(0)
    refusals: list[str] = []
    try:
        frame = pixel_array(
            source,
            ds_out=ds,
            specific_tags=_WANTED,
            index=index,
            decoding_plugin=frame_decoder.NAME,  # and no other, if this one refuses
            refusals=refusals,
        )
    except RuntimeError:
        if refusals:
            raise NoPicture(refusals[0]) from None
        raise
    _take_functional_groups(ds, index)
    shown = _on_screen(_thinned(frame), ds)
    return _png(shown, _pixel_aspect(ds))


def _inflated(file: BinaryIO) -> BinaryIO:
    """Return the file, or what a deflated one is when it is not (PS3.5 A.5), up to a bound."""
    meta = read_file_meta_info(file.name)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return file
    file.seek(_META + meta.FileMetaInformationGroupLength)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data_set = inflater.decompress(file.read(_MAX_INFLATED), _MAX_INFLATED)
    if inflater.unconsumed_tail:
        raise NoPicture("its data set is too long when inflated")
    plain = Dataset()
    plain.file_meta = FileMetaDataset()
    plain.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    head = DicomBytesIO()
    head.write(bytes(128) + b"DICM")
    write_file_meta_info(head, plain.file_meta, enforce_standard=False)
    head.write(data_set)
    return io.BytesIO(head.getvalue())


def _middle_frame(ds: Dataset) -> int:
    """Return which frame to show. Raises NoPicture for one that must not be decoded."""
    if "Rows" not in ds or "Columns" not in ds or "BitsAllocated" not in ds:
        raise NoPicture("it is no image")
    rows, columns, bits = int(ds.Rows), int(ds.Columns), int(ds.BitsAllocated)
    samples = int(ds.get("SamplesPerPixel") or 1)
    frames = int(ds.get("NumberOfFrames") or 1)
    if min(rows, columns, bits, samples, frames) < 1:
        raise NoPicture("its frame has no size")
    if rows * columns * samples * max(bits, 8) // 8 > MAX_FRAME_BYTES:
        raise NoPicture("its frame is too large")
    return frames // 2 if frames > 1 else 0


def _take_functional_groups(ds: Dataset, index: int) -> None:
    """Have at the root what an enhanced image says of this frame, or of all."""
    shared, each = (
        ds.get("SharedFunctionalGroupsSequence") or [],
        ds.get("PerFrameFunctionalGroupsSequence") or [],
    )
    for group in [*shared[:1], *each[index : index + 1]]:
        for name in _FUNCTIONAL_GROUPS:
            for item in (group.get(name) or [])[:1]:
                ds.update(item)


def _thinned(frame: NDArray[Any]) -> NDArray[Any]:
    """Leave rows and columns out of a large frame, so that what follows is quick."""
    step = max(1, max(frame.shape[:2]) // _MAX_COMPUTED_SIDE)
    return frame[::step, ::step]


def _on_screen(frame: NDArray[Any], ds: Dataset) -> NDArray[np.uint8]:
    """Return 8-bit grey or RGB."""
    if ds.get("PhotometricInterpretation") == _PALETTE:
        frame = apply_color_lut(frame, ds)[..., :_COLORS]
    if frame.ndim == _COLORS:
        bits = 8 * frame.dtype.itemsize
        stored = int(ds.get("BitsStored") or bits)
        if ds.get("PhotometricInterpretation") == _PALETTE:
            stored = bits
        scaled = frame[..., :_COLORS].astype(np.float32) * (255.0 / (2**stored - 1))
        shown: NDArray[np.uint8] = scaled.round().clip(0, 255).astype(np.uint8)
        return shown
    return grey_levels(frame, ds)


def _pixel_aspect(ds: Dataset) -> float:
    """Return how many times as high as wide a pixel is (PS3.3 10.7.1.3, C.7.6.3.1.7)."""
    for name in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"):
        value = ds.get(name)
        if isinstance(value, MultiValue) and len(value) == _OF_TWO:
            aspect = float(value[0]) / float(value[1]) if float(value[1]) else 1.0
            if math.isfinite(aspect) and 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT:
                return aspect
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
