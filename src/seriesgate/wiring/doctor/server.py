"""Checks of the server as the gateway reaches it: its address, certificate, token and clock."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from seriesgate.listener import reachable_host
from seriesgate.series.http_answer import NoAnswer, answer_in, http_date
from seriesgate.startup import CannotStart
from seriesgate.tls import client_context
from seriesgate.wiring.doctor.certificate import days_until_end, judge_days
from seriesgate.wiring.doctor.finding import Finding, ok, problem, skipped, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seriesgate.settings.gateway import GatewaySettings
    from seriesgate.settings.server import ServerSettings

_NAME, _TOKEN, _CERTIFICATE = "server", "server token", "server certificate"
_TIMEOUT = 5.0
_MAX_ANSWER = 64 * 1024
_REDIRECTION = 3
_REGISTERING = frozenset({"register", "admin"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request: a status and the JSON object of the body, if it was one.

    `ahead` is by how many seconds the server's clock is ahead of ours, `days` how many days its
    certificate is valid; None where it did not say. Without a status `failure` says why. `is_page`
    says that a web page came with a status of success.
    """

    status: int = 0
    body: dict[str, Any] | None = None
    ahead: float | None = None
    days: float | None = None
    failure: str = ""
    certificate_failure: str = ""
    is_page: bool = False

    @property
    def is_of_ours(self) -> bool:
        """Whether a server of seriesgate answers so to `/healthz`."""
        return self.body == {"status": "ok"}


@dataclass(frozen=True, slots=True)
class ServerAnswers:
    """What the server answers to `/healthz`, and with the gateway's token to `/session`, `/readyz`.

    Each is the answer before where it was not asked any more. `origin` is its address for people:
    without a path and a password.
    """

    origin: str
    health: Answer
    session: Answer
    readiness: Answer

    @property
    def is_ours(self) -> bool:
        """Whether it is a server of seriesgate."""
        return self.health.is_of_ours


def ask_server(settings: GatewaySettings) -> ServerAnswers:
    """Ask the server that the gateway reports to."""
    url = str(settings.server_url).rstrip("/")
    token = settings.server_token
    try:
        tls = client_context(
            settings.server_ca, settings.server_tls_certificate, settings.server_tls_private_key
        )
    except CannotStart as error:
        failed = Answer(failure=str(error))
        return ServerAnswers(_origin(url), failed, failed, failed)
    headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
    with _client(tls) as client:
        health = _get(client, f"{url}/healthz")
        if health.failure:
            return ServerAnswers(_origin(url), health, health, health)
        session = _get(client, f"{url}/session", headers)
        # Whoever shows a wrong token twice is blocked the sooner.
        is_known = session.status == HTTPStatus.OK
        readiness = _get(client, f"{url}/readyz", headers) if is_known else session
        return ServerAnswers(_origin(url), health, session, readiness)


def is_server_there(settings: ServerSettings) -> bool:
    """Return whether a server of ours is at the port that one of these settings listens on."""
    host = reachable_host(settings.host)
    scheme = "http" if settings.tls_certificate is None else "https"
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}"
    with _client(anybody) as client:
        return _get(client, f"{url}/healthz").is_of_ours


def check_server(answers: ServerAnswers) -> Iterator[Finding]:
    """Check that the server can be reached, and takes reports with the gateway's token."""
    yield _check_reach(answers)
    if answers.health.failure:
        yield skipped(_TOKEN, "the server does not answer")
    elif not answers.is_ours:
        yield skipped(_TOKEN, "only a server of seriesgate says what a token allows")
    else:
        yield _check_token(answers.session)
    yield from _check_certificate(answers)


def _check_reach(answers: ServerAnswers) -> Finding:
    origin, health, ready = answers.origin, answers.health, answers.readiness
    if health.failure:
        return problem(
            _NAME,
            f"{health.failure}: look at gateway.server_url; series wait here meanwhile",
        )
    if health.status // 100 == _REDIRECTION:
        return problem(
            _NAME, f"{origin} leads elsewhere ({health.status}): set gateway.server_url to there"
        )
    if not answers.is_ours:
        return _check_other(origin, health)
    if ready.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return problem(_NAME, f"{origin} can't use its database: see the server's log")
    if ready.failure:
        return problem(_NAME, f"{ready.failure}: see the server's log")
    return ok(_NAME, f"{origin} answers")


