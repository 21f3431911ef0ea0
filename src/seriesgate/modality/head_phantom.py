"""A head made of ellipsoids, and what one MR slice shows of it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

_CACHE_SIZE = 32 * 1024 * 1024


class Contrast(NamedTuple):
    """How bright each tissue is in an image: 0 to 4095, for 12 bits stored."""

    air: int
    fat: int
    bone: int
    fluid: int
    grey_matter: int
    white_matter: int
    lesion: int


_, _FAT, _BONE, _FLUID, _GREY, _WHITE, _LESION = range(len(Contrast._fields))


class _Ellipsoid(NamedTuple):
    """Centre and half axes in units of half the head: x to the left, y to the back, z upwards."""

    tissue: int
    x: float
    y: float
    z: float
    half_x: float
    half_y: float
    half_z: float


# From the outside to the inside: each one covers what lies under it.
_HEAD = (
    _Ellipsoid(_FAT, 0.0, 0.0, 0.0, 0.70, 0.90, 1.10),
    _Ellipsoid(_BONE, 0.0, 0.0, 0.0, 0.66, 0.86, 1.06),
    _Ellipsoid(_FLUID, 0.0, 0.0, 0.0, 0.62, 0.82, 1.02),
    _Ellipsoid(_GREY, -0.01, 0.0, 0.0, 0.59, 0.79, 0.99),
    _Ellipsoid(_WHITE, 0.25, 0.02, 0.05, 0.26, 0.62, 0.80),
    _Ellipsoid(_WHITE, -0.25, 0.02, 0.05, 0.26, 0.62, 0.80),
    _Ellipsoid(_FLUID, 0.10, -0.05, 0.10, 0.07, 0.30, 0.35),
    _Ellipsoid(_FLUID, -0.10, -0.05, 0.10, 0.07, 0.30, 0.35),
    _Ellipsoid(_GREY, 0.20, 0.10, -0.05, 0.08, 0.12, 0.15),
    _Ellipsoid(_GREY, -0.20, 0.10, -0.05, 0.08, 0.12, 0.15),
    _Ellipsoid(_LESION, 0.33, 0.35, 0.25, 0.07, 0.06, 0.10),
)


class HeadPhantom:
    """Slices of the head, of `matrix` rows and columns."""

    def __init__(self, matrix: int) -> None:
        self._matrix = matrix
        # Series of one study show the same slices in different contrasts.
        self._tissues = lru_cache(maxsize=max(_CACHE_SIZE // matrix**2, 1))(self._find_tissues)

    def pixels(self, z: float, contrast: Contrast) -> bytes:
        """Return the slice at height `z`, from -1 (neck) to 1 (crown), row by row.

        The pixels are unsigned 16-bit little endian.
        """
        tissues = self._tissues(z)
        low = bytes(value & 0xFF for value in contrast).ljust(256, b"\0")
        high = bytes(value >> 8 for value in contrast).ljust(256, b"\0")
        pixels = bytearray(2 * len(tissues))
        pixels[0::2] = tissues.translate(low)
        pixels[1::2] = tissues.translate(high)
        return bytes(pixels)

    def _find_tissues(self, z: float) -> bytes:
        """Return the tissue of each pixel, as its position in `Contrast`."""
        matrix = self._matrix
        tissues = bytearray(matrix * matrix)
        for ellipsoid in _HEAD:
            height = 1 - ((z - ellipsoid.z) / ellipsoid.half_z) ** 2
            if height <= 0:
                continue
            reach = ellipsoid.half_y * math.sqrt(height)
            for row in self._between(ellipsoid.y - reach, ellipsoid.y + reach):
                y = (2 * row + 1) / matrix - 1
                width = height - ((y - ellipsoid.y) / ellipsoid.half_y) ** 2
                half = ellipsoid.half_x * math.sqrt(max(width, 0))
                columns = self._between(ellipsoid.x - half, ellipsoid.x + half)
                start = row * matrix + columns.start
                tissues[start : start + len(columns)] = bytes([ellipsoid.tissue]) * len(columns)
        return bytes(tissues)

    def _between(self, low: float, high: float) -> range:
        """Return the pixels whose centre lies in [low, high] of an edge that goes from -1 to 1."""
        first = math.ceil((low + 1) * self._matrix / 2 - 0.5)
        last = math.floor((high + 1) * self._matrix / 2 - 0.5)
        return range(max(first, 0), min(last, self._matrix - 1) + 1)
