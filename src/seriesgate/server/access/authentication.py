"""Who may do what: from a request's credentials to a grant, or to the refusal."""

from __future__ import annotations

import asyncio
import logging
import math
from http import HTTPStatus
from typing import TYPE_CHECKING

from seriesgate.server.access.sessions import session_digest
from seriesgate.server.access.tokens import Scope, matching_grant, token_digest
from seriesgate.server.http.problem import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from seriesgate.server.access.failure_limit import FailureLimit
    from seriesgate.server.access.sessions import SessionStore
    from seriesgate.server.access.tokens import Grant, TokenStore

# Another server may have revoked a token: so long it still works here, in seconds.
_FRESH_FOR = 5.0
_MAX_TOKEN_LENGTH = 512
_MAX_REMEMBERED = 10_000

_log = logging.getLogger(__name__)


class Authentication:
    """Decides about requests by the tokens of the settings (`fixed`) and those of the store.

    A token comes in the request, or a session that was begun with it and is as good as it.
    `always` asks for a token even where none exists: for a server that others can reach. Otherwise
    everyone may do all until there is one; to revoke the last one does not open the server again.
    `monotonic` and `clock`, which gives aware times, are the clocks. `tell_change` is called when
    a token was made or revoked here, for the server's other workers.
    """

    def __init__(
        self,
        store: TokenStore,
        sessions: SessionStore,
        failure_limit: FailureLimit,
        monotonic: Callable[[], float],
        clock: Callable[[], datetime],
        *,
        fixed: Sequence[Grant] = (),
        always: bool = False,
        tell_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._clock = clock
        self._failure_limit = failure_limit
        self._monotonic = monotonic
        self._fixed = tuple(fixed)
        self._always = always
        self._tell_change = tell_change
        self._grants: tuple[Grant, ...] = ()
        self._required = True
        self._fresh_until = -math.inf
        self._changes = 0
        self._refreshing = asyncio.Lock()
        # Who has shown a right token, by address: not shut out by a neighbour who guesses.
        self._welcome: dict[tuple[str, str], None] = {}

    @property
    def is_open(self) -> bool:
        """Whether nobody needs a token, as far as is known from the latest request."""
        return not self._required

    @property
    def names(self) -> frozenset[str]:
        """The names of the tokens that are valid, as far as is known from the latest request."""
        return frozenset(grant.name for grant in self._grants)

    async def is_possible(self) -> bool:
        """Return whether there is any token that works."""
        await self._refresh()
        return bool(self._grants)

    def changed(self) -> None:
        """Read the tokens anew for the next request: one was made or revoked here."""
        self.forget()
        self._tell_change()

    def forget(self) -> None:
        """Read the tokens anew for the next request: one was made or revoked."""
        self._changes += 1
        self._fresh_until = -math.inf

    async def authorize(
        self,
        authorization: str | None,
        address: str,
        scope: Scope | None,
        session: str | None = None,
    ) -> Grant | None:
        """Give the grant of a request's credentials; None where none is needed.

        They are its Authorization header, or without one the secret of a `session`. `scope` is what
        the grant must allow; None: any grant will do. `address` is the client's. Raises
        ProblemError: 401 without a right token or session, 403 for one that does not allow it, 429
        for a client that has failed too often. StoreUnavailable.
        """
        if self._fresh_until <= self._monotonic():
            await self._refresh()
        if not self._required:
            return None
        if authorization is None and session is not None:
            grant = await self._of_session(session)
        else:
            grant = self._of_token(_bearer_token(authorization), address)
        if scope is not None and not grant.allows(scope):
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                f"this token does not allow: {scope.value}",
                headers=_challenge(f', error="insufficient_scope", scope="{scope.value}"'),
            )
        return grant

    async def _refresh(self) -> None:
        async with self._refreshing:
            now = self._monotonic()
            if self._fresh_until > now:  # while we waited
                return
            changes = self._changes
            records = await self._store.records()
            valid = [record.grant for record in records if record.revoked_at is None]
            self._grants = (*self._fixed, *valid)
            self._required = self._always or bool(self._fixed or records)
            if changes == self._changes:  # else something was changed while we read
                self._fresh_until = now + _FRESH_FOR

    def _of_token(self, token: str | None, address: str) -> Grant:
        if token is None:
            raise _unauthorized("a token is needed: Authorization: Bearer TOKEN", "")
        self._refuse_blocked(token, address)
        grant = matching_grant(token, self._grants)
        if grant is None:
            if self._failure_limit.failed(address):
                _log.warning("%s has shown too many wrong tokens and is blocked a while", address)
            raise _unauthorized("this token is not known", ', error="invalid_token"')
        self._remember(grant, address)
        return grant

    async def _of_session(self, secret: str) -> Grant:
        # No limit of failures: nobody guesses 256 bits, and a session that is over is no guess.
        found = await self._sessions.find(session_digest(secret))
        if found is not None and found.expires_at > self._clock():
            for grant in self._grants:
                if grant.digest == found.token_digest:
                    return grant
        raise _unauthorized("the session is over: log in again", "")

    def _refuse_blocked(self, token: str, address: str) -> None:
        seconds = self._failure_limit.blocked_for(address)
        if seconds is None or (address, token_digest(token)) in self._welcome:
            return
        raise ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too many wrong tokens came from this address",
            headers={"Retry-After": str(math.ceil(seconds))},
        )

    def _remember(self, grant: Grant, address: str) -> None:
        key = (address, grant.digest)
        if key in self._welcome:
            return
        while len(self._welcome) >= _MAX_REMEMBERED:
            del self._welcome[next(iter(self._welcome))]
        self._welcome[key] = None


def _bearer_token(authorization: str | None) -> str | None:
    """Give the token of an Authorization header (RFC 6750 2.1), None if there is none."""
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _MAX_TOKEN_LENGTH:
        return None
    return token


def _unauthorized(detail: str, error: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, headers=_challenge(error))


def _challenge(error: str) -> dict[str, str]:
    """Give the header that RFC 6750 3 asks for."""
    return {"WWW-Authenticate": f'Bearer realm="seriesgate"{error}'}
