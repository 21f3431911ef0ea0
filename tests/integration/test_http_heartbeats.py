"""Whatever answers to a heartbeat is an answer, a known failure, or a server that knows none."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.http_stub import hang_up, http_stub, respond, say_nothing, talk_nonsense, trickle
from tests.unit.server.examples import START, heartbeat

from seriesgate.adapters.http_heartbeats import HttpHeartbeats
from seriesgate.adapters.http_publisher import HttpPublisher
from seriesgate.gateway.heartbeat import HeartbeatFailed, HeartbeatUnknown


def beat(answer):
    """Send one heartbeat to a server that answers so; return its answer and the requests."""

    async def scenario():
        async with http_stub(answer) as stub:
            publisher = HttpPublisher(
                stub.url, lambda: START, server_token="s3cret", total_timeout=0.5
            )
            try:
                answered = await HttpHeartbeats(publisher, "ward 7/b").beat(heartbeat())
            finally:
                await publisher.close()
            return answered, stub.requests

    return asyncio.run(scenario())


def test_heartbeat_is_posted_under_the_quoted_name_with_the_token():
    wanted = "a" * 64
    answered, (request,) = beat(respond(200, json.dumps({"RetryDeadLetters": [wanted]}).encode()))
    assert answered.RetryDeadLetters == (wanted,)
    assert (request.method, request.path) == ("POST", "/gateways/ward%207%2Fb/heartbeat")
    assert request.headers["Authorization"] == "Bearer s3cret"
    assert json.loads(request.body)["PeriodSeconds"] == 10.0


@pytest.mark.parametrize("status", [404, 405, 501])
def test_server_that_knows_no_heartbeats_is_told_apart(status):
    with pytest.raises(HeartbeatUnknown):
        beat(respond(status))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (respond(401), "answered 401: check gateway.server_token"),
        (respond(403), "answered 403: check gateway.server_token"),
        (respond(302, Location="http://127.0.0.1:1/"), "answered 302: check gateway.server_url"),
        (respond(500), "answered 500$"),
        (respond(429), "answered 429$"),
        (respond(200, b"<!doctype html><title>Portal</title>"), "not one to a heartbeat"),
        (respond(200, b'{"RetryDeadLetters": ["../../etc/passwd"]}'), "not one to a heartbeat"),
        (respond(200, b" " * 70_000 + b"{}"), "has no end"),
        (trickle, "no answer within"),
        (say_nothing, "no answer within"),
        (hang_up, "broke"),
        (talk_nonsense, "broke"),
    ],
)
def test_all_else_is_a_failure_in_one_line(answer, reason):
    with pytest.raises(HeartbeatFailed, match=reason) as caught:
        beat(answer)
    assert "\n" not in str(caught.value)


def test_nobody_listens():
    async def scenario():
        publisher = HttpPublisher("http://127.0.0.1:1", lambda: START)
        try:
            await HttpHeartbeats(publisher, "ward").beat(heartbeat())
        finally:
            await publisher.close()

    with pytest.raises(HeartbeatFailed, match="nothing listens"):
        asyncio.run(scenario())
