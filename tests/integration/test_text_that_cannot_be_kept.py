"""Text that a database can't hold is refused or cleaned, on both databases: never a 500.

PostgreSQL holds no NUL, not even as a question, and neither holds half of a surrogate pair.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
from urllib.parse import urlsplit

import pytest
from fastapi.routing import APIRoute
from tests.integration.running_server import running_server
from tests.unit.server.examples import EVERY_FIELD, heartbeat

from seriesgate.server.app import _ROUTERS

# In JSON, as escapes and as bytes; and in a URL.
IN_JSON = [rb"\u0000", rb"\ud800", rb"\udfff\ud800", b"\x00", b"\xed\xa0\x80", b"\xff", rb"\uffff"]
IN_URL = ["%00", "a%00b", "%ED%A0%80", "%FF", "%C0%80", "%EF%BF%BF", "%F4%8F%BF%BF", "%01", "%0A"]
TEXTS = [name for name, value in EVERY_FIELD.items() if isinstance(value, str)]
PARAMETERS = {
    "/series": ["StudyInstanceUID", "PatientID", "AccessionNumber", "Modality", "Gateway", "text"],
    "/dicom-web/series": [
        "PatientName",
        "PatientID",
        "00080060",
        "SeriesDescription",
        "SeriesNumber",
    ],
    "/dicom-web/studies": ["StudyInstanceUID", "StudyDate", "ModalitiesInStudy", "includefield"],
}
for other in ("/studies", "/patients", "/series.csv", "/series.jsonl"):
    PARAMETERS[other] = PARAMETERS["/series"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def ask(request, tmp_path_factory, postgresql):
    """Send a request as it is, and return the status and the body of its answer."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('server')}/a.db"
    else:
        url = postgresql.migrated_database()
    with running_server(url) as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)

        def ask(method, path, body=None, **headers):
            headers = {"Content-Type": "application/json"} | headers
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

        yield ask
        connection.close()
    if request.param == "postgresql":
        postgresql.wait_until_left(url)
        postgresql.give_back(url)


def bodies(document, field):
    """Give the JSON of a document with each unholdable text in one of its fields."""
    for text in IN_JSON:
        marked = json.dumps(document | {field: "1.MARK"}).encode()
        yield text, marked.replace(b"MARK", text)


@pytest.mark.parametrize("field", TEXTS)
def test_report(ask, field):
    document = EVERY_FIELD | {"SeriesInstanceUID": f"1.9.{TEXTS.index(field)}"}
    for text, body in bodies(document, field):
        status, answer = ask("POST", "/series", body)
        # Whatever is a character can be kept as text, and comes back.
        assert status in {200, 201, 422}, text
        if status != 422:
            assert text == rb"\uffff"
            assert json.loads(answer)[field] == "1.\uffff"


@pytest.mark.parametrize("field", ["Version", "NotReady", "StartedAt"])
def test_heartbeat(ask, field):
    document = json.loads(heartbeat().model_dump_json())
    for text, body in bodies(document, field):
        assert ask("POST", "/gateways/ward-3/heartbeat", body)[0] in {200, 400, 422}, text
    assert ask("GET", "/gateways")[0] == 200


@pytest.mark.parametrize("text", IN_JSON)
def test_wanted_token(ask, text):
    body = b'{"name": "a' + text + b'", "scopes": ["read"]}'
    assert ask("POST", "/tokens", body)[0] in {400, 422}


@pytest.mark.parametrize("path", PARAMETERS)
@pytest.mark.parametrize("text", IN_URL)
def test_query(ask, path, text):
    for name in PARAMETERS[path]:
        status, _ = ask("GET", f"{path}?{name}={text}")
        assert status < 500, name
    assert ask("GET", f"{path}?{text}=1")[0] in {400, 422}


def _paths():
    for router in _ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and "{" in route.path_format:
                yield from ((method, route.path_format) for method in sorted(route.methods or ()))


@pytest.mark.parametrize(("method", "path"), [*_paths()])
def test_path(ask, method, path):
    for text in IN_URL:
        status, _ = ask(method, re.sub(r"{\w+}", text, path), b"{}" if method == "POST" else None)
        assert 400 <= status < 500 or (status == 204 and path.startswith("/dicom-web")), text


@pytest.mark.parametrize("text", ["a\x00", "\x00", "\ud800", "a\uffff"])
def test_cursor(ask, text):
    raw = f"2026-01-01T00:00:00+00:00 {text}".encode("utf-8", "surrogatepass")
    cursor = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    for path in ("/series", "/studies", "/patients"):
        assert ask("GET", f"{path}?cursor={cursor}")[0] in {200, 422}


@pytest.mark.parametrize("name", ["Idempotency-Key", "Last-Event-ID", "Authorization", "Cookie"])
def test_header(ask, name):
    body = json.dumps(EVERY_FIELD).encode()
    for text in ("\xff\xfe", "seriesgate_session=\xff", "Bearer \xe9"):
        method, path = ("GET", "/events") if name == "Last-Event-ID" else ("POST", "/series")
        status, _ = ask(method, path, body if method == "POST" else None, **{name: text})
        assert status < 500
