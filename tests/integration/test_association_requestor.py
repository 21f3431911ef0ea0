"""One association with a peer that does something special."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import deque
from io import BytesIO
from types import SimpleNamespace

import pytest
from tests.data_sets import EXPLICIT_LE, MR_IMAGE_STORAGE
from tests.integration.scps import (
    A_ABORT_BY_PROVIDER,
    EncodedInstance,
    accept,
    command_set,
    mr,
    p_data,
    pdu,
    read_to_the_end,
    receive_message,
    receive_pdu,
    release,
    response,
    scripted_scp,
)

from seriesgate.requestor import pdu_stream
from seriesgate.requestor.association_errors import (
    AssociationError,
    InstanceUnreadableError,
)
from seriesgate.requestor.association_requestor import AssociationRequestor, Stored
from seriesgate.requestor.outgoing_instance import StorageContext
from seriesgate.requestor.pdu_stream import PduStream
from seriesgate.requestor.remote_ae import RemoteAE

MR_EXPLICIT = StorageContext(MR_IMAGE_STORAGE, EXPLICIT_LE)
# Long enough for the slowest machine, and for the tests in which nobody answers short enough.
TIMEOUT = 10.0
SHORT = 0.1


def _open(destination: RemoteAE, timeout: float = TIMEOUT) -> AssociationRequestor:
    return AssociationRequestor(destination, [MR_EXPLICIT], timeout)


def _store_and_abort(destination: RemoteAE, instance: EncodedInstance) -> Stored:
    association = _open(destination)
    try:
        return association.store(instance)
    finally:
        association.abort()


@pytest.mark.parametrize("max_pdu", [0, 8, 9, 128, 16384, 10_000_000])
@pytest.mark.parametrize("pixels", [0, 1, 61, 20_000])
def test_no_pdu_is_longer_than_the_peer_takes_and_no_byte_is_lost(max_pdu, pixels):
    instance = mr("1.1", pixels=pixels)
    seen = []

    def script(connection):
        accept(connection, max_pdu=max_pdu)
        seen.append(receive_message(connection))
        connection.sendall(response())
        release(connection)

    with scripted_scp(script) as destination:
        association = _open(destination)
        assert association.store(instance) == (0, len(instance.data_set), "")
        association.release()
    [(_, data_set, lengths)] = seen
    assert data_set == instance.data_set
    assert max(lengths) <= (max_pdu or 262144 + 6)
    assert not association.is_open


@pytest.mark.parametrize("length", [0, 1, 16378, 16379, 2 * 16378])
def test_a_data_set_of_any_length_arrives(length):
    instance = EncodedInstance(MR_EXPLICIT, "1.1", (bytes(range(256)) * 200)[:length])
    seen = []

    def script(connection):
        accept(connection, max_pdu=16384)
        seen.append(receive_message(connection))
        connection.sendall(response())

    with scripted_scp(script) as destination:
        assert _store_and_abort(destination, instance) == (0, length, "")
    assert seen[0][1] == instance.data_set


def test_message_ids_count_up_and_are_expected_back():
    ids = []

    def script(connection):
        accept(connection)
        for _ in range(3):
            command, _, _ = receive_message(connection)
            position = command.index(struct.pack("<HHI", 0, 0x0110, 2)) + 8
            ids.append(int.from_bytes(command[position : position + 2], "little"))
            connection.sendall(response(ids[-1]))
        release(connection)

    with scripted_scp(script) as destination:
        association = _open(destination)
        for _ in range(3):
            association.store(mr("1.1"))
        association.release()
    assert ids == [1, 2, 3]


def test_after_65535_the_message_ids_start_again():
    def script(connection):
        accept(connection)
        for message_id in (65535, 1):
            receive_message(connection)
            connection.sendall(response(message_id))
        release(connection)

    with scripted_scp(script) as destination:
        association = _open(destination)
        association._message_id = 65534
        association.store(mr("1.1"))
        association.store(mr("1.2"))
        association.release()


def test_segments_are_not_held_back_and_a_short_wait_does_not_shorten_the_next_send():
    def script(connection):
        connection.sendall(response())
        read_to_the_end(connection)

    with scripted_scp(script) as destination:
        stream = PduStream(destination, TIMEOUT)
        assert stream._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        stream.receive(time.monotonic() + TIMEOUT / 2)
        assert stream._socket.gettimeout() == TIMEOUT
        stream.close()


def test_a_response_in_many_fragments_and_segments_is_understood():
    whole = command_set(status=0xB007)

    def script(connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accept(connection)
        receive_message(connection)
        pdus = b"".join(
            p_data(whole[i : i + 1], 3 if i == len(whole) - 1 else 1) for i in range(len(whole))
        )
        for i in range(len(pdus)):
            connection.sendall(pdus[i : i + 1])

    with scripted_scp(script) as destination:
        assert _store_and_abort(destination, mr("1.1")).status == 0xB007


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (response(2), "it answers another message"),
        (response(command_field=0x0001), "no response"),
        (response(command_field=0x8020), "no response"),
        (response(command_field=0x8030), "no response"),
        (response(1, 0, (0x1000, b"1.2\0")), "it answers for another instance"),
        (response(1, 0, (0x1000, b"1.1.1\0")), "it answers for another instance"),
        (p_data(command_set() + b"\0"), "the command set is damaged"),
        (pdu(4, response()[6:] + response(2)[6:]), "it goes on behind its end"),
        (p_data(b"\x01" * 50), "the command set is damaged"),
        (p_data(command_set()[:-4]), "the command set is damaged"),
        (p_data(command_set()[:-10]), "the response has no \\(0000,0900\\)"),
        (p_data(b"abc", control=0), "it has a data set"),
        (p_data(bytes(16000), control=1) * 5, "its command set is too long"),
        (pdu(4, b"\0\0"), "it ends inside a PDV"),
        (pdu(4, struct.pack(">IBB", 1, 1, 3)), "the length of a PDV is wrong"),
        (pdu(4, struct.pack(">IBB", 0xFFFFFFFF, 1, 3)), "the length of a PDV is wrong"),
        (pdu(2, bytes(80)), "it is no P-DATA-TF"),
        (pdu(5, bytes(4)), "it is no P-DATA-TF"),
    ],
)
def test_a_wrong_response_aborts_the_association(answer, complaint):
    aborted = []

    def script(connection):
        accept(connection)
        receive_message(connection)
        connection.sendall(answer)
        with contextlib.suppress(ConnectionError):
            aborted.append(receive_pdu(connection))

    with scripted_scp(script) as destination:
        association = _open(destination)
        with pytest.raises(AssociationError, match=complaint):
            association.store(mr("1.1"))
        assert not association.is_open
    assert [pdu[0] for pdu in aborted if pdu] in ([7], [])


@pytest.mark.parametrize("uid", [b"1.1\0", b"1.1 ", b"1.1", b""])
def test_response_may_repeat_the_instance(uid):
    def script(connection):
        accept(connection)
        receive_message(connection)
        connection.sendall(response(1, 0xA700, (0x0902, b"no room "), (0x1000, uid)))

    with scripted_scp(script) as destination:
        answer = _store_and_abort(destination, mr("1.1"))
    assert (answer.status, answer.comment) == (0xA700, "no room")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"<!doctype html><html></html>", "does not speak DICOM"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak DICOM"),
        (b"\x00" * 10, "does not speak DICOM"),
        (b"\x04\x00\xff\xff\xff\xff", "announced a PDU of 4294967295 bytes"),
        (b"\x04\x00\x00\x00", "closed the connection"),
        (b"", "closed the connection"),
        (A_ABORT_BY_PROVIDER, "aborted the association: unexpected PDU"),
    ],
)
def test_what_comes_instead_of_a_response_is_told_in_one_line(answer, complaint):
    def script(connection):
        accept(connection)
        receive_message(connection)
        connection.sendall(answer)

    with scripted_scp(script) as destination:
        association = _open(destination)
        with pytest.raises(AssociationError, match=complaint) as failure:
            association.store(mr("1.1"))
    assert "\n" not in str(failure.value)
    assert not association.is_open


def test_an_abort_in_the_middle_of_a_data_set_is_told():
    def script(connection):
        accept(connection)
        receive_pdu(connection)
        connection.sendall(A_ABORT_BY_PROVIDER)
        # Closing with data unread resets the connection, behind the A-ABORT.

    instance = EncodedInstance(MR_EXPLICIT, "1.1", bytes(32 * 1024 * 1024))
    with (
        scripted_scp(script) as destination,
        pytest.raises(AssociationError, match="aborted the association"),
    ):
        _open(destination).store(instance)


def test_a_connection_that_breaks_in_the_middle_of_a_data_set_is_told():
    def script(connection):
        accept(connection)
        receive_pdu(connection)
        # Closing with data unread resets the connection.

    instance = EncodedInstance(MR_EXPLICIT, "1.1", bytes(32 * 1024 * 1024))
    with (
        scripted_scp(script) as destination,
        pytest.raises(AssociationError, match=r"broke: (connection reset|broken pipe)"),
    ):
        _open(destination).store(instance)


def test_a_peer_that_stops_reading_is_given_up():
    def script(connection):
        accept(connection)
        released.wait(TIMEOUT)

    released = threading.Event()
    instance = EncodedInstance(MR_EXPLICIT, "1.1", bytes(32 * 1024 * 1024))
    with scripted_scp(script) as destination:
        association = _open(destination, SHORT)
        with pytest.raises(AssociationError, match=r"took no data for 0.1 s"):
            association.store(instance)
        released.set()


def test_a_peer_that_drips_its_answer_is_given_up_in_time():
    def script(connection):
        accept(connection)
        receive_message(connection)
        with contextlib.suppress(ConnectionError):
            while True:
                connection.sendall(p_data(b"", control=1))

    with scripted_scp(script) as destination:
        association = _open(destination, SHORT)
        started = time.monotonic()
        with pytest.raises(AssociationError, match="did not answer in time"):
            association.store(mr("1.1"))
        assert time.monotonic() - started < 5


def test_a_peer_that_is_never_silent_is_given_up_too(monkeypatch):
    """Whoever sends faster than we read always has something for us: time counts, not silence."""
    clock = iter(range(0, 10_000, 10))
    ours, theirs = socket.socketpair()
    with contextlib.closing(ours), contextlib.closing(theirs):
        monkeypatch.setattr(pdu_stream, "_connect", lambda *_: ours)
        stream = PduStream(RemoteAE("peer", 104, "SCP", "SCU"), 1.0)
        monkeypatch.setattr(pdu_stream, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        theirs.sendall(p_data(b"", control=1) * 3000)
        # More than one read of the socket has, and fewer than are there.
        with pytest.raises(AssociationError, match="did not answer in time"):
            deque((stream.receive(5.0) for _ in range(2000)), maxlen=0)


def test_a_file_that_shrinks_while_it_is_sent_aborts_the_association():
    class ShortReader(BytesIO):
        def read(self, size=-1):
            return super().read(size)[:-1]

    class Shrinking(EncodedInstance):
        def open(self):
            return ShortReader(self.data_set)

    aborted = []

    def script(connection):
        accept(connection)
        aborted.append(receive_pdu(connection)[0])

    with scripted_scp(script) as destination:
        association = _open(destination)
        with pytest.raises(InstanceUnreadableError, match="became shorter"):
            association.store(Shrinking(MR_EXPLICIT, "1.1", bytes(1000)))
        assert not association.is_open
    assert aborted == [7]


def test_a_file_that_cannot_be_opened_leaves_the_association_open():
    class Gone(EncodedInstance):
        def open(self):
            raise FileNotFoundError(2, "No such file or directory")

    def script(connection):
        accept(connection)
        receive_message(connection)
        connection.sendall(response(2))
        release(connection)

    with scripted_scp(script) as destination:
        association = _open(destination)
        with pytest.raises(InstanceUnreadableError, match="no such file or directory"):
            association.store(Gone(MR_EXPLICIT, "1.1", b""))
        assert association.store(mr("1.2")).status == 0
        association.release()
