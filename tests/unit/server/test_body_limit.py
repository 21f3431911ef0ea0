"""The bounds of a request's body, without a server around them."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from seriesgate.server.http.body_limit import BodyLimitMiddleware

LIMIT = 100
MESSAGES = st.lists(st.binary(max_size=60), min_size=1, max_size=5)


class Request:
    """One request to the middleware, with a body in parts, and an app that reads it to its end.

    A body that does not `end` has its parts, and then the peer says no more.
    """

    def __init__(self, headers=(), parts=(b"",), *, ends=True, timeout=60.0):
        self.scope = {"type": "http", "headers": list(headers)}
        self.parts = list(parts)
        self.ends = ends
        self.timeout = timeout
        self.was_read = b""
        self.sent = []

    async def receive(self):
        if not self.parts:
            return await asyncio.Future()
        part = self.parts.pop(0)
        return {
            "type": "http.request",
            "body": part,
            "more_body": bool(self.parts) or not self.ends,
        }

    async def send(self, message):
        self.sent.append(message)

    async def app(self, _scope, receive, send):
        more = True
        while more:
            message = await receive()
            self.was_read += message["body"]
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def run(self):
        middleware = BodyLimitMiddleware(self.app, max_bytes=LIMIT, timeout=self.timeout)
        try:
            asyncio.run(middleware(self.scope, self.receive, self.send))
        except HTTPException as error:
            return error.status_code
        return self.sent[0]["status"]

    @property
    def headers(self):
        return dict(self.sent[0]["headers"])


@settings(deadline=None)
@given(MESSAGES)
def test_body_within_the_limit_is_read_as_it_came(parts):
    request = Request(parts=parts)
    body = b"".join(parts)
    if len(body) <= LIMIT:
        assert request.run() == 200
        assert request.was_read == body
    else:
        assert request.run() == 413
        assert body.startswith(request.was_read)
        assert len(request.was_read) <= LIMIT


def test_body_of_just_the_limit_passes():
    assert Request(parts=[b"x" * LIMIT]).run() == 200
    assert Request(parts=[b"x" * LIMIT, b"y"]).run() == 413


@pytest.mark.parametrize(
    ("length", "status"),
    [
        ("100", 200),
        ("101", 413),
        ("4294967296", 413),
        ("9" * 10_000, 413),
        ("", 400),
        ("-1", 400),
        ("1e9", 400),
        ("\xb2", 400),
    ],
)
def test_content_length_is_judged_before_anything_is_read(length, status):
    request = Request([(b"content-length", length.encode("latin-1"))])
    assert request.run() == status
    if status != 200:
        assert request.parts, "nothing of the body was taken"
        assert request.headers[b"connection"] == b"close"
        assert json.loads(request.sent[1]["body"])["status"] == status


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, identity", ""])
def test_encoded_body_is_refused_unread(encoding):
    request = Request([(b"content-encoding", encoding.encode())])
    assert request.run() == 415
    assert request.parts
    assert request.headers[b"accept-encoding"] == b"identity"


@pytest.mark.parametrize("encoding", ["identity", "Identity", " identity "])
def test_identity_is_no_encoding(encoding):
    assert Request([(b"content-encoding", encoding.encode())]).run() == 200


def test_body_that_does_not_end_in_time_is_refused():
    request = Request(parts=[b"the first part"], ends=False, timeout=0.001)
    assert request.run() == 408
    assert request.was_read == b"the first part"


def test_body_that_trickles_for_ever_is_refused_in_the_same_time():
    class Trickle(Request):
        async def receive(self):
            await asyncio.sleep(0)
            return {"type": "http.request", "body": b"", "more_body": True}

    assert Trickle(timeout=0.01).run() == 408


def test_waiting_for_the_disconnect_is_not_bounded():
    """A long answer asks `receive` for the client's disconnect, after the body."""

    class LongAnswer(Request):
        async def app(self, _scope, receive, send):
            await receive()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), timeout=0.01)
            await send({"type": "http.response.start", "status": 200, "headers": []})

    assert LongAnswer(timeout=0.001).run() == 200


def test_other_protocols_pass_untouched():
    async def app(*connection):
        assert connection == (scope, request.receive, request.send)

    request = Request()
    scope = {"type": "lifespan"}
    asyncio.run(BodyLimitMiddleware(app, LIMIT, 1.0)(scope, request.receive, request.send))


class Slow(Request):
    """Sends one part, and then nothing until it is told to go on."""

    def __init__(self, *parts):
        super().__init__(parts=parts)
        self.goes_on = asyncio.Event()

    async def receive(self):
        if len(self.parts) == 1:
            await self.goes_on.wait()
        return await super().receive()


def test_slow_body_is_refused_at_once_when_others_need_the_room():
    async def run():
        requests = [Slow(b"a" * 60, b"b"), Slow(b"a" * 60, b"b"), Slow(b"a" * 60, b"b")]
        first = requests[0]
        middleware = BodyLimitMiddleware(first.app, LIMIT, 60.0, most_in_all=150)
        answers = []
        for request in requests:
            middleware._app = request.app
            coming = middleware(request.scope, request.receive, request.send)
            answers.append(asyncio.create_task(coming))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refusal:
            await answers[0]
        assert refusal.value.status_code == 503
        assert refusal.value.headers == {"Connection": "close", "Retry-After": "5"}
        for request in requests[1:]:
            request.goes_on.set()
        await asyncio.gather(*answers[1:])
        assert [request.was_read for request in requests[1:]] == [b"a" * 60 + b"b"] * 2
        assert middleware._memory.total == 0

    asyncio.run(run())


def test_body_alone_that_is_more_than_all_may_have_is_refused():
    async def run():
        request = Request(parts=[b"a" * 60])
        middleware = BodyLimitMiddleware(request.app, max_bytes=LIMIT, timeout=60.0, most_in_all=50)
        with pytest.raises(HTTPException) as refusal:
            await middleware(request.scope, request.receive, request.send)
        assert refusal.value.status_code == 503
        assert request.was_read == b""

    asyncio.run(run())
