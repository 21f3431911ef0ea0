"""The administration of the gateway as an ASGI app."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from seriesgate.adapters.admin.guard import GuardMiddleware
from seriesgate.adapters.admin.json_form import aside_json, outbox_json, status_json
from seriesgate.adapters.admin.metrics import MEDIA_TYPE, exposition
from seriesgate.adapters.admin.problem import problem
from seriesgate.adapters.admin.senders_json import senders_json
from seriesgate.gateway.bulkhead import NoSuchUnit
from seriesgate.gateway.outbox import AmbiguousDeadLetter, NoSuchDeadLetter
from seriesgate.gateway.ports import JournalFailed, JournalFull

if TYPE_CHECKING:
    from starlette.requests import Request

    from seriesgate.gateway.administration import Administration

# How much one answer lists: all dead letters can be retried or discarded without a list.
_MAX_OUTBOX = 1000
_MAX_OPEN_SERIES = 100
_RETRY_AFTER = {"Retry-After": "5"}  # seconds


def create_admin_app(
    administration: Administration, *, token: str | None = None, is_local: bool = True
) -> Starlette:
    """Return the app. `token` and `is_local` are as for GuardMiddleware."""
    routes = _Routes(administration)
    return Starlette(
        routes=[
            Route("/healthz", _healthz),
            Route("/readyz", routes.readyz),
            Route("/metrics", routes.metrics),
            Route("/status", routes.status),
            Route("/senders", routes.senders),
            Route("/aside", routes.aside),
            Route("/aside/retry", routes.retry_all_aside, methods=["POST"]),
            Route("/aside/{unit_id}/retry", routes.retry_aside, methods=["POST"]),
            Route("/outbox", routes.outbox),
            Route("/outbox/retry", routes.retry_all, methods=["POST"]),
            Route("/outbox/discard", routes.discard_all, methods=["POST"]),
            Route("/outbox/{delivery_id}/retry", routes.retry, methods=["POST"]),
            Route("/outbox/{delivery_id}/discard", routes.discard, methods=["POST"]),
        ],
        middleware=[Middleware(GuardMiddleware, token=token, is_local=is_local)],
        exception_handlers=dict.fromkeys(
            (
                HTTPException,
                NoSuchDeadLetter,
                AmbiguousDeadLetter,
                NoSuchUnit,
                JournalFull,
                JournalFailed,
                Exception,
            ),
            _answer_error,
        ),
    )


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


class _Routes:
    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    async def readyz(self, _request: Request) -> Response:
        reasons = list(await self._administration.reasons_not_ready())
        if not reasons:
            return JSONResponse({"ready": True, "reasons": []})
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(reasons), ready=False, reasons=reasons
        )

    async def metrics(self, _request: Request) -> Response:
        status = await self._administration.status()
        return Response(exposition(status), media_type=MEDIA_TYPE)

    async def status(self, _request: Request) -> Response:
        return JSONResponse(status_json(await self._administration.status(_MAX_OPEN_SERIES)))

    async def senders(self, _request: Request) -> Response:
        return JSONResponse(senders_json(*self._administration.senders()))

    async def outbox(self, _request: Request) -> Response:
        return JSONResponse(outbox_json(await self._administration.outbox(_MAX_OUTBOX)))

    async def aside(self, _request: Request) -> Response:
        return JSONResponse(aside_json(self._administration.aside()))

    async def retry_aside(self, request: Request) -> Response:
        unit_id = self._administration.retry_aside(request.path_params["unit_id"])
        return JSONResponse({"count": 1, "unit_id": unit_id})

    async def retry_all_aside(self, _request: Request) -> Response:
        return JSONResponse({"count": self._administration.retry_all_aside()})

    async def retry(self, request: Request) -> Response:
        delivery_id = await self._administration.retry(request.path_params["delivery_id"])
        return JSONResponse({"count": 1, "delivery_id": delivery_id})

    async def discard(self, request: Request) -> Response:
        delivery_id = await self._administration.discard(request.path_params["delivery_id"])
        return JSONResponse({"count": 1, "delivery_id": delivery_id})

    async def retry_all(self, _request: Request) -> Response:
        return JSONResponse({"count": await self._administration.retry_all()})

    async def discard_all(self, _request: Request) -> Response:
        return JSONResponse({"count": await self._administration.discard_all()})


async def _answer_error(_request: Request, error: Exception) -> Response:
    match error:
        case HTTPException():
            status = HTTPStatus(error.status_code)
            return problem(status, _DETAILS.get(status, status.phrase), error.headers)
        case NoSuchDeadLetter() | NoSuchUnit():
            return problem(HTTPStatus.NOT_FOUND, _UNKNOWN[type(error)])
        case AmbiguousDeadLetter():
            return problem(HTTPStatus.CONFLICT, "several dead letters have ids like this")
        case JournalFull():
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), _RETRY_AFTER)
        case JournalFailed():
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}; the gateway stops")
        case _:
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the gateway's log says what failed")


_UNKNOWN: dict[type[Exception], str] = {
    NoSuchDeadLetter: "no dead letter has this id",
    NoSuchUnit: "nothing that is put aside has this id alone",
}
_DETAILS = {
    HTTPStatus.NOT_FOUND: "there is nothing at this path",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path has other methods",
}
