"""A browser, and a server with a busy hour, for the tests of a module."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tests.e2e.browser.chromium import running_chromium
from tests.e2e.browser.sample_series import busy_hour, fill, noteworthy_series
from tests.integration.running_server import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page
    from tests.integration.running_server import RunningServer


# Not of the session: as long as Playwright is there, no other test has an event loop.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server where an hour's series have come."""
    path = tmp_path_factory.mktemp("hospital") / "series_data.db"
    now = datetime.now(UTC)
    fill(path, [*busy_hour(now), *noteworthy_series(now)])
    with running_server(f"sqlite:///{path}") as server:
        yield server


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh page. What goes wrong in it fails the test."""
    context = chromium.new_context(
        locale="en-GB", reduced_motion="reduce", viewport={"width": 1280, "height": 800}
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if _is_wrong(line.text) else None)
    yield page
    context.close()
    assert errors == []


def _is_wrong(text: str) -> bool:
    return "Content Security Policy" in text or "Trusted" in text
