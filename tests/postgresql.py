"""A real PostgreSQL server for the tests: one for the whole run, on a free port."""

from __future__ import annotations

import itertools
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from seriesgate.server.sql.opening import upgrade_database
from tests.e2e.processes import PATIENCE, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

# Debian's packages keep the server's programs in a folder for each version.
_DEBIAN = Path("/usr/lib/postgresql")


def _program(name: str) -> str:
    found = shutil.which(name)
    versions = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if versions:
        return str(versions[-1])
    assert found, f"PostgreSQL's {name} is missing: make peers"
    return found


class PostgresqlServer:
    """A PostgreSQL server with a data folder of its own, and as many databases as tests want."""

    def __init__(self) -> None:
        # Not below pytest's folder, which other users may not enter: PostgreSQL refuses to run as
        # root, so then it runs as the user of its package.
        self._folder = Path(tempfile.mkdtemp(prefix="seriesgate-postgresql-"))
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        self._password = secrets.token_hex(8)
        self._data = self._folder / "data"
        self._numbers = itertools.count(1)
        self._emptied: list[str] = []
        self.port = free_port()
        self._initialise()
        self.start()

    def _initialise(self) -> None:
        password_file = self._folder / "password"
        password_file.write_text(self._password)
        if self._user is not None:
            shutil.chown(password_file, self._user)
        self._run(
            _program("initdb"),
            *("--pgdata", str(self._data), "--username=seriesgate", "--no-sync"),
            *("--auth=scram-sha-256", "--pwfile", str(password_file)),
            # The order of a language, as most sites have it: whatever depends on it shows.
            *("--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"),
        )
        settings = {
            "port": self.port,
            "listen_addresses": "'127.0.0.1'",
            "unix_socket_directories": f"'{self._folder}'",
            "max_connections": 200,
            "shared_buffers": "32MB",
        }
        with (self._data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(f"{name} = {value}\n" for name, value in settings.items())

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._control("start", "--log", str(self._folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `fast` is orderly, `immediate` like a crash."""
        self._control("stop", "--mode", mode)

    def close(self) -> None:
        """Stop the server and remove all it had."""
        self.stop("immediate")
        shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        """Return the URL of a database, as the settings take it."""
        return f"postgresql://seriesgate:{self._password}@127.0.0.1:{self.port}/{database}"

    def new_database(self, options: str = "") -> str:
        """Make a database without tables and return its URL."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        return self.url(name)

    def migrated_database(self) -> str:
        """Return the URL of a database with our tables, which are empty."""
        if self._emptied:
            return self._emptied.pop()
        url = self.new_database()
        upgrade_database(url)
        return url

    def give_back(self, url: str) -> None:
        """Empty a database that `migrated_database` gave, for the next who asks."""
        names = self.execute(
            "SELECT string_agg(quote_ident(tablename), ',') FROM pg_tables"
            " WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
            url=url,
        )
        self.execute(f"TRUNCATE {names[0][0]} RESTART IDENTITY", url=url)
        self.execute("INSERT INTO server_totals VALUES (1, 0, 0, 0, 0, 0)", url=url)
        self._emptied.append(url)

    def execute(self, statement: str, *, url: str | None = None) -> list[tuple[object, ...]]:
        """Run one statement on a database (by default, on none in particular)."""
        with closing(psycopg.connect(url or self.url("postgres"), autocommit=True)) as connection:
            cursor = connection.execute(sql.SQL(statement))
            return cursor.fetchall() if cursor.description else []

    def wait_for_setting(self, name: str, value: str) -> None:
        """Wait until new connections get a setting that was changed."""
        self._wait_until(lambda: self.execute(f"SHOW {name}") == [(value,)])

    def wait_until_left(self, url: str) -> None:
        """Wait until nobody is connected to a database."""
        name = url.rpartition("/")[2]
        query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
        self._wait_until(lambda: self.execute(query) == [(0,)])

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        # The server tells nobody, so it is asked, as often as a connection takes to be made.
        end = monotonic() + PATIENCE
        while not condition():
            assert monotonic() < end

    def _control(self, action: str, *options: str) -> None:
        self._run(_program("pg_ctl"), action, "--pgdata", str(self._data), "--wait", *options)

    def _run(self, *command: str) -> None:
        # Output to a file: the server keeps it open, and a pipe would never end.
        with (self._folder / "output").open("a+") as output:
            done = subprocess.run(
                command,
                check=False,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
            )
            output.seek(0)
            assert done.returncode == 0, f"{command} failed:\n{output.read()}"
