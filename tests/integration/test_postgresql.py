"""PostgreSQL as the database: what is asked of it before it is used, and what it does for us."""

from __future__ import annotations

import logging
from asyncio import gather, run, to_thread
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, make_url, text
from tests.integration.schema_check import differences
from tests.unit.server.examples import report, ticking_clock
from typer.testing import CliRunner

from seriesgate.cli import app
from seriesgate.server.registry.query import SeriesFilter
from seriesgate.server.registry.store import DatabaseUnusable, Outcome, StoreUnavailable
from seriesgate.server.sql.opening import open_store, upgrade_database
from seriesgate.server.sql.postgresql import postgresql_engine
from seriesgate.server.sql.tables import metadata

_CATALOG = {
    "columns": "SELECT table_name, column_name, data_type, collation_name, is_nullable,"
    " column_default FROM information_schema.columns WHERE table_schema = 'public'"
    " AND table_name <> 'alembic_version'",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    " AND tablename <> 'alembic_version'",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
    " FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
    " AND conrelid <> 'alembic_version'::regclass",
}


@pytest.fixture
def url(postgresql):
    url = postgresql.migrated_database()
    yield url
    postgresql.give_back(url)


@pytest.fixture
def store(url):
    store = open_store(url, clock=ticking_clock())
    yield store
    run(store.close())


@contextmanager
def setting(postgresql, name, value):
    """Run the database server with another setting for a while."""
    postgresql.execute(f"ALTER SYSTEM SET {name} = {value}")
    postgresql.execute("SELECT pg_reload_conf()")
    postgresql.wait_for_setting(name, value)
    try:
        yield
    finally:
        postgresql.execute(f"ALTER SYSTEM RESET {name}")
        postgresql.execute("SELECT pg_reload_conf()")
        postgresql.wait_for_setting(name, "on")


def refusal(url):
    with pytest.raises(DatabaseUnusable) as caught:
        open_store(url)
    message = str(caught.value)
    assert "\n" not in message
    assert str(make_url(url).password) not in message
    return message


def test_migrated_schema_is_that_of_the_program(postgresql, url):
    fresh = postgresql.new_database()
    for database in (fresh, url):
        engine = create_engine(make_url(database).set(drivername="postgresql+psycopg"))
        with engine.begin() as connection:
            if database == fresh:
                metadata.create_all(connection)
                connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
            assert differences(connection) == []
        engine.dispose()
    for query in _CATALOG.values():
        migrated = sorted(postgresql.execute(query, url=url), key=str)
        assert migrated == sorted(postgresql.execute(query, url=fresh), key=str)
        assert migrated


def test_database_without_tables_is_refused_until_it_is_upgraded(postgresql):
    url = postgresql.new_database()
    message = refusal(url)
    assert message.startswith(f"database postgresql://127.0.0.1:{postgresql.port}/test_")
    assert message.endswith("run `seriesgate db upgrade` first")
    upgrade_database(url)
    upgrade_database(url)
    run(open_store(url).close())


def test_upgrade_command(postgresql):
    url = postgresql.new_database()
    runner = CliRunner()
    for _ in range(2):
        done = runner.invoke(app, ["db", "upgrade", "--database-url", url])
        assert (done.exit_code, done.output) == (0, "the database is up to date\n")
    run(open_store(url).close())
    failed = runner.invoke(app, ["db", "upgrade", "--database-url", url + "_missing"])
    assert failed.exit_code == 1
    assert "does not exist" in failed.output
    assert len(failed.output.splitlines()) == 1


def test_database_of_a_newer_program_is_refused(postgresql):
    url = postgresql.new_database()
    upgrade_database(url)
    postgresql.execute("UPDATE alembic_version SET version_num = '9999'", url=url)
    assert "newer version" in refusal(url)
    with pytest.raises(DatabaseUnusable, match="newer version"):
        upgrade_database(url)


def test_server_is_not_ready_while_the_schema_is_another(postgresql, store, url):
    run(store.check())
    (head,) = postgresql.execute("SELECT version_num FROM alembic_version", url=url)[0]
    postgresql.execute("UPDATE alembic_version SET version_num = '9999'", url=url)
    with pytest.raises(StoreUnavailable, match="schema of another version"):
        run(store.check())
    postgresql.execute(f"UPDATE alembic_version SET version_num = '{head}'", url=url)
    run(store.check())


def test_two_upgrades_at_once_make_one_schema(postgresql):
    """The second waits for the first: without the lock both would make the tables."""
    url = postgresql.new_database()

    async def together():
        await gather(*(to_thread(upgrade_database, url) for _ in range(4)))

    run(together())
    run(open_store(url).close())


