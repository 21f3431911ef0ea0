"""What each route asks of who calls it. A route that does not say fails a test."""

from typing import TYPE_CHECKING, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from seriesgate.server.tokens import Scope

if TYPE_CHECKING:
    from seriesgate.server.authentication import Authentication


class Access:
    """The dependency that lets a request through, or answers it with 401, 403 or 429."""

    def __init__(self, scope: Scope | None) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> None:
        """Check the token of a request. Its grant is in `request.state.grant` then, or None."""
        authentication: Authentication = request.app.state.authentication
        address = request.client.host if request.client else ""
        request.state.grant = await authentication.authorize(
            request.headers.get("authorization"), address, self.scope
        )


class PublicAccess:
    """The dependency of a route that anyone may call, which says so."""

    async def __call__(self) -> None:
        """Let everyone through."""


def requires(scope: Scope) -> Any:
    """Give the entry for `dependencies` of a route: only for tokens that allow `scope`."""
    return Depends(Access(scope))


REQUIRES_ANY_TOKEN: Any = Depends(Access(None))
"""For a route that every token allows."""

PUBLIC: Any = Depends(PublicAccess())
"""For a route that needs no token, not even where there are some."""


def access_of(route: APIRoute) -> Access | PublicAccess | None:
    """Give what a route asks; None if it does not say."""
    for dependency in route.dependant.dependencies:
        if isinstance(dependency.call, Access | PublicAccess):
            return dependency.call
    return None
