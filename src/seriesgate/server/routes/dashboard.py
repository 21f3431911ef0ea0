"""`/`: the dashboard, a page that reads the API. Anyone may load it: it holds no data itself."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response

from seriesgate.server.http.problem import ProblemError
from seriesgate.server.http.static_files import PAGE, dashboard_files
from seriesgate.server.routes.access import PUBLIC

router = APIRouter(include_in_schema=False, dependencies=[PUBLIC])

# Nothing but our own files, and no text is ever taken for markup: a name that has a script in it
# stays a name.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


@router.get("/")
async def page(request: Request) -> Response:
    """Give the page."""
    return _answer(request, PAGE)


@router.get("/dashboard/{path:path}")
async def file(path: str, request: Request) -> Response:
    """Give a file of the page."""
    return _answer(request, path)


def _answer(request: Request, path: str) -> Response:
    found = dashboard_files().get(path)
    if found is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "the dashboard has no such file")
    headers = {
        # Kept, but asked about each time: a newer server is noticed at once.
        "Cache-Control": "no-cache",
        "ETag": found.etag,
        "Content-Security-Policy": _POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if found.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(found.content, headers=headers, media_type=found.media_type)
