"""How an association is opened and released, and what stands in the way."""

from __future__ import annotations

import socket

import pytest
from tests.data_sets import EXPLICIT_LE, MR_IMAGE_STORAGE
from tests.e2e.processes import free_port
from tests.integration.scps import (
    A_ABORT_BY_PROVIDER,
    accept,
    pdu,
    read_to_the_end,
    receive_pdu,
    release,
    response,
    scripted_scp,
)

from seriesgate.requestor.association_errors import (
    AssociationError,
    AssociationRejectedError,
    PeerUnreachableError,
)
from seriesgate.requestor.association_requestor import AssociationRequestor
from seriesgate.requestor.outgoing_instance import StorageContext
from seriesgate.requestor.remote_ae import RemoteAE
from seriesgate.requestor.storage_scu import echo

MR_EXPLICIT = StorageContext(MR_IMAGE_STORAGE, EXPLICIT_LE)
# Long enough for the slowest machine, and for the tests in which nobody answers short enough.
TIMEOUT = 10.0
SHORT = 0.1


def _open(destination: RemoteAE, timeout: float = TIMEOUT) -> AssociationRequestor:
    return AssociationRequestor(destination, [MR_EXPLICIT], timeout)


@pytest.mark.parametrize("max_pdu", [1, 6, 7])
def test_a_peer_that_takes_no_data_at_all_is_refused(max_pdu):
    def script(connection):
        accept(connection, max_pdu=max_pdu)
        assert receive_pdu(connection)[0] == 7

    with (
        scripted_scp(script) as destination,
        pytest.raises(AssociationError, match=f"takes PDUs of {max_pdu} bytes at most"),
    ):
        _open(destination)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak DICOM"),
        (b"", "closed the connection"),
        (A_ABORT_BY_PROVIDER, "aborted the association"),
        (pdu(2, bytes(68) + b"\x21\x00\xff\xff"), "damaged"),
        (response(), "out of turn"),
    ],
)
def test_what_comes_instead_of_an_accept_is_told(answer, complaint):
    def script(connection):
        receive_pdu(connection)
        connection.sendall(answer)

    with scripted_scp(script) as destination, pytest.raises(AssociationError, match=complaint):
        _open(destination)


def test_a_rejection_is_told_and_says_whether_to_try_again():
    def script(connection):
        receive_pdu(connection)
        connection.sendall(bytes([3, 0, 0, 0, 0, 4, 0, 2, 3, 2]))

    with (
        scripted_scp(script) as destination,
        pytest.raises(AssociationRejectedError, match="local limit exceeded") as failure,
    ):
        _open(destination)
    assert failure.value.is_transient


def test_a_peer_that_accepts_the_connection_and_says_nothing_is_given_up():
    with (
        scripted_scp(read_to_the_end) as destination,
        pytest.raises(AssociationError, match="did not answer in time"),
    ):
        _open(destination, SHORT)


def test_nobody_there_is_told_as_such():
    destination = RemoteAE("127.0.0.1", free_port())
    with pytest.raises(
        PeerUnreachableError, match=r"nothing answers at 127\.0\.0\.1:\d+: connection refused"
    ):
        _open(destination)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70, "x..y"])
def test_a_host_that_does_not_exist_is_told_as_such(host):
    with pytest.raises(PeerUnreachableError, match="there is no host named"):
        _open(RemoteAE(host, 104))


def test_ipv6_is_spoken():
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    with listener, pytest.raises(AssociationError, match=r"\[::1\]:\d+ did not answer in time"):
        _open(RemoteAE("::1", listener.getsockname()[1]), SHORT)


def test_when_both_sides_release_at_once_the_requestor_answers_first():
    """PS3.8 9.2.3: AR-8 and AR-9."""
    seen = []

    def script(connection):
        accept(connection)
        assert receive_pdu(connection)[0] == 5
        connection.sendall(bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
        seen.append(receive_pdu(connection)[0])
        connection.sendall(bytes([6, 0, 0, 0, 0, 4, 0, 0, 0, 0]))

    with scripted_scp(script) as destination:
        _open(destination).release()
    assert seen == [6]


def test_a_release_that_nobody_answers_ends():
    def script(connection):
        accept(connection)
        read_to_the_end(connection)

    with scripted_scp(script) as destination:
        association = _open(destination, SHORT)
        association.release()
        association.release()
        assert not association.is_open


def test_echo_measures_the_round_trip():
    def script(connection):
        accept(connection)
        assert b"1.2.840.10008.1.1" in receive_pdu(connection)
        connection.sendall(response(command_field=0x8030))
        release(connection)

    with scripted_scp(script) as destination:
        assert 0 < echo(destination, timeout=TIMEOUT) < TIMEOUT


def test_echo_tells_a_refused_context_and_a_failure_status():
    def refuse(connection):
        accept(connection, result=3)
        release(connection)

    def fail(connection):
        accept(connection)
        receive_pdu(connection)
        connection.sendall(response(status=0x0110, command_field=0x8030))
        release(connection)

    with scripted_scp(refuse, fail) as destination:
        with pytest.raises(AssociationError, match="does not offer C-ECHO: SOP class not supp"):
            echo(destination, timeout=TIMEOUT)
        with pytest.raises(AssociationError, match="answered C-ECHO with 0110"):
            echo(destination, timeout=TIMEOUT)
