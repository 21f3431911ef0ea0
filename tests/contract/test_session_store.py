"""What every SessionStore promises."""

from __future__ import annotations

from asyncio import run
from datetime import timedelta

import pytest
from tests.fakes_server import MemorySessionStore
from tests.unit.server.examples import START

from seriesgate.server.access.sessions import LIFETIME, Session
from seriesgate.server.sql.opening import open_store
from seriesgate.server.sql.sessions import SqlSessionStore

FIRST = Session("s1", "t1", START + LIFETIME)
SECOND = Session("s2", "t1", START + 2 * LIFETIME)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def sessions(request, tmp_path, postgresql):
    if request.param == "memory":
        yield MemorySessionStore()
        return
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/series_data.db" if is_sqlite else postgresql.migrated_database()
    store = open_store(url)
    yield SqlSessionStore(store.database)
    run(store.close())
    if not is_sqlite:
        postgresql.give_back(url)


def test_session_is_found_until_it_ends(sessions):
    assert run(sessions.find("s1")) is None
    run(sessions.begin(FIRST, START))
    run(sessions.begin(SECOND, START))
    assert run(sessions.find("s1")) == FIRST
    run(sessions.end("s1"))
    run(sessions.end("s1"))
    assert run(sessions.find("s1")) is None
    assert run(sessions.find("s2")) == SECOND


def test_session_whose_time_is_over_is_let_go_when_another_begins(sessions):
    run(sessions.begin(FIRST, START))
    just_before = FIRST.expires_at - timedelta(microseconds=1)
    run(sessions.begin(SECOND, just_before))
    assert run(sessions.find("s1")) == FIRST
    run(sessions.begin(Session("s3", "t2", SECOND.expires_at), FIRST.expires_at))
    assert run(sessions.find("s1")) is None
    assert run(sessions.find("s2")) == SECOND
