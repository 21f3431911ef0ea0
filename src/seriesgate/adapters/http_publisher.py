"""Sends reports to the server by `POST /series`.

Any server that takes the five fields and answers 2xx will do. What comes back is not trusted: it is
read up to a bound, redirects are not followed and compressed answers are not asked for.
"""

from __future__ import annotations

import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from seriesgate.adapters.server_answer import IN_ITS_PLACE, ServerAnswer, transient
from seriesgate.gateway.ports import NoPreview
from seriesgate.series.http_answer import NoAnswer, answer_in
from seriesgate.series.uid import as_path_segment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from seriesgate.series.delivery import Delivery, PublishFailure

MAX_ANSWER_SIZE = 64 * 1024

_CONNECT_TIMEOUT = 10.0
_TAKEN = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)
_KEEP_ALIVE = 60.0


class HttpPublisher:
    """Implements `SeriesPublisher` and `PreviewPublisher` on one keep-alive connection pool.

    To be made on the event loop.

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
    ) -> None:
        url = URL(server_url.rstrip("/"))
        # For people: without a path, and without a password that a URL may hold.
        self._server = str(url.origin())
        self._base = str(url if server_token is None else url.with_user(None)).rstrip("/")
        self._utcnow = utcnow
        self._total_timeout = total_timeout
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if server_token:
            headers["Authorization"] = f"Bearer {server_token}"
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=total_timeout, sock_connect=_CONNECT_TIMEOUT),
            connector=aiohttp.TCPConnector(
                limit=max_connections,
                keepalive_timeout=_KEEP_ALIVE,
                ssl=True if tls is None else tls,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # A proxy or a .netrc of the environment must not decide where patient data goes.
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def publish(self, delivery: Delivery) -> PublishFailure | None:
        """Send a report once. None means that the server has it; no exception comes out."""
        report = delivery.report
        answer = await self.post(
            "/series",
            report.model_dump_json(exclude_none=True).encode(),
            {"Idempotency-Key": delivery.delivery_id},
        )
        if isinstance(answer, str):
            return transient(answer)
        return answer.failure(report.SeriesInstanceUID, self._utcnow())

    async def publish_preview(self, series_instance_uid: str, picture: bytes) -> None:
        """Send a PNG once. Raises NoPreview when the server does not take it."""
        name = as_path_segment(series_instance_uid)
        url = URL(f"{self._base}/series/{name}/preview", encoded=True)
        try:
            async with self._session.put(
                url, data=picture, headers={"Content-Type": "image/png"}, allow_redirects=False
            ) as response:
                status, body = response.status, await _read_bounded(response)
        except TimeoutError:
            raise NoPreview(f"{self._server} takes too long for it") from None
        except aiohttp.ClientError as error:
            raise NoPreview(_describe(error, self._server)) from error
        if status not in _TAKEN:
            raise NoPreview(f"{self._server} does not take it ({status})")
        try:
            answer_in(body or b"")
        except NoAnswer:
            raise NoPreview(IN_ITS_PLACE) from None

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> ServerAnswer | str:
        """Post JSON once; return the answer, or why there is none. `path` is a quoted one."""
        try:
            return await self._post(path, body, headers)
        except TimeoutError as error:
            return self._describe_timeout(error)
        except aiohttp.ClientError as error:
            return _describe(error, self._server)

    async def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> ServerAnswer:
        async with self._session.post(
            URL(self._base + path), data=body, headers=headers, allow_redirects=False
        ) as response:
            return ServerAnswer(
                response.status,
                response.headers.get("Retry-After", ""),
                await _read_bounded(response),
            )

    def _describe_timeout(self, error: TimeoutError) -> str:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return (
                f"{self._server} does not answer: is it running, and is there a firewall in "
                "between?"
            )
        return f"no answer within {self._total_timeout:g} s"


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """Return the body, or None if it is longer than any answer to a report can be."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER_SIZE:
            # What still comes is of no interest: the connection is of no use any more.
            response.close()
            return None
    return bytes(body)


def _describe(error: aiohttp.ClientError, server: str) -> str:
    """Say what failed without the request, which is patient data."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            cause = error.certificate_error
            why = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else "TLS"
            return f"the certificate of {server} is not trusted: {why}"
        case aiohttp.ClientConnectorSSLError():
            return f"{server} does not speak TLS as it should: is it https there?"
        case aiohttp.ClientConnectorError():
            return f"nothing listens at {server}, or its name is unknown: is the server running?"
        case _:
            return f"the connection to {server} broke ({type(error).__name__})"
