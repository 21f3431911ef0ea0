"""How long an acceptor waits for its peer: ARTIM, the idle limits and the progress limit.

Numbers only: whoever asks says what time it is. Time that the driver needs for its own work is
never held against the peer, for a limit is judged when all bytes at hand have been looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seriesgate.upper_layer.events import TimeLimit

if TYPE_CHECKING:
    from seriesgate.upper_layer.negotiation import AcceptorPolicy

# Bound once: on Python 3.11 a member looked up in its Enum costs ten times as much as a global.
_IDLE = TimeLimit.IDLE
_FRUITLESS = TimeLimit.FRUITLESS
_PROGRESS = TimeLimit.PROGRESS


class Deadlines:
    """The limits of one connection. All times are in seconds of one monotonic clock.

    ARTIM runs before and after an association, and no byte restarts it (PS3.8 9.1.5). During the
    association either the idle limits hold, between messages, or the progress limit, inside one.
    Of the idle limits one is for silence, and one for whoever speaks and has nothing to store.
    """

    __slots__ = (
        "_artim",
        "_bytes_due",
        "_fruitless_at",
        "_limit",
        "_limit_at",
        "_policy",
        "_received",
        "_since",
        "_waiting",
        "now",
    )

    def __init__(self, policy: AcceptorPolicy, now: float) -> None:
        self._policy = policy
        self.now = now
        # When the peer was last heard or answered: what it is given begins there.
        self._since = now
        # Set when something was stored; before that, when the association could have begun to.
        self._fruitless_at = now + policy.store_timeout
        self._artim: float | None = None
        self._received = 0
        # The progress window: by `_limit_at`, `_received` must have come up to `_bytes_due`.
        self._bytes_due = 0.0
        self._limit: TimeLimit | None = None
        self._limit_at = 0.0
        self._waiting = False

    def start_artim(self) -> None:
        """Start ARTIM, anew if it runs; from here on it is the only limit."""
        self._artim = self.now + self._policy.artim_timeout
        self._limit = None

    def stop_artim(self) -> None:
        """Stop ARTIM."""
        self._artim = None

    def stop(self) -> None:
        """Stop whatever runs: there is no peer any more."""
        self._artim = None
        self._limit = None

    def received(self, count: int, now: float) -> None:
        """Note that bytes have arrived."""
        self.now = self._since = now
        self._received += count
        self._waiting = False

    def answered(self, now: float) -> None:
        """Note that the driver has done its part: the time given to the peer begins anew."""
        self.now = self._since = now
        self._limit = None

    def stored(self) -> None:
        """Note that the answer given just now says that an instance is stored."""
        self._fruitless_at = self.now + self._policy.store_timeout

    def wait_idle(self) -> None:
        """Note that nothing is under way, and that the peer is waited for."""
        self._limit = _IDLE
        self._limit_at = self._since + self._policy.idle_timeout
        self._waiting = True
        if self._fruitless_at < self._limit_at:
            self._end_as_fruitless()

    def wait_inside(self, *, is_storing: bool) -> None:
        """Note that the peer is waited for in the middle of a message or PDU.

        One that `is_storing` may end, however long ago the last was stored.
        """
        self._waiting = True
        if self._limit is not _PROGRESS or self._received >= self._bytes_due:
            window = self._policy.progress_window
            self._limit = _PROGRESS
            self._limit_at = self._since + window
            self._bytes_due = self._received + window * self._policy.min_progress
        if self._fruitless_at < self._limit_at and not is_storing:
            self._end_as_fruitless()

    def _end_as_fruitless(self) -> None:
        self._limit = _FRUITLESS
        self._limit_at = self._fruitless_at

    def next_timer(self) -> float | None:
        """Return when to ask `passed`; None when the peer is not waited for."""
        if self._artim is not None:
            return self._artim
        return self._limit_at if self._waiting and self._limit is not None else None

    def passed(self, now: float) -> TimeLimit | None:
        """Return the limit that has passed."""
        self.now = now
        timer = self.next_timer()
        if timer is None or now < timer:
            return None
        return TimeLimit.ARTIM if self._artim is not None else self._limit
