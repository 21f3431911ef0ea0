"""From stored values to the grey levels of a screen: PS3.3 C.11.1, C.11.2 and C.7.6.3.1.2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seriesgate.adapters.preview.image_elements import MODALITY_LUT, VOI_LUT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seriesgate.adapters.preview.image_attributes import ImageAttributes, Table

WHITE = 255.0
# Without a window, the darkest and the brightest of a hundred values are out of scale.
_PERCENTILES = (1.0, 99.0)

PADDING_VALUE, PADDING_LIMIT = 0x00280120, 0x00280121
WINDOW_CENTER, WINDOW_WIDTH, WINDOW_FUNCTION = 0x00281050, 0x00281051, 0x00281056
INTERCEPT, SLOPE = 0x00281052, 0x00281053
LUT_DESCRIPTOR, LUT_DATA = 0x00283002, 0x00283006


def grey_levels(
    values: NDArray[Any], attributes: ImageAttributes, *, is_signed: bool, is_inverted: bool
) -> NDArray[np.uint8]:
    """Return the values of one frame as grey, black to white.

    `attributes` has those of the Modality LUT and VOI LUT modules, and those of the image;
    `is_signed` says how values are stored, `is_inverted` that the least value is white.
    """
    is_shown = _not_padding(values, attributes, is_signed=is_signed)
    modality = _modality(values, attributes, is_signed=is_signed)
    level = _by_table(modality, attributes)
    if level is None:
        level = _by_window(modality, attributes)
    if level is None or np.ptp(level) == 0:
        level = _by_percentiles(modality, is_shown)
    if is_inverted:
        level = WHITE - level
    level = np.where(is_shown, level, 0)
    shown: NDArray[np.uint8] = np.nan_to_num(level).round().clip(0, WHITE).astype(np.uint8)
    return shown


def _modality(
    values: NDArray[Any], attributes: ImageAttributes, *, is_signed: bool
) -> NDArray[Any]:
    table = _table(attributes, MODALITY_LUT, is_signed=is_signed)
    if table is not None:
        return table.apply(values).astype(np.float32)
    slope, intercept = attributes.decimal(SLOPE), attributes.decimal(INTERCEPT)
    return np.asarray(values.astype(np.float32) * (slope or 1.0) + (intercept or 0.0))


def _table(attributes: ImageAttributes, sequence: int, *, is_signed: bool) -> Table | None:
    item = attributes.first_item(sequence)
    return None if item is None else item.table(LUT_DESCRIPTOR, LUT_DATA, is_signed=is_signed)


def _by_table(values: NDArray[Any], attributes: ImageAttributes) -> NDArray[Any] | None:
    table = _table(attributes, VOI_LUT, is_signed=bool(np.nan_to_num(values).min() < 0))
    return None if table is None else table.apply(values) * (WHITE / table.white)


def _by_window(values: NDArray[Any], attributes: ImageAttributes) -> NDArray[Any] | None:
    center, width = attributes.decimal(WINDOW_CENTER), attributes.decimal(WINDOW_WIDTH)
    if center is None or width is None or width <= 0:
        return None
    match attributes.term(WINDOW_FUNCTION):
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


def _not_padding(
    values: NDArray[Any], attributes: ImageAttributes, *, is_signed: bool
) -> NDArray[np.bool_]:
    """Return where a value is one of the picture (PS3.3 C.7.5.1.1.2)."""
    padding = attributes.number(PADDING_VALUE, is_signed=is_signed)
    if padding is None:
        return np.ones(values.shape, dtype=np.bool_)
    limit = attributes.number(PADDING_LIMIT, is_signed=is_signed)
    low, high = sorted((padding, padding if limit is None else limit))
    shown: NDArray[np.bool_] = (values < low) | (values > high)
    return shown
