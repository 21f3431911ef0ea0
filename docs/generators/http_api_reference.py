"""The reference page of the HTTP API, made from its OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integration.app_client import AppClient

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "http-api.md"
_INTRODUCTION = """\
# HTTP API

A running server describes itself at `/openapi.json`; this page is made from that. Every error is a
problem document (`application/problem+json`, RFC 9457) with `title`, `status`, `detail`, and
`errors` that name the fields. Where the server has tokens, each request needs one:
`Authorization: Bearer …`.

Any route may answer 400 or 408 (the request is broken or too slow), 413, 415, 422 (a parameter is
not valid), 401, 403 and 429 (the token), 500, and 503 with `Retry-After` (the database can't be
used now). The tables show what is said besides."""
_COMMON = {"400", "401", "403", "408", "413", "415", "422", "429", "500", "503"}


def render() -> str:
    """Return the page."""
    with AppClient() as client:
        document = client.app.openapi()
    lines = [_INTRODUCTION]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lines += ["", f"## `{method.upper()} {path}`", "", operation["description"], ""]
            lines += _parameters(operation)
            lines += _answers(operation)
    return "\n".join(lines).rstrip() + "\n"


def _parameters(operation: dict[str, Any]) -> Iterator[str]:
    parameters = operation.get("parameters", [])
    if not parameters:
        return
    yield "| parameter | in | meaning |"
    yield "|---|---|---|"
    for each in parameters:
        yield f"| `{each['name']}` | {each['in']} | {_meaning(each)} |"
    yield ""


def _meaning(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    text: str = parameter.get("description", "")
    if "default" in schema:
        text += f" (`{schema['default']}`)"
    return text.replace("|", "\\|").strip()


def _answers(operation: dict[str, Any]) -> Iterator[str]:
    yield "| answer | |"
    yield "|---|---|"
    for status, answer in operation["responses"].items():
        if status not in _COMMON:
            yield f"| {status} | {_description(answer)}{_content(answer)} |"


def _description(answer: dict[str, Any]) -> str:
    text: str = answer["description"]
    return "OK" if text == "Successful Response" else text


def _content(answer: dict[str, Any]) -> str:
    for media_type, content in answer.get("content", {}).items():
        if media_type == "application/problem+json":
            return ""
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        return f": `{name}`" if name else f" (`{media_type}`)"
    return ""
