"""What other implementations send arrives bit for bit: in every transfer syntax, PDU size and form.

Programs and libraries that share no code with the gateway, nor, but for DCMTK and Orthanc, with each
other. A sender that is not installed is a failure, not a skip.
"""

from __future__ import annotations

import errno
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from ipaddress import ip_network
from unittest import mock

import pynetdicom2
import pytest
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from pynetdicom import _config as pynetdicom_configuration
from pynetdicom2.asceprovider import RemoteAEConfig
from tests.data_sets import mr_instance, write_file
from tests.e2e import requestors
from tests.e2e.instances import (
    content,
    contents,
    data_set_of,
    packaged,
    self_made,
    sop_instance_of,
    transfer_syntax_of,
)
from tests.e2e.processes import Process, running_orthanc
from tests.e2e.requestors import STORESCU_OPTIONS, dcmtk, dcmtk_command, dcmtk_form
from tests.integration.receiver import running_receiver

PRIVATE_SOP_CLASS = "1.2.826.0.1.3680043.8.498.77.1"
UNKNOWN_STANDARD_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.999.1"
PRIVATE_TRANSFER_SYNTAX = "1.2.826.0.1.3680043.8.498.77.2"
GE_IMPLICIT_WITH_BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"

# Real files with what makes rewriting hard: undefined and zero lengths, group lengths, private
# sequences, waveforms, wrong VRs, trailing padding, odd lengths in encapsulated pixels.
REAL_FILES = [
    "CT_small.dcm",
    "badVR.dcm",
    "reportsi.dcm",
    "waveform_ecg.dcm",
    "liver_1frame.dcm",
    "rtplan.dcm",
    "ExplVR_BigEnd.dcm",
    "image_dfl.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "JPEG-lossy.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
    "693_J2KI.dcm",
    "MR_small_RLE.dcm",
]
UNCOMPRESSED = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian}


@pytest.fixture
def receiver(tmp_path):
    with running_receiver(tmp_path / "state") as running:
        yield running


@pytest.fixture
def one_of_each(tmp_path):
    """One instance in each transfer syntax that storescu knows."""
    return [self_made(tmp_path, syntax) for syntax in STORESCU_OPTIONS]


@pytest.mark.parametrize("syntax", STORESCU_OPTIONS, ids=str)
def test_storescu_in_each_transfer_syntax(receiver, tmp_path, syntax):
    path = self_made(tmp_path, syntax)
    dcmtk(receiver, "storescu", STORESCU_OPTIONS[syntax], path)
    if syntax == DeflatedExplicitVRLittleEndian:
        # Deflated anew, by whichever zlib DCMTK is linked with.
        assert contents(receiver.files()) == {sop_instance_of(path): dcmtk_form(path, tmp_path)}
    else:
        assert contents(receiver.files()) == contents([path])


@pytest.mark.parametrize("name", REAL_FILES)
def test_storescu_with_real_files(receiver, tmp_path, name):
    path = packaged(name)
    dcmtk(receiver, "storescu", STORESCU_OPTIONS[transfer_syntax_of(path)], path)
    assert contents(receiver.files()) == {sop_instance_of(path): dcmtk_form(path, tmp_path)}


def test_file_meta_names_what_was_negotiated(receiver, tmp_path):
    path = self_made(tmp_path)
    # All transfer syntaxes in one presentation context: the first one proposed is taken.
    dcmtk(receiver, "storescu", "--combine", "-xi", "-aet", "MR 1", path)
    (kept,) = receiver.files()
    meta = requestors.read_file_meta_info(kept)
    assert meta.SourceApplicationEntityTitle == "MR 1"
    assert transfer_syntax_of(kept) == ImplicitVRLittleEndian
    assert sop_instance_of(kept) == sop_instance_of(path)


def test_dcmsend_with_everything_on_one_association(receiver, tmp_path, one_of_each):
    files = [*one_of_each, *map(packaged, ("CT_small.dcm", "reportsi.dcm", "693_J2KI.dcm"))]
    output = dcmtk(receiver, "dcmsend", *files)
    assert "Number of associations   : 1" in output
    assert f"* with status SUCCESS  : {len(files)}" in output
    # It proposes explicit little endian for all that is not compressed.
    assert contents(receiver.files()) == {
        sop_instance_of(path): dcmtk_form(
            path, tmp_path, *(["+te"] if transfer_syntax_of(path) in UNCOMPRESSED else [])
        )
        for path in files
    }


