"""What a program answers to a command: a JSON object, or nothing that is ours."""

from __future__ import annotations

from typing import Any

import httpx

from seriesgate.series.http_answer import NoAnswer, answer_in

# A page of a thousand series with every list in them full has less.
_LONGEST = 512 * 1024 * 1024


def ask(method: str, url: str, **options: Any) -> tuple[httpx.Response, dict[str, Any]]:
    """Send a request over a new connection; return the answer, and the object in its body.

    Raises httpx.HTTPError when there is none, and NoAnswer when its body is no JSON object, or
    longer than any of ours.
    """
    with httpx.stream(method, url, trust_env=False, **options) as response:
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if len(body) > _LONGEST:
                raise NoAnswer
    return response, json_object(bytes(body))


def json_object(body: bytes) -> dict[str, Any]:
    """Return the object that a body is. Raises NoAnswer for any other."""
    answer = answer_in(body)
    if not isinstance(answer, dict):
        raise NoAnswer
    return answer
