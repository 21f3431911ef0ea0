"""What each answer of a server means for the next try."""

from __future__ import annotations

import asyncio
import json
import socket
from datetime import UTC, datetime

import pytest
from tests.examples import report
from tests.http_stub import (
    hang_up,
    http_stub,
    respond,
    say_nothing,
    stop_half_way,
    talk_nonsense,
    trickle,
)

from seriesgate.adapters.http_publisher import MAX_ANSWER_SIZE, HttpPublisher
from seriesgate.series.delivery import Delivery, FailureKind, delivery_id_of

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
DELIVERY = Delivery(delivery_id_of(report()), report())


async def send(url, **options):
    publisher = HttpPublisher(url, lambda: NOW, **options)
    try:
        return await publisher.publish(DELIVERY)
    finally:
        await publisher.close()


def exchange(answer, **options):
    """Publish one report to a server that answers so; return the outcome and the requests."""

    async def scenario():
        async with http_stub(answer) as stub:
            return await send(stub.url, **options), stub.requests

    return asyncio.run(scenario())


def publish(answer, **options):
    return exchange(answer, **options)[0]


def test_report_is_posted_with_its_idempotency_key_and_token():
    failure, (request,) = exchange(respond(201), server_token="s3cret")
    assert failure is None
    assert (request.method, request.path) == ("POST", "/series")
    assert request.headers["Idempotency-Key"] == DELIVERY.delivery_id
    assert request.headers["Authorization"] == "Bearer s3cret"
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["Content-Type"] == "application/json"
    body = json.loads(request.body)
    assert body["SeriesInstanceUID"] == "1.2"
    assert body["PatientName"] == "Doe^Jane"
    assert body["InstancesInSeries"] == 1


def test_connection_is_used_again():
    async def scenario():
        connections = set()

        async def answer(request, writer):
            connections.add(writer.get_extra_info("peername"))
            await respond(200)(request, writer)

        async with http_stub(answer) as stub:
            publisher = HttpPublisher(stub.url, lambda: NOW)
            for _ in range(3):
                assert await publisher.publish(DELIVERY) is None
            await publisher.close()
        return connections

    assert len(asyncio.run(scenario())) == 1


#: What portals, proxies and other programs answer with 200.
NO_ANSWERS = [
    b"  <!DOCTYPE html><html>",
    b"<HTML><body>Log in",
    b"\xef\xbb\xbf<!DOCTYPE html><html>",
    b"<?xml version='1.0'?><!DOCTYPE html><html>",
    b"<!-- login --><html>",
    b"<head><title>Log in</title>",
    b"<script>location='/login'</script>",
    "<html>".encode("utf-16"),
    b"<meta http-equiv=refresh>",
    b"Please log in",
    b"ok",
    b"\xef\xbb\xbf{}",
    '{"SeriesInstanceUID": "1.2"}'.encode("utf-16"),
    '{"SeriesInstanceUID": "1.2"}'.encode("utf-32"),
    b'{"SeriesInstanceUID": "1.2"',
    b"{} {}",
    b"NaN",
    b"\x1f\x8b\x08\x00",
    b"\0",
    b"[" * 60_000,
    b'{"a": ' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize(
    "content", [b"", b" \r\n", b'{"SeriesInstanceUID": "1.2"}', b"{}", b"null", b'"ok"', b"[1]"]
)
def test_2xx_that_is_empty_or_json_is_success(status, content):
    assert publish(respond(status, content if status != 204 else b"")) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        *((content, "in the server's place") for content in NO_ANSWERS),
        (b'{"SeriesInstanceUID": "9.9"}', "another series"),
        (b"x" * (MAX_ANSWER_SIZE + 1), "no end"),
    ],
)
@pytest.mark.fault("F13")
def test_2xx_that_cannot_be_the_server_is_retried(content, reason):
    failure = publish(respond(200, content))
    assert failure.kind is FailureKind.TRANSIENT
    assert reason in failure.reason


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
@pytest.mark.fault("F9")
def test_failures_that_pass_are_retried(status):
    assert publish(respond(status)).kind is FailureKind.TRANSIENT


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 403, 404, 405])
@pytest.mark.fault("F12")
def test_answers_of_a_server_that_does_not_know_us_are_misconfiguration(status):
    failure = publish(respond(status, Location="http://elsewhere.example/"))
    assert failure.kind is FailureKind.MISCONFIGURED