@pytest.mark.parametrize("size", [4096, 5001, 16384, 32768, 65536, 131072])
def test_pdu_sizes_of_storescu(receiver, tmp_path, size):
    path = self_made(tmp_path, pixels=300_001)
    dcmtk(receiver, "storescu", "-pdu", str(size), "--max-send-pdu", str(size), path)
    assert contents(receiver.files()) == contents([path])


@pytest.mark.parametrize("announced", [0, 4096, 131072, 1024 * 1024])
def test_pdu_sizes_that_we_announce(tmp_path, announced):
    path = self_made(tmp_path, pixels=300_001)
    with running_receiver(tmp_path / "state", max_pdu_length=announced) as receiver:
        dcmtk(receiver, "storescu", path)
        assert contents(receiver.files()) == contents([path])


@pytest.mark.parametrize("sop_class_uid", [PRIVATE_SOP_CLASS, UNKNOWN_STANDARD_SOP_CLASS])
def test_sop_classes_that_nobody_knows(receiver, tmp_path, sop_class_uid):
    files = [self_made(tmp_path, sop_class_uid=sop_class_uid) for _ in range(2)]
    dcmtk(receiver, "dcmsend", files[0])
    # storescu proposes what it does not know only when a profile names it.
    profile = tmp_path / "storescu.cfg"
    profile.write_text(
        "[[TransferSyntaxes]]\n[Plain]\nTransferSyntax1 = LittleEndianExplicit\n"
        f"[[PresentationContexts]]\n[Any]\nPresentationContext1 = {sop_class_uid}\\Plain\n"
        "[[Profiles]]\n[Any]\nPresentationContexts = Any\n"
    )
    dcmtk(receiver, "storescu", "-xf", profile, "Any", files[1])
    assert contents(receiver.files()) == contents(files)


def test_instances_that_storescu_invents_on_one_association(receiver, tmp_path):
    output = dcmtk(receiver, "storescu", "--repeat", "50", "+IR", "10", self_made(tmp_path))
    assert output.count("Received Store Response (Success)") == 50
    assert receiver.intake.open_counts() == (5, 50)


def test_acknowledged_instances_stay_when_storescu_aborts(receiver, tmp_path, caplog):
    caplog.set_level(logging.INFO, "seriesgate")
    files = [self_made(tmp_path) for _ in range(3)]
    assert "Aborting Association" in dcmtk(receiver, "storescu", "--abort", *files)
    receiver.wait_until_idle()
    assert "association of 'STORESCU' at 127.0.0.1: aborted by the peer (0/0); 3 stored" in (
        caplog.text
    )
    assert contents(receiver.files()) == contents(files)


def test_storescu_keeps_what_was_acknowledged_when_we_stop(receiver, tmp_path):
    command = dcmtk_command(receiver, "storescu", "--repeat", "100000", "+II", self_made(tmp_path))
    sender = Process(*command, cwd=tmp_path)
    try:
        sender.wait_for(r"Store Response \(Success\)", 5)
        receiver.scp.stop(10.0)
        assert sender.wait() == 1
    finally:
        sender.stop()
    said = "\n".join(sender.output)
    assert "Peer aborted Association" in said
    acknowledged = said.count("Received Store Response (Success)")
    # The answer to the last one may be lost on the way to it, never the instance.
    assert len(receiver.files()) - acknowledged in {0, 1}


@pytest.mark.parametrize(
    ("changes", "complaint", "logged"),
    [
        (
            {"allowed_calling_ae_titles": frozenset({"MR1"})},
            "Rejected Permanent, Source: Service User\n.*Calling AE Title Not Recognized",
            "'STORESCU' at 127.0.0.1: rejected (1/1/3)",
        ),
        (
            {"accept_any_called_ae_title": False, "ae_title": "OTHER"},
            "Rejected Permanent, Source: Service User\n.*Called AE Title Not Recognized",
            "'STORESCU' at 127.0.0.1: rejected (1/1/7)",
        ),
    ],
)
def test_rejections_as_storescu_sees_them(receiver, tmp_path, caplog, changes, complaint, logged):
    caplog.set_level(logging.INFO, "seriesgate")
    receiver.scp._policy = replace(receiver.scp._policy, **changes)
    path = self_made(tmp_path)
    output = dcmtk(receiver, "storescu", path, expect=1)
    assert pytest.approx
    import re

    assert re.search(complaint, output)
    dcmtk(receiver, "dcmsend", path, expect=61)
    dcmtk(receiver, "echoscu", expect=1)
    assert logged in caplog.text
    assert receiver.files() == []
