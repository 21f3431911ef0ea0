"""Sending to real Storage SCPs, and to some that fail on purpose."""

from __future__ import annotations

import shutil
import struct
import threading
from typing import TYPE_CHECKING

import pytest
from tests.data_sets import (
    DEFLATED,
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    MR_IMAGE_STORAGE,
    encode,
    mr_instance,
    write_file,
)
from tests.e2e.processes import free_port
from tests.integration.scps import (
    EncodedInstance,
    accept,
    encapsulated_jpeg,
    encoded,
    mr,
    pynetdicom_scp,
    receive_pdu,
    response,
    scripted_scp,
    storescp,
)

from seriesgate.modality.dicom_files import find_dicom_files
from seriesgate.requestor.outgoing_instance import StorageContext
from seriesgate.requestor.remote_ae import RemoteAE
from seriesgate.requestor.send_summary import Outcome
from seriesgate.requestor.storage_scu import echo, send

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

MR_EXPLICIT = StorageContext(MR_IMAGE_STORAGE, EXPLICIT_LE)
TRANSFER_SYNTAXES = [IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED]

needs_storescp = pytest.mark.skipif(shutil.which("storescp") is None, reason="DCMTK is missing")


def _in_every_transfer_syntax() -> list[EncodedInstance]:
    instances = [mr(f"1.2.{number}", uid) for number, uid in enumerate(TRANSFER_SYNTAXES)]
    return [*instances, encapsulated_jpeg("1.3")]


def _odd_elements() -> EncodedInstance:
    """Return an instance with what an encoder would tidy up: private, invalid and padded values."""
    plain = mr("1.4")
    odd = b"".join(
        struct.pack("<HH2sH", 0x7FE1, element, vr, len(value)) + value
        for element, vr, value in (
            (0x0010, b"LO", b"ACME 1.1"),
            (0x1001, b"CS", b"lower case    "),
            (0x1002, b"UI", b"1.2.3 "),
            (0x1003, b"DS", b"1.50000000000000000000"),
        )
    )
    return EncodedInstance(plain.context, plain.sop_instance_uid, plain.data_set + odd)


def _data_set_of(file: Path) -> bytes:
    [found] = find_dicom_files([file]).files
    with found.open() as data_set:
        return data_set.read()


@needs_storescp
def test_data_sets_arrive_bit_for_bit_at_storescp(tmp_path):
    instances = [*_in_every_transfer_syntax(), _odd_elements()]
    with storescp(tmp_path) as destination:
        summary = send(instances, destination)
    assert summary.sent == len(instances)
    assert summary.is_complete
    received = sorted(_data_set_of(file) for file in tmp_path.iterdir())
    assert received == sorted(instance.data_set for instance in instances)


@needs_storescp
def test_files_arrive_bit_for_bit_whatever_stands_in_front_of_the_data_set(tmp_path):
    sent = tmp_path / "sent"
    sent.mkdir()
    for number, uid in enumerate(TRANSFER_SYNTAXES):
        write_file(sent / uid, mr_instance(f"1.2.{number}"), uid)
    (sent / "bare").write_bytes(encode(mr_instance("1.3"), IMPLICIT_LE))
    (sent / "no preamble").write_bytes((sent / EXPLICIT_LE).read_bytes()[132:])
    arrived = tmp_path / "arrived"
    arrived.mkdir()
    found = find_dicom_files([sent])
    with storescp(arrived, "--fork", "--unique-filenames") as destination:
        summary = send(found.files, destination, associations=3)
    assert summary.sent == 6
    assert summary.size == sum(len(_data_set_of(file.path)) for file in found.files)
    assert sorted(_data_set_of(file) for file in arrived.iterdir()) == sorted(
        _data_set_of(file.path) for file in found.files
    )


@needs_storescp
def test_storescp_answers_an_echo(tmp_path):
    with storescp(tmp_path) as destination:
        assert 0 < echo(destination) < 30


def test_data_sets_arrive_bit_for_bit_at_pynetdicom():
    instances = [*_in_every_transfer_syntax(), _odd_elements()]
    contexts = {instance.context for instance in instances}
    with pynetdicom_scp(*contexts) as (destination, received):
        summary = send(instances, destination)
    assert summary.sent == len(instances)
    assert received.data_sets == {
        instance.sop_instance_uid: instance.data_set for instance in instances
    }
    assert received.calling_ae_titles == {"SERIESGATE"}