@pytest.mark.parametrize("status", [400, 409, 410, 413, 415, 422])
@pytest.mark.fault("F10", "F11")
def test_answers_that_refuse_the_report_itself_are_final(status):
    failure = publish(respond(status, b'{"detail": "Doe^Jane"}'))
    assert failure.kind is FailureKind.REJECTED
    assert "Doe" not in failure.reason


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"errors": [{"field": "StudyInstanceUID", "message": "Doe^Jane"}]}, "StudyInstanceUID"),
        (
            {"detail": [{"loc": ["body", "PatientID"]}, {"loc": ["body", "PatientName"]}]},
            "PatientName, PatientID",
        ),
        ({"errors": [{"field": "Doe^Jane"}, {"field": ["Modality", 1]}]}, "Modality"),
    ],
)
def test_refusal_says_which_fields_it_is_about(body, fields):
    failure = publish(respond(422, json.dumps(body).encode()))
    assert failure.reason == (
        f"the server answered 422 Unprocessable Entity: it does not accept {fields}"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b"null",
        b"{",
        b'{"errors": {"field": "Modality"}}',
        b'{"errors": ["Modality", 1]}',
        b'{"errors": [{"field": {"Modality": 1}}, {"field": "Doe^Jane"}]}',
        b'{"detail": "Modality"}',
    ],
)
def test_refusal_of_any_other_form_says_no_more_than_its_status(body):
    assert publish(respond(422, body)).reason == "the server answered 422 Unprocessable Entity"


@pytest.mark.fault("F12")
def test_redirect_is_not_followed():
    async def scenario():
        async with http_stub(respond(200)) as elsewhere:
            async with http_stub(respond(307, Location=f"{elsewhere.url}/series")) as stub:
                await send(stub.url)
            return stub.requests, elsewhere.requests

    asked, followed = asyncio.run(scenario())
    assert len(asked) == 1
    assert followed == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("9" * 500, None),
    ],
)
@pytest.mark.fault("F9")
def test_retry_after_is_understood_as_number_and_as_date(value, seconds):
    assert publish(respond(503, Retry_After=value)).retry_after == seconds


@pytest.mark.parametrize("answer", [hang_up, talk_nonsense, stop_half_way])
@pytest.mark.fault("F8")
def test_broken_connections_are_retried_and_name_no_patient(answer):
    failure = publish(answer)
    assert failure.kind is FailureKind.TRANSIENT
    assert "broke" in failure.reason
    assert "Doe" not in failure.reason


@pytest.mark.parametrize("answer", [trickle, say_nothing])
@pytest.mark.fault("F13", "F14")
def test_answer_that_never_ends_or_never_comes_is_given_up_in_time(answer):
    failure = publish(answer, total_timeout=0.05)
    assert failure.kind is FailureKind.TRANSIENT
    assert failure.reason == "no answer within 0.05 s"


@pytest.mark.fault("F8")
def test_nothing_listens_there():
    failure = asyncio.run(send("http://127.0.0.1:9"))
    assert failure.kind is FailureKind.TRANSIENT
    assert "nothing listens at http://127.0.0.1:9," in failure.reason


def test_name_that_nobody_knows(monkeypatch):
    def unknown(*_arguments, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    failure = asyncio.run(send("http://registry.example:8000"))
    assert failure.kind is FailureKind.TRANSIENT
    assert "registry.example" in failure.reason
    assert "its name is unknown" in failure.reason


def test_plain_http_where_tls_is_expected():
    async def scenario():
        async with http_stub(respond(200)) as stub:
            return await send(stub.url.replace("http:", "https:"), total_timeout=0.2)

    assert asyncio.run(scenario()).kind is FailureKind.TRANSIENT


@pytest.mark.parametrize(
    ("status", "hint"),
    [(401, "gateway.server_token"), (403, "gateway.server_token"), (404, "gateway.server_url")],
)
def test_misconfiguration_names_the_setting_to_look_at(status, hint):
    assert hint in publish(respond(status)).reason


def test_reason_repeats_nothing_that_the_server_wrote():
    spoken = respond(503, b"Doe^Jane", phrase="Doe^Jane")
    assert publish(spoken).reason == "the server answered 503 Service Unavailable"
    assert publish(respond(599)).reason == "the server answered 599"


@pytest.mark.parametrize("token", [None, "s3cret"])
def test_password_in_the_url_is_not_shown(token):
    url = "http://user:hush@127.0.0.1:9/path"
    assert "hush" not in asyncio.run(send(url, server_token=token)).reason
