"""The page of the gateways: who is well, who is quiet, and a dead letter that is retried."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect
from tests.e2e.browser.test_pages import AXE, violations
from tests.integration.running_server import running_server
from tests.unit.server.examples import heartbeat

LETTER = "a" * 32


@pytest.fixture
def server(tmp_path):
    with running_server(f"sqlite:///{tmp_path}/series_data.db") as server:
        yield server


def beat(server, name, *letters, **others):
    body = heartbeat(*letters, since=datetime.now(UTC), **others).model_dump_json()
    url = f"/gateways/{name}/heartbeat"
    headers = {"Content-Type": "application/json"}
    server.client.post(url, content=body, headers=headers).raise_for_status()


def test_gateways_are_told_apart_and_keep_nobody_out(server, page):
    page.add_init_script(AXE)
    page.goto(f"{server.url}/#/gateways")
    expect(page.get_by_text("No gateway has reported yet")).to_be_visible()
    beat(server, "well")
    beat(server, "gone", PeriodSeconds=0.001)
    beat(server, "a%2Fb", LETTER)
    page.goto(server.url)
    expect(page.locator(".gateways-line")).to_have_text("1 gateway quiet, 1 dead letter")
    expect(page.locator(".answer")).to_have_attribute("data-state", "bad")
    page.locator(".gateways-line").click()
    for name, health in {"well": "All is well", "gone": "Quiet", "a/b": "Dead letters"}.items():
        expect(page.locator(f"[data-gateway='{name}'] .health")).to_have_text(health)
    cards = page.locator(".gateway").evaluate_all("all => all.map(one => one.dataset.gateway)")
    assert cards == ["gone", "a/b", "well"]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    retry = page.get_by_role("button", name="Retry: series 1.2")
    retry.focus()
    page.keyboard.press("Enter")
    asked = page.get_by_role("button", name="Retry asked for")
    expect(asked).to_be_focused()
