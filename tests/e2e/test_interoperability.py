"""What other implementations send arrives bit for bit: in every transfer syntax, PDU size and form.

Programs and libraries whose network code has nothing in common, but for Orthanc, which is built on
DCMTK. A sender that is not installed is a failure, not a skip.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom import _config as pynetdicom_options
from tests.e2e.instances import (
    content_of,
    contents,
    packaged,
    self_made,
    sop_instance_of,
    transfer_syntax_of,
)
from tests.e2e.processes import running_orthanc
from tests.e2e.requestors import (
    GDCM_SYNTAXES,
    STORESCU_OPTIONS,
    dcmjs,
    dcmtk,
    dcmtk_form,
    gdcmscu,
    pynetdicom,
    pynetdicom2,
    pynetdicom2_echo,
)
from tests.integration.receiver import running_receiver

if TYPE_CHECKING:
    from concurrent.futures import Future

DEFLATED = DeflatedExplicitVRLittleEndian
PRIVATE_SOP_CLASS = "1.2.826.0.1.3680043.8.498.77.1"
UNKNOWN_STANDARD_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.999.1"
PRIVATE_TRANSFER_SYNTAX = "1.2.826.0.1.3680043.8.498.77.2"
GE_PRIVATE_TRANSFER_SYNTAX = "1.2.840.113619.5.2"

# Real files with what makes writing them anew hard: undefined lengths, group lengths, private
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


@pytest.fixture
def receiver(tmp_path):
    with running_receiver(tmp_path / "state") as running:
        yield running


@pytest.fixture
def one_of_each(tmp_path):
    """One instance in each transfer syntax that storescu knows."""
    return [self_made(tmp_path, syntax) for syntax in STORESCU_OPTIONS]


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "seriesgate")
    return caplog


def sent_by_dcmtk(paths, folder):
    """Return what DCMTK, and Orthanc with it, sends of self-made instances: the same bytes.

    But what is deflated it deflates anew, with whichever zlib it is linked with.
    """
    return contents(path for path in paths if transfer_syntax_of(path) != DEFLATED) | {
        sop_instance_of(path): dcmtk_form(path, folder)
        for path in paths
        if transfer_syntax_of(path) == DEFLATED
    }


@pytest.mark.parametrize("syntax", STORESCU_OPTIONS, ids=str)
def test_storescu_in_each_transfer_syntax(receiver, tmp_path, syntax):
    path = self_made(tmp_path, syntax)
    dcmtk(receiver, "storescu", STORESCU_OPTIONS[syntax], path)
    assert contents(receiver.files()) == sent_by_dcmtk([path], tmp_path)


@pytest.mark.parametrize("name", REAL_FILES)
def test_storescu_with_real_files(receiver, tmp_path, name):
    path = packaged(name)
    dcmtk(receiver, "storescu", "--required", STORESCU_OPTIONS[transfer_syntax_of(path)], path)
    (kept,) = receiver.files()
    assert content_of(kept) == dcmtk_form(path, tmp_path)


def test_file_meta_says_who_sent_and_what_was_negotiated(receiver, tmp_path):
    path = self_made(tmp_path)
    # With all transfer syntaxes in one presentation context, the first one proposed is taken.
    dcmtk(receiver, "storescu", "--combine", "-xb", "-aet", "MR 1", path)
    (kept,) = receiver.files()
    meta = read_file_meta_info(kept)
    assert meta.SourceApplicationEntityTitle == "MR 1"
    assert meta.TransferSyntaxUID == ExplicitVRBigEndian
    assert meta.MediaStorageSOPInstanceUID == sop_instance_of(path)
    assert content_of(kept) == dcmtk_form(path, tmp_path, ExplicitVRBigEndian)


def test_dcmsend_with_all_transfer_syntaxes_on_one_association(receiver, tmp_path, one_of_each):
    output = dcmtk(receiver, "dcmsend", *one_of_each)
    assert "Number of associations   : 1" in output
    assert f"* with status SUCCESS  : {len(one_of_each)}" in output
    # It proposes explicit little endian for everything that is neither compressed nor deflated.
    changed = dict.fromkeys([ImplicitVRLittleEndian, ExplicitVRBigEndian], ExplicitVRLittleEndian)
    assert contents(receiver.files()) == {
        sop_instance_of(path): dcmtk_form(path, tmp_path, changed.get(transfer_syntax_of(path)))
        for path in one_of_each
    }


@pytest.mark.parametrize("size", [4096, 5000, 16384, 32768, 65536, 131072])
def test_pdu_sizes_of_storescu(receiver, tmp_path, size):
    path = self_made(tmp_path, pixels=300_001)
    dcmtk(receiver, "storescu", "-pdu", str(size), "--max-send-pdu", str(size), path)
    assert contents(receiver.files()) == contents([path])


@pytest.mark.parametrize(
    ("announced", "taken"), [(0, 131_060), (4096, 4084), (65_536, 65_524), (1_048_576, 131_060)]
)
def test_pdu_sizes_that_we_announce(tmp_path, announced, taken):
    path = self_made(tmp_path, pixels=300_001)
    with running_receiver(tmp_path / "state", max_pdu_length=announced) as receiver:
        output = dcmtk(receiver, "storescu", path)
        assert f"Association Accepted (Max Send PDV: {taken})" in output
        assert contents(receiver.files()) == contents([path])


@pytest.mark.parametrize("sop_class_uid", [PRIVATE_SOP_CLASS, UNKNOWN_STANDARD_SOP_CLASS])
def test_sop_classes_that_nobody_knows(receiver, tmp_path, sop_class_uid):
    files = [self_made(tmp_path, sop_class_uid=sop_class_uid) for _ in range(2)]
    dcmtk(receiver, "dcmsend", files[0])
    # storescu proposes a SOP class that it does not know only where a profile names it.
    profiles = tmp_path / "storescu.cfg"
    profiles.write_text(
        "[[TransferSyntaxes]]\n[Plain]\nTransferSyntax1 = LittleEndianExplicit\n"
        f"[[PresentationContexts]]\n[Any]\nPresentationContext1 = {sop_class_uid}\\Plain\n"
        "[[Profiles]]\n[Any]\nPresentationContexts = Any\n"
    )
    dcmtk(receiver, "storescu", "-xf", profiles, "Any", files[1])
    assert contents(receiver.files()) == contents(files)


def test_instances_that_storescu_invents_are_counted_by_series(receiver, tmp_path):
    output = dcmtk(receiver, "storescu", "--repeat", "50", "+IR", "10", self_made(tmp_path))
    assert output.count("Received Store Response (Success)") == 50
    assert receiver.intake.open_counts() == (5, 50)


def test_gdcmscu_with_all_its_transfer_syntaxes_on_one_association(receiver, tmp_path, log):
    folder = tmp_path / "files"
    folder.mkdir()
    files = [self_made(folder, syntax) for syntax in GDCM_SYNTAXES]
    output = gdcmscu(receiver, "--store", "-r", "-i", folder)
    for path in files:
        assert f"C-Store of file {path} was successful" in output
    assert contents(receiver.files()) == contents(files)
    receiver.wait_until_idle()
    assert f"association of 'GDCMSCU' at 127.0.0.1: released; {len(files)} stored" in log.text


def test_orthanc_with_all_transfer_syntaxes(receiver, tmp_path, one_of_each):
    # It would change the transfer syntax for a receiver that takes only plain ones.
    with running_orthanc(tmp_path, receiver.port) as pacs:
        pacs.send(pacs.upload(one_of_each))
    assert contents(receiver.files()) == sent_by_dcmtk(one_of_each, tmp_path)


@pytest.mark.parametrize("is_sent_as_file", [True, False])
def test_pynetdicom_with_all_transfer_syntaxes_on_one_association(
    receiver, one_of_each, monkeypatch, is_sent_as_file
):
    monkeypatch.setattr(pynetdicom_options, "STORE_SEND_CHUNKED_DATASET", is_sent_as_file)
    assert pynetdicom(receiver, *one_of_each) == [0] * len(one_of_each)
    assert contents(receiver.files()) == contents(one_of_each)


def test_pynetdicom2_on_several_associations_at_once(receiver, one_of_each):
    with ThreadPoolExecutor(8) as pool:
        statuses = pool.map(lambda path: pynetdicom2(receiver, path), one_of_each)
        assert set(statuses) == {0}
    assert contents(receiver.files()) == contents(one_of_each)


@pytest.mark.parametrize("syntax", [PRIVATE_TRANSFER_SYNTAX, GE_PRIVATE_TRANSFER_SYNTAX])
def test_private_transfer_syntaxes(receiver, tmp_path, syntax):
    path = self_made(tmp_path, syntax)
    assert pynetdicom2(receiver, path) == 0
    assert contents(receiver.files()) == contents([path])


def test_dcmjs_with_its_transfer_syntaxes_on_one_association(receiver, tmp_path, one_of_each):
    # dcmjs-dimse 0.3.3 sends what is deflated in plain, but under the name of the deflated syntax.
    files = [path for path in one_of_each if transfer_syntax_of(path) != DEFLATED]
    sent = dcmjs(receiver, tmp_path, *files)
    assert contents(receiver.files()) == sent


def test_all_of_them_at_once(receiver, tmp_path):
    files = [self_made(tmp_path, JPEG2000Lossless) for _ in range(12)]
    with ThreadPoolExecutor() as pool:
        senders: list[Future[object]] = [
            pool.submit(dcmtk, receiver, "storescu", "-xv", *files[:2]),
            pool.submit(dcmtk, receiver, "dcmsend", *files[2:4]),
            pool.submit(gdcmscu, receiver, "--store", "-i", files[4]),
            pool.submit(pynetdicom, receiver, *files[5:8]),
            pool.submit(pynetdicom2, receiver, files[8]),
            pool.submit(dcmjs, receiver, tmp_path, *files[9:]),
        ]
    for sender in senders:
        sender.result()
    assert contents(receiver.files()) == contents(files)


def test_c_echo(receiver, log):
    dcmtk(receiver, "echoscu")
    gdcmscu(receiver, "--echo")
    assert pynetdicom2_echo(receiver) == 0
    receiver.wait_until_idle()
    for title in ("ECHOSCU", "GDCMSCU", "PYNETDICOM2"):
        assert f"association of '{title}' at 127.0.0.1: released; 1 echoes" in log.text
