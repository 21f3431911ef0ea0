"""What tests of several folders need and is dear to make, and in which order all of them run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.postgresql import PostgresqlServer

if TYPE_CHECKING:
    from collections.abc import Iterator

# Those whose files take longest come first, so that none of them is left over for the end, when
# the other workers have nothing to do any more.
_ORDER = ("e2e", "crash", "integration", "contract", "docs", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in order, folder by folder."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    folder = item.nodeid.removeprefix("tests/").partition("/")[0]
    return _ORDER.index(folder) if folder in _ORDER else len(_ORDER)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Start more workers than there are processors: about half of the time, a test waits."""
    return len(os.sched_getaffinity(0)) + 2


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A running PostgreSQL server. A test that stops it starts it again."""
    server = PostgresqlServer()
    try:
        yield server
    finally:
        server.close()
