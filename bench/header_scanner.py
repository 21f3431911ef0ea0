"""Measure how long the header scanner takes to know an instance.

    python bench/header_scanner.py [PART10_FILE ...]

Without files it scans a typical MR header of 60 elements up to (0020,0013). It prints the best of
several rounds, for data sets that come whole, in fragments of 1 KiB, and after one that is alike,
and pydicom's time.
"""

import io
import sys
import timeit
from collections.abc import Callable
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)

from seriesgate.adapters.data_set.data_set_head import HeadLimits
from seriesgate.adapters.data_set.head_layout import HeadMemory
from seriesgate.adapters.data_set.header_scanner import HeaderScanner
from seriesgate.adapters.spool.part10 import read_head
from seriesgate.series.model import InstanceHeader

LAST_TAG = 0x00200013
FRAGMENT_SIZE = 128 * 1024
CALLS = 2000
ROUNDS = 7

MR_HEADER = {
    "SpecificCharacterSet": "ISO_IR 100",
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"],
    "InstanceCreationDate": "20240229",
    "InstanceCreationTime": "101112.123000",
    "SOPClassUID": MRImageStorage,
    "SOPInstanceUID": "1.3.12.2.1107.5.2.32.35424.2024022910111212345678901",
    "StudyDate": "20240229",
    "SeriesDate": "20240229",
    "AcquisitionDate": "20240229",
    "ContentDate": "20240229",
    "StudyTime": "101000.000000",
    "SeriesTime": "101100.000000",
    "AcquisitionTime": "101105.000000",
    "ContentTime": "101112.000000",
    "AccessionNumber": "A1234567",
    "Modality": "MR",
    "Manufacturer": "Manufacturer",
    "InstitutionName": "Institution",
    "InstitutionAddress": "Street 1, City, Country",
    "ReferringPhysicianName": "Referring^Physician",
    "StationName": "MRC12345",
    "StudyDescription": "Head",
    "SeriesDescription": "t1_mprage_sag_p2_iso_1.0",
    "InstitutionalDepartmentName": "Department",
    "PerformingPhysicianName": "Performing^Physician",
    "OperatorsName": "Operator",
    "ManufacturerModelName": "Model",
    "PatientName": "Doe^Jane",
    "PatientID": "A/17",
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
    "PatientAge": "054Y",
    "PatientSize": "1.70",
    "PatientWeight": "70",
    "BodyPartExamined": "BRAIN",
    "ScanningSequence": ["GR", "IR"],
    "SequenceVariant": ["SP", "MP"],
    "ScanOptions": "IR",
    "MRAcquisitionType": "3D",
    "SequenceName": "*tfl3d1_ns",
    "AngioFlag": "N",
    "SliceThickness": "1",
    "RepetitionTime": "2300",
    "EchoTime": "2.98",
    "InversionTime": "900",
    "NumberOfAverages": "1",
    "ImagingFrequency": "123.25",
    "ImagedNucleus": "1H",
    "EchoNumbers": "1",
    "MagneticFieldStrength": "3",
    "DeviceSerialNumber": "35424",
    "SoftwareVersions": "syngo MR E11",
    "ProtocolName": "t1_mprage_sag_p2_iso_1.0",
    "FlipAngle": "9",
    "PatientPosition": "HFS",
    "StudyInstanceUID": "1.3.12.2.1107.5.2.32.35424.30000024022909000000000001",
    "SeriesInstanceUID": "1.3.12.2.1107.5.2.32.35424.2024022910110012345678900.0.0.0",
    "StudyID": "1",
    "SeriesNumber": "2",
    "InstanceNumber": "88",
    "Rows": 256,
    "Columns": 256,
    "PixelData": bytes(128 * 1024),
}
SYNTAXES = {
    "explicit LE": ExplicitVRLittleEndian,
    "implicit LE": ImplicitVRLittleEndian,
    "explicit BE": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}


def mr_file(transfer_syntax_uid: UID) -> bytes:
    """Return the typical MR instance as a Part 10 file."""
    dataset = Dataset()
    for keyword, value in MR_HEADER.items():
        setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax_uid
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def scan(
    data: memoryview, transfer_syntax_uid: str, step: int, memory: HeadMemory | None = None
) -> InstanceHeader:
    """Scan a data set that comes in fragments of `step` bytes."""
    scanner = HeaderScanner(transfer_syntax_uid, memory=memory)
    for start in range(0, len(data), step):
        if header := scanner.feed(data[start : start + step]):
            return header
    return scanner.finish()


def microseconds(function: Callable[[], object], calls: int = CALLS) -> float:
    """Return the time of one call in the best round."""
    return min(timeit.repeat(function, number=calls, repeat=ROUNDS)) / calls * 1e6


def measure(name: str, content: bytes) -> None:
    """Print one line of the table."""
    file = io.BytesIO(content)
    transfer_syntax_uid = read_head(file).transfer_syntax_uid
    data = memoryview(file.read())
    dataset = dcmread(io.BytesIO(content), stop_before_pixels=True)
    elements = len(dataset[:LAST_TAG]) + 1
    whole = microseconds(lambda: scan(data, transfer_syntax_uid, FRAGMENT_SIZE))
    pieces = microseconds(lambda: scan(data, transfer_syntax_uid, 1024))
    memory = HeadMemory(HeadLimits().max_value_bytes)
    alike = microseconds(lambda: scan(data, transfer_syntax_uid, FRAGMENT_SIZE, memory))
    by_pydicom = microseconds(
        lambda: dcmread(io.BytesIO(content), stop_before_pixels=True), CALLS // 20
    )
    times = f"{whole:>9.1f} {pieces:>9.1f} {alike:>9.1f} {by_pydicom:>9.1f}"
    print(f"{name:<32.32} {elements:>8} {times}")


def main() -> None:
    """Measure the files named on the command line, or the typical header in each encoding."""
    print(
        f"{'':<32} {'elements':>8} {'whole us':>9} {'1 KiB us':>9} {'alike us':>9} {'pydicom':>9}"
    )
    if sys.argv[1:]:
        for path in map(Path, sys.argv[1:]):
            measure(path.name, path.read_bytes())
    else:
        for name, syntax in SYNTAXES.items():
            measure(name, mr_file(syntax))


if __name__ == "__main__":
    main()