def _check_other(origin: str, health: Answer) -> Finding:
    if health.is_page:
        return problem(
            _NAME,
            f"something answers in the server's place at {origin}, with a web page: a portal, a "
            "proxy or another program; look at gateway.server_url and at what is in between",
        )
    return warning(
        _NAME,
        f"{origin} answers, but is no server of seriesgate: right if it is one of your own that "
        "takes POST /series",
    )


def _check_token(session: Answer) -> Finding:
    if session.status == HTTPStatus.UNAUTHORIZED:
        return problem(
            _TOKEN,
            "the server does not know it: set gateway.server_token to one of `seriesgate token "
            "create`",
        )
    if session.status == HTTPStatus.TOO_MANY_REQUESTS:
        return warning(
            _TOKEN, "the server takes no token of this machine now, after too many wrong ones"
        )
    scopes = (session.body or {}).get("scopes")
    if session.status != HTTPStatus.OK or not isinstance(scopes, list):
        why = session.failure or f"the server answered {session.status}"
        return problem(_TOKEN, f"it can't be tried: {why}; see the server's log")
    if not _REGISTERING & set(map(str, scopes)):
        return problem(
            _TOKEN,
            f"it allows {', '.join(map(str, scopes))}, and not `register`: make another with "
            "`seriesgate token create`",
        )
    if (session.body or {}).get("name") is None:
        return ok(_TOKEN, "the server needs none")
    return ok(_TOKEN, "the server knows it, and lets it register series")


def _check_certificate(answers: ServerAnswers) -> Iterator[Finding]:
    health = answers.health
    if health.certificate_failure:
        yield problem(
            _CERTIFICATE,
            f"it is not trusted ({health.certificate_failure}): renew it at the server, or set "
            "gateway.server_ca to its authority",
        )
    elif health.days is not None:
        yield judge_days(_CERTIFICATE, "it at the server", health.days)


def _client(tls: ssl.SSLContext) -> httpx.Client:
    return httpx.Client(
        verify=tls, trust_env=False, timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"}
    )


def _get(client: httpx.Client, url: str, headers: dict[str, str] | None = None) -> Answer:
    origin = _origin(url)
    try:
        with client.stream("GET", url, headers=headers) as response:
            body = _body(response)
            return Answer(
                response.status_code,
                _json(body),
                _ahead(response),
                _days(response),
                is_page=response.is_success and _is_page(body),
            )
    except httpx.TimeoutException:
        return Answer(failure=f"{origin} does not answer within {_TIMEOUT:g} s")
    except httpx.ConnectError as error:
        return _not_connected(origin, error)
    except httpx.HTTPError as error:
        return Answer(failure=f"{origin} does not speak HTTP as it should ({type(error).__name__})")


def _not_connected(origin: str, error: httpx.ConnectError) -> Answer:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message
            return Answer(
                failure=f"the certificate of {origin} is not trusted", certificate_failure=why
            )
        if isinstance(cause, ssl.SSLError):
            return Answer(failure=f"{origin} does not speak TLS: is it https there?")
        cause = cause.__cause__ or cause.__context__
    return Answer(failure=f"nothing answers at {origin}")


def _body(response: httpx.Response) -> bytes:
    """Return the body of an answer, or its beginning if it is too long."""
    body = b""
    for piece in response.iter_raw():
        body += piece
        if len(body) > _MAX_ANSWER:
            break
    return body


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        answer = answer_in(body)
    except NoAnswer:
        return None
    return answer if isinstance(answer, dict) else None


def _is_page(body: bytes) -> bool:
    """Return whether a body is markup, in whatever encoding."""
    return body.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<")


def _ahead(response: httpx.Response) -> float | None:
    said = http_date(response.headers.get("Date", ""))
    # The header has whole seconds: on the average half a one is cut off.
    return None if said is None else (said - datetime.now(UTC)).total_seconds() + 0.5


def _days(response: httpx.Response) -> float | None:
    secured = response.extensions["network_stream"].get_extra_info("ssl_object")
    certificate = secured.getpeercert() if secured is not None else None
    return days_until_end(certificate) if certificate else None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
