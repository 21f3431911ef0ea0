"""One association: drives an AcceptorConnection on a blocking socket, on a thread of its own.

What makes it fast: large blocking reads into one reused buffer, TCP_QUICKACK re-armed after each of
them that is not answered, and one write per answer with TCP_NODELAY. Senders that leave Nagle's
algorithm on write a PDU in two calls and wait for our acknowledgement between them; a delayed one
would cost 40 ms for each instance.
"""

from __future__ import annotations

import logging
import mmap
import socket
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from seriesgate.adapters.acknowledgement_trial import QUICKACK, AcknowledgementTrial
from seriesgate.adapters.socket_options import keep_alive, send_at_once, set_timeouts
from seriesgate.adapters.store_service import StoreService, log_internal_error, printable
from seriesgate.gateway.associations import AssociationEnd
from seriesgate.gateway.senders import Peer, Traffic
from seriesgate.upper_layer.acceptor import AcceptorConnection
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
    DataSetEnded,
    DataSetFragment,
    EchoAnswered,
    Event,
    PeerViolated,
    RequestRefused,
    StoreInterrupted,
    StoreRequested,
    TimedOut,
)
from seriesgate.upper_layer.states import State

if TYPE_CHECKING:
    import ssl

    from seriesgate.gateway.associations import AssociationRefusal
    from seriesgate.gateway.intake import InstanceReceiver
    from seriesgate.upper_layer.events import RejectAssociation
    from seriesgate.upper_layer.negotiation import AcceptorPolicy

_log = logging.getLogger(__name__)

# Enough for an A-ASSOCIATE-RQ of a usual size; a connection that says nothing holds no more.
_HANDSHAKE_BUFFER = 8 * 1024
# Measured: larger pieces than this gain nothing, smaller ones cost calls.
_BUFFER = 512 * 1024
# How often a silent connection looks at its time limits and at the wish to drain, in seconds.
_TICK = 0.5
# A peer that does not take an answer of a few bytes in this time is gone.
_SEND_TIMEOUT = 30


class AssociationOwner(Protocol):
    """Whoever accepts connections, and is told what becomes of each, on its thread."""

    def admit(self, association: Association) -> RejectAssociation | None:
        """Return None if a connection that asks for an association may have one, or why not."""

    def accepted(self, association: Association) -> bool:
        """It is an association now. Return whether to try if its sender waits for us."""

    def rejected(self, association: Association, code: tuple[int, int, int]) -> None:
        """It was rejected, with this result, source and reason (PS3.8 9.3.4)."""

    def not_requested(self, association: Association, how: str) -> None:
        """It ended like this before it was an association."""

    def store_answered(self, status: int) -> None:
        """A C-STORE was answered with another status than Success."""

    def ended(self, association: Association) -> None:
        """Its connection is closed."""


