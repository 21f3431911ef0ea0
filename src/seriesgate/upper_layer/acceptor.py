"""One connection seen by the acceptor: bytes and time in, events and bytes out.

Joins the parts: `framing` cuts the stream, `states` says what follows from what, `negotiation` and
`messages` know the answers, `deadlines` the limits. Does no I/O and reads no clock.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, assert_never

from seriesgate.upper_layer.codec import decode, encode
from seriesgate.upper_layer.deadlines import Deadlines
from seriesgate.upper_layer.dimse import StoreStatus, is_failure
from seriesgate.upper_layer.errors import LocalMisuse, PeerViolation
from seriesgate.upper_layer.events import (
    NEED_DATA,
    Abort,
    AcceptAssociation,
    AssociationAborted,
    AssociationAccepted,
    AssociationRejected,
    AssociationReleased,
    AssociationRequested,
    ConnectionClosed,
    ConnectionLost,
    PeerViolated,
    RejectAssociation,
    StoreResponse,
    TimedOut,
    TimeLimit,
)
from seriesgate.upper_layer.framing import Fragment, PduReader
from seriesgate.upper_layer.messages import MessageExchange
from seriesgate.upper_layer.negotiation import negotiate
from seriesgate.upper_layer.pdu import (
    AAbort,
    AAssociateRj,
    AAssociateRq,
    AbortReason,
    AbortSource,
    AReleaseRp,
    AReleaseRq,
    PduType,
)
from seriesgate.upper_layer.states import TRANSITIONS, Effect, Input, State

if TYPE_CHECKING:
    from seriesgate.upper_layer.events import Event, LocalMessage, NeedData
    from seriesgate.upper_layer.framing import WholePdu
    from seriesgate.upper_layer.negotiation import AcceptorPolicy

_INPUTS = {
    PduType.A_ASSOCIATE_RQ: Input.ASSOCIATE_RQ,
    PduType.A_ASSOCIATE_AC: Input.ASSOCIATE_AC,
    PduType.A_ASSOCIATE_RJ: Input.ASSOCIATE_RJ,
    PduType.A_RELEASE_RQ: Input.RELEASE_RQ,
    PduType.A_RELEASE_RP: Input.RELEASE_RP,
    PduType.A_ABORT: Input.ABORT,
}
# Bound once: on Python 3.11 a member looked up in its Enum costs ten times as much as a global.
_ESTABLISHED = State.ESTABLISHED
_SUCCESS = int(StoreStatus.SUCCESS)
# A tuple, because the states of an Enum are compared faster than hashed.
_STATES_TO_RESPOND = tuple(state for state in State if Input.LOCAL_DATA in TRANSITIONS[state])


class AcceptorConnection:
    """One accepted TCP connection, from its opening to its end (PS3.8 9.2, acceptor side).

    The driver's loop: write `data_to_send()`; read from the socket until `next_timer()` at most;
    give what was read to `receive_data`, or call `handle_timer` when nothing came; act on each
    `next_event()` until NEED_DATA; stop once `closed`. Read first and call `handle_timer` only when
    there was nothing to read, for a peer must not pay for time that the driver has lost.

    `now` is the time in seconds of one monotonic clock. Whatever the peer sends raises nothing;
    LocalMisuse is raised for calls that are not allowed at that moment.
    """

    def __init__(self, policy: AcceptorPolicy, now: float) -> None:
        self._policy = policy
        self._state = State.AWAITING_REQUEST
        self._reader = PduReader(policy.max_pdu_length)
        self._deadlines = Deadlines(policy, now)
        self._deadlines.start_artim()
        self._events: deque[Event] = deque()
        self._output: list[bytes] = []
        self._request: AAssociateRq | None = None
        self._exchange: MessageExchange | None = None
        self._peer_closed = False

    @property
    def state(self) -> State:
        """Where the dialogue stands."""
        return self._state

    @property
    def closed(self) -> bool:
        """Whether all is over. Pending output should still be written; then close the socket."""
        return self._state is State.CLOSED

    @property
    def oversized_pdus(self) -> int:
        """How many P-DATA-TF PDUs were longer than the maximum length we announced."""
        return self._reader.oversized_pdus

    @property
    def longest_pdu(self) -> int:
        """The greatest length of a P-DATA-TF PDU so far, in bytes after its header."""
        return self._reader.longest_pdu

    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        """Take received bytes; b"" says that the peer has closed the connection.

        `data` is borrowed until `next_event` returns NEED_DATA; events refer to it.
        """
        if self._reader.has_unread:
            raise LocalMisuse("take the events of the last data before giving more")
        self._deadlines.received(len(data), now)
        if data:
            self._reader.feed(data)
        else:
            self._peer_closed = True

    def next_event(self) -> Event | NeedData:
        """Return what came of the data, one event at a time; NEED_DATA when nothing is left.

        No byte beyond the event is looked at before the next call. After DataSetEnded the
        StoreResponse must be sent first.
        """
        while not self._events:
            if self._exchange is not None and self._exchange.go_on():
                continue
            try:
                part = self._reader.next_part()
                if part is None:
                    if not self._run_dry():
                        return NEED_DATA
                elif isinstance(part, Fragment):
                    self._take_fragment(part)
                else:
                    self._take_pdu(part)
            except PeerViolation as violation:
                self._apply(Input.INVALID_PDU, violation=violation)
        return self._events.popleft()

    def send(self, message: LocalMessage, now: float) -> None:
        """Send what the driver has decided. `now` counts: it says how long that took."""
        self._deadlines.answered(now)
        match message:
            case StoreResponse():
                if self._exchange is None or self._state not in _STATES_TO_RESPOND:
                    raise LocalMisuse(f"no response can be sent in state {self._state.name}")
                self._exchange.respond(message)
                if message.status == _SUCCESS or not is_failure(message.status):
                    self._deadlines.stored()
            case AcceptAssociation():
                self._deadlines.stored()  # from here on it may
                self._accept()
            case RejectAssociation(result, reason):
                self._reject(AAssociateRj(result, *reason.value))
            case Abort():
                self._apply(Input.LOCAL_ABORT)
            case _:
                assert_never(message)
        if not self._reader.has_unread:
            self._await_peer()

    def data_to_send(self) -> bytes:
        """Return all pending output, to be written in one piece."""
        output = self._output
        if not output:
            return b""
        if len(output) == 1:
            return output.pop()
        data = b"".join(output)
        output.clear()
        return data

    def next_timer(self) -> float | None:
        """Return when to call `handle_timer` unless data comes first; None: no need to."""
        return self._deadlines.next_timer()

    def handle_timer(self, now: float) -> None:
        """Let time pass. `next_event` tells if a limit has."""
        limit = self._deadlines.passed(now)
        if limit is not None:
            self._time_out(limit)

    def _run_dry(self) -> bool:
        """Wait for the peer, or find that there is nothing to wait for: then return True."""
        if self._peer_closed:
            if self.closed:
                return False
            self._apply(Input.TRANSPORT_CLOSED, event=ConnectionLost())
            return True
        self._await_peer()
        limit = self._deadlines.passed(self._deadlines.now)
        if limit is not None:
            self._time_out(limit)
        return limit is not None

    def _await_peer(self) -> None:
        """Set the limit that holds while the next step is the peer's."""
        exchange = self._exchange
        if exchange is None or self._state is not _ESTABLISHED or exchange.awaits_answer:
            return
        if exchange.between_messages and self._reader.between_pdus:
            self._deadlines.wait_idle()
        else:
            self._deadlines.wait_inside(is_storing=exchange.is_storing)

    def _time_out(self, limit: TimeLimit) -> None:
        self._events.append(TimedOut(limit))
        is_artim = limit is TimeLimit.ARTIM
        self._apply(Input.ARTIM_EXPIRED if is_artim else Input.LOCAL_ABORT)

    def _take_fragment(self, fragment: Fragment) -> None:
        if self._exchange is not None and self._state is _ESTABLISHED:
            self._exchange.take(fragment)
        else:
            self._apply(Input.P_DATA)

    def _take_pdu(self, whole: WholePdu) -> None:
        pdu = decode(whole.pdu_type, whole.body)
        event: Event | None = None
        match pdu:
            case AAssociateRq():
                event = AssociationRequested(pdu)
            case AReleaseRq():
                event = AssociationReleased()
            case AAbort(source, reason):
                event = AssociationAborted(source, reason)
        self._apply(_INPUTS[whole.pdu_type], event=event)
        if self._state is State.AWAITING_LOCAL_ANSWER and isinstance(pdu, AAssociateRq):
            self._request = pdu
        elif self._state is State.RELEASING:
            self._apply(Input.LOCAL_RELEASE)

    def _accept(self) -> None:
        if self._request is None or Input.LOCAL_ACCEPT not in TRANSITIONS[self._state]:
            raise LocalMisuse("there is no association request to accept")
        outcome = negotiate(self._request, self._policy)
        if isinstance(outcome, AAssociateRj):
            self._reject(outcome)
            return
        self._exchange = MessageExchange(outcome, self._events.append, self._output.append)
        event = AssociationAccepted(outcome)
        self._apply(Input.LOCAL_ACCEPT, pdu=encode(outcome.answer), event=event)

    def _reject(self, answer: AAssociateRj) -> None:
        event = AssociationRejected(answer.result, answer.source, answer.reason)
        self._apply(Input.LOCAL_REJECT, pdu=encode(answer), event=event)

    def _apply(
        self,
        what: Input,
        *,
        pdu: bytes = b"",
        event: Event | None = None,
        violation: PeerViolation | None = None,
    ) -> None:
        """Do what the table says; `pdu`, `event` and `violation` are there for its effects."""
        state = self._state
        action = TRANSITIONS[state].get(what)
        if action is None:
            raise LocalMisuse(f"not allowed in state {state.name} ({state.value}): {what.value}")
        if violation is None:
            detail = f"{what.value} in state {state.name} ({state.value})"
            violation = PeerViolation(AbortReason.UNEXPECTED_PDU, detail)
        self._state = action.next_state
        self._request = None
        for effect in action.effects:
            self._carry_out(effect, what, pdu, event, violation)

    def _carry_out(
        self,
        effect: Effect,
        what: Input,
        pdu: bytes,
        event: Event | None,
        violation: PeerViolation,
    ) -> None:
        match effect:
            case Effect.SEND_PDU:
                self._output.append(pdu)
            case Effect.SEND_RELEASE_RP:
                self._output.append(encode(AReleaseRp()))
            case Effect.SEND_USER_ABORT:
                self._send_abort(AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)
            case Effect.SEND_PROVIDER_ABORT:
                self._send_abort(AbortSource.SERVICE_PROVIDER, violation.reason)
            case Effect.START_ARTIM:
                self._deadlines.start_artim()
            case Effect.STOP_ARTIM:
                self._deadlines.stop_artim()
            case Effect.INTERRUPT_STORE:
                self._interrupt(what)
            case Effect.TELL if event is not None:
                self._events.append(event)
            case Effect.TELL_VIOLATION:
                self._events.append(PeerViolated(violation.reason, violation.detail))
            case Effect.CLOSE:
                self._reader.discard()
                self._deadlines.stop()
                self._events.append(ConnectionClosed())

    def _send_abort(self, source: AbortSource, reason: AbortReason) -> None:
        self._output.append(encode(AAbort(source, reason)))

    def _interrupt(self, what: Input) -> None:
        if self._exchange is None:
            return
        if what is Input.RELEASE_RQ:
            # The peer still listens, so the unfinished request gets its answer (AR-7).
            self._exchange.fail()
        else:
            self._exchange.interrupt()
