"""Reads from one spooled instance what the report says of its series.

Decided in ADR 8 and ADR 53.
"""

from __future__ import annotations

import errno
import logging
import re
from typing import TYPE_CHECKING

from seriesgate.adapters.data_set.character_sets import decode_text
from seriesgate.adapters.data_set.data_set_head import DataSetHead, HeadLimits
from seriesgate.adapters.data_set.element_value import (
    decode_date,
    decode_integer,
    decode_uid,
    without_padding,
)
from seriesgate.adapters.spool.part10 import NotPart10, read_head
from seriesgate.gateway.ports import HeaderUnreadable, SeriesUnreadable, SpoolUnavailable
from seriesgate.series.description import SeriesDescription

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_log = logging.getLogger(__name__)

_SPECIFIC_CHARACTER_SET = 0x00080005
_STUDY_DATE = 0x00080020
_ACCESSION_NUMBER = 0x00080050
_MODALITY = 0x00080060
_MANUFACTURER = 0x00080070
_STUDY_DESCRIPTION = 0x00081030
_SERIES_DESCRIPTION = 0x0008103E
_PATIENT_NAME = 0x00100010
_PATIENT_ID = 0x00100020
_BODY_PART_EXAMINED = 0x00180015
_STUDY_INSTANCE_UID = 0x0020000D
_SERIES_INSTANCE_UID = 0x0020000E
_SERIES_NUMBER = 0x00200011
_WANTED = frozenset(
    {
        _SPECIFIC_CHARACTER_SET,
        _STUDY_DATE,
        _ACCESSION_NUMBER,
        _MODALITY,
        _MANUFACTURER,
        _STUDY_DESCRIPTION,
        _SERIES_DESCRIPTION,
        _PATIENT_NAME,
        _PATIENT_ID,
        _BODY_PART_EXAMINED,
        _STUDY_INSTANCE_UID,
        _SERIES_INSTANCE_UID,
        _SERIES_NUMBER,
    }
)
# Of type 1 or 2 in every image (PS3.3): where one of them is missing, it may stand elsewhere.
_REQUIRED = {
    _STUDY_DATE: "StudyDate",
    _ACCESSION_NUMBER: "AccessionNumber",
    _MODALITY: "Modality",
    _PATIENT_NAME: "PatientName",
    _PATIENT_ID: "PatientID",
    _STUDY_INSTANCE_UID: "StudyInstanceUID",
    _SERIES_INSTANCE_UID: "SeriesInstanceUID",
    _SERIES_NUMBER: "SeriesNumber",
}
# A person looks for a series by these.
_LOOKED_FOR_BY = ("PatientName", "PatientID", "Modality")
_PIXEL_DATA = 0x7FE00008

# The report takes 1024 characters of a text. The longest, with an escape sequence around each, have
# eight bytes.
_MAX_TEXT_LENGTH = 1024
_LIMITS = HeadLimits(max_value_bytes=8 * _MAX_TEXT_LENGTH)
_READ_SIZE = 64 * 1024

# What says nothing about the file: the series must not be reported without a description for that.
_SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

_LAYOUT = re.compile(r"[\t\n\f\r]")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def read_series_description(path: Path) -> SeriesDescription:
    """Return what the Part 10 file `path` says of its series, with every text in Unicode.

    Only the head of the data set is read; where something is missing there that every image has,
    all before the pixels. Broken text is repaired as far as it goes. Raises SeriesUnreadable when
    the file is not to be read as DICOM, SpoolUnavailable when none could be read now.
    """
    values = _read_values(path)
    missing = {name for tag, name in _REQUIRED.items() if tag not in values}
    if missing.intersection(_LOOKED_FOR_BY):
        _log.warning(
            "the instances of a series do not have these attributes: %s", ", ".join(sorted(missing))
        )
    character_set = values.get(_SPECIFIC_CHARACTER_SET, b"")

    def text(tag: int, *, is_name: bool = False) -> str:
        value = without_padding(values.get(tag, b""))
        return _clean(decode_text(value, character_set, is_name=is_name))

    return SeriesDescription(
        # PS3.5 6.2: component groups of a name that are missing at its end have no delimiter.
        patient_name=text(_PATIENT_NAME, is_name=True).rstrip("= "),
        patient_id=text(_PATIENT_ID),
        study_instance_uid=_uid(values.get(_STUDY_INSTANCE_UID, b"")),
        series_instance_uid=_uid(values.get(_SERIES_INSTANCE_UID, b"")),
        modality=text(_MODALITY),
        series_number=decode_integer(values.get(_SERIES_NUMBER, b"")),
        series_description=text(_SERIES_DESCRIPTION),
        body_part_examined=text(_BODY_PART_EXAMINED),
        study_date=decode_date(text(_STUDY_DATE)),
        study_description=text(_STUDY_DESCRIPTION),
        accession_number=text(_ACCESSION_NUMBER),
        manufacturer=text(_MANUFACTURER),
    )


def _read_values(path: Path) -> dict[int, bytes]:
    try:
        with path.open("rb") as file:
            head = DataSetHead(
                read_head(file).transfer_syntax_uid,
                wanted=_WANTED,
                required=_REQUIRED.keys(),
                limits=_LIMITS,
                search_to=_PIXEL_DATA,
            )
            _read_head(head, file)
    except OSError as error:
        if error.errno in _SHORTAGES:
            raise SpoolUnavailable(f"the spool cannot be read: {error.strerror}") from error
        raise SeriesUnreadable(f"its file cannot be read: {error.strerror}") from error
    except (NotPart10, HeaderUnreadable) as error:
        raise SeriesUnreadable(f"its file is damaged: {error}") from error
    return head.values


def _read_head(head: DataSetHead, file: BinaryIO) -> None:
    """Read the head as far as it goes; what is damaged behind its UIDs costs only what it holds."""
    try:
        while piece := file.read(_READ_SIZE):
            if head.feed(piece):
                return
    except HeaderUnreadable:
        if not head.values.keys() >= {_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID}:
            raise


def _clean(text: str) -> str:
    """Return a text that is safe to show and to store: on one line, bounded, without padding."""
    line = _LAYOUT.sub(" ", text.strip("\0 \t\n\f\r"))
    return _CONTROL_CHARACTER.sub("\ufffd", line)[:_MAX_TEXT_LENGTH].rstrip()


def _uid(value: bytes) -> str:
    try:
        return decode_uid(value)
    except ValueError:
        return ""
