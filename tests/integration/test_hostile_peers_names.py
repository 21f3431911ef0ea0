"""Paths, commands and control characters where a name is expected: nothing comes of them."""

from __future__ import annotations

import pytest
from tests.data_sets import mr_data_set
from tests.integration.footprint import MIB
from tests.integration.receiver import MR_CONTEXT
from tests.integration.siege import besieged
from tests.unit.adapters.data_set_bytes import EXPLICIT_LE
from tests.unit.upper_layer import wire

FEW_BUFFERS = 1 * MIB

STORED = 0x0000
STORED_BUT_OTHER_THAN_THE_COMMAND_SAYS = 0xB007
INVALID_SOP_INSTANCE = 0x0117
SOP_CLASS_NOT_SUPPORTED = 0x0122
CANNOT_UNDERSTAND = 0xC000

SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID = 0x00080018, 0x0020000D, 0x0020000E

# A path or a command that hides in a UID, and whether it passes for a UID: printable ASCII without
# spaces, at most 128 characters. What passes is stored under a name that has nothing of it.
FALSE_UIDS: dict[str, tuple[bytes, bool]] = {
    "parent": (b"..", True),
    "here": (b".", True),
    "up and away": (b"../../../outside", True),
    "absolute": (b"/etc/outside", True),
    "64 dots": (b"." * 64, True),
    "drive": (rb"C:\outside", True),
    "shell": (b";$(touch${IFS}outside)`id`", True),
    "format": (b"%s%n{0.__class__}", True),
    "128 characters": (b"1" * 128, True),
    "129 characters": (b"1" * 129, False),
    "5,000 characters": (b"../" * 1666 + b"ab", False),
    "NUL inside": (b"1.7\0../outside", True),
    "line break": (b"1.2\r\nERROR forged", False),
    "not ASCII": (b"1.2.\xff\xfe\xe4", True),
    "blank": (b"1.2 3/..", True),
    "empty": (b"", False),
}


def mr_with(tag: int, uid: bytes) -> bytes:
    """Return a data set whose UID `tag` is `uid`."""
    uids = {
        0x00080016: wire.MR_IMAGE_STORAGE,
        SOP_INSTANCE_UID: b"1.2.3.4",
        STUDY_INSTANCE_UID: b"1.3",
        SERIES_INSTANCE_UID: b"1.2",
    } | {tag: uid}
    patient = EXPLICIT_LE.element(0x00100010, "PN", b"Doe^Jane")
    patient += EXPLICIT_LE.element(0x00100020, "LO", b"A/17")
    elements = [(tag, EXPLICIT_LE.ui(tag, value)) for tag, value in uids.items()]
    elements += [(0x00100010, patient), (0x00200013, EXPLICIT_LE.instance_number())]
    return b"".join(element for _, element in sorted(elements))


@pytest.mark.parametrize("tag", [SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID])
def test_path_for_a_uid_in_the_data_set_stays_in_the_data_set(tmp_path, tag):
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        for name, (uid, passes) in FALSE_UIDS.items():
            data_set = mr_with(tag, uid)
            before = siege.receiver.files()
            status = peer.store("1.2.3.4", data_set=data_set)
            if not passes:
                assert status == CANNOT_UNDERSTAND, name
                assert siege.receiver.files() == before, name
                continue
            differs = tag == SOP_INSTANCE_UID
            assert status == (STORED_BUT_OTHER_THAN_THE_COMMAND_SAYS if differs else STORED), name
            assert any(path.read_bytes().endswith(data_set) for path in siege.receiver.files())
            (report,) = siege.reports()
            known = uid.partition(b"\\")[0].partition(b"\0")[0].decode("latin-1")
            assert report.StudyInstanceUID == (known if tag == STUDY_INSTANCE_UID else "1.3")
            assert report.SeriesInstanceUID == (known if tag == SERIES_INSTANCE_UID else "1.2")


def test_path_for_a_uid_in_the_command_is_no_name(tmp_path):
    data_set = wire.data_pdu(mr_data_set(sop="1.2.3.4", series="1.2"))
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        for name, (uid, _) in FALSE_UIDS.items():
            peer.send(wire.command_pdu(wire.c_store_rq(instance=wire.even(uid))) + data_set)
            expected = STORED_BUT_OTHER_THAN_THE_COMMAND_SAYS if uid else INVALID_SOP_INSTANCE
            assert peer.response_status() == expected, name
        (report,) = siege.reports()
        assert (report.SeriesInstanceUID, report.InstancesInSeries) == ("1.2", 1)
    assert len(siege.receiver.files()) == 1


@pytest.mark.parametrize(
    "title",
    [
        b"../secret/X",
        rb"..\secret\X",
        b"/etc/secret",
        b"..",
        b".",
        b";$(touch secret)",
        b"`touch secret`",
        b"A\r\nERROR forged",
        b"\x1b[2J\x07\x08",
        b"A\0B",
        b"\xff\xfe\xe4\xf6",
        b"%s%n{0}",
        b"",
        bytes(16),
    ],
)
def test_ae_title_is_in_no_path_and_in_no_log_as_it_came(tmp_path, title):
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate(called=title, calling=title)
        assert peer.store() == STORED
        (report,) = siege.reports()
        assert report.CallingAETitle.isascii()
        assert report.CallingAETitle.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        ";$(touch outside)`id`",
        "../../outside",
        "x\r\nERROR outside",
        "outside\x1b[2J",
        "%s%n{0}outside",
    ],
)
def test_text_of_a_data_set_gets_into_its_report_and_nowhere_else(tmp_path, text):
    data_set = mr_data_set(patient_name=text, patient_id=text)
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        assert siege.associate().store("1.1", data_set=data_set) == STORED
        (report,) = siege.reports()
        assert "outside" in report.PatientName
        assert report.PatientID.isprintable()


def test_media_storage_directory_is_refused(tmp_path):
    sop_class = b"1.2.840.10008.1.3.10"
    contexts = wire.proposed(MR_CONTEXT, sop_class, wire.EXPLICIT_LITTLE)
    reference = EXPLICIT_LE.element(0x00041500, "CS", rb"..\..\OUTSIDE ")
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate(contexts=contexts)
        peer.send(wire.command_pdu(wire.c_store_rq(sop_class=sop_class)) + wire.data_pdu(reference))
        assert peer.response_status() == SOP_CLASS_NOT_SUPPORTED
    assert siege.receiver.files() == []


@pytest.mark.parametrize("preamble", [b"MZ\x90\0", b"\x7fELF", b"#!/bin/sh\n"])
def test_preamble_of_the_peer_never_becomes_that_of_a_file(tmp_path, preamble):
    content = preamble.ljust(128, b"\0") + b"DICM" + mr_data_set()
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        assert siege.associate().store(data_set=content) == CANNOT_UNDERSTAND
    assert siege.receiver.files() == []
