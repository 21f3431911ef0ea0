"""Programs and libraries of others that send instances to STORESCP: how each is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pynetdicom2
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HEVCM10P51,
    HEVCMP51,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    MPEG2MPHL,
    MPEG2MPML,
    MPEG4HP41,
    MPEG4HP41BD,
    MPEG4HP422D,
    MPEG4HP423D,
    MPEG4HP42STEREO,
    RLELossless,
)
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE
from pynetdicom2.asceprovider import RemoteAEConfig
from tests.e2e.instances import Content, content, data_set_of, transfer_syntax_of
from tests.e2e.processes import Process, run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.integration.receiver import Receiver

#: The option with which storescu proposes each transfer syntax first, or alone.
STORESCU_OPTIONS: dict[UID, str] = {
    ImplicitVRLittleEndian: "-xi",
    ExplicitVRLittleEndian: "-xe",
    DeflatedExplicitVRLittleEndian: "-xd",
    ExplicitVRBigEndian: "-xb",
    JPEGBaseline8Bit: "-xy",
    JPEGExtended12Bit: "-xx",
    JPEGLosslessSV1: "-xs",
    JPEGLSLossless: "-xt",
    JPEGLSNearLossless: "-xu",
    JPEG2000Lossless: "-xv",
    JPEG2000: "-xw",
    MPEG2MPML: "-xm",
    MPEG2MPHL: "-xh",
    MPEG4HP41: "-xn",
    MPEG4HP41BD: "-xl",
    MPEG4HP422D: "-x2",
    MPEG4HP423D: "-x3",
    MPEG4HP42STEREO: "-xo",
    HEVCMP51: "-x4",
    HEVCM10P51: "-x5",
    RLELossless: "-xr",
}

#: What gdcmscu 3.0 can propose; it ends with an assertion, or sends nothing, for the others.
GDCM_SYNTAXES = [
    syntax
    for syntax in STORESCU_OPTIONS
    if syntax
    not in {
        DeflatedExplicitVRLittleEndian,
        MPEG4HP422D,
        MPEG4HP423D,
        MPEG4HP42STEREO,
        HEVCMP51,
        HEVCM10P51,
    }
]

_DCMJS = Path(__file__).parent / "dcmjs" / "store.js"
_WORD = "C-Store of file"


def dcmtk(
    receiver: Receiver, program: str, *arguments: str | Path, expect: int | None = 0
) -> list[str]:
    """Run storescu, dcmsend or echoscu to its end and return what it said."""
    process = start_dcmtk(receiver, program, *arguments)
    try:
        code = process.wait()
    finally:
        process.stop()
    assert expect is None or code == expect, "\n".join([f"exit {code}", *process.output])
    return process.output
