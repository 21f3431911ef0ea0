"""No value, wherever it stands in a request, is too much for the server: never an answer of 500.

The parameters are those of the API's own description, and headers that servers convert; the values
are what conversions, calendars and databases are known to choke on.
"""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, urlencode

import pytest
from tests.integration.app_client import assert_problem
from tests.integration.running_server import running_server
from tests.unit.server.examples import EVERY_FIELD, heartbeat

from seriesgate.series.report import Series

TEXTS = [
    "",
    " ",
    "0",
    "-0",
    "-1",
    "00",
    "1.5",
    "1e400",
    "-1e400",
    "1e-400",
    "NaN",
    "Infinity",
    "0x10",
    "1_000",
    "\u0661\u0662",
    "\u00b2",
    str(2**31),
    str(2**63),
    str(-(2**63) - 1),
    str(2**64),
    "9" * 400,
    "9" * 5000,
    "1." + "0" * 5000,
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999-14:00",
    "9999-12-31T23:59:59+00:00",
    "0000-00-00T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:00:60Z",
    "2026-01-01T00:00:00+99:99",
    "253402300800",
    "-62135596801",
    "99999999-00000000",
    "00000000-",
    "-99999999",
    "20260101-20260131-20260201",
    "\x00",
    "a\x00b",
    "\x1b[31m",
    "\u2028",
    "\ufffe",
    "\U0010ffff",
    "e\u0301" * 40,
    "%",
    "%00",
    "%2e%2e%2f",
    "..",
    "../../etc/passwd",
    "a/b?c#d%e",
    "*",
    "?" * 200,
    "*?" * 500,
    "[a-z]*",
    "(" * 1000,
    "\\",
    ",",
    "'; DROP TABLE series_data; --",
    '"',
    "true",
    "null",
    "[]",
    "{}",
    "a" * 2000,
]
CURSORS = [
    "0001-01-01T00:00:00+14:00\n1.2",
    "9999-12-31T23:59:59-14:00\n1.2",
    "9999-12-31T23:59:59+00:00\n1.2",
    "0001-01-01T00:00:00+00:00\n",
    f"2026-01-01T00:00:00+00:00\n1.2\n{10**17}",
    f"2026-01-01T00:00:00+00:00\n1.2\n{2**64}",
    "2026-01-01T00:00:00+00:00\n1.2\n" + "9" * 5000,
    "2026-01-01T00:00:00+00:00\n\x00",
]
VALUES = [*TEXTS, *(base64.urlsafe_b64encode(c.encode()).decode().rstrip("=") for c in CURSORS)]
# Bytes that no text in UTF-8 has: half a surrogate pair, an overlong slash, the end of nothing.
RAW = ["%ed%a0%80", "%c0%af", "%ff", "%80%80"]
HEADERS = [
    "Last-Event-ID",
    "If-None-Match",
    "If-Match",
    "If-Modified-Since",
    "If-Range",
    "Idempotency-Key",
    "Range",
    "Content-Type",
    "Content-Encoding",
    "Accept",
    "Accept-Encoding",
    "Authorization",
    "Cookie",
    "Origin",
    "Sec-Fetch-Site",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Requested-With",
]
# Numbers that JSON allows, or that Python's readers take for JSON.
NUMBERS = [
    "-0",
    "1.5",
    "1e400",
    "-1e400",
    "1E-400",
    "2.0",
    "1e308",
    str(2**31),
    str(2**63),
    str(2**64),
    "9" * 400,
    "9" * 5000,
    "1." + "0" * 5000,
    "NaN",
    "Infinity",
    "-Infinity",
    '"\\ud800"',
    '"\\u0000"',
    "[" * 2000 + "]" * 2000,
    '{"a":' * 2000 + "1" + "}" * 2000,
    "true",
    "null",
    '"2026-01-01T00:00:00+99:99"',
    '"0001-01-01T00:00:00+14:00"',
    '"9999-12-31T23:59:59-14:00"',
]


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """How a server is asked that has one series."""
    with running_server(f"sqlite:///{tmp_path_factory.mktemp('db')}/series_data.db") as server:
        server.register(**EVERY_FIELD)
        yield server.client.request


