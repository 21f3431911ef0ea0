"""What becomes of the instances when associations are rejected, break or are interrupted."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest
from tests.data_sets import (
    EXPLICIT_LE,
    MR_IMAGE_STORAGE,
    mr_instance,
    write_file,
)
from tests.e2e.processes import free_port
from tests.integration.scps import (
    A_ABORT_BY_PROVIDER,
    EncodedInstance,
    accept,
    mr,
    pynetdicom_scp,
    receive_message,
    receive_pdu,
    release,
    response,
    scripted_scp,
)

from seriesgate.modality.dicom_files import find_dicom_files
from seriesgate.requestor.association_errors import (
    AssociationError,
    AssociationRejectedError,
    PeerUnreachableError,
)
from seriesgate.requestor.outgoing_instance import StorageContext
from seriesgate.requestor.remote_ae import RemoteAE
from seriesgate.requestor.send_summary import Outcome
from seriesgate.requestor.storage_scu import echo, send

if TYPE_CHECKING:
    from typing import BinaryIO

MR_EXPLICIT = StorageContext(MR_IMAGE_STORAGE, EXPLICIT_LE)
AT_ONCE = (0.0, 0.0, 0.0)


def test_after_an_abort_the_rest_goes_over_a_fresh_association():
    def abort_third(event, received):
        if received.stores == 3:
            event.assoc.abort()
        return 0

    instances = [mr(f"1.{number}") for number in range(6)]
    with pynetdicom_scp(MR_EXPLICIT, answer=abort_third) as (destination, received):
        summary = send(instances, destination, reconnect_delays=AT_ONCE)
    assert summary.sent == 6
    assert summary.is_complete
    assert received.associations == 2
    assert len(received.data_sets) == 6


def test_an_instance_that_breaks_three_associations_fails_and_the_others_go_on():
    def abort_poison(event, _received):
        if event.request.AffectedSOPInstanceUID == "1.2":
            event.assoc.abort()
        return 0

    with pynetdicom_scp(MR_EXPLICIT, answer=abort_poison) as (destination, received):
        summary = send([mr("1.1"), mr("1.2"), mr("1.3")], destination, reconnect_delays=AT_ONCE)
    assert summary.sent == 2
    [failure] = summary.failed
    assert failure.count == 1
    assert "aborted the association" in failure.meaning
    assert received.associations == 4
    assert {"1.1", "1.3"} <= set(received.data_sets)


def test_when_the_peer_is_gone_what_is_left_has_failed():
    def one_and_gone(connection):
        accept(connection)
        receive_message(connection)
        connection.sendall(response())
        receive_message(connection)
        connection.sendall(A_ABORT_BY_PROVIDER)

    with scripted_scp(one_and_gone) as destination:
        instances = [mr(f"1.{number}") for number in range(5)]
        # The listener takes connections for as long as the test lasts, but nobody serves them.
        summary = send(instances, destination, timeout=0.1, reconnect_delays=AT_ONCE)
    assert summary.sent == 1
    assert summary.failed == (Outcome(None, f"{destination.address} did not answer in time", 4),)
    assert summary.unsent == 0


def test_the_peer_may_come_back_between_two_tries():
    def abort(connection):
        accept(connection)
        receive_message(connection)
        connection.sendall(A_ABORT_BY_PROVIDER)

    def reject_for_now(connection):
        receive_pdu(connection)
        connection.sendall(bytes([3, 0, 0, 0, 0, 4, 0, 2, 3, 2]))

    def take(connection):
        accept(connection)
        receive_message(connection)
        connection.sendall(response())
        release(connection)

    with scripted_scp(abort, reject_for_now, take) as destination:
        summary = send([mr("1.1")], destination, reconnect_delays=AT_ONCE)
    assert summary.sent == 1
    assert summary.is_complete


def test_a_rejection_for_good_is_not_tried_again():
    def abort(connection):
        accept(connection)
        receive_message(connection)
        connection.sendall(A_ABORT_BY_PROVIDER)

    def reject(connection):
        receive_pdu(connection)
        connection.sendall(bytes([3, 0, 0, 0, 0, 4, 0, 1, 1, 3]))

    with scripted_scp(abort, reject) as destination:
        summary = send([mr("1.1")], destination, reconnect_delays=AT_ONCE)
    [failure] = summary.failed
    assert "rejected the association for good: calling AE title not recognised" in failure.meaning


def test_associations_that_the_peer_will_not_have_leave_the_work_to_the_others():
    turned_away = threading.Event()

    class Waiting(EncodedInstance):
        def open(self) -> BinaryIO:
            assert turned_away.wait(timeout=10)
            return super().open()

    instances = [Waiting(MR_EXPLICIT, f"1.{n}", mr(f"1.{n}").data_set) for n in range(5)]
    with pynetdicom_scp(MR_EXPLICIT, max_associations=1, on_rejected=turned_away.set) as (
        destination,
        received,
    ):
        summary = send(instances, destination, associations=2, reconnect_delays=AT_ONCE)
    assert summary.sent == 5
    assert summary.is_complete
    assert received.most_at_once == 1


def test_nothing_is_sent_when_the_first_association_cannot_be_opened():
    with pytest.raises(PeerUnreachableError):
        send([mr("1.1")], RemoteAE("127.0.0.1", free_port()))
    with (
        pynetdicom_scp(MR_EXPLICIT, called_ae_title="OTHER") as (destination, _),
        pytest.raises(AssociationRejectedError, match="called AE title not recognised"),
    ):
        send([mr("1.1")], destination)


def test_echo_tells_a_rejection():
    with (
        pynetdicom_scp(called_ae_title="OTHER") as (destination, _),
        pytest.raises(AssociationError, match="called AE title not recognised"),
    ):
        echo(destination)


def test_a_file_that_disappears_fails_and_the_others_go_on(tmp_path):
    for number in range(3):
        write_file(tmp_path / f"{number}.dcm", mr_instance(f"1.{number}"))
    files = find_dicom_files([tmp_path]).files
    files[1].path.unlink()
    with pynetdicom_scp(MR_EXPLICIT) as (destination, received):
        summary = send(files, destination)
    assert summary.sent == 2
    reason = f"cannot read {files[1].path}: no such file or directory"
    assert summary.failed == (Outcome(None, reason, 1),)
    assert received.associations == 1


def test_ctrl_c_finishes_the_message_under_way_and_counts_the_rest_as_unsent():
    main_thread = threading.get_ident()

    def interrupt_at_second(_event, received):
        if received.stores == 2:
            signal.pthread_kill(main_thread, signal.SIGINT)
        return 0

    instances = [mr(f"1.{number}") for number in range(500)]
    with pynetdicom_scp(MR_EXPLICIT, answer=interrupt_at_second) as (destination, received):
        summary = send(instances, destination)
    assert summary.interrupted
    assert 2 <= summary.sent == len(received.data_sets) < 500
    assert summary.unsent == 500 - summary.sent
    assert not summary.is_complete


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (response(7), "sent a wrong response: it answers another message"),
        (response(1, 0, (0x1000, b"1.9\0")), "sent a wrong response: it answers for another"),
        (response(command_field=0x8030), "sent a wrong response: the message is no response"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html></html>", "does not speak DICOM"),
    ],
)
def test_nothing_but_the_response_to_an_instance_counts_for_it(answer, complaint):
    def script(connection):
        accept(connection)
        receive_message(connection)
        connection.sendall(answer)

    with scripted_scp(script, script, script) as destination:
        summary = send([mr("1.1")], destination, reconnect_delays=AT_ONCE)
    assert summary.sent == 0
    [failure] = summary.failed
    assert complaint in failure.meaning
    assert failure.instances == ("1.1.dcm",)
    assert "\n" not in failure.meaning


def test_what_a_peer_says_of_a_refusal_is_kept_with_the_instance():
    def refuse(connection):
        accept(connection)
        for number in (1, 2):
            receive_message(connection)
            connection.sendall(response(number, 0xC000, (0x0902, b"no \x1b[31mroom\n")))
        release(connection)

    with scripted_scp(refuse) as destination:
        summary = send([mr("1.1"), mr("1.2")], destination)
    [refusal] = summary.refused
    assert (refusal.count, refusal.comment) == (2, "no \ufffd[31mroom\ufffd")
    assert refusal.instances == ("1.1.dcm", "1.2.dcm")
