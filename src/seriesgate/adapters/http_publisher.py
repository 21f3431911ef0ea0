"""Sends reports to the server by `POST /series`, and says what each answer means for the next try.

Any server that takes the five fields and answers 2xx will do. What comes back is not trusted: it is
read up to a bound, redirects are not followed and compressed answers are not asked for.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from seriesgate.series.delivery import FailureKind, PublishFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from seriesgate.series.delivery import Delivery

MAX_ANSWER_SIZE = 64 * 1024

# Statuses that pass by themselves (RFC 9110 15.5.9, 15.6; RFC 8470 5.2; RFC 6585 4).
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
# The server does not know us, or this is not our server: nothing is wrong with the report.
_UNAUTHORIZED = frozenset({401, 403})
_MISCONFIGURED = _UNAUTHORIZED | frozenset({404, 405, 407, 421, 426, 501, 505, 511})


class HttpPublisher:
    """Implements `SeriesPublisher` on one keep-alive connection pool.

    `server_url` is the server's address without the path. `total_timeout` bounds one attempt in
    seconds, however slowly the server sends or answers. `tls` is how an https server is verified;
    by default, by the authorities that are known publicly.
    """

    def __init__(
        self,
        server_url: str,
        utcnow: Callable[[], datetime],
        *,
        server_token: str | None = None,
        tls: ssl.SSLContext | None = None,
        total_timeout: float = 30.0,
        max_connections: int = 16,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = server_url.rstrip("/") + "/series"
        # For people: without a path, and without a password that a URL may hold.
        self._server = str(httpx.URL(server_url).copy_with(userinfo=None, raw_path=b"/")).rstrip(
            "/"
        )
        self._utcnow = utcnow
        self._total_timeout = total_timeout
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if server_token:
            headers["Authorization"] = f"Bearer {server_token}"
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(total_timeout, connect=10.0),
            limits=httpx.Limits(max_connections=max_connections, keepalive_expiry=60.0),
            follow_redirects=False,
            verify=True if tls is None else tls,
            # A proxy or a .netrc of the environment must not decide where patient data goes.
            trust_env=False,
            transport=transport,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def publish(self, delivery: Delivery) -> PublishFailure | None:
        """Send a report once. None means that the server has it; no exception comes out."""
        try:
            async with asyncio.timeout(self._total_timeout):
                return await self._post(delivery)
        except TimeoutError:
            return _transient(f"no answer within {self._total_timeout:g} s")
        except httpx.HTTPError as error:
            return _transient(_describe(error, self._server))

    async def _post(self, delivery: Delivery) -> PublishFailure | None:
        body = delivery.report.model_dump_json(exclude_none=True)
        request = self._client.build_request(
            "POST", self._url, content=body, headers={"Idempotency-Key": delivery.delivery_id}
        )
        response = await self._client.send(request, stream=True)
        try:
            answer = await _read_bounded(response)
        finally:
            await response.aclose()
        return self._judge(response, answer, delivery)

    def _judge(
        self, response: httpx.Response, answer: bytes | None, delivery: Delivery
    ) -> PublishFailure | None:
        status = response.status_code
        if response.is_success:
            return _judge_success(answer, delivery.report.SeriesInstanceUID)
        reason = f"the server answered {_named(status)}"
        if status in _TRANSIENT:
            return PublishFailure(FailureKind.TRANSIENT, reason, self._retry_after(response))
        if status in _MISCONFIGURED or response.is_redirect:
            hint = "gateway.server_token" if status in _UNAUTHORIZED else "gateway.server_url"
            return PublishFailure(
                FailureKind.MISCONFIGURED, f"{reason}: check {hint}", self._retry_after(response)
            )
        if response.is_client_error:
            return PublishFailure(FailureKind.REJECTED, reason)
        return _transient(reason)

    def _retry_after(self, response: httpx.Response) -> float | None:
        """Return Retry-After in seconds: a number or a date (RFC 9110 10.2.3)."""
        value = response.headers.get("Retry-After", "")
        if value.isascii() and value.isdigit():
            return float(value[:9])
        try:
            date = email.utils.parsedate_to_datetime(value)
            return max(0.0, (date - self._utcnow()).total_seconds())
        except (TypeError, ValueError):
            return None


async def _read_bounded(response: httpx.Response) -> bytes | None:
    """Return the body, or None if it is longer than any answer to a report can be."""
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_ANSWER_SIZE:
            return None
    return bytes(body)


def _judge_success(answer: bytes | None, series_instance_uid: str) -> PublishFailure | None:
    """A 2xx counts unless a captive portal sent it, or it is about another series."""
    if answer is None:
        return _transient("the server's answer has no end")
    head = answer.lstrip()[:16].lower()
    if head.startswith((b"<!doctype", b"<html")):
        return _transient("the server answered with a web page: is a portal in between?")
    try:
        named = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if isinstance(named, dict) and named.get("SeriesInstanceUID", series_instance_uid) != (
        series_instance_uid
    ):
        return _transient("the server answered for another series")
    return None


def _transient(reason: str) -> PublishFailure:
    return PublishFailure(FailureKind.TRANSIENT, reason)


def _named(status: int) -> str:
    """Return a status with its standard name: what the peer wrote beside it is not repeated."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _describe(error: httpx.HTTPError, server: str) -> str:
    """Say what failed without the request, which is patient data."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate of {server} is not trusted: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    match error:
        case httpx.ConnectTimeout():
            return f"{server} does not answer: is it running, and is there a firewall in between?"
        case httpx.ConnectError():
            return f"nothing listens at {server}, or its name is unknown: is the server running?"
        case httpx.TimeoutException():
            return f"{server} is too slow ({type(error).__name__})"
        case _:
            return f"the connection to {server} broke ({type(error).__name__})"
