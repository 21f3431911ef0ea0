"""The two ways in which a dialogue can go wrong: the peer broke the protocol, or we did."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seriesgate.upper_layer.pdu import AbortReason


class PeerViolation(Exception):
    """The peer sent what PS3.8 or PS3.7 forbids. The answer is an A-ABORT.

    `reason` is the one an A-ABORT carries (PS3.8 9.3.8); `detail` is one line for a log and holds
    nothing of what the peer wrote but numbers.
    """

    def __init__(self, reason: AbortReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class LocalMisuse(RuntimeError):
    """The driver asked for what is not allowed now: a bug on our side, never the peer's doing."""
