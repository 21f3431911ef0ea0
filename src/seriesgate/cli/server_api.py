"""How commands talk to a running server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer

from seriesgate.cli.json_answer import ask
from seriesgate.cli.options import fail
from seriesgate.series.http_answer import NoAnswer
from seriesgate.startup import CannotStart
from seriesgate.tls import client_context

if TYPE_CHECKING:
    from seriesgate.settings.gateway import GatewaySettings

ServerUrl = Annotated[str | None, typer.Option(help="Server to ask.")]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="SERIESGATE_TOKEN",
        help="Token for the server; safer in the variable than on the command line. "
        "Without it, `gateway.server_token`.",
    ),
]


class ServerApi:
    """Requests to the server that the gateway's settings name, each over a new connection."""

    def __init__(self, settings: GatewaySettings, token: str | None) -> None:
        self.url = str(settings.server_url).rstrip("/")
        if token is None and settings.server_token is not None:
            token = settings.server_token.get_secret_value()
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            self._tls = client_context(
                settings.server_ca, settings.server_tls_certificate, settings.server_tls_private_key
            )
        except CannotStart as error:
            raise fail(str(error)) from error

    def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Return the JSON object that is the answer. Raises typer.Exit, having said why."""
        try:
            response, answer = ask(
                method, self.url + path, headers=self._headers, verify=self._tls, **options
            )
        except httpx.HTTPError as error:
            raise fail(
                f"no server answers at {self.url}: start it with `seriesgate up`, "
                "or name another with --server-url"
            ) from error
        except NoAnswer as error:
            raise not_ours(f"the server at {self.url}") from error
        return success_or_exit(response, answer, f"the server at {self.url}")


def success_or_exit(response: httpx.Response, answer: dict[str, Any], who: str) -> dict[str, Any]:
    """Return the object in an answer. Raises typer.Exit, having said what is wrong."""
    if response.is_success:
        return answer
    line = f"{who} answered {response.status_code}: {answer.get('detail')}"
    errors = answer.get("errors")
    for each in errors if isinstance(errors, list) else ():
        if isinstance(each, dict):
            line += f"; {each.get('field')}: {each.get('message')}"
    if response.status_code == httpx.codes.UNAUTHORIZED:
        line += "; set SERIESGATE_TOKEN or gateway.server_token"
    raise fail(line)


def not_ours(who: str) -> typer.Exit:
    """Say that something else answers; return the exit to raise."""
    return fail(not_ours_text(who))


def not_ours_text(who: str) -> str:
    """Return what to say when something else answers."""
    return f"{who} is not one of seriesgate: its answer can't be read"
