"""When an association has the kernel acknowledge at once: else a sender may wait 40 ms for it."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, cast

from tests.unit.upper_layer import wire

from seriesgate.adapters.association import Association, AssociationOwner
from seriesgate.gateway.intake import InstanceReceiver, Stored
from seriesgate.upper_layer.negotiation import AcceptorPolicy

if TYPE_CHECKING:
    from seriesgate.gateway.ports import StoreRequest

POLICY = AcceptorPolicy(
    ae_title="STORESCP", accept_any_called_ae_title=True, implementation_class_uid="1.2.3"
)
COMMAND, DATA = wire.command_pdu(wire.c_store_rq()), wire.data_pdu(bytes(100))


class Receiver:
    """Stores everything."""

    def begin(self, _request: StoreRequest) -> Receiver:
        return self

    def write(self, _fragment: bytes | memoryview) -> None:
        pass

    def finish(self) -> Stored:
        return Stored()

    def abandon(self) -> None:
        pass


class Owner:
    """Implements `AssociationOwner`: everyone is welcome."""

    def __init__(self, ended: threading.Event) -> None:
        self._ended = ended

    def admit(self, _association):
        return None

    def ended(self, _association):
        self._ended.set()

    def accepted(self, _association):
        pass

    def store_answered(self, _status):
        pass


class ScriptedSocket:
    """Receives the given pieces, then the end, and notes what is done with it."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.done: list[str] = []
        self._pieces = iter(pieces)

    def recv_into(self, buffer: memoryview) -> int:
        piece = next(self._pieces, b"")
        buffer[: len(piece)] = piece
        self.done.append("receive")
        return len(piece)

    def sendall(self, _data: bytes) -> None:
        self.done.append("answer")

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        if (level, option, value) == (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1):
            self.done.append("acknowledge")

    def close(self) -> None:
        pass


def done_with(*pieces: bytes) -> list[str]:
    """Return what an association does from the first piece after its acceptance."""
    connection = ScriptedSocket([wire.associate_rq(), *pieces, wire.A_RELEASE_RQ])
    ended = threading.Event()
    Association(
        cast("socket.socket", connection),
        "192.0.2.1",
        POLICY,
        cast("InstanceReceiver", Receiver()),
        None,
        cast("AssociationOwner", Owner(ended)),
    ).start()
    assert ended.wait(10)
    return connection.done[2:-3]


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
