"""Data sets made for tests: bytes as DIMSE transports them, without preamble and File Meta."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from seriesgate.adapters.spool.part10 import FileMeta, encode_head

if TYPE_CHECKING:
    from pathlib import Path

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"


def mr_instance(
    sop: str = "1.1",
    series: str = "1.2",
    study: str = "1.3",
    *,
    number: int = 1,
    patient_id: str = "A/17",
    patient_name: str = "Doe^Jane",
    character_set: str | None = None,
    pixels: int = 64,
) -> Dataset:
    """Return a small MR instance."""
    dataset = Dataset()
    if character_set:
        dataset.SpecificCharacterSet = character_set
    dataset.SOPClassUID = MR_IMAGE_STORAGE
    dataset.SOPInstanceUID = sop
    dataset.StudyDate = "20260101"
    dataset.Modality = "MR"
    dataset.SeriesDescription = "t1"
    dataset.PatientName = patient_name
    dataset.PatientID = patient_id
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = series
    dataset.SeriesNumber = 3
    dataset.InstanceNumber = number
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = max(1, pixels // 1000)
    dataset.Columns = min(pixels, 1000)
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = bytes(range(256)) * (pixels * 2 // 256) + bytes(pixels * 2 % 256)
    dataset["PixelData"].VR = "OW"
    return dataset


def encode(dataset: Dataset, transfer_syntax_uid: str = EXPLICIT_LE) -> bytes:
    """Return the bytes of a data set."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = transfer_syntax_uid != EXPLICIT_BE
    buffer.is_implicit_VR = transfer_syntax_uid == IMPLICIT_LE
    write_dataset(buffer, dataset)
    plain = buffer.getvalue()
    if transfer_syntax_uid != DEFLATED:
        return plain
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = compressor.compress(plain) + compressor.flush()
    return deflated + b"\0" * (len(deflated) % 2)


def mr_data_set(**attributes: Any) -> bytes:
    """Return the bytes of a small MR instance in explicit VR little endian."""
    return encode(mr_instance(**attributes))


def write_file(path: Path, dataset: Dataset, transfer_syntax_uid: str = EXPLICIT_LE) -> Path:
    """Write a Part 10 file and return its path."""
    meta = FileMeta(dataset.SOPClassUID, dataset.SOPInstanceUID, transfer_syntax_uid, "MODALITY")
    path.write_bytes(encode_head(meta) + encode(dataset, transfer_syntax_uid))
    return path