@pytest.fixture(scope="module")
def operations(ask):
    """Method, path and names of the parameters of every operation; `/events` would not end."""
    paths = ask("GET", "/openapi.json").json()["paths"]
    found = [
        (method.upper(), path, [each["name"] for each in operation.get("parameters", ())])
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]
    assert len(found) >= 20
    return [each for each in found if each[1] != "/events"]


def survives(answer, *what):
    assert answer.status_code < 500, (answer.status_code, *what)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"


def filled(path, value="1.2"):
    """Give a path with a value in place of each of its parameters."""
    parts = path.split("{")
    return parts[0] + "".join(value + part.partition("}")[2] for part in parts[1:])


def test_query_parameters(ask, operations):
    asked = set()
    for method, path, names in operations:
        if method != "GET":
            continue
        for name in [n for n in names if f"{{{n}}}" not in path]:
            if name != "cursor" and (path.split("/")[1].split(".")[0], name) in asked:
                continue  # lists, exports and levels of one kind read it with the same code
            asked.add((path.split("/")[1].split(".")[0], name))
            for value in VALUES:
                query = urlencode({name: value})
                survives(ask(method, f"{filled(path)}?{query}"), path, name, value[:60])
            for value in RAW:
                survives(ask(method, f"{filled(path)}?{name}={value}"), path, name, value)


def test_path_parameters(ask, operations):
    for method, path, _names in operations:
        if "{" not in path or path.endswith("/heartbeat"):
            continue
        for value in [*(quote(value, safe="") for value in VALUES if value), *RAW]:
            if value != "..":  # which clients take for a step up
                survives(ask(method, filled(path, value)), method, path, value[:60])


def test_events_start_nowhere_else_than_at_a_number(ask):
    for value in VALUES:
        if value.isascii() and value.isdigit() and len(value) <= 18:
            continue  # a number: the stream would not end
        assert_problem(ask("GET", f"/events?{urlencode({'after': value})}"), 422, "after")
        header = value.encode()
        if not set(header) & set(b"\0\r\n\x1b") and header == header.strip():
            headers = {"Last-Event-ID": header}
            assert_problem(ask("GET", "/events", headers=headers), 422, "Last-Event-ID")


def test_headers(ask):
    values = [each.encode() for each in VALUES if not set(each) & set("\0\r\n\x1b")]
    values = [each for each in [*values, b"\xff\xfe", b"bytes=0-" + b"9" * 400] if each.strip()]
    asked = [("GET", "/series"), ("GET", "/series/1.2/preview"), ("POST", "/series")]
    for method, path in [*asked, ("PUT", "/series/1.2/preview")]:
        for name in HEADERS:
            for value in values:
                answer = ask(method, path, headers={name: value.strip()}, content=b"")
                survives(answer, method, path, name, value[:60])


@pytest.mark.parametrize("value", NUMBERS, ids=lambda value: value[:20])
def test_json_values(ask, value):
    for name in Series.model_fields:
        fields = {key: json.dumps(each) for key, each in EVERY_FIELD.items()}
        body = ",".join(f'"{k}":{v}' for k, v in (fields | {name: value}).items())
        answer = post(ask, "/series", f"{{{body}}}")
        survives(answer, name)
        if value in {"NaN", "Infinity", "-Infinity"}:
            assert answer.status_code == 422
    document = json.loads(heartbeat("a" * 32).model_dump_json())
    for name in document:
        fields = {key: json.dumps(each) for key, each in document.items()}
        body = ",".join(f'"{k}":{v}' for k, v in (fields | {name: value}).items())
        survives(post(ask, "/gateways/one/heartbeat", f"{{{body}}}"), name)
    for name in ("name", "scopes"):
        survives(post(ask, "/tokens", f'{{"name":"a b","scopes":[],"{name}":{value}}}'), name)
    survives(post(ask, "/series", value))
    survives(ask("GET", "/gateways"))
    survives(ask("GET", "/series.csv"))
    survives(ask("GET", "/dicom-web/series"))


def post(ask, path, body):
    return ask("POST", path, content=body, headers={"Content-Type": "application/json"})
