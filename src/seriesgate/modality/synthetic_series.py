"""A study that nobody acquired: MR series of a head phantom, made while they are sent.

What the instances of a series have in common is encoded once, by pydicom; an instance is that with
its own five elements in between. So a million instances cost little more memory than one.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle, islice, pairwise
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid4, uuid5

from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from seriesgate.modality.head_phantom import HeadPhantom
from seriesgate.modality.synthetic_attributes import (
    FIELD_OF_VIEW,
    HEAD_HEIGHT,
    TECHNIQUES,
    image_elements,
    series_elements,
    study_elements,
    uid_of,
)
from seriesgate.requestor.outgoing_instance import StorageContext

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import BinaryIO

    from pydicom.dataset import Dataset

    from seriesgate.modality.head_phantom import Contrast

_BYTES_PER_PIXEL = 2
_MIN_MATRIX = 16
_MAX_MATRIX = 2048
_MAX_SERIES = 10_000
_MAX_INSTANCES = 100_000

_CONTEXT = StorageContext(str(MRImageStorage), str(ExplicitVRLittleEndian))
_SOP_INSTANCE_UID = 0x00080018
_INSTANCE_NUMBER = 0x00200013
_IMAGE_POSITION = 0x00200032
_SLICE_LOCATION = 0x00201041
_PIXEL_DATA = 0x7FE00010
# Explicit VR little endian (PS3.5 7.1.2): tag, VR and a length of two bytes; of four for OW.
_SHORT_ELEMENT = struct.Struct("<HH2sH")
_LONG_ELEMENT = struct.Struct("<HH2s2xI")


class StudyShape(NamedTuple):
    """How many series a study has, and how many instances each of them has."""

    series: int
    instances: int


def parse_shape(text: str) -> StudyShape:
    """Return the shape written as SERIESxINSTANCES. Raises ValueError with a text for people."""
    match = re.fullmatch(r"([0-9]{1,9})[xX]([0-9]{1,9})", text)
    if not match:
        raise ValueError(f"write SERIESxINSTANCES, as 5x100, not {text!r}")
    shape = StudyShape(*map(int, match.groups()))
    if not (1 <= shape.series <= _MAX_SERIES and 1 <= shape.instances <= _MAX_INSTANCES):
        raise ValueError(
            f"a synthetic study has 1 to {_MAX_SERIES} series of 1 to {_MAX_INSTANCES} instances"
        )
    return shape


def matrix_of_size(size: int) -> int:
    """Return the rows and columns of the largest image that has at most `size` bytes of pixels.

    Raises ValueError, with a text for people, when that is too small or too large to make.
    """
    matrix = math.isqrt(max(size, 0) // _BYTES_PER_PIXEL)
    if not _MIN_MATRIX <= matrix <= _MAX_MATRIX:
        smallest, largest = (_BYTES_PER_PIXEL * edge**2 for edge in (_MIN_MATRIX, _MAX_MATRIX))
        raise ValueError(f"a synthetic instance has {smallest} to {largest} bytes of pixels")
    return matrix


def synthetic_study(
    shape: StudyShape, *, acquired_at: datetime, matrix: int = 64, root: UUID | None = None
) -> Iterator[SyntheticInstance]:
    """Yield the instances of one study of one patient, series by series; the pixels come later.

    Each image has `matrix` rows and columns. All UIDs follow from `root`, a random UUID if None:
    the same root gives the same study.
    """
    root = root or uuid4()
    phantom = HeadPhantom(matrix)
    techniques = islice(cycle(TECHNIQUES), shape.series)
    for number, technique in enumerate(techniques, start=1):
        common = study_elements(root, acquired_at)
        common.update(series_elements(root, number, technique))
        common.update(image_elements(matrix, HEAD_HEIGHT / shape.instances, technique))
        series = _Series(
            uid_space=uuid5(root, f"series {number}"),
            instances=shape.instances,
            contrast=technique.contrast,
            phantom=phantom,
            common=common,
        )
        for instance_number in range(1, shape.instances + 1):
            yield SyntheticInstance(series, instance_number)


@dataclass(frozen=True, slots=True)
class SyntheticInstance:
    """One image of a synthetic series, made when it is opened."""

    series: _Series
    number: int

    def __str__(self) -> str:
        return self.sop_instance_uid

    @property
    def context(self) -> StorageContext:
        """MR Image Storage in explicit VR little endian."""
        return _CONTEXT

    @property
    def sop_instance_uid(self) -> str:
        """A UID of the series and the number alone."""
        return self.series.instance_uid(self.number)

    def open(self) -> BinaryIO:
        """Return the encoded data set."""
        return BytesIO(self.series.encode(self.number))


class _Series:
    """What the instances of a series share, encoded."""

    def __init__(
        self,
        uid_space: UUID,
        instances: int,
        contrast: Contrast,
        phantom: HeadPhantom,
        common: Dataset,
    ) -> None:
        self._uid_space = uid_space
        self._instances = instances
        self._contrast = contrast
        self._phantom = phantom
        cuts = (
            0,
            _SOP_INSTANCE_UID,
            _INSTANCE_NUMBER,
            _IMAGE_POSITION,
            _SLICE_LOCATION,
            _PIXEL_DATA,
        )
        self._parts = [_encode(common[start:stop]) for start, stop in pairwise(cuts)]

    def instance_uid(self, number: int) -> str:
        return uid_of(uuid5(self._uid_space, f"instance {number}"))

    def encode(self, number: int) -> bytes:
        """Return the data set of the instance `number`, which counts from 1."""
        # The middle of the slice: from -1 at the neck to 1 at the crown.
        z = (2 * number - 1) / self._instances - 1
        location = f"{z * HEAD_HEIGHT / 2:.3f}"
        corner = -FIELD_OF_VIEW / 2
        pixels = self._phantom.pixels(z, self._contrast)
        own = (
            _element(_SOP_INSTANCE_UID, b"UI", self.instance_uid(number), b"\0"),
            _element(_INSTANCE_NUMBER, b"IS", str(number), b" "),
            _element(_IMAGE_POSITION, b"DS", f"{corner}\\{corner}\\{location}", b" "),
            _element(_SLICE_LOCATION, b"DS", location, b" "),
            _LONG_ELEMENT.pack(_PIXEL_DATA >> 16, _PIXEL_DATA & 0xFFFF, b"OW", len(pixels))
            + pixels,
        )
        return b"".join(part for pair in zip(self._parts, own, strict=True) for part in pair)


def _encode(elements: Dataset) -> bytes:
    file = DicomBytesIO()
    file.is_little_endian = True
    file.is_implicit_VR = False
    write_dataset(file, elements)
    return file.getvalue()


def _element(tag: int, vr: bytes, text: str, padding: bytes) -> bytes:
    value = text.encode("ascii")
    value += padding * (len(value) % 2)
    return _SHORT_ELEMENT.pack(tag >> 16, tag & 0xFFFF, vr, len(value)) + value
