"""What each answer of a server means for the next try."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import httpx
import pytest
from tests.examples import report

from seriesgate.adapters.http_publisher import MAX_ANSWER_SIZE, HttpPublisher
from seriesgate.series.delivery import Delivery, FailureKind, delivery_id_of

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
DELIVERY = Delivery(delivery_id_of(report()), report())


def publish(handler, **options):
    """Publish one report to a server that answers as `handler` does."""

    async def scenario():
        publisher = HttpPublisher(
            "http://server.example", lambda: NOW, transport=httpx.MockTransport(handler), **options
        )
        try:
            return await publisher.publish(DELIVERY)
        finally:
            await publisher.close()

    return asyncio.run(scenario())


def answer(status, content=b"", **headers):
    def handler(_request):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Response(status, content=streamed(content), headers=named)

    return handler


async def streamed(content):
    """Come from the network, as a mock's ready content does not."""
    if content:
        yield content


def test_report_is_posted_with_its_idempotency_key_and_token():
    seen = []

    def handler(request):
        seen.append(request)
        return httpx.Response(201, content=streamed(b""))

    assert publish(handler, server_token="s3cret") is None
    (request,) = seen
    assert (request.method, request.url.path) == ("POST", "/series")
    assert request.headers["Idempotency-Key"] == DELIVERY.delivery_id
    assert request.headers["Authorization"] == "Bearer s3cret"
    assert request.headers["Accept-Encoding"] == "identity"
    body = json.loads(request.content)
    assert body["SeriesInstanceUID"] == "1.2"
    assert body["PatientName"] == "Doe^Jane"
    assert body["InstancesInSeries"] == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("content", [b"", b"ok", b'{"SeriesInstanceUID": "1.2"}', b"[1]", b"[" * 9])
def test_any_2xx_is_success(status, content):
    assert publish(answer(status, content)) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"  <!DOCTYPE html><html>", "web page"),
        (b"<HTML><body>Log in", "web page"),
        (b'{"SeriesInstanceUID": "9.9"}', "another series"),
        (b"x" * (MAX_ANSWER_SIZE + 1), "no end"),
    ],
)
def test_2xx_that_cannot_be_the_server_is_retried(content, reason):
    failure = publish(answer(200, content))
    assert failure.kind is FailureKind.TRANSIENT
    assert reason in failure.reason


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_failures_that_pass_are_retried(status):
    assert publish(answer(status)).kind is FailureKind.TRANSIENT


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 403, 404, 405])
def test_answers_of_a_server_that_does_not_know_us_are_misconfiguration(status):
    failure = publish(answer(status, Location="http://elsewhere.example/"))
    assert failure.kind is FailureKind.MISCONFIGURED


@pytest.mark.parametrize("status", [400, 409, 410, 413, 415, 422])
def test_answers_that_refuse_the_report_itself_are_final(status):
    failure = publish(answer(status, b'{"detail": "Doe^Jane"}'))
    assert failure.kind is FailureKind.REJECTED
    assert "Doe" not in failure.reason


def test_redirect_is_not_followed():
    requests = []

    def handler(request):
        requests.append(request.url.host)
        location = {"Location": "http://elsewhere.example/series"}
        return httpx.Response(307, content=streamed(b""), headers=location)

    publish(handler)
    assert requests == ["server.example"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("9" * 500, 999999999.0),
    ],
)
def test_retry_after_is_understood_as_number_and_as_date(value, seconds):
    assert publish(answer(503, Retry_After=value)).retry_after == seconds


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("Doe^Jane"),
    ],
)
def test_network_failures_are_retried_and_name_no_patient(error):
    def handler(_request):
        raise error

    failure = publish(handler)
    assert failure.kind is FailureKind.TRANSIENT
    assert "Doe" not in failure.reason


def test_answer_that_trickles_without_end_is_given_up_in_time():
    async def trickle():
        while True:
            yield b"x"
            await asyncio.sleep(0)

    def handler(_request):
        return httpx.Response(200, content=trickle())

    failure = publish(handler, total_timeout=0.05)
    assert failure.kind is FailureKind.TRANSIENT


def test_nothing_listens_there():
    async def scenario():
        publisher = HttpPublisher("http://127.0.0.1:9", lambda: NOW)
        try:
            return await publisher.publish(DELIVERY)
        finally:
            await publisher.close()

    failure = asyncio.run(scenario())
    assert failure.kind is FailureKind.TRANSIENT
    assert "nothing listens at http://127.0.0.1:9," in failure.reason


@pytest.mark.parametrize(
    ("status", "hint"),
    [(401, "gateway.server_token"), (403, "gateway.server_token"), (404, "gateway.server_url")],
)
def test_misconfiguration_names_the_setting_to_look_at(status, hint):
    assert hint in publish(answer(status)).reason


def test_reason_repeats_nothing_that_the_server_wrote():
    def handler(_request):
        phrase = {"reason_phrase": b"Doe^Jane"}
        return httpx.Response(503, content=streamed(b"Doe^Jane"), extensions=phrase)

    assert publish(handler).reason == "the server answered 503 Service Unavailable"
    assert publish(answer(599)).reason == "the server answered 599"


def test_password_in_the_url_is_not_shown():
    async def scenario():
        publisher = HttpPublisher("http://user:hush@127.0.0.1:9/path", lambda: NOW)
        try:
            return await publisher.publish(DELIVERY)
        finally:
            await publisher.close()

    assert "hush" not in asyncio.run(scenario()).reason
