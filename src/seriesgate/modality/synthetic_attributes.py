"""What a synthetic MR study says of itself: the attributes of the MR Image IOD (PS3.3 A.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid5

from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from seriesgate.modality.head_phantom import Contrast

if TYPE_CHECKING:
    from datetime import datetime

#: In millimetres: a slice is square, and the slices of a series cover the head.
FIELD_OF_VIEW = 240.0
HEAD_HEIGHT = 160.0


class Technique(NamedTuple):
    """How a series is acquired (PS3.3 C.8.3.1; times in milliseconds), and what it makes bright."""

    description: str
    contrast: Contrast
    acquisition_type: str
    scanning_sequence: str
    sequence_variant: str
    repetition_time: float
    echo_time: float
    # Only where the scanning sequence is an inversion recovery, IR.
    inversion_time: float | None = None


_T1 = Contrast(20, 2600, 120, 450, 1250, 1850, 900)
_T2 = Contrast(20, 1500, 100, 3300, 1500, 1050, 2700)
_FLAIR = Contrast(20, 1700, 100, 150, 1500, 1100, 2900)
_DIFFUSION = Contrast(20, 150, 60, 350, 1300, 1100, 3200)
_SUSCEPTIBILITY = Contrast(20, 1200, 80, 1900, 1700, 1500, 600)
_PROTON_DENSITY = Contrast(20, 2400, 150, 2300, 2700, 2200, 2900)

#: The series of a study, in this order and then from the start again.
TECHNIQUES = (
    Technique("t1_mprage", _T1, "3D", "GR\\IR", "SP", 2000, 2.5, 900),
    Technique("t2_tse", _T2, "2D", "SE", "SK", 5000, 96),
    Technique("flair", _FLAIR, "2D", "SE\\IR", "SK", 9000, 120, 2500),
    Technique("dwi_b1000", _DIFFUSION, "2D", "EP", "NONE", 4200, 80),
    Technique("swi", _SUSCEPTIBILITY, "3D", "GR", "SP", 28, 20),
    Technique("pd_tse", _PROTON_DENSITY, "2D", "SE", "SK", 3000, 12),
)


def study_elements(root: UUID, acquired_at: datetime) -> Dataset:
    """Return what all instances of a study share: patient, study and equipment."""
    elements = Dataset()
    elements.SpecificCharacterSet = "ISO_IR 100"
    elements.SOPClassUID = MRImageStorage
    elements.StudyDate = elements.SeriesDate = elements.ContentDate = f"{acquired_at:%Y%m%d}"
    elements.StudyTime = elements.SeriesTime = elements.ContentTime = f"{acquired_at:%H%M%S}"
    elements.AccessionNumber = root.hex[:12].upper()
    elements.Manufacturer = "seriesgate"
    elements.ManufacturerModelName = "synthetic MR"
    elements.ReferringPhysicianName = ""
    elements.StudyDescription = "Synthetic head"
    elements.PatientName = "Synthetic^Patient"
    elements.PatientID = f"SYN-{root.hex[:8].upper()}"
    elements.PatientBirthDate = "19700101"
    elements.PatientSex = "O"
    elements.StudyInstanceUID = uid_of(root)
    elements.StudyID = "1"
    return elements


def series_elements(root: UUID, number: int, technique: Technique) -> Dataset:
    """Return what the instances of the series `number` share besides."""
    elements = Dataset()
    elements.Modality = "MR"
    elements.SeriesDescription = technique.description
    elements.BodyPartExamined = "HEAD"
    elements.ScanningSequence = technique.scanning_sequence
    elements.SequenceVariant = technique.sequence_variant
    elements.ScanOptions = ""
    elements.MRAcquisitionType = technique.acquisition_type
    elements.RepetitionTime = technique.repetition_time
    elements.EchoTime = technique.echo_time
    elements.EchoTrainLength = 1
    if technique.inversion_time is not None:
        elements.InversionTime = technique.inversion_time
    elements.MagneticFieldStrength = 3
    elements.PatientPosition = "HFS"
    elements.SeriesInstanceUID = uid_of(uuid5(root, f"series {number}"))
    elements.SeriesNumber = number
    elements.FrameOfReferenceUID = uid_of(uuid5(root, "frame of reference"))
    elements.PositionReferenceIndicator = ""
    return elements


def image_elements(matrix: int, spacing: float, technique: Technique) -> Dataset:
    """Return how the images of a series are to be shown; `spacing` of slices in millimetres."""
    elements = Dataset()
    elements.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    elements.SliceThickness = elements.SpacingBetweenSlices = round(spacing, 6)
    elements.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    elements.SamplesPerPixel = 1
    elements.PhotometricInterpretation = "MONOCHROME2"
    elements.Rows = elements.Columns = matrix
    elements.PixelSpacing = [round(FIELD_OF_VIEW / matrix, 6)] * 2
    elements.BitsAllocated = 16
    elements.BitsStored = 12
    elements.HighBit = 11
    elements.PixelRepresentation = 0
    elements.WindowCenter = max(technique.contrast) // 2
    elements.WindowWidth = max(technique.contrast)
    return elements


def uid_of(uuid: UUID) -> str:
    """Return the UID of a UUID (PS3.5 B.2)."""
    return f"2.25.{uuid.int}"