class Association:
    """One connection from its acceptance to its end.

    `owner` decides whether it may be one, and is told what becomes of it.
    """

    def __init__(
        self,
        connection: socket.socket,
        peer_host: str,
        policy: AcceptorPolicy,
        receiver: InstanceReceiver,
        tls: ssl.SSLContext | None,
        owner: AssociationOwner,
    ) -> None:
        self.peer_host = peer_host
        self.began = time.monotonic()
        self._socket = connection
        self._tls = tls
        self._handshake_timeout = policy.artim_timeout
        self._owner = owner
        self._acceptor = AcceptorConnection(policy, self.began)
        self._store = StoreService(receiver, self._acceptor, self._not_success)
        self._buffer = memoryview(bytearray(_HANDSHAKE_BUFFER))
        self._peer = Peer(peer_host)
        self._has_answered = False
        self._is_draining = False
        self._is_over = False
        self._has_told_its_end = False
        # What `traffic` tells beside what is counted anyway.
        self._bytes = 0
        self._silent_ticks = 0
        self._trial: AcknowledgementTrial | None = None
        self._has_tried = False
        self._wait: float | None = None
        self._announced_pdu = 0
        self._statuses: Counter[str] = Counter()
        #: Why its owner did not admit it, if it did not.
        self.refusal: AssociationRefusal | None = None
        #: How it ended, once it has; None for one that was never accepted.
        self.end: AssociationEnd | None = None

    @property
    def peer(self) -> Peer:
        """Who connected."""
        return self._peer

    def traffic(self) -> Traffic:
        """Return what went over it so far. On any thread: a number may be that of a moment ago."""
        outcomes = self._store.outcomes
        return Traffic(
            stored=outcomes["stored"],
            incomplete=outcomes["incomplete"],
            bytes=self._bytes,
            seconds=max(0.0, time.monotonic() - self.began - self._silent_ticks * _TICK),
            longest_pdu=self._acceptor.longest_pdu,
            announced_pdu=self._announced_pdu,
            has_tried=self._has_tried,
            wait=self._wait,
            statuses=dict(self._statuses),
        )

    def start(self) -> None:
        """Begin on a thread of its own."""
        threading.Thread(target=self._run, name="association", daemon=True).start()

    def drain(self) -> None:
        """Abort as soon as no message is under way."""
        self._is_draining = True

    def cut(self) -> None:
        """Break the connection off; its thread notices at once and ends."""
        # Already closed by its thread, or by the peer: then nothing is left to be done.
        try:
            # Not the shutdown of an SSLSocket: that takes the TLS state away from its thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            return

    def _run(self) -> None:
        try:
            self._prepare_socket()
            while not self._is_over:
                received = self._receive()
                self._handle_events()
                self._flush()
                if received:
                    self._acknowledge()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self._end(AssociationEnd.CONNECTION_LOST, f"connection lost ({reason})")
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not end the others
            log_internal_error(error)
            self._end(AssociationEnd.INTERNAL_ERROR, "internal error")
        finally:
            self._store.abandon()
            self._socket.close()
            self._owner.ended(self)

    def _prepare_socket(self) -> None:
        raw = self._socket
        send_at_once(raw)
        keep_alive(raw)
        if self._tls is None:
            set_timeouts(raw, receive=_TICK, send=_SEND_TIMEOUT)
            return
        # Ours before the handshake: a connection that is silent in it can be cut.
        self._socket = secured = self._tls.wrap_socket(
            raw, server_side=True, do_handshake_on_connect=False
        )
        secured.settimeout(self._handshake_timeout)
        secured.do_handshake()
        secured.settimeout(_TICK)

    def _receive(self) -> int:
        """Wait for bytes, or for the next tick; tell the acceptor, and return how many came."""
        acceptor = self._acceptor
        try:
            count = self._socket.recv_into(self._buffer)
        except (BlockingIOError, TimeoutError):
            self._silent_ticks += 1
            acceptor.handle_timer(time.monotonic())
        except ConnectionError:
            acceptor.receive_data(b"", time.monotonic())
        else:
            self._bytes += count
            acceptor.receive_data(self._buffer[:count], time.monotonic())
            return count
        return 0

    def _acknowledge(self) -> None:
        """Have the kernel acknowledge at once what came last, unless an answer has done it."""
        if self._trial is not None and not self._try_sender(self._trial):
            return
        if self._has_answered or QUICKACK is None:
            self._has_answered = False
            return
        # The kernel goes back to delayed acknowledgements by itself, so each time anew.
        self._socket.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)

    def _try_sender(self, trial: AcknowledgementTrial) -> bool:
        """Go on with a trial; return whether to acknowledge as always."""
        now = time.monotonic()
        if not self._has_answered:
            return trial.received(now)
        trial.answered(now, self._socket)
        self._has_tried = trial.has_begun
        if trial.is_over:
            self._wait = trial.wait
            self._trial = None
        return True

    def _handle_events(self) -> None:
        next_event = self._acceptor.next_event
        while (event := next_event()) is not NEED_DATA:
            self._handle(event)
        if (
            self._is_draining
            and not self._store.is_busy
            and self._acceptor.state is State.ESTABLISHED
        ):
            self._acceptor.send(Abort(), time.monotonic())
            self._end(AssociationEnd.STOPPING, "aborted: the gateway stops")

    def _handle(self, event: Event) -> None:
        match event:
            case DataSetFragment() | StoreRequested() | StoreInterrupted():
                self._store.handle(event, self._peer)
            case DataSetEnded():
                try:
                    self._store.handle(event, self._peer)
                    # At once: a sender that runs ahead has more in the buffer.
                    self._flush()
                finally:
                    self._store.answered()
            case AssociationRequested(request):
                self._peer = Peer(self.peer_host, printable(request.calling_ae_title))
                self._announced_pdu = request.user_information.max_pdu_length
                answer = self._owner.admit(self) or AcceptAssociation()
                self._acceptor.send(answer, time.monotonic())
            case AssociationAccepted():
                self.end = AssociationEnd.CONNECTION_LOST  # unless it ends in another way
                if self._owner.accepted(self) and QUICKACK is not None:
                    self._trial = AcknowledgementTrial()
                # Resident only as far as it is filled, and given back to the system at the end.
                self._buffer = memoryview(mmap.mmap(-1, _BUFFER))
            case AssociationRejected(result, source, reason):
                self._has_told_its_end = True
                self._owner.rejected(self, (result, source, reason))
            case EchoAnswered():
                self._store.outcomes["echoes"] += 1
            case RequestRefused(_, status):
                self._store.outcomes[f"refused {status:04X}"] += 1
                self._not_success(status)
            case _:
                self._handle_end(event)

    def _handle_end(self, event: Event) -> None:
        match event:
            case AssociationReleased():
                self._end(AssociationEnd.RELEASED, "released")
            case AssociationAborted(source, reason):
                how = f"aborted by the peer ({source}/{reason})"
                self._end(AssociationEnd.ABORTED_BY_PEER, how)
            case ConnectionLost():
                self._end(AssociationEnd.CONNECTION_LOST, "connection closed by the peer")
            case PeerViolated(_, detail):
                self._end(AssociationEnd.PROTOCOL_VIOLATION, f"aborted: {detail}")
            case TimedOut(limit):
                self._end(AssociationEnd.TIMED_OUT, f"aborted: {limit.value}")
            case ConnectionClosed():
                self._is_over = True

    def _not_success(self, status: int) -> None:
        self._statuses[f"{status:04X}"] += 1
        self._owner.store_answered(status)

    def _flush(self) -> None:
        data = self._acceptor.data_to_send()
        if data:
            self._socket.sendall(data)
            # An answer carries the acknowledgement of all that came before it.
            self._has_answered = True

    def _end(self, end: AssociationEnd, how: str) -> None:
        """Log the one line that an association leaves, or tell the owner that it was none."""
        if self._has_told_its_end:
            return
        self._has_told_its_end = True
        if self.end is None:
            self._owner.not_requested(self, how)
            return
        self.end = end
        counts = ", ".join(
            f"{count} {what}" for what, count in sorted(self._store.outcomes.items())
        )
        _log.info(
            "%s: %s; %s in %.1f s",
            self.peer,
            how,
            counts or "nothing stored",
            time.monotonic() - self.began,
        )
