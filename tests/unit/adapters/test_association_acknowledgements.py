"""When an association has the kernel acknowledge at once: else a sender may wait 40 ms for it."""

from __future__ import annotations

import errno
import socket
import threading
from typing import TYPE_CHECKING, cast

from tests.unit.upper_layer import wire

from seriesgate.adapters.association import Association, AssociationOwner
from seriesgate.gateway.intake import InstanceReceiver, Stored
from seriesgate.upper_layer.negotiation import AcceptorPolicy

if TYPE_CHECKING:
    from seriesgate.gateway.ports import StoreRequest
    from seriesgate.gateway.senders import Traffic

POLICY = AcceptorPolicy(
    ae_title="STORESCP", accept_any_called_ae_title=True, implementation_class_uid="1.2.3"
)
COMMAND, DATA = wire.command_pdu(wire.c_store_rq()), wire.data_pdu(bytes(100))


class Receiver:
    """Stores everything; `told` gets what it is told at the end of each instance."""

    def __init__(self, told: list[str] | None = None) -> None:
        self._told = [] if told is None else told

    def begin(self, _request: StoreRequest) -> Receiver:
        return self

    def write(self, _fragment: bytes | memoryview) -> None:
        pass

    def finish(self) -> Stored:
        self._told.append("store")
        return Stored()

    def answered(self) -> None:
        self._told.append("count")

    def abandon(self) -> None:
        pass


class Owner:
    """Implements `AssociationOwner`: everyone is welcome."""

    def __init__(self, ended: threading.Event, *, wants_trial: bool) -> None:
        self._ended = ended
        self._wants_trial = wants_trial

    def admit(self, _association):
        return None

    def ended(self, _association):
        self._ended.set()

    def accepted(self, _association):
        return self._wants_trial

    def store_answered(self, _status):
        pass


class ScriptedSocket:
    """Receives the given pieces, then the end, and notes what is done with it.

    The peer takes so many `answers`, then it is gone.
    """

    def __init__(self, pieces: list[bytes], *, answers: int = 99) -> None:
        self.done: list[str] = []
        self._pieces = iter(pieces)
        self._answers_left = answers

    def recv_into(self, buffer: memoryview) -> int:
        piece = next(self._pieces, b"")
        if piece == b"silence":
            raise BlockingIOError
        buffer[: len(piece)] = piece
        self.done.append("receive")
        return len(piece)

    def sendall(self, _data: bytes) -> None:
        if not self._answers_left:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        self._answers_left -= 1
        self.done.append("answer")

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        if (level, option, value) == (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1):
            self.done.append("acknowledge")
        if (level, option, value) == (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0):
            self.done.append("delay")

    def close(self) -> None:
        pass


def associated(
    connection: ScriptedSocket, receiver: Receiver | None = None, *, wants_trial: bool = False
) -> Association:
    """Return an association whose peer has said all that the socket is scripted for."""
    ended = threading.Event()
    association = Association(
        cast("socket.socket", connection),
        "192.0.2.1",
        POLICY,
        cast("InstanceReceiver", receiver or Receiver()),
        None,
        cast("AssociationOwner", Owner(ended, wants_trial=wants_trial)),
    )
    association.start()
    assert ended.wait(10)
    return association


def done_with(*pieces: bytes) -> list[str]:
    """Return what an association does from the first piece after its acceptance."""
    connection = ScriptedSocket([wire.associate_rq(), *pieces, wire.A_RELEASE_RQ])
    associated(connection)
    return connection.done[2:-3]


def traffic_of(*pieces: bytes) -> Traffic:
    """Return what went over an association: its request, the pieces, and its release."""
    return associated(ScriptedSocket([wire.associate_rq(), *pieces, wire.A_RELEASE_RQ])).traffic()


def test_answer_acknowledges_what_it_answers():
    assert done_with(COMMAND + DATA) == ["receive", "answer"]


def test_incomplete_message_is_acknowledged_at_once():
    expected = ["receive", "acknowledge", "receive", "acknowledge", "receive", "answer"]
    assert done_with(COMMAND, DATA[:12], DATA[12:]) == expected


def test_every_piece_is_acknowledged_by_an_answer_or_at_once():
    message = COMMAND + DATA
    for cut in range(1, len(message)):
        expected = ["receive", "acknowledge", "receive", "answer"] * 2
        assert done_with(*[message[:cut], message[cut:]] * 2) == expected


def test_answer_acknowledges_the_beginning_of_the_next_message_too():
    expected = ["receive", "answer", "receive", "answer"]
    assert done_with(COMMAND + DATA + COMMAND, DATA) == expected


def test_instance_is_counted_after_its_answer():
    connection = ScriptedSocket([wire.associate_rq(), COMMAND + DATA, wire.A_RELEASE_RQ])
    associated(connection, Receiver(connection.done))
    assert connection.done[2:-3] == ["receive", "store", "answer", "count"]


def test_instance_is_counted_when_its_answer_cannot_be_sent():
    told: list[str] = []
    connection = ScriptedSocket([wire.associate_rq(), COMMAND + DATA], answers=1)
    associated(connection, Receiver(told))
    assert told == ["store", "count"]


def test_traffic_has_bytes_and_the_lengths_of_pdus():
    traffic = traffic_of(COMMAND + DATA)
    sent = (wire.associate_rq(), COMMAND, DATA, wire.A_RELEASE_RQ)
    assert traffic.bytes == sum(map(len, sent))
    assert traffic.longest_pdu == max(len(COMMAND), len(DATA)) - 6
    assert traffic.announced_pdu == 16384


def test_instance_that_is_broken_off_is_incomplete():
    traffic = traffic_of(COMMAND, DATA[:40])
    assert (traffic.stored, traffic.incomplete) == (0, 1)


def test_silence_is_not_busy_time():
    connection = ScriptedSocket([wire.associate_rq(), *[b"silence"] * 1000, wire.A_RELEASE_RQ])
    assert associated(connection).traffic().seconds == 0.0


MESSAGE = (COMMAND, DATA)


def test_sender_is_tried_once_if_the_owner_wants_it():
    connection = ScriptedSocket([wire.associate_rq(), *MESSAGE * 5, wire.A_RELEASE_RQ])
    traffic = associated(connection, wants_trial=True).traffic()
    usual = ["receive", "acknowledge", "receive", "answer"]
    assert connection.done[2:-3] == [
        *usual * 2,
        "delay",
        *("receive", "receive", "answer"),
        *usual * 2,
    ]
    assert (traffic.has_tried, traffic.wait) == (True, 0.0)


def test_sender_is_not_tried_otherwise():
    connection = ScriptedSocket([wire.associate_rq(), *MESSAGE * 5, wire.A_RELEASE_RQ])
    traffic = associated(connection).traffic()
    assert "delay" not in connection.done
    assert (traffic.has_tried, traffic.wait) == (False, None)


def test_association_that_ends_within_the_trial_tells_nothing():
    connection = ScriptedSocket([wire.associate_rq(), *MESSAGE * 2, COMMAND])
    traffic = associated(connection, wants_trial=True).traffic()
    assert connection.done.count("delay") == 1
    assert (traffic.has_tried, traffic.wait) == (True, None)
