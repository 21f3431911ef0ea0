"""Finds the DICOM files among files and folders, and reads of each what sending it takes.

Nothing is decoded but the elements up to the SOP Instance UID: the data set stays as it is on disk.
"""

from __future__ import annotations

import re
import stat
import struct
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from pydicom.filereader import data_element_generator

from seriesgate.requestor.outgoing_instance import StorageContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_PREAMBLE_LENGTH = 128
_PREFIX = b"DICM"
_ELEMENT_HEADER_LENGTH = 8
# Without a preamble: File Meta Information, or a data set in little or in big endian.
_FIRST_ELEMENT = re.compile(rb"\x02\x00..[A-Z]{2}|\x08\x00..|\x00\x08..", re.DOTALL)

_MEDIA_STORAGE_SOP_CLASS_UID = 0x00020002
_MEDIA_STORAGE_SOP_INSTANCE_UID = 0x00020003
_TRANSFER_SYNTAX_UID = 0x00020010
_LAST_FILE_META_ELEMENT = 0x0002FFFF
_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018

_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
# Deflated Explicit VR Little Endian (PS3.5 A.5), and the two deflated ones of JPIP.
_DEFLATED = frozenset(
    {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"}
)
_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"

# Leading zeros break PS3.5 9.1 and are sent all the same; other breaches cannot be negotiated.
_UID = re.compile(r"[0-9.]{1,64}")
# The SOP Instance UID is among the first elements: so much of a deflated data set is inflated.
_INFLATED_LENGTH = 64 * 1024
# A longer value is stepped over, for no UID is.
_MAX_VALUE_LENGTH = 1024
# What pydicom raises on bytes that are no data set.
_UNDECODABLE = (
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    NotImplementedError,
    RecursionError,
    struct.error,
)


class UnsendableFileError(Exception):
    """The file is DICOM, but does not say what a C-STORE must say of it."""


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A file with one instance, whose data set begins at `offset` and ends with the file."""

    path: Path
    offset: int
    context: StorageContext
    sop_instance_uid: str

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> BinaryIO:
        """Open the file; it stands at the data set. Raises OSError."""
        file = self.path.open("rb")
        file.seek(self.offset)
        return file


@dataclass(slots=True)
class DicomFiles:
    """What was found: the files to send, how many others there are, and what cannot be sent.

    `skipped` counts files that are not DICOM, and the directories of media (DICOMDIR). `unusable`
    has one line for each file or folder that cannot be read, or is DICOM that cannot be sent.
    """

    files: list[DicomFile] = field(default_factory=list)
    skipped: int = 0
    unusable: list[str] = field(default_factory=list)


def find_dicom_files(paths: Iterable[Path]) -> DicomFiles:
    """Return what there is to send among `paths` and in the folders below, in the order of names.

    Symbolic links are followed, and each folder is entered once, so that links in a circle end.
    """
    found = DicomFiles()
    for path in _walk(paths, found):
        try:
            file = read_dicom_file(path)
        except OSError as error:
            found.unusable.append(_cannot_read(path, error))
        except UnsendableFileError as error:
            found.unusable.append(f"cannot send {path}: {error}")
        else:
            if file:
                found.files.append(file)
            else:
                found.skipped += 1
    return found


def read_dicom_file(path: Path) -> DicomFile | None:
    """Return what sending the file takes; None when it is not DICOM, or a DICOMDIR.

    DICOM are Part 10 files (PS3.10 7.1), the same without preamble, and bare data sets that begin
    with group 0008. Where no transfer syntax is named it is seen from the first element, which
    tells the three uncompressed ones apart. Raises OSError and UnsendableFileError.
    """
    with path.open("rb") as file:
        is_part10 = file.read(_PREAMBLE_LENGTH + len(_PREFIX))[_PREAMBLE_LENGTH:] == _PREFIX
        if not is_part10:
            file.seek(0)
            if not _FIRST_ELEMENT.match(file.read(_ELEMENT_HEADER_LENGTH)):
                return None
            file.seek(0)
        uids = _read_uids(file, _EXPLICIT_VR_LITTLE_ENDIAN, _LAST_FILE_META_ELEMENT)
        offset = file.tell()
        transfer_syntax = uids.get(_TRANSFER_SYNTAX_UID)
        data_set = _inflate(file) if transfer_syntax in _DEFLATED else file
        encoding = _see_encoding(data_set)
        uids |= _read_uids(data_set, encoding, _SOP_INSTANCE_UID)
    sop_class = uids.get(_SOP_CLASS_UID) or uids.get(_MEDIA_STORAGE_SOP_CLASS_UID)
    sop_instance = uids.get(_SOP_INSTANCE_UID) or uids.get(_MEDIA_STORAGE_SOP_INSTANCE_UID)
    if sop_class == _MEDIA_STORAGE_DIRECTORY or not (is_part10 or (sop_class and sop_instance)):
        return None
    context = StorageContext(
        _checked("SOP Class UID", sop_class),
        _checked("Transfer Syntax UID", transfer_syntax or encoding),
    )
    return DicomFile(path, offset, context, _checked("SOP Instance UID", sop_instance))


def _walk(paths: Iterable[Path], found: DicomFiles) -> Iterator[Path]:
    """Yield the regular files; note the rest."""
    entered: set[tuple[int, int]] = set()
    remaining = list(paths)[::-1]
    while remaining:
        path = remaining.pop()
        try:
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                yield path
            elif not stat.S_ISDIR(status.st_mode):
                # Reading a pipe or a device may never end.
                found.skipped += 1
            elif (identity := (status.st_dev, status.st_ino)) not in entered:
                entered.add(identity)
                remaining += sorted(path.iterdir(), reverse=True)
        except OSError as error:
            found.unusable.append(_cannot_read(path, error))


def _read_uids(file: BinaryIO, encoding: str, last: int) -> dict[int, str]:
    """Return the values up to the element `last`; `file` then stands at the element behind it.

    The values are those that pydicom could read before it met what it cannot.
    """
    values: dict[int, str] = {}
    elements = data_element_generator(
        file,
        is_implicit_VR=encoding == _IMPLICIT_VR_LITTLE_ENDIAN,
        is_little_endian=encoding != _EXPLICIT_VR_BIG_ENDIAN,
        stop_when=lambda tag, _vr, _length: tag > last,
        defer_size=_MAX_VALUE_LENGTH,
    )
    try:
        for element in elements:
            if isinstance(element.value, bytes):
                values[element.tag] = element.value.rstrip(b"\0 ").decode("ascii", "replace")
    except _UNDECODABLE:
        pass
    return values


def _see_encoding(data_set: BinaryIO) -> str:
    """Return the transfer syntax that the first element is encoded in; do not move the file."""
    start = data_set.tell()
    header = data_set.read(_ELEMENT_HEADER_LENGTH)
    data_set.seek(start)
    # The first group is below 0100, so the byte of zero is its upper half.
    if header[:1] == b"\0":
        return _EXPLICIT_VR_BIG_ENDIAN
    vr = header[4:6]
    return (
        _EXPLICIT_VR_LITTLE_ENDIAN if vr.isalpha() and vr.isupper() else _IMPLICIT_VR_LITTLE_ENDIAN
    )


def _inflate(file: BinaryIO) -> BinaryIO:
    """Return the head of a deflated data set: never more, whatever it would grow to."""
    try:
        return BytesIO(
            zlib.decompressobj(-zlib.MAX_WBITS).decompress(
                file.read(_INFLATED_LENGTH), _INFLATED_LENGTH
            )
        )
    except zlib.error:
        return BytesIO()


def _checked(name: str, uid: str | None) -> str:
    if not uid:
        raise UnsendableFileError(f"it has no {name}")
    if not _UID.fullmatch(uid):
        raise UnsendableFileError(f"its {name} is not valid")
    return uid


def _cannot_read(path: Path, error: OSError) -> str:
    return f"cannot read {path}: {(error.strerror or type(error).__name__).lower()}"
