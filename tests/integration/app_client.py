"""A client of the server's app, without a network and without an event loop in the tests."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx
from tests.fakes_server import (
    MemoryGatewayStore,
    MemorySeriesStore,
    MemorySessionStore,
    MemoryTokenStore,
)
from tests.unit.server.examples import FIVE_FIELDS, START, ticking_clock

from seriesgate.server.access.authentication import Authentication
from seriesgate.server.access.failure_limit import FailureLimit
from seriesgate.server.app import create_app
from seriesgate.server.http.metrics import ServerMetrics

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from datetime import datetime
    from typing import Self

    from seriesgate.server.access.tokens import Grant

# What no answer may repeat.
SECRET = "Zyxwvut^Secret"


class FixedClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class AppClient:
    """Sends requests to an app with a store in memory, while the app's lifespan lasts."""

    def __init__(
        self,
        *,
        fixed: Sequence[Grant] = (),
        always: bool = False,
        log: bool = False,
        allowed_hosts: Sequence[str] = (),
        qido_origins: Sequence[str] = (),
    ) -> None:
        self.store = MemorySeriesStore(ticking_clock())
        self.tokens = MemoryTokenStore(ticking_clock())
        self.sessions = MemorySessionStore()
        self.clock = FixedClock()
        self.now = 0.0
        authentication = Authentication(
            self.tokens,
            self.sessions,
            FailureLimit(lambda: self.now),
            lambda: self.now,
            self.clock,
            fixed=fixed,
            always=always,
        )
        self.app = app = create_app(
            self.store,
            self.tokens,
            self.sessions,
            MemoryGatewayStore(),
            authentication,
            ServerMetrics(),
            allowed_hosts=allowed_hosts,
            qido_origins=qido_origins,
            log_requests=log,
            clock=self.clock,
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        self._lifespan = app.router.lifespan_context(app)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self.run(self._lifespan.__aenter__())
        return self

    def __exit__(self, *_error: object) -> None:
        self.run(self._client.aclose())
        self.run(self._lifespan.__aexit__(None, None, None))
        self._runner.close()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(coroutine)

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        response: httpx.Response = self.run(self._client.request(method, url, **options))
        return response

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self.request("GET", url, **options)

    def row(self, url: str) -> dict[str, Any]:
        """Read a series, without its history."""
        row: dict[str, Any] = self.get(url).json()
        return {name: value for name, value in row.items() if name != "History"}

    def register(self, **fields: Any) -> httpx.Response:
        """Post the five fields, with others in their place."""
        return self.request("POST", "/series", json=FIVE_FIELDS | fields)

    def post(self, body: str | bytes, **headers: Any) -> httpx.Response:
        """Post a body as it is, as JSON if the headers say nothing else."""
        headers = {"Content-Type": "application/json"} | headers
        return self.request("POST", "/series", content=body, headers=headers)


def assert_problem(answer: httpx.Response, status: int, *fields: str) -> None:
    """Check the one shape of all errors, and which fields it names."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "errors"}
    assert problem["type"] == "about:blank"
    assert problem["title"] == HTTPStatus(status).phrase
    assert problem["status"] == status
    assert problem["detail"]
    assert [error["field"] for error in problem["errors"]] == list(fields)
    assert all(error["message"] for error in problem["errors"])
    assert SECRET not in answer.text
