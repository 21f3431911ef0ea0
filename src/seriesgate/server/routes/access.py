"""What each route asks of who calls it. A route that does not say fails a test."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from seriesgate.server.access.tokens import Scope
from seriesgate.server.http.problem import ProblemError

if TYPE_CHECKING:
    from seriesgate.server.access.authentication import Authentication
    from seriesgate.server.http.host_names import HostNames


# A name of its own under TLS, which browsers let no other host or plain page set (RFC 6265bis).
_COOKIE = "seriesgate_session"
_SECURE_COOKIE = f"__Host-{_COOKIE}"
DASHBOARD_HEADER = "X-Requested-With"
"""The header, with any value, of a request by session that changes something: a page of another
site can make a browser send a request, but not with a header that this server has not allowed."""
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_SAME_SITE = frozenset({"same-origin", "none"})


def session_cookie(request: Request) -> str:
    """Give the name of the session's cookie on the connection that a request came by."""
    return _SECURE_COOKIE if request.scope["scheme"] == "https" else _COOKIE


class Access:
    """The dependency that lets a request through, or answers it with 401, 403, 421 or 429.

    With `sessions` the session of a browser is as good as the token it was begun with.
    """

    def __init__(self, scope: Scope | None, *, sessions: bool = True) -> None:
        self.scope = scope
        self._sessions = sessions

    async def __call__(self, request: Request) -> None:
        """Check the token of a request. Its grant is in `request.state.grant` then, or None."""
        authentication: Authentication = request.app.state.authentication
        address = request.client.host if request.client else ""
        authorization = request.headers.get("authorization")
        session = None
        if authorization is None:
            if self._sessions:
                session = request.cookies.get(session_cookie(request))
            _refuse_forged(request, by_session=session is not None)
        request.state.grant = await authentication.authorize(
            authorization, address, self.scope, session
        )
        _refuse_other_names(request)


async def is_still_allowed(request: Request, scope: Scope) -> bool:
    """Return whether a request that was let in would be now: its token may have been revoked."""
    try:
        await Access(scope)(request)
    except ProblemError:
        return False
    return True


def _refuse_forged(request: Request, *, by_session: bool) -> None:
    """Raise ProblemError for a change that the page of another site may have made a browser ask."""
    if request.method in _SAFE_METHODS:
        return
    # Browsers add both (W3C Fetch Metadata, RFC 6454), and no script can change them. The first is
    # the browser's own judgement; it is not sent to a plain HTTP server on another machine.
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site not in _SAME_SITE:
        raise ProblemError(HTTPStatus.FORBIDDEN, "a page of another site sent this request")
    hosts: HostNames = request.app.state.hosts
    host = request.headers.get("host", "")
    if site is None and origin is not None and not hosts.are_origin(origin, host):
        detail = "a page of another origin sent this request; if browsers call this server by "
        detail += "another name than it is called by, list that name in server.allowed_hosts"
        raise ProblemError(HTTPStatus.FORBIDDEN, detail)
    if by_session and DASHBOARD_HEADER not in request.headers:
        detail = f"a request by session needs the header {DASHBOARD_HEADER}"
        raise ProblemError(HTTPStatus.FORBIDDEN, detail)


def _refuse_other_names(request: Request) -> None:
    """Raise ProblemError for a call by a name that the page of another site may have led here."""
    hosts: HostNames = request.app.state.hosts
    authentication: Authentication = request.app.state.authentication
    if hosts.include(request.headers.get("host", "")):
        return
    if authentication.is_open or hosts.are_listed:
        detail = "call this server by localhost, by an IP address, or by a name that is listed in "
        raise ProblemError(HTTPStatus.MISDIRECTED_REQUEST, detail + "server.allowed_hosts")


class PublicAccess:
    """The dependency of a route that anyone may call, by any name: it tells nothing of anyone."""

    async def __call__(self) -> None:
        """Let everyone through."""


def requires(scope: Scope) -> Any:
    """Give the entry for `dependencies` of a route: only for tokens that allow `scope`."""
    return Depends(Access(scope))


REQUIRES_ANY_TOKEN: Any = Depends(Access(None))
"""For a route that every token allows."""

REQUIRES_TOKEN_ITSELF: Any = Depends(Access(None, sessions=False))
"""For a route that every token allows, and no session."""

PUBLIC: Any = Depends(PublicAccess())
"""For a route that needs no token, not even where there are some."""


def access_of(route: APIRoute) -> Access | PublicAccess | None:
    """Give what a route asks; None if it does not say."""
    for dependency in route.dependant.dependencies:
        if isinstance(dependency.call, Access | PublicAccess):
            return dependency.call
    return None
