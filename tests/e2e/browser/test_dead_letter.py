"""The whole way of a dead letter: refused, seen by itself, retried with one click, delivered."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from time import monotonic

import httpx
from playwright.sync_api import expect
from tests.data_sets import mr_instance, write_file
from tests.e2e.processes import PATIENCE, run, running_seriesgate, seriesgate_command
from tests.unit.server.examples import FIVE_FIELDS

#: Longer than the page waits between two looks at the gateways, in milliseconds.
A_LOOK = 11_000
SETTINGS = """
[gateway]
gateway_name = "ward-3"
heartbeat_period = 0.2
"""


def test_refused_series_is_seen_retried_and_delivered(tmp_path, page):
    (tmp_path / "seriesgate.toml").write_text(SETTINGS)
    uid = FIVE_FIELDS["SeriesInstanceUID"]
    sent = [mr_instance(f"1.1.{number}", uid, number=number) for number in (1, 2)]
    files = [write_file(tmp_path / f"{one.InstanceNumber}.dcm", one) for one in sent]
    with running_seriesgate(tmp_path, quiet_period=0.1) as gate:
        page.clock.install()
        page.goto(f"{gate.url}/#/gateways")
        card = page.locator("[data-gateway='ward-3']")
        wait_for_letters(gate, 0)
        page.clock.fast_forward(A_LOOK)
        expect(card.locator(".health")).to_have_text("All is well")

        wrong = FIVE_FIELDS | {"StudyInstanceUID": "1.2.9", "InstancesInSeries": 1}
        httpx.post(f"{gate.url}/series", json=wrong).raise_for_status()
        run(*seriesgate_command(), "send", *files, f"--to=127.0.0.1:{gate.scp_port}", cwd=tmp_path)
        wait_for_letters(gate, 1)
        page.clock.fast_forward(A_LOOK)
        expect(card.locator(".health")).to_have_text("Dead letters")
        letter = card.locator(".letters li")
        expect(letter).to_contain_text("409 Conflict: it does not accept StudyInstanceUID")

        # What the administrator finds out: the row that was there was the wrong one.
        with closing(sqlite3.connect(tmp_path / "series_data.db")) as database, database:
            database.execute(
                "UPDATE series_data SET StudyInstanceUID = ?", (sent[0].StudyInstanceUID,)
            )
        letter.get_by_role("button", name=f"Retry: series {uid}").click()
        gate.wait_for_deliveries(1)
        wait_for_letters(gate, 0)
        page.clock.fast_forward(A_LOOK)
        expect(card.locator(".health")).to_have_text("All is well")
        expect(card.locator(".letters")).to_have_count(0)
        page.goto(gate.url)
        row = page.locator(f"tr[data-uid='{uid}']")
        expect(row.locator(".cell-gateway")).to_have_text("ward-3")
        expect(row.locator(".cell-instances")).to_have_text("2")


def wait_for_letters(gate, count):
    """Wait until the gateway has told the server that it has so many dead letters."""
    end = monotonic() + PATIENCE
    while httpx.get(f"{gate.url}/gateways/ward-3").json().get("DeadLetters") != count:
        assert monotonic() < end
