"""A trial: whether a sender waits for our acknowledgements, as one with Nagle's algorithm does.

How its segments arrive does not tell: headers come alone from senders with the algorithm and
without it, as threads and network happen to run, and on some networks it costs nothing. So for one
message of an association the kernel is left to delay its acknowledgement. A sender that waits for
it is late by just that delay; every other goes on at once. The message before is the control.

Decided in ADR 24.
"""

from __future__ import annotations

import socket
from enum import Enum, auto
from typing import Protocol

#: Linux only; elsewhere the sender's Nagle costs what it costs.
QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)

# Linux delays an acknowledgement by 40 ms (TCP_DELACK_MIN), which its timers make a little longer.
_SHORTEST_WAIT, _LONGEST_WAIT = 0.038, 0.070
# Between the pieces of a message of a sender that does not wait there is less than this.
_PROMPT = 0.020


class Acknowledging(Protocol):
    """The connection, as far as the kernel's acknowledgements go."""

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """Set an option of a socket."""


class _Stage(Enum):
    """What the association is at."""

    REQUEST = auto()
    FIRST_MESSAGE = auto()
    CONTROL = auto()
    TRIAL = auto()


_NEXT = {
    _Stage.REQUEST: _Stage.FIRST_MESSAGE,
    _Stage.FIRST_MESSAGE: _Stage.CONTROL,
    _Stage.CONTROL: _Stage.TRIAL,
}


class AcknowledgementTrial:
    """Watches an association from its acceptance on. `is_over` when there is nothing more to see.

    Times are monotonic, in seconds. `wait` is how long the sender waited, 0 if it went on at once,
    and None if that is not known: the sender was slow by itself, or what came was between the two.
    """

    def __init__(self) -> None:
        self.is_over = False
        self.wait: float | None = None
        self._stage = _Stage.REQUEST
        # When the latest piece of a message came that is not complete yet.
        self._incomplete_since: float | None = None
        self._longest_gap = 0.0

    @property
    def has_begun(self) -> bool:
        """Whether an acknowledgement was, or is being, delayed."""
        return self._stage is _Stage.TRIAL

    def received(self, now: float) -> bool:
        """A piece of a message has come; return whether to acknowledge it at once."""
        self._note_gap(now)
        self._incomplete_since = now
        return self._stage is not _Stage.TRIAL

    def answered(self, now: float, connection: Acknowledging) -> None:
        """The last piece of a message has come, and was answered."""
        self._note_gap(now)
        self._incomplete_since = None
        gap, self._longest_gap = self._longest_gap, 0.0
        if self._stage is _Stage.TRIAL:
            self._conclude(gap)
        elif self._stage is _Stage.CONTROL and gap >= _PROMPT:
            self.is_over = True
        else:
            self._stage = _NEXT[self._stage]
            if self._stage is _Stage.TRIAL and QUICKACK is not None:
                connection.setsockopt(socket.IPPROTO_TCP, QUICKACK, 0)

    def _note_gap(self, now: float) -> None:
        if self._incomplete_since is not None:
            self._longest_gap = max(self._longest_gap, now - self._incomplete_since)

    def _conclude(self, gap: float) -> None:
        self.is_over = True
        if gap < _PROMPT:
            self.wait = 0.0
        elif _SHORTEST_WAIT <= gap <= _LONGEST_WAIT:
            self.wait = gap