def test_nobody_answers(postgresql):
    unused = make_url(postgresql.url("x")).set(port=1).render_as_string(hide_password=False)
    assert "connection" in refusal(unused)


def test_wrong_password_and_unknown_database(postgresql):
    wrong = make_url(postgresql.url("postgres")).set(password="hunter2")
    assert "password authentication failed" in refusal(wrong.render_as_string(hide_password=False))
    assert "does not exist" in refusal(postgresql.url("missing"))


def test_unknown_parameter_of_the_url(postgresql):
    assert "invalid" in refusal(postgresql.url("postgres") + "?colour=red")


def test_database_that_can_not_hold_every_name_is_refused(postgresql):
    url = postgresql.new_database("ENCODING LATIN1 LOCALE_PROVIDER libc LOCALE 'C'")
    assert "server_encoding is LATIN1" in refusal(url)


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_database_server_that_can_lose_commits_is_refused(postgresql, url, name):
    with setting(postgresql, name, "off"):
        message = refusal(url)
    assert f"{name} is off" in message
    assert "power loss" in message
    run(open_store(url).close())


def test_commits_wait_for_the_disk_whatever_the_default_is(postgresql, url):
    with setting(postgresql, "synchronous_commit", "off"):
        engine = postgresql_engine(make_url(url), connections=1)
        with engine.connect() as connection:
            assert connection.scalar(text("SHOW synchronous_commit")) == "on"
        engine.dispose()


def test_more_durable_setting_of_the_site_is_left_alone(postgresql, url):
    with setting(postgresql, "synchronous_commit", "remote_apply"):
        engine = postgresql_engine(make_url(url), connections=1)
        with engine.connect() as connection:
            assert connection.scalar(text("SHOW synchronous_commit")) == "remote_apply"
        engine.dispose()


def test_restart_of_the_database_is_noticed_by_nobody_who_comes_after_it(postgresql, store):
    assert run(store.register(report())).outcome is Outcome.CREATED
    run(gather_reads(store))
    postgresql.stop("immediate")
    postgresql.start()
    assert run(store.register(report())).outcome is Outcome.UNCHANGED
    run(gather_reads(store))


async def gather_reads(store):
    await gather(*(store.get("1.2") for _ in range(20)))


def test_database_that_is_down_is_unavailable_and_comes_back(postgresql, store, caplog):
    caplog.set_level(logging.INFO, "seriesgate.server")
    run(store.check())
    postgresql.stop()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            run(store.register(report()))
        with pytest.raises(StoreUnavailable):
            run(store.check())
    postgresql.start()
    run(store.check())
    assert run(store.register(report())).outcome is Outcome.CREATED
    trouble, end = (record.getMessage() for record in caplog.records)
    assert trouble.startswith("the database can't be used: ")
    assert "\n" not in trouble
    assert end == "the database can be used again"


def test_two_servers_register_the_same_series_at_once(url):
    """Each finds it new; one right row is left, and all are answered."""
    stores = [open_store(url) for _ in range(3)]

    async def scenario():
        reports = [
            report(SeriesInstanceUID=f"1.{number % 20}", InstancesInSeries=number + 1)
            for number in range(1000)
        ]
        return await gather(
            *(stores[number % 3].register(each) for number, each in enumerate(reports))
        )

    answers = run(scenario())
    assert [answer.outcome for answer in answers].count(Outcome.CREATED) == 20
    page = run(stores[0].page(SeriesFilter(), limit=100))
    assert {row.SeriesInstanceUID: row.InstancesInSeries for row in page.series} == {
        f"1.{number}": 981 + number for number in range(20)
    }
    for store in stores:
        run(store.close())


def test_reading_waits_for_no_one_who_writes(store, url):
    run(store.register(report()))
    with psycopg.connect(url) as other:
        other.execute(sql.SQL("UPDATE series_data SET \"Modality\" = 'CT'"))
        assert run(store.get("1.2")).Modality == ""
        other.rollback()


def test_statements_have_limits(url):
    engine = postgresql_engine(make_url(url), connections=1)
    with engine.connect() as connection:
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            assert connection.scalar(text(f"SHOW {name}")) not in {"0", None}
        assert connection.scalar(text("SHOW TimeZone")) == "UTC"
    engine.dispose()


def test_store_that_is_closed_leaves_no_connection(postgresql, url):
    store = open_store(url)
    run(gather_reads(store))
    run(store.close())
    postgresql.wait_until_left(url)
