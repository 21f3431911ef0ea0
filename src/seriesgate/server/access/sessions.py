"""Sessions of browsers: who has shown a token once need not show it with each request.

A session is 256 random bits in a cookie that no script can read; the server keeps their digest and
that of the token. It ends with its time, by logging out, or when the token is revoked.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from seriesgate.server.access.tokens import token_digest

if TYPE_CHECKING:
    from datetime import datetime

    from seriesgate.server.access.tokens import Grant

LIFETIME = timedelta(hours=12)
"""A shift, and the hand-over after it."""
_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """A session as the server knows it: by digests, of its secret and of the token it is for."""

    digest: str
    token_digest: str
    expires_at: datetime


class SessionStore(Protocol):
    """Keeps sessions. Every method may raise StoreUnavailable, and then nothing was changed."""

    async def begin(self, session: Session, now: datetime) -> None:
        """Keep a session, and let go of those whose time is over at `now`."""
        ...

    async def find(self, digest: str) -> Session | None:
        """Give the session of this digest, whether its time is over or not; None if unknown."""
        ...

    async def end(self, digest: str) -> None:
        """Let go of a session; of one that is not known too."""
        ...


def new_session(grant: Grant, now: datetime) -> tuple[str, Session]:
    """Make a session for whoever has shown the token of `grant`: its secret, and what is kept."""
    secret = secrets.token_urlsafe(_BYTES)
    return secret, Session(session_digest(secret), grant.digest, now + LIFETIME)


def session_digest(secret: str) -> str:
    """Give the digest that a session is kept by."""
    return token_digest(secret)
