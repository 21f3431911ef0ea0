"""How commands talk to a running gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from seriesgate.cli.json_answer import ask
from seriesgate.cli.options import fail
from seriesgate.cli.server_api import not_ours_text
from seriesgate.listener import reachable_host
from seriesgate.series.http_answer import NoAnswer

if TYPE_CHECKING:
    from seriesgate.settings.gateway import GatewaySettings


class GatewayNotRunning(Exception):
    """Nothing answers where the gateway's administration is to be. The text is for a person."""


class GatewayDoesNotTell(Exception):
    """Something answers there, and not what was asked for. The text is for a person."""


class GatewayApi:
    """Requests to the administration that the gateway's settings name."""

    def __init__(self, settings: GatewaySettings) -> None:
        host = reachable_host(settings.admin_host)
        host = f"[{host}]" if ":" in host else host
        self.url = f"http://{host}:{settings.admin_port}"
        token = settings.admin_token
        self._headers = (
            {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
        )

    def request(self, method: str, path: str) -> dict[str, Any]:
        """Return the JSON object that is the answer.

        Raises GatewayNotRunning, and typer.Exit, having said what is wrong.
        """
        try:
            return self.ask(method, path)
        except GatewayDoesNotTell as error:
            raise fail(str(error)) from error

    def ask(self, method: str, path: str) -> dict[str, Any]:
        """Return the JSON object that is the answer.

        Raises GatewayNotRunning, GatewayDoesNotTell.
        """
        headers = dict(self._headers)
        if method == "POST":
            headers["Content-Type"] = "application/json"
        try:
            response, answer = ask(method, self.url + path, headers=headers, timeout=60)
        except httpx.ConnectError as error:
            raise GatewayNotRunning(
                f"no gateway answers at {self.url}: start it with `seriesgate up`, "
                "or name its port with --admin-port"
            ) from error
        except httpx.HTTPError as error:
            raise GatewayDoesNotTell(
                f"the gateway at {self.url} does not answer ({type(error).__name__})"
            ) from error
        except NoAnswer as error:
            raise GatewayDoesNotTell(not_ours_text(f"what answers at {self.url}")) from error
        if response.is_success:
            return answer
        raise GatewayDoesNotTell(
            f"the gateway answered {response.status_code}: {answer.get('detail')}"
        )
