"""Programs and libraries of others that send instances to STORESCP: how each is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    HEVCM10P51,
    HEVCMP51,
    JPEG2000,
    MPEG2MPHL,
    MPEG2MPML,
    MPEG4HP41,
    MPEG4HP41BD,
    MPEG4HP42STEREO,
    MPEG4HP422D,
    MPEG4HP423D,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AE
from pynetdicom2 import store, verify
from pynetdicom2.asceprovider import RemoteAEConfig
from tests.e2e.instances import Content, content, sop_instance_of, transfer_syntax_of
from tests.e2e.processes import run

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.dimse_primitives import DimseServiceType
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

_DCMCONV_OPTIONS = {ExplicitVRLittleEndian: "+te", ExplicitVRBigEndian: "+tb"}
_DCMJS = Path(__file__).parent / "dcmjs" / "store.js"


def dcmtk_command(receiver: Receiver, program: str, *arguments: str | Path) -> list[str | Path]:
    """Return the command line of storescu, dcmsend or echoscu; options and files may be mixed."""
    address = ("-aec", "STORESCP", receiver.host, str(receiver.port))
    return [program, "-v", *address, *arguments]


def dcmtk(receiver: Receiver, program: str, *arguments: str | Path, expect: int = 0) -> str:
    """Run it to its end, hold it to an exit code and return what it said."""
    command = dcmtk_command(receiver, program, *arguments)
    return "\n".join(run(*command, cwd=receiver.folder, expect=expect))


def dcmtk_form(path: Path, folder: Path, transfer_syntax_uid: UID | None = None) -> Content:
    """Return a data set as DCMTK's senders put it on the wire, made by DCMTK's own dcmconv.

    They parse the file and write it anew: sequences and items with explicit lengths, group lengths
    recalculated where there are any, values without superfluous padding, no Data Set Trailing
    Padding (FFFC,FFFC). None stands for the transfer syntax of the file.
    """
    written = folder / "dcmtk_form"
    option = "+t=" if transfer_syntax_uid is None else _DCMCONV_OPTIONS[transfer_syntax_uid]
    run("dcmconv", "-F", "+e", "+g=", "-p", option, path, written, cwd=folder)
    data_set = written.read_bytes()
    # A deflated data set of odd length gets a NUL (PS3.5 A.5); dcmconv leaves that to the network.
    data_set += b"\0" * (len(data_set) % 2)
    return content(transfer_syntax_uid or transfer_syntax_of(path), data_set)


def gdcmscu(receiver: Receiver, *arguments: str | Path) -> str:
    """Run gdcmscu and return what it said.

    Whatever it did, and whoever the peer was, gdcmscu 3.0.21 ends with SIGABRT, on a bug in its own
    clean-up. So its exit code says nothing, and its debug output has to.
    """
    address = ("--call", "STORESCP", receiver.host, str(receiver.port))
    return "\n".join(run("gdcmscu", "-D", *arguments, *address, cwd=receiver.folder, expect=None))


def dcmjs(receiver: Receiver, folder: Path, *files: Path) -> dict[str, Content]:
    """Store files with dcmjs-dimse; return by SOP Instance UID what its own encoder made of each.

    It decodes and encodes anew whatever it sends, and changes the transfer syntax as it likes.
    """
    output = run("node", _DCMJS, str(receiver.port), folder, *files, cwd=folder)
    assert output[-1] == "released", output
    answers = dict(line.split(" ", 1) for line in output[:-1])
    sent = {}
    for path in files:
        status, transfer_syntax_uid = answers[path.name].split()
        assert status == "0000", output
        data_set = (folder / f"{path.name}.sent").read_bytes()
        sent[sop_instance_of(path)] = content(transfer_syntax_uid, data_set)
    return sent


def pynetdicom(receiver: Receiver, *files: Path) -> list[int]:
    """Store files on one association, each in its own transfer syntax; return the statuses."""
    ae = AE("PYNETDICOM")
    for path in files:
        sop_class_uid = read_file_meta_info(path).MediaStorageSOPClassUID
        ae.add_requested_context(sop_class_uid, transfer_syntax_of(path))
    association = ae.associate(receiver.host, receiver.port, ae_title="STORESCP")
    assert association.is_established
    _give_back_answers(association)
    statuses = [association.send_c_store(path).Status for path in files]
    association.release()
    return statuses


def _give_back_answers(association: Association) -> None:
    """Let the thread of an association put back an answer that is not for it.

    pynetdicom 3.0 pauses that thread while it waits for an answer, but the pause can come too
    late: an answer that is there at once is then taken for a request, and thrown away.
    """

    def give_back(msg: DimseServiceType, context_id: int) -> None:
        association.dimse.msg_queue.put((context_id, msg))

    association._serve_request = give_back  # type: ignore[method-assign]


def pynetdicom2(receiver: Receiver, path: Path) -> int:
    """Store a file as it is, on an association of its own; return the status."""
    return int(store("PYNETDICOM2", _remote(receiver), str(path)))


def pynetdicom2_echo(receiver: Receiver) -> int:
    """Verify the connection with a C-ECHO; return the status."""
    return int(verify("PYNETDICOM2", _remote(receiver)))


def _remote(receiver: Receiver) -> RemoteAEConfig:
    return RemoteAEConfig("STORESCP", receiver.host, receiver.port)
