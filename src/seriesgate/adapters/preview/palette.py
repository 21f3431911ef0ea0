"""The colours of a palette image (PS3.3 C.7.6.3.1.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seriesgate.adapters.preview.image_attributes import ImageAttributes, Table

_CHANNELS = range(3)
_DESCRIPTOR, _DATA, _SEGMENTED = 0x00281101, 0x00281201, 0x00281221
_WHITE = 255.0


def palette_colors(
    frame: NDArray[Any], attributes: ImageAttributes, *, is_signed: bool
) -> NDArray[np.uint8] | None:
    """Return a frame as RGB; None if it has no palette that makes sense."""
    tables = [
        attributes.table(_DESCRIPTOR + channel, _DATA + channel, is_signed=is_signed)
        for channel in _CHANNELS
    ]
    found = [table for table in tables if table is not None]
    if len(found) < len(tables):
        return _by_segments(frame, attributes)
    return np.stack([_channel(frame, table) for table in found], axis=-1)


def _channel(frame: NDArray[Any], table: Table) -> NDArray[np.uint8]:
    return np.asarray((table.apply(frame) * (_WHITE / table.white)).round().astype(np.uint8))


def _by_segments(frame: NDArray[Any], attributes: ImageAttributes) -> NDArray[np.uint8] | None:
    """Have pydicom expand the tables (PS3.3 C.7.9.2)."""
    ds = Dataset()
    for channel in _CHANNELS:
        descriptor, order = attributes.raw(_DESCRIPTOR + channel)
        data, data_order = attributes.raw(_SEGMENTED + channel)
        if len(descriptor) < 6 or not data or len(data) % 2:  # noqa: PLR2004 - three numbers
            return None
        numbers = [int.from_bytes(descriptor[place : place + 2], order) for place in (0, 2, 4)]
        ds.add_new(_DESCRIPTOR + channel, "US", numbers)
        swapped = np.frombuffer(data, "<u2" if data_order == "little" else ">u2")
        ds.add_new(_SEGMENTED + channel, "OW", swapped.astype("<u2").tobytes())
    ds.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    try:
        colors = apply_color_lut(frame, ds)
    except (ValueError, IndexError, KeyError, AttributeError, TypeError):
        return None  # damaged
    white = np.iinfo(colors.dtype).max
    return np.asarray((colors[..., :3] * (_WHITE / white)).round().astype(np.uint8))