def test_several_associations_share_the_work_at_the_same_time():
    all_here = threading.Barrier(3, timeout=10)
    first_three = threading.Semaphore(3)

    class Meeting(EncodedInstance):
        def open(self) -> BinaryIO:
            # No association sends its first instance before all three have one.
            if first_three.acquire(blocking=False):
                all_here.wait()
            return super().open()

    instances = [Meeting(MR_EXPLICIT, f"1.{n}", mr(f"1.{n}").data_set) for n in range(30)]
    with pynetdicom_scp(MR_EXPLICIT) as (destination, received):
        summary = send(instances, destination, associations=3)
    assert summary.sent == 30
    assert received.associations == received.most_at_once == 3
    assert len(received.data_sets) == 30


def test_no_more_associations_are_opened_than_there_are_instances():
    with pynetdicom_scp(MR_EXPLICIT) as (destination, received):
        assert send([mr("1.1")], destination, associations=16).sent == 1
    assert received.associations == 1


def test_statuses_are_counted_with_their_meaning():
    statuses = {"1.1": 0x0000, "1.2": 0xB007, "1.3": 0xA700, "1.4": 0xA700, "1.5": 0xC001}

    def answer(event, _received):
        return statuses[event.request.AffectedSOPInstanceUID]

    sizes: list[int] = []
    with pynetdicom_scp(MR_EXPLICIT, answer=answer) as (destination, received):
        summary = send(map(mr, statuses), destination, on_progress=sizes.append)
    size = len(mr("1.1").data_set)
    assert (summary.sent, summary.size) == (2, 2 * size)
    assert summary.warnings == (
        Outcome(0xB007, "Data Set Does Not Match SOP Class", 1, "", ("1.2.dcm",)),
    )
    assert summary.refused == (
        Outcome(0xA700, "Refused: Out of Resources", 2, "", ("1.3.dcm", "1.4.dcm")),
        Outcome(0xC001, "Cannot Understand", 1, "", ("1.5.dcm",)),
    )
    assert (summary.failed, summary.unsent) == ((), 0)
    assert sorted(sizes) == [0, 0, 0, size, size]
    assert received.stores == 5
    assert received.associations == 1


def test_a_refused_context_costs_only_its_instances():
    with pynetdicom_scp(MR_EXPLICIT) as (destination, received):
        summary = send([mr("1.1"), mr("1.2", IMPLICIT_LE), mr("1.3")], destination)
    assert summary.sent == 2
    reason = "MR Image Storage, Implicit VR Little Endian: transfer syntax not supported"
    assert summary.refused == (Outcome(None, reason, 1, "", ("1.2.dcm",)),)
    assert set(received.data_sets) == {"1.1", "1.3"}


def test_a_peer_that_takes_none_of_the_contexts_refuses_all():
    with pynetdicom_scp() as (destination, _):
        summary = send([mr("1.1"), mr("1.2")], destination)
    reason = "MR Image Storage, Explicit VR Little Endian: SOP class not supported"
    assert summary.refused == (Outcome(None, reason, 2, "", ("1.1.dcm", "1.2.dcm")),)


def test_more_than_128_contexts_go_over_several_associations_in_turn():
    classes = [f"1.2.840.10008.5.1.4.1.1.4.{number}" for number in range(1, 131)]
    instances = []
    for number, sop_class in enumerate(classes):
        dataset = mr_instance(f"1.{number}")
        dataset.SOPClassUID = sop_class
        instances.append(encoded(dataset))
    seen = []

    def script(connection):
        accept(connection)
        count = 0
        while (pdu := receive_pdu(connection))[0] == 4:
            if pdu[11] == 2:
                count += 1
                connection.sendall(response(count))
        connection.sendall(bytes([6, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
        seen.append(count)

    with scripted_scp(script, script) as destination:
        summary = send(instances, destination)
    assert seen == [128, 2]
    assert summary.sent == 130


def test_the_order_of_instances_is_kept_on_one_association():
    instances = [mr(f"1.{n}", EXPLICIT_LE if n % 2 else IMPLICIT_LE) for n in range(20)]
    contexts = {instance.context for instance in instances}
    with pynetdicom_scp(*contexts) as (destination, received):
        send(instances, destination)
    assert list(received.data_sets) == [instance.sop_instance_uid for instance in instances]


def test_nothing_to_send_opens_no_association():
    summary = send([], RemoteAE("127.0.0.1", free_port()))
    assert (summary.sent, summary.is_complete) == (0, True)
