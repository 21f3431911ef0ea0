"""What tests of several folders need, and which is dear to make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.postgresql import PostgresqlServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A running PostgreSQL server. A test that stops it starts it again."""
    server = PostgresqlServer()
    try:
        yield server
    finally:
        server.close()
