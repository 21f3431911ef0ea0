"""From stored values to the grey levels of a screen: PS3.3 C.11.1, C.11.2 and C.7.6.3.1.2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

WHITE = 255.0
# Without a window, the darkest and the brightest of a hundred values are out of scale.
_PERCENTILES = (1.0, 99.0)


def grey_levels(values: NDArray[Any], ds: Dataset) -> NDArray[np.uint8]:
    """Return the values of one frame as grey, black to white.

    `ds` has the attributes of the Modality LUT and VOI LUT modules, and those of the image.
    """
    is_shown = _not_padding(values, ds)
    modality: NDArray[Any] = np.asarray(apply_modality_lut(values, ds), dtype=np.float32)
    level = _by_table(modality, ds)
    if level is None:
        level = _by_window(modality, ds)
    if level is None or np.ptp(level) == 0:
        level = _by_percentiles(modality, is_shown)
    if ds.get("PhotometricInterpretation") == "MONOCHROME1":
        level = WHITE - level
    level = np.where(is_shown, level, 0)
    shown: NDArray[np.uint8] = np.nan_to_num(level).round().clip(0, WHITE).astype(np.uint8)
    return shown


def _by_table(values: NDArray[Any], ds: Dataset) -> NDArray[Any] | None:
    if not ds.get("VOILUTSequence") or not ds.VOILUTSequence[0].get("LUTDescriptor"):
        return None
    bits = int(ds.VOILUTSequence[0].LUTDescriptor[2])
    table = np.asarray(apply_voi_lut(values.astype(np.int32), ds), dtype=np.float32)
    return np.asarray(table * (WHITE / max(2**bits - 1, 1)))


def _by_window(values: NDArray[Any], ds: Dataset) -> NDArray[Any] | None:
    center, width = _first(ds.get("WindowCenter")), _first(ds.get("WindowWidth"))
    if center is None or width is None or not np.isfinite([center, width]).all() or width <= 0:
        return None
    match ds.get("VOILUTFunction") or "LINEAR":
        case "SIGMOID":
            return WHITE / (1 + np.exp(np.clip(-4 * (values - center) / width, -60, 60)))
        case "LINEAR_EXACT":
            part = (values - center) / width + 0.5
        case _:
            part = (values - (center - 0.5)) / max(width - 1, 1e-6) + 0.5
    return np.asarray(part.clip(0, 1) * WHITE)


def _by_percentiles(values: NDArray[Any], is_shown: NDArray[np.bool_]) -> NDArray[Any]:
    shown = values[is_shown & np.isfinite(values)]
    if shown.size == 0:
        return np.zeros_like(values)
    low, high = np.percentile(shown, _PERCENTILES)
    if high <= low:
        low, high = shown.min(), shown.max()
    if high <= low:
        return np.full_like(values, WHITE / 2)
    return np.asarray(((values - low) / (high - low)).clip(0, 1) * WHITE)


def _not_padding(values: NDArray[Any], ds: Dataset) -> NDArray[np.bool_]:
    """Return where a value is one of the picture (PS3.3 C.7.5.1.1.2)."""
    padding = ds.get("PixelPaddingValue")
    if not isinstance(padding, int):
        return np.ones(values.shape, dtype=np.bool_)
    limit = ds.get("PixelPaddingRangeLimit")
    low, high = sorted((padding, limit if isinstance(limit, int) else padding))
    shown: NDArray[np.bool_] = (values < low) | (values > high)
    return shown


def _first(value: Any) -> float | None:
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    return None if value in (None, "") else float(value)
