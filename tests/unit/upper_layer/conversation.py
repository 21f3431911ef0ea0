"""A driver without a socket: plays the acceptor's side of a conversation and writes it down."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from tests.unit.upper_layer import wire

from seriesgate.upper_layer.acceptor import AcceptorConnection
from seriesgate.upper_layer.dimse import StoreStatus
from seriesgate.upper_layer.events import (
    NEED_DATA,
    AcceptAssociation,
    AssociationAccepted,
    AssociationRequested,
    DataSetEnded,
    DataSetFragment,
    StoreResponse,
)
from seriesgate.upper_layer.negotiation import AcceptorPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seriesgate.upper_layer.events import Event, LocalMessage

POLICY = AcceptorPolicy(ae_title="STORESCP", implementation_class_uid="1.2.276.9")


class Conversation:
    """Feeds an AcceptorConnection and answers what it asks.

    `events` has every event, consecutive fragments as one `bytes`; `sent` has all output. Data is
    fed from one buffer that is overwritten each time, as a driver with a single buffer does.
    """

    def __init__(
        self,
        policy: AcceptorPolicy = POLICY,
        *,
        answer_request: LocalMessage | None = None,
        answer_store: LocalMessage | None = None,
    ) -> None:
        self.connection = AcceptorConnection(policy, now=0.0)
        self.answer_request = answer_request or AcceptAssociation()
        self.answer_store = answer_store or StoreResponse(StoreStatus.SUCCESS)
        self.events: list[Event | bytes] = []
        self.sent = b""
        self._buffer = bytearray(4096)

    def receive(self, data: bytes, now: float = 0.0) -> list[Event | bytes]:
        """Feed one piece; return the events it caused."""
        if len(data) > len(self._buffer):
            self._buffer = bytearray(len(data))
        view = memoryview(self._buffer)[: len(data)]
        view[:] = data
        self.connection.receive_data(view, now)
        events = self.drain(now)
        view[:] = b"\xee" * len(data)
        return events

    def receive_all(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.receive(piece)

    def close(self, now: float = 0.0) -> list[Event | bytes]:
        """The peer closes the connection."""
        self.connection.receive_data(b"", now)
        return self.drain(now)

    def pass_time(self, now: float) -> list[Event | bytes]:
        self.connection.handle_timer(now)
        return self.drain(now)

    def drain(self, now: float = 0.0) -> list[Event | bytes]:
        before = len(self.events)
        while (event := self.connection.next_event()) is not NEED_DATA:
            if isinstance(event, DataSetFragment):
                self._add_fragment(bytes(event.data))
                continue
            self.events.append(event)
            if isinstance(event, AssociationRequested):
                self.connection.send(self.answer_request, now)
            elif isinstance(event, DataSetEnded):
                self.connection.send(self.answer_store, now)
        self.sent += self.connection.data_to_send()
        return self.events[before:]

    def take_sent(self) -> bytes:
        sent, self.sent = self.sent, b""
        return sent

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def _add_fragment(self, data: bytes) -> None:
        assert data, "fragments told are never empty"
        if self.events and isinstance(last := self.events[-1], bytes):
            self.events[-1] = last + data
        else:
            self.events.append(data)


def associated(
    policy: AcceptorPolicy = POLICY,
    request: bytes | None = None,
    answer_store: LocalMessage | None = None,
) -> Conversation:
    """Return a conversation whose association stands; what led to it is not in its records."""
    conversation = Conversation(policy, answer_store=answer_store)
    conversation.receive(request or wire.associate_rq())
    assert isinstance(conversation.events[-1], AssociationAccepted)
    conversation.events.clear()
    conversation.take_sent()
    return conversation


def cut(data: bytes, offsets: Iterable[int]) -> list[bytes]:
    """Return `data` in pieces, cut at `offsets`."""
    places = sorted({0, len(data), *(offset for offset in offsets if 0 <= offset <= len(data))})
    return [data[start:end] for start, end in pairwise(places)]
