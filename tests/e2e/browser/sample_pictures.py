"""Pictures of the invented hospital's series: bodies made of ellipses."""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from seriesgate.modality.head_phantom import Contrast, HeadPhantom

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_SIDE = 192
_WITHOUT = 11
_T1 = Contrast(0, 3200, 300, 500, 1400, 2000, 1000)
_T2 = Contrast(0, 2600, 250, 3900, 1700, 1200, 3300)
_DIFFUSION = Contrast(0, 500, 100, 200, 900, 1100, 3900)


class _Ellipse(NamedTuple):
    """A grey from 0 to 255; centre and half axes in parts of the picture's side."""

    grey: int
    x: float
    y: float
    half_x: float
    half_y: float


class _Drawing(NamedTuple):
    shapes: tuple[_Ellipse, ...]
    ground: int = 0
    blur: float = 1.2
    noise: float = 6.0


_THORAX = _Drawing(
    (
        _Ellipse(150, 0.5, 0.53, 0.46, 0.33),
        _Ellipse(20, 0.29, 0.52, 0.17, 0.24),
        _Ellipse(20, 0.71, 0.52, 0.17, 0.24),
        _Ellipse(190, 0.55, 0.47, 0.14, 0.13),
        _Ellipse(235, 0.5, 0.76, 0.05, 0.06),
        _Ellipse(215, 0.45, 0.66, 0.03, 0.03),
        _Ellipse(120, 0.30, 0.42, 0.02, 0.02),
    )
)
_CHEST = _Drawing(
    (
        _Ellipse(165, 0.5, 0.62, 0.47, 0.60),
        _Ellipse(45, 0.29, 0.50, 0.16, 0.33),
        _Ellipse(45, 0.71, 0.50, 0.16, 0.33),
        _Ellipse(205, 0.56, 0.63, 0.15, 0.17),
        _Ellipse(190, 0.5, 0.45, 0.045, 0.48),
        _Ellipse(210, 0.27, 0.90, 0.20, 0.13),
        _Ellipse(200, 0.73, 0.92, 0.19, 0.11),
        *(_Ellipse(110, x, y, 0.15, 0.012) for x in (0.28, 0.72) for y in (0.3, 0.4, 0.5, 0.6)),
    ),
    blur=2.0,
)
_KNEE = _Drawing(
    (
        _Ellipse(90, 0.5, 0.5, 0.36, 0.60),
        _Ellipse(200, 0.48, 0.20, 0.22, 0.24),
        _Ellipse(200, 0.48, 0.80, 0.22, 0.27),
        _Ellipse(25, 0.48, 0.47, 0.24, 0.03),
        _Ellipse(240, 0.48, 0.51, 0.20, 0.012),
        _Ellipse(185, 0.20, 0.40, 0.06, 0.13),
    )
)
_LIVER = _Drawing(
    (
        _Ellipse(95, 0.5, 0.95, 0.52, 0.80),
        _Ellipse(70, 0.42, 0.55, 0.30, 0.26),
        _Ellipse(4, 0.66, 0.48, 0.10, 0.14),
        _Ellipse(8, 0.40, 0.60, 0.03, 0.10),
    ),
    blur=0.7,
    noise=34.0,
)
_BREAST = _Drawing(
    (
        _Ellipse(85, 0.0, 0.5, 0.66, 0.46),
        _Ellipse(150, 0.14, 0.5, 0.36, 0.28),
        _Ellipse(190, 0.20, 0.42, 0.16, 0.10),
        _Ellipse(235, 0.34, 0.60, 0.025, 0.025),
    ),
    blur=2.4,
)
_WHOLE_BODY = _Drawing(
    (
        _Ellipse(205, 0.5, 0.10, 0.08, 0.09),
        _Ellipse(60, 0.5, 0.08, 0.05, 0.05),
        _Ellipse(215, 0.5, 0.42, 0.17, 0.25),
        _Ellipse(215, 0.42, 0.82, 0.06, 0.20),
        _Ellipse(215, 0.58, 0.82, 0.06, 0.20),
        _Ellipse(120, 0.53, 0.33, 0.05, 0.04),
        _Ellipse(170, 0.44, 0.43, 0.08, 0.05),
        _Ellipse(20, 0.5, 0.63, 0.04, 0.03),
    ),
    ground=250,
)
_DRAWINGS = {
    "Thorax with contrast": _THORAX,
    "Chest PA and lateral": _CHEST,
    "Knee left": _KNEE,
    "Abdomen": _LIVER,
    "Screening, both sides": _BREAST,
    "Whole body FDG": _WHOLE_BODY,
}
_CONTRASTS = {"t1_mprage_sag_p2_iso": _T1, "t2_tse_tra_320": _T2, "dwi_tra_b1000": _DIFFUSION}


def pictures_of(reports: Iterable[tuple[datetime, dict[str, Any]]]) -> dict[str, bytes]:
    """The picture of each series, but for some that stand for objects without pixels."""
    return {
        fields["SeriesInstanceUID"]: _picture(
            fields["StudyDescription"], fields["SeriesDescription"]
        )
        for number, (_, fields) in enumerate(reports)
        if number % _WITHOUT
    }


@cache
def _picture(study_description: str, series_description: str) -> bytes:
    """A PNG of a series, by what its study and itself are called."""
    contrast = _CONTRASTS.get(series_description)
    if contrast is None:
        grey = _drawn(_DRAWINGS[study_description])
    else:
        pixels = HeadPhantom(_SIDE).pixels(0.25, contrast)
        grey = _grained(np.frombuffer(pixels, "<u2").reshape(_SIDE, _SIDE) / 16, 5.0, 0.8)
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "PNG")
    return stream.getvalue()


def _drawn(drawing: _Drawing) -> np.ndarray:
    y, x = np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE
    values = np.full((_SIDE, _SIDE), drawing.ground, float)
    for each in drawing.shapes:
        inside = ((x - each.x) / each.half_x) ** 2 + ((y - each.y) / each.half_y) ** 2 <= 1
        values[inside] = each.grey
    return _grained(values, drawing.noise, drawing.blur)


def _grained(values: np.ndarray, noise: float, blur: float) -> np.ndarray:
    """Values with noise where there is tissue, and soft edges, as a detector would have them."""
    grain = np.random.default_rng(5).normal(0, noise, values.shape) * np.minimum(values / 60, 1)
    rough = Image.fromarray((values + grain).clip(0, 255).astype(np.uint8))
    return np.asarray(rough.filter(ImageFilter.GaussianBlur(blur)))
