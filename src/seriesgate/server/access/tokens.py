"""Bearer tokens (RFC 6750): what they allow, how they are made and compared.

A token of ours is 256 random bits. Nobody can guess that, so a plain SHA-256 is enough to keep it
by: slow password hashes are for what people choose.

Decided in ADR 13.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

# So that a scanner for secrets that were published by mistake can find it.
_PREFIX = "seriesgate_"
# Of a token. It stands in logs and in a path.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class Scope(StrEnum):
    """What a token allows. `admin` allows the others too."""

    REGISTER = "register"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Grant:
    """What whoever shows a certain token may do. `digest` is that of the token."""

    name: str
    digest: str
    scopes: frozenset[Scope]

    def allows(self, scope: Scope) -> bool:
        """Return whether `scope` is granted."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as the server knows it; the token itself it does not know."""

    grant: Grant
    created_at: datetime
    revoked_at: datetime | None


class TokenNameTaken(Exception):
    """There is or was a token of this name: names stay unique, so that a log can be understood."""


class TokenStore(Protocol):
    """Keeps tokens. Every method may raise StoreUnavailable, and then nothing was changed."""

    async def add(self, grant: Grant) -> TokenRecord:
        """Keep a new token. TokenNameTaken."""
        ...

    async def revoke(self, name: str) -> TokenRecord | None:
        """Revoke a token, for good, and give its record; None for a name that is not known."""
        ...

    async def records(self) -> Sequence[TokenRecord]:
        """Give all tokens that there ever were, by name."""
        ...


def new_token() -> str:
    """Make a token."""
    return _PREFIX + secrets.token_urlsafe(32)


def token_digest(token: str) -> str:
    """Give the digest that a token is kept by."""
    return sha256(token.encode()).hexdigest()


def matching_grant(token: str, grants: Iterable[Grant]) -> Grant | None:
    """Give the grant of a token. The time it takes tells nothing of how near a guess was."""
    digest = token_digest(token)
    found = None
    for grant in grants:
        if compare_digest(grant.digest, digest):
            found = grant
    return found


def scopes_as_text(scopes: Collection[Scope]) -> list[str]:
    """Give the names of scopes in their usual order."""
    return [scope.value for scope in Scope if scope in scopes]
