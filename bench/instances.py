"""The instances that are sent: MR series with the headers of a real one, in files or in memory."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pydicom import dcmread

from seriesgate.adapters.spool.part10 import FileMeta, encode_head
from seriesgate.modality.synthetic_series import (
    StudyShape,
    matrix_of_size,
    synthetic_study,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seriesgate.modality.synthetic_series import SyntheticInstance

# What an instance has besides its pixels, roughly.
_HEADER_SIZE = 1024
_SMALLEST_PIXELS = 512


def mr_instances(series: int, instances: int, kilobytes: int) -> Iterator[SyntheticInstance]:
    """Yield `instances` of each of `series` new series; each has about `kilobytes` KB."""
    pixels = max(kilobytes * 1024 - _HEADER_SIZE, _SMALLEST_PIXELS)
    return synthetic_study(
        StudyShape(series, instances),
        acquired_at=datetime.now().astimezone(),
        matrix=matrix_of_size(pixels),
    )


def series_instance_uid(instance: SyntheticInstance) -> str:
    """Return the UID of the series that an instance belongs to."""
    with instance.open() as data_set:
        return str(dcmread(data_set, force=True, stop_before_pixels=True).SeriesInstanceUID)


def write_series(folder: Path, instances: int, kilobytes: int) -> list[Path]:
    """Write one series as Part 10 files into a new `folder` and return their paths."""
    folder.mkdir()
    paths = []
    for instance in mr_instances(1, instances, kilobytes):
        sop_class_uid, transfer_syntax_uid = instance.context
        meta = FileMeta(sop_class_uid, instance.sop_instance_uid, transfer_syntax_uid, "BENCH")
        with instance.open() as data_set:
            content = encode_head(meta) + data_set.read()
        path = folder / f"{instance.number:05}.dcm"
        path.write_bytes(content)
        paths.append(path)
    return paths
