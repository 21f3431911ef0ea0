"""What every TokenStore promises."""

from __future__ import annotations

from asyncio import run
from datetime import timedelta

import pytest
from tests.fakes_server import MemoryTokenStore
from tests.unit.server.examples import START, ticking_clock

from seriesgate.server.access.tokens import Grant, Scope, TokenNameTaken, TokenRecord
from seriesgate.server.sql.opening import open_store
from seriesgate.server.sql.tokens import SqlTokenStore

READER = Grant("reader", "d1", frozenset({Scope.READ}))
ADMIN = Grant("admin", "d2", frozenset({Scope.ADMIN, Scope.REGISTER}))


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def tokens(request, tmp_path, postgresql):
    if request.param == "memory":
        yield MemoryTokenStore(ticking_clock())
        return
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/series_data.db" if is_sqlite else postgresql.migrated_database()
    store = open_store(url)
    yield SqlTokenStore(store.database, ticking_clock())
    run(store.close())
    if not is_sqlite:
        postgresql.give_back(url)


def test_there_are_none_at_first(tokens):
    assert run(tokens.records()) == []
    assert run(tokens.revoke("reader")) is None


def test_tokens_come_back_by_name(tokens):
    first = run(tokens.add(READER))
    second = run(tokens.add(ADMIN))
    assert first == TokenRecord(READER, START, None)
    assert run(tokens.records()) == [second, first]


def test_name_can_not_be_used_again_not_even_when_revoked(tokens):
    run(tokens.add(READER))
    for _ in range(2):
        with pytest.raises(TokenNameTaken):
            run(tokens.add(Grant("reader", "d3", frozenset({Scope.ADMIN}))))
        run(tokens.revoke("reader"))
    (record,) = run(tokens.records())
    assert record.grant == READER


def test_time_of_revoking_is_that_of_the_first_time(tokens):
    run(tokens.add(READER))
    revoked = run(tokens.revoke("reader"))
    assert revoked == TokenRecord(READER, START, START + timedelta(seconds=1))
    assert run(tokens.revoke("reader")) == revoked
    assert run(tokens.records()) == [revoked]
