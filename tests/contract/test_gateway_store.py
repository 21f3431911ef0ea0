"""What every GatewayStore promises."""

from __future__ import annotations

from asyncio import run
from datetime import timedelta
from itertools import count

import pytest
from tests.fakes_server import MemoryGatewayStore
from tests.unit.server.examples import START, heartbeat

from seriesgate.server.registry.gateways import GatewayNameTaken
from seriesgate.server.sql import gateways as sql_gateways
from seriesgate.server.sql.gateways import SqlGatewayStore
from seriesgate.server.sql.opening import open_store

LETTER = "a" * 32


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def gateways(request, tmp_path, postgresql):
    if request.param == "memory":
        yield MemoryGatewayStore()
        return
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/series_data.db" if is_sqlite else postgresql.migrated_database()
    store = open_store(url)
    yield SqlGatewayStore(store.database)
    run(store.close())
    if not is_sqlite:
        postgresql.give_back(url)


def test_latest_heartbeat_is_kept_until_the_gateway_is_forgotten(gateways):
    later = START + timedelta(seconds=31)
    run(gateways.beat("b", heartbeat(), START))
    run(gateways.beat("a", heartbeat(), START))
    run(gateways.beat("b", heartbeat(LETTER), later))
    first, second = run(gateways.records())
    assert (first.name, first.heartbeat, first.last_seen_at) == ("a", heartbeat(), START)
    assert (second.name, second.heartbeat) == ("b", heartbeat(LETTER))
    assert first.is_quiet(later)
    assert not first.is_quiet(START + timedelta(seconds=30))
    assert run(gateways.find("b")) == second
    assert run(gateways.forget("b"))
    assert not run(gateways.forget("b"))
    assert run(gateways.find("b")) is None


def test_retry_is_asked_for_until_the_letter_is_gone_or_has_died_anew(gateways):
    assert not run(gateways.ask_retry("a", LETTER))
    assert run(gateways.beat("a", heartbeat(LETTER), START)) == ()
    assert not run(gateways.ask_retry("a", "b" * 32))
    for after in (heartbeat(), heartbeat(LETTER, since=START + timedelta(seconds=1))):
        run(gateways.beat("a", heartbeat(LETTER), START))
        assert run(gateways.ask_retry("a", LETTER))
        for _ in range(2):
            assert run(gateways.beat("a", heartbeat(LETTER), START)) == (LETTER,)
        assert run(gateways.beat("a", after, START)) == ()
        assert run(gateways.beat("a", heartbeat(LETTER), START)) == ()


def test_name_belongs_to_its_first_token_while_that_is_valid(gateways):
    valid = {"one", "other"}
    run(gateways.beat("a", heartbeat(), START))
    run(gateways.beat("a", heartbeat(), START, "one", valid))
    with pytest.raises(GatewayNameTaken):
        run(gateways.beat("a", heartbeat(LETTER), START, "other", valid))
    known = run(gateways.find("a"))
    assert (known.token, known.heartbeat) == ("one", heartbeat())
    run(gateways.beat("a", heartbeat(), START))  # where no token is asked for any more
    assert run(gateways.find("a")).token == "one"
    assert run(gateways.allow("a", "other"))
    assert not run(gateways.allow("b", "other"))
    with pytest.raises(GatewayNameTaken):
        run(gateways.beat("a", heartbeat(), START, "one", valid))
    run(gateways.beat("a", heartbeat(), START, "one", {"one"}))  # the other one was revoked
    assert run(gateways.find("a")).token == "one"


def test_whoever_invents_gateways_loses_those_and_nobody_else(gateways, monkeypatch):
    monkeypatch.setattr(sql_gateways, "MOST_GATEWAYS", 5)
    monkeypatch.setattr("tests.fakes_server.MOST_GATEWAYS", 5)
    moments = (START + timedelta(seconds=number) for number in count())

    def beat(name, token):
        run(gateways.beat(name, heartbeat(), next(moments), token, {"good", "evil", "new"}))

    beat("real", "good")
    for number in range(9):
        beat(f"invented {number}", "evil")
    assert names(gateways) == ["invented 5", "invented 6", "invented 7", "invented 8", "real"]
    beat("late", "new")
    beat("second", "good")
    assert names(gateways) == ["invented 7", "invented 8", "late", "real", "second"]
    for number in range(9):
        beat(f"invented {number}", "evil")
    assert names(gateways)[-3:] == ["late", "real", "second"]


def test_without_tokens_the_gateway_that_was_silent_longest_goes(gateways, monkeypatch):
    monkeypatch.setattr(sql_gateways, "MOST_GATEWAYS", 2)
    monkeypatch.setattr("tests.fakes_server.MOST_GATEWAYS", 2)
    for number, name in enumerate(["a", "b", "a", "c"]):
        run(gateways.beat(name, heartbeat(), START + timedelta(seconds=number)))
    assert names(gateways) == ["a", "c"]


def names(gateways):
    return [each.name for each in run(gateways.records())]
