"""ModalityStoreSCP: accepts connections and bounds how many there are.

Decided in ADR 6.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from socket import SHUT_RDWR
from typing import TYPE_CHECKING

from seriesgate.adapters.association import Association
from seriesgate.gateway.associations import AssociationRefusal
from seriesgate.gateway.fair_share import oldest_of_the_busiest_host, share_of
from seriesgate.gateway.senders import Peer
from seriesgate.listener import address_of, bind_listener
from seriesgate.upper_layer.events import RejectAssociation
from seriesgate.upper_layer.pdu import RejectReason, RejectResult

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterable
    from ipaddress import IPv4Network, IPv6Network

    from seriesgate.gateway.associations import AssociationRegister
    from seriesgate.gateway.intake import InstanceReceiver
    from seriesgate.upper_layer.negotiation import AcceptorPolicy

_log = logging.getLogger(__name__)

# Connections that have not negotiated yet have places of their own: they never take one from an
# association. When these are full, one that has kept silent for the grace period makes room; a host
# that has half of them loses its oldest at once.
_MAX_PENDING = 512
_PENDING_GRACE = 0.25
# Without file descriptors there is nothing to accept with; some will be closed soon.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_EXHAUSTED_PAUSE = 0.1
# It may last for hours: so often it is said again, in seconds.
_EXHAUSTED_MENTION = 60.0

# What is answered to whoever has to come again later. Without room on the disk, another storage, or
# this one later, may take the instances.
_LATER = {
    AssociationRefusal.STOPPING: RejectReason.TEMPORARY_CONGESTION,
    AssociationRefusal.NO_ROOM: RejectReason.TEMPORARY_CONGESTION,
    AssociationRefusal.TOO_MANY_ASSOCIATIONS: RejectReason.LOCAL_LIMIT_EXCEEDED,
    AssociationRefusal.TOO_MANY_OF_HOST: RejectReason.LOCAL_LIMIT_EXCEEDED,
}
# What the policy rejects, by source and reason; all else has to do with the protocol.
_FOR_GOOD = {
    RejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED.value: AssociationRefusal.CALLING_AE_TITLE,
    RejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED.value: AssociationRefusal.CALLED_AE_TITLE,
}


class ModalityStoreSCP:
    """The Storage SCP: listens, and gives each instance that arrives to `receiver`.

    It is the `AssociationOwner` of its associations, and tells `register` what becomes of them.
    `max_associations` bounds all associations, `max_associations_per_host` those of one address.
    `allowed_networks`: only these may connect; empty means all. `tls`: a server-side context, or
    None for plain DICOM.
    """

    def __init__(
        self,
        receiver: InstanceReceiver,
        policy: AcceptorPolicy,
        register: AssociationRegister,
        *,
        host: str,
        port: int,
        max_associations: int,
        max_associations_per_host: int,
        allowed_networks: Iterable[IPv4Network | IPv6Network] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._receiver = receiver
        self._policy = policy
        self._register = register
        self._host = host
        self._port = port
        self._max_associations = max_associations
        self._max_per_host = max_associations_per_host
        self._allowed_networks = tuple(allowed_networks)
        self._tls = tls
        # Guards the two sets below, and is notified when either changes.
        self._changed = threading.Condition()
        # In the order of arrival, so that the first is the oldest.
        self._pending: dict[Association, None] = {}
        self._associations: set[Association] = set()
        self._is_stopping = False
        self._listener: socket.socket | None = None

    def start(self) -> str:
        """Begin to accept; return HOST:PORT. Raises ListenError."""
        self._listener = bind_listener(self._host, self._port)
        threading.Thread(
            target=self._accept_all, args=(self._listener,), name="storage-scp", daemon=True
        ).start()
        return address_of(self._listener)

    def stop(self, grace: float) -> None:
        """Accept nothing more and let messages under way end, for `grace` seconds at most."""
        if self._listener is None:
            return
        with self._changed:
            self._is_stopping = True
            for pending in self._pending:
                pending.cut()
            for association in self._associations:
                association.drain()
            _wake_and_close(self._listener)
            self._changed.wait_for(lambda: not self._associations, timeout=grace)
            for association in self._associations:
                association.cut()
            # What was cut is abandoned, not stored: wait until that is done.
            self._changed.wait_for(lambda: not self._associations, timeout=grace)

    def association_count(self) -> int:
        """Return the number of associations now."""
        with self._changed:
            return len(self._associations)

    def admit(self, association: Association) -> RejectAssociation | None:
        """Return None if a connection that asks for an association may have one, or why not."""
        with self._changed:
            association.refusal = self._refusal(association.peer_host)
            if association.refusal is not None:
                return RejectAssociation(RejectResult.TRANSIENT, _LATER[association.refusal])
            self._pending.pop(association, None)
            self._associations.add(association)
            return None

    def accepted(self, association: Association) -> bool:
        """Count an association; return whether to try if its sender waits for us."""
        return self._register.accepted(association.peer, association)

    def rejected(self, association: Association, code: tuple[int, int, int]) -> None:
        """Free the place of an association that the policy rejected after all."""
        refusal = association.refusal or _FOR_GOOD.get(code[1:], AssociationRefusal.PROTOCOL)
        with self._changed:
            if association in self._associations:
                self._associations.discard(association)
                self._pending[association] = None
            self._changed.notify_all()
        text = "rejected ({}/{}/{})".format(*code)
        if association.refusal is not None:
            text += f", {association.refusal.value.replace('_', ' ')}"
        self._register.refused(association.peer, refusal, text)

    def not_requested(self, association: Association, how: str) -> None:
        """Count a connection that ended before it was an association."""
        self._register.refused(association.peer, AssociationRefusal.NOT_REQUESTED, how)

    def store_answered(self, status: int) -> None:
        """Count a response to C-STORE with another status than Success."""
        self._register.store_answered(status)

    def ended(self, association: Association) -> None:
        """Free the place of a connection that is closed."""
        with self._changed:
            self._pending.pop(association, None)
            self._associations.discard(association)
            self._changed.notify_all()
        if association.end is not None:
            self._register.ended(association, association.end)

    def _refusal(self, peer_host: str) -> AssociationRefusal | None:
        """Return why one more association of this host cannot be had now, if it cannot."""
        if self._is_stopping:
            return AssociationRefusal.STOPPING
        of_host = sum(each.peer_host == peer_host for each in self._associations)
        if of_host >= self._max_per_host:
            return AssociationRefusal.TOO_MANY_OF_HOST
        if len(self._associations) >= self._max_associations:
            return AssociationRefusal.TOO_MANY_ASSOCIATIONS
        if not self._receiver.has_room():
            return AssociationRefusal.NO_ROOM
        return None

    def _accept_all(self, listener: socket.socket) -> None:
        mention_at = time.monotonic()
        while True:
            self._make_room()
            try:
                connection, address = listener.accept()
            except OSError as error:
                if self._is_stopping:
                    return
                if error.errno in _EXHAUSTED:
                    if time.monotonic() >= mention_at:
                        mention_at = time.monotonic() + _EXHAUSTED_MENTION
                        _log.error("cannot accept a connection: %s", error.strerror)
                    with self._changed:
                        self._changed.wait(_EXHAUSTED_PAUSE)
                continue
            self._begin(connection, address[0])

    def _begin(self, connection: socket.socket, peer_host: str) -> None:
        if not self._is_allowed(peer_host):
            self._register.refused(
                Peer(peer_host),
                AssociationRefusal.NETWORK,
                "refused: not in gateway.allowed_networks",
            )
            connection.close()
            return
        association = Association(
            connection,
            peer_host,
            self._policy,
            self._receiver,
            self._tls,
            self,
        )
        with self._changed:
            if self._is_stopping:
                connection.close()
                return
            self._make_room_for(peer_host)
            self._pending[association] = None
        try:
            association.start()
        except RuntimeError:
            # The system has no thread left.
            _log.error("cannot start a thread for a connection")
            connection.close()
            self.ended(association)

    def _is_allowed(self, peer_host: str) -> bool:
        if not self._allowed_networks:
            return True
        address = ip_address(peer_host)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._allowed_networks)

    def _make_room(self) -> None:
        """Wait until one more connection may be pending."""
        with self._changed:
            while len(self._pending) >= _MAX_PENDING and not self._is_stopping:
                age = time.monotonic() - next(iter(self._pending)).began
                if age < _PENDING_GRACE:
                    self._changed.wait(_PENDING_GRACE - age)
                else:
                    self._evict()

    def _make_room_for(self, peer_host: str) -> None:
        """Cut the oldest pending connection of a host that has its share of them."""
        share = share_of(_MAX_PENDING)
        if len(self._pending) >= share:
            own = [pending for pending in self._pending if pending.peer_host == peer_host]
            if len(own) >= share:
                self._cut_pending(own[0])

    def _evict(self) -> None:
        self._cut_pending(oldest_of_the_busiest_host(self._pending, lambda each: each.peer_host))

    def _cut_pending(self, victim: Association) -> None:
        del self._pending[victim]
        victim.cut()


def _wake_and_close(listener: socket.socket) -> None:
    # Closing alone does not wake a thread that waits in accept().
    with suppress(OSError):
        listener.shutdown(SHUT_RDWR)
    listener.close()
