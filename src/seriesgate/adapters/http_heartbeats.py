"""Sends heartbeats to the server by `POST /gateways/{name}/heartbeat`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import ValidationError

from seriesgate.gateway.heartbeat import HeartbeatFailed, HeartbeatUnknown
from seriesgate.series.heartbeat import HeartbeatAnswer

if TYPE_CHECKING:
    from seriesgate.adapters.http_publisher import HttpPublisher
    from seriesgate.adapters.server_answer import ServerAnswer
    from seriesgate.series.heartbeat import Heartbeat

_OK = 200
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
# The server is older, or not ours: RFC 9110 15.5.5, 15.5.6 and 15.6.2.
_UNKNOWN = frozenset({404, 405, 501})


class HttpHeartbeats:
    """Implements `HeartbeatReceiver` on the connections of a publisher, with its token and TLS."""

    def __init__(self, publisher: HttpPublisher, gateway_name: str) -> None:
        self._publisher = publisher
        self._path = f"/gateways/{quote(gateway_name, safe='')}/heartbeat"

    async def beat(self, heartbeat: Heartbeat) -> HeartbeatAnswer:
        """See `HeartbeatReceiver.beat`."""
        answer = await self._publisher.post(self._path, heartbeat.model_dump_json().encode(), {})
        if isinstance(answer, str):
            raise HeartbeatFailed(answer)
        if answer.status in _UNKNOWN:
            raise HeartbeatUnknown
        if answer.status != _OK:
            raise HeartbeatFailed(_complaint(answer))
        if answer.body is None:
            raise HeartbeatFailed("its answer has no end")
        try:
            return HeartbeatAnswer.model_validate_json(answer.body)
        except ValidationError:
            raise HeartbeatFailed("its answer is not one to a heartbeat") from None


def _complaint(answer: ServerAnswer) -> str:
    """Say what it answered, and which setting to look at unless it may pass by itself."""
    passes = answer.status == _TOO_MANY_REQUESTS or answer.status >= _SERVER_ERROR
    hint = "" if passes else f": check {answer.setting_to_check}"
    return f"it answered {answer.status}{hint}"
