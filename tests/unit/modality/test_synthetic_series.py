from __future__ import annotations

import subprocess
from collections import Counter
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filereader import read_dataset
from tests.data_sets import EXPLICIT_LE, MR_IMAGE_STORAGE, encode

from seriesgate.adapters.spool.part10 import FileMeta, encode_head
from seriesgate.modality.head_phantom import Contrast, HeadPhantom
from seriesgate.modality.synthetic_series import (
    StudyShape,
    SyntheticInstance,
    matrix_of_size,
    parse_shape,
    synthetic_study,
)

if TYPE_CHECKING:
    from pydicom import Dataset

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROOT = UUID(int=12345)


def _study(
    series: int, instances: int, *, matrix: int = 64, root: UUID | None = ROOT
) -> list[SyntheticInstance]:
    shape = StudyShape(series, instances)
    return list(synthetic_study(shape, acquired_at=AT, matrix=matrix, root=root))


def _decoded(instance: SyntheticInstance) -> Dataset:
    with instance.open() as file:
        return read_dataset(file, is_implicit_VR=False, is_little_endian=True)


def test_a_study_has_the_series_and_instances_asked_for():
    data_sets = [_decoded(instance) for instance in _study(7, 3)]
    assert Counter(data_set.SeriesNumber for data_set in data_sets) == dict.fromkeys(range(1, 8), 3)
    assert [data_set.InstanceNumber for data_set in data_sets] == [1, 2, 3] * 7
    assert len({data_set.SeriesInstanceUID for data_set in data_sets}) == 7
    assert len({data_set.SOPInstanceUID for data_set in data_sets}) == 21
    for shared in ("StudyInstanceUID", "PatientID", "PatientName", "FrameOfReferenceUID"):
        assert len({data_set[shared].value for data_set in data_sets}) == 1
    assert [data_set.SeriesDescription for data_set in data_sets][::3][:4] == [
        "t1_mprage",
        "t2_tse",
        "flair",
        "dwi_b1000",
    ]


def test_an_instance_says_of_itself_what_its_data_set_says():
    for instance in _study(2, 2):
        data_set = _decoded(instance)
        assert instance.context == (MR_IMAGE_STORAGE, EXPLICIT_LE)
        assert data_set.SOPClassUID == MR_IMAGE_STORAGE
        assert data_set.SOPInstanceUID == instance.sop_instance_uid == str(instance)


def test_the_data_set_is_encoded_as_pydicom_encodes_it():
    for instance in _study(6, 11):
        with instance.open() as file:
            content = file.read()
        assert encode(read_dataset(BytesIO(content), False, True)) == content


def test_the_same_root_gives_the_same_study_and_no_root_a_new_one():
    first, again = ([i.open().read() for i in _study(2, 2)] for _ in range(2))
    assert first == again
    fresh = {_decoded(_study(1, 1, root=None)[0]).StudyInstanceUID for _ in range(3)}
    assert len(fresh) == 3
    assert all(uid.startswith("2.25.") and uid.is_valid for uid in fresh)


def test_slices_lie_on_one_line_with_the_spacing_that_they_name():
    data_sets = [_decoded(instance) for instance in _study(1, 8)]
    heights = [float(data_set.ImagePositionPatient[2]) for data_set in data_sets]
    assert heights == [float(data_set.SliceLocation) for data_set in data_sets]
    spacing = float(data_sets[0].SpacingBetweenSlices)
    assert [upper - lower for lower, upper in pairwise(heights)] == (pytest.approx([spacing] * 7))


@pytest.mark.parametrize("matrix", [16, 64, 65])
def test_pixels_fill_the_matrix_with_twelve_bits(matrix):
    instances = _study(1, 5, matrix=matrix)
    images = [_decoded(instance).PixelData for instance in instances]
    assert {len(image) for image in images} == {2 * matrix * matrix}
    assert len(set(images)) == 5
    for image in images:
        pixels = memoryview(image).cast("H")
        assert 0 < max(pixels) <= 4095
        assert len(set(pixels)) >= 4


def test_the_phantom_is_symmetric_outside_and_dark_in_the_corners():
    contrast = Contrast(0, 1, 2, 3, 4, 5, 6)
    pixels = memoryview(HeadPhantom(64).pixels(0.9, contrast)).cast("H")
    rows = [list(pixels[64 * row : 64 * row + 64]) for row in range(64)]
    assert rows[0][0] == rows[0][63] == rows[63][0] == rows[63][63] == 0
    outline = [[pixel > 0 for pixel in row] for row in rows]
    assert outline == [row[::-1] for row in outline] == outline[::-1]


@pytest.mark.parametrize("matrix", [16, 64, 512, 2048])
def test_the_slices_that_are_kept_stay_within_32_mib(matrix):
    kept = HeadPhantom(matrix)._tissues.cache_info().maxsize
    assert kept is not None
    assert matrix**2 <= kept * matrix**2 <= 32 * 1024 * 1024


def test_every_tissue_is_to_be_seen_in_some_slice():
    phantom = HeadPhantom(64)
    contrast = Contrast(1, 2, 3, 4, 5, 6, 7)
    seen: set[int] = set()
    for step in range(-9, 10):
        seen.update(memoryview(phantom.pixels(step / 10, contrast)).cast("H"))
    assert seen == set(contrast)


def test_dciodvfy_finds_no_error(tmp_path):
    for instance in _study(6, 3)[::3]:
        meta = FileMeta(MR_IMAGE_STORAGE, instance.sop_instance_uid, EXPLICIT_LE, "")
        path = tmp_path / "instance.dcm"
        path.write_bytes(encode_head(meta) + instance.open().read())
        run = subprocess.run(
            ["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=True
        )
        assert "MRImage" in run.stderr + run.stdout
        assert "Error" not in run.stderr + run.stdout


@given(st.integers(1, 10_000), st.integers(1, 100_000))
def test_a_shape_is_read_as_it_is_written(series, instances):
    assert parse_shape(f"{series}x{instances}") == (series, instances)


@pytest.mark.parametrize("text", ["", "5", "5x", "x5", "5x5x5", "-1x5", "a x b", "5 x 5", "٣x٣"])
def test_what_is_no_shape_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="as 5x100"):
        parse_shape(text)


@pytest.mark.parametrize("text", ["0x5", "5x0", "10001x1", "1x100001", "999999999x1"])
def test_a_shape_out_of_bounds_is_refused_with_the_bounds(text):
    with pytest.raises(ValueError, match="1 to 10000 series of 1 to 100000 instances"):
        parse_shape(text)


@given(st.integers(512, 2 * 2048**2))
def test_the_matrix_is_the_largest_that_fits(size):
    matrix = matrix_of_size(size)
    assert 2 * matrix**2 <= size < 2 * (matrix + 1) ** 2


@pytest.mark.parametrize("size", [-1, 0, 511, 2 * 2049**2])
def test_a_size_that_cannot_be_made_is_refused_with_the_bounds(size):
    with pytest.raises(ValueError, match="512 to 8388608 bytes of pixels"):
        matrix_of_size(size)
