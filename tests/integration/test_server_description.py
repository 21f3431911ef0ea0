"""The API does what its OpenAPI document says, whatever is sent: schemathesis makes the requests.

No answer is 5xx, each status, media type and body is documented, what the document forbids is
refused, what it allows is not, and without a token nothing is told.
"""

from __future__ import annotations

import json
import threading
from time import monotonic

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import positive_data_acceptance
from tests.unit.server.examples import EVERY_FIELD

from seriesgate.listener import bind_listener
from seriesgate.server.access.authentication import Authentication
from seriesgate.server.access.failure_limit import FailureLimit
from seriesgate.server.access.tokens import Grant, Scope, token_digest
from seriesgate.server.app import create_app
from seriesgate.server.http.metrics import ServerMetrics
from seriesgate.server.sql.gateways import SqlGatewayStore
from seriesgate.server.sql.opening import open_store, utc_now
from seriesgate.server.sql.sessions import SqlSessionStore
from seriesgate.server.sql.tokens import SqlTokenStore

TOKEN = "a-token-of-the-settings"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def description(tmp_path_factory):
    """The description of a running server that has one series."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('server')}/series_data.db")
    tokens = SqlTokenStore(store.database, utc_now)
    admin = Grant("admin", token_digest(TOKEN), frozenset({Scope.ADMIN}))
    patient = FailureLimit(monotonic, failures=1_000_000)
    sessions = SqlSessionStore(store.database)
    authentication = Authentication(tokens, sessions, patient, monotonic, utc_now, fixed=[admin])
    app = create_app(
        store,
        tokens,
        sessions,
        SqlGatewayStore(store.database),
        authentication,
        ServerMetrics(),
    )
    with bind_listener("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            httpx.post(f"{url}/series", json=EVERY_FIELD, headers=BEARER).raise_for_status()
            yield schemathesis.openapi.from_url(f"{url}/openapi.json", headers=BEARER)
        finally:
            server.should_exit = True
            thread.join()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_described(description, mode):
    names = []
    if mode is GenerationMode.POSITIVE:
        description = description.exclude(path="/events")  # an endless answer; has its own tests
    for operation in description.get_all_operations():
        asked(operation.ok(), mode)
        names.append(operation.ok().label)
    assert "POST /series" in names
    assert len(names) >= 8


def asked(operation, mode):
    """Ask what the document allows, or forbids, and check each answer."""

    @settings(
        max_examples=12,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        # In a URL, a list of one text is that text, and as right as that.
        assume(not any(isinstance(value, list | dict) for value in (case.query or {}).values()))
        # A document can't tell which text is a cursor, nor which of two times must come first.
        case.call_and_validate(headers=BEARER, excluded_checks=[positive_data_acceptance])

    try:
        ask()
    except Unsatisfiable:  # an operation without parameters has nothing that it could forbid
        assert mode is GenerationMode.NEGATIVE, operation.label


def test_description_is_openapi(description):
    description.validate()
    assert json.dumps(description.raw_schema)
