"""Instances that other programs send, and what of them must arrive."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian
from tests.data_sets import mr_instance, write_file

if TYPE_CHECKING:
    from collections.abc import Iterable

# Preamble, prefix and the group length element of a Part 10 file (PS3.10 7.1).
_BEFORE_FILE_META = 128 + 4 + 12

_numbers = itertools.count(1)


class Content(NamedTuple):
    """A data set in its transfer syntax, bit for bit; small enough to be shown when it differs."""

    transfer_syntax_uid: str
    size: int
    sha256: str


def content(transfer_syntax_uid: str, data_set: bytes) -> Content:
    return Content(transfer_syntax_uid, len(data_set), hashlib.sha256(data_set).hexdigest())


def data_set_of(path: Path) -> bytes:
    """Return what follows the File Meta Information of a Part 10 file."""
    meta = read_file_meta_info(path)
    return path.read_bytes()[_BEFORE_FILE_META + meta.FileMetaInformationGroupLength :]


def transfer_syntax_of(path: Path) -> UID:
    return UID(read_file_meta_info(path).TransferSyntaxUID)


def sop_instance_of(path: Path) -> str:
    return str(read_file_meta_info(path).MediaStorageSOPInstanceUID)


def content_of(path: Path) -> Content:
    """Return the content of a Part 10 file."""
    return content(transfer_syntax_of(path), data_set_of(path))


def contents(paths: Iterable[Path]) -> dict[str, Content]:
    """Return the content of Part 10 files by the SOP Instance UID of their File Meta."""
    found = {}
    for path in paths:
        uid = sop_instance_of(path)
        assert uid not in found, f"{path} is a second copy of {uid}"
        found[uid] = content_of(path)
    return found


def self_made(
    folder: Path,
    transfer_syntax_uid: str = ExplicitVRLittleEndian,
    *,
    sop_class_uid: str | None = None,
    pixels: int = 3000,
) -> Path:
    """Write an MR instance with UIDs of its own into `folder`.

    It has no group lengths, no sequences and no trailing padding: the form in which any encoder
    writes it, so it can be expected back as it is. Encapsulated pixels are no image; a gateway that
    never decodes them cannot tell.
    """
    root = f"1.2.826.0.1.3680043.8.498.{next(_numbers)}"
    instance = mr_instance(f"{root}.1", f"{root}.2", f"{root}.3", pixels=pixels)
    if sop_class_uid is not None:
        instance.SOPClassUID = sop_class_uid
    syntax = UID(transfer_syntax_uid)
    if not syntax.is_private and syntax.is_encapsulated:
        frames = [instance.PixelData[:1000], instance.PixelData[1000:]]
        instance.NumberOfFrames = len(frames)
        instance.PixelData = encapsulate(frames)
        instance["PixelData"].VR = "OB"
        instance["PixelData"].is_undefined_length = True
    return write_file(folder / f"{root}.dcm", instance, syntax)


def packaged(name: str) -> Path:
    """Return a real file that comes with pydicom."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), f"pydicom has no {name}"
    return Path(path)
