"""What is known of associations: who came, who was turned away and why, and how each ended."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from seriesgate.gateway.fair_share import oldest_of_the_busiest_host
from seriesgate.gateway.repetition_limit import RepetitionLimit
from seriesgate.gateway.senders import SenderRegister

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from seriesgate.gateway.ports import Clock
    from seriesgate.gateway.senders import Peer, SenderStatistics, TrafficSource

_log = logging.getLogger(__name__)

# How many of those refused are remembered: the latest, of as many hosts as there are.
_MAX_REMEMBERED = 200


class AssociationRefusal(StrEnum):
    """Why whoever connected did not get an association."""

    #: Not in the list of networks that may connect; no answer was given.
    NETWORK = "network"
    #: It never asked: a port scanner, a probe, another protocol.
    NOT_REQUESTED = "not_requested"
    CALLING_AE_TITLE = "calling_ae_title"
    CALLED_AE_TITLE = "called_ae_title"
    #: Another application context or protocol version than DICOM's.
    PROTOCOL = "protocol"
    TOO_MANY_ASSOCIATIONS = "too_many_associations"
    #: The host has its share of associations; there may be room for others.
    TOO_MANY_OF_HOST = "too_many_of_host"
    NO_ROOM = "no_room"
    STOPPING = "stopping"


class AssociationEnd(StrEnum):
    """How an association ended."""

    RELEASED = "released"
    ABORTED_BY_PEER = "aborted_by_peer"
    #: Closed or broken off without a word.
    CONNECTION_LOST = "connection_lost"
    PROTOCOL_VIOLATION = "protocol_violation"
    TIMED_OUT = "timed_out"
    INTERNAL_ERROR = "internal_error"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class RefusedPeer:
    """Who was turned away, why, how often, and when for the last time."""

    peer: Peer
    reason: AssociationRefusal
    times: int
    latest_at: datetime


@dataclass(frozen=True, slots=True)
class AssociationStatus:
    """Associations now and since the start; the latest peers, the latest first.

    `senders` are remembered from earlier runs too. `store_statuses` counts the responses other than
    Success to C-STORE, by their status as four hexadecimal digits.
    """

    open: int
    accepted: int
    refused: Mapping[AssociationRefusal, int]
    ended: Mapping[AssociationEnd, int]
    store_statuses: Mapping[str, int]
    senders: tuple[SenderStatistics, ...]
    refused_peers: tuple[RefusedPeer, ...]


class AssociationRegister:
    """Counts, and remembers the latest peers. Every method may be called from any thread.

    `senders` has those that had associations.
    """

    def __init__(self, clock: Clock) -> None:
        self.senders = SenderRegister(clock)
        self._clock = clock
        self._lock = threading.Lock()
        self._open = 0
        self._accepted = 0
        self._refused = dict.fromkeys(AssociationRefusal, 0)
        self._ended = dict.fromkeys(AssociationEnd, 0)
        self._store_statuses: Counter[str] = Counter()
        # The latest is the last.
        self._refused_peers: dict[tuple[Peer, AssociationRefusal], RefusedPeer] = {}
        self._limit = RepetitionLimit()

    def accepted(self, peer: Peer, association: TrafficSource) -> bool:
        """Count an association that begins; return whether to try if its sender waits for us."""
        with self._lock:
            self._open += 1
            self._accepted += 1
        return self.senders.accepted(peer, association)

    def ended(self, association: TrafficSource, how: AssociationEnd) -> None:
        """Count the end of an association that was accepted."""
        self.senders.ended(association, how.value)
        with self._lock:
            self._open -= 1
            self._ended[how] += 1

    def refused(self, peer: Peer, reason: AssociationRefusal, text: str) -> None:
        """Count whoever got no association, and log it with `text`: the first of its kind.

        Those that follow are summed up once a minute: a port scanner must not fill the disk.
        """
        self.senders.refused(peer, reason.value)
        key = (peer, reason)
        with self._lock:
            self._refused[reason] += 1
            known = self._refused_peers.pop(key, None)
            times = 1 if known is None else known.times + 1
            self._refused_peers[key] = RefusedPeer(peer, reason, times, self._clock.utcnow())
            if len(self._refused_peers) > _MAX_REMEMBERED:
                del self._refused_peers[
                    oldest_of_the_busiest_host(self._refused_peers, lambda key: key[0].host)
                ]
            kind = f"{peer.host}: {reason}"
            is_first = self._limit.is_first(kind, self._clock.monotonic())
        if is_first:
            _log.warning("%s: %s", peer, text)

    def store_answered(self, status: int) -> None:
        """Count a response to C-STORE that is not Success."""
        with self._lock:
            self._store_statuses[f"{status:04X}"] += 1

    def log_repetitions(self) -> None:
        """Sum up the refusals that had no log line of their own, if it is time to."""
        with self._lock:
            due = self._limit.take_due(self._clock.monotonic())
        for each in due:
            _log.warning("%d more refused in %.0f s, from %s", each.count, each.seconds, each.kind)

    def status(self) -> AssociationStatus:
        """Return all of it."""
        senders = self.senders.senders()
        with self._lock:
            return AssociationStatus(
                open=self._open,
                accepted=self._accepted,
                refused={**self._refused},
                ended={**self._ended},
                store_statuses={**self._store_statuses},
                senders=tuple(senders),
                refused_peers=tuple(reversed(self._refused_peers.values())),
            )
