"""One series, charts, logging in, and whether everyone can use the pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.e2e.browser.sample_series import NOTEWORTHY, one_of_many
from tests.integration.running_server import running_server

AXE = (Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
TOKENS = {
    "reader": {"name": "reader", "token": "a-token-that-only-reads", "scopes": ["read"]},
    "writer": {"name": "writer", "token": "a-token-that-registers", "scopes": ["register"]},
    "admin": {"name": "admin", "token": "a-token-that-may-do-all", "scopes": ["admin"]},
}
#: The address of each page, and what is on it once it is ready.
PAGES = {
    "stream": ("?PatientID=TEST-0004&Modality=DX", "tr[data-uid]"),
    "nothing found": ("?PatientID=NOBODY", ".empty"),
    "one series": (f"series/{NOTEWORTHY}", ".history"),
    "no series": ("series/9.9", ".empty"),
    "charts": ("charts", ".chart .bar"),
    "no page": ("none/at/all", ".empty"),
}


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A server that asks for a token, and has one series."""
    path = tmp_path_factory.mktemp("closed") / "series_data.db"
    with running_server(f"sqlite:///{path}", tokens=list(TOKENS.values())) as server:
        headers = {"Authorization": f"Bearer {TOKENS['admin']['token']}"}
        server.client.headers.update(headers)
        server.client.post("/series", json=one_of_many(1)).raise_for_status()
        yield server


def log_in(page, token):
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()


def test_series_page_tells_the_whole_story(hospital, page):
    page.goto(f"{hospital.url}/#/series/{NOTEWORTHY}")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Yamada, Tarou 山田 太郎 やまだ たろう"
    )
    expect(page.get_by_role("heading", level=3)).to_have_text(["Revision 2", "Revision 1"])
    first = page.locator(".timeline").nth(1)
    expect(first.locator(".moment-name")).to_have_text(
        ["First instance", "Last instance", "Closed", "Delivered, registered"]
    )
    expect(first.locator(".since")).to_have_text(["8.40 s", "1.00 s", "27 ms"])
    expect(page.get_by_role("img", name="Missing: 17, 23–25, 90")).to_be_visible()
    expect(page.locator(".strip .hole")).to_have_count(3)
    expect(page.get_by_text("5 of about 189 numbers missing")).to_be_visible()
    expect(page.get_by_role("heading", name="Conflicting instances")).to_be_visible()
    page.get_by_role("link", name="TEST-0003").click()
    expect(page.locator("tr[data-uid]").nth(0)).to_contain_text("TEST-0003")


def test_instances_of_another_patient_are_named(hospital, page):
    uid, stray = "1.2.3.7777", "1.2.3.7777.66"
    strays = {"InconsistentInstances": [stray], "InconsistentInstanceCount": 1}
    hospital.register(SeriesInstanceUID=uid, InconsistentAttributes=["PatientID"], **strays)
    page.goto(f"{hospital.url}/#/series/{uid}")
    expect(page.get_by_role("heading", name="Inconsistent instances")).to_be_visible()
    expect(page.get_by_text(stray)).to_be_visible()
    expect(page.get_by_text("What most of them say is shown")).to_contain_text("1 instance of")


def test_long_words_are_broken_on_a_small_screen(hospital, page):
    uid = "1.2.3.9999"
    words = {"PatientName": "W" * 64, "PatientID": "I" * 64, "SeriesDescription": "D" * 64}
    words |= {"Gateway": "g" * 64, "SeriesInstanceUID": uid, "StudyInstanceUID": "1." * 31 + "9"}
    hospital.register(**words, MissingInstanceNumbers=[3], ConflictingInstances=["1." * 31 + "9"])
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{hospital.url}/#/series/{uid}")
    expect(page.locator(".history")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_charts_are_read_with_keys_and_as_a_table(hospital, page):
    page.goto(f"{hospital.url}/#/charts")
    chart = page.locator(".chart").nth(1)
    drawing = chart.get_by_role("img")
    expect(chart.locator(".bar").nth(0)).to_be_visible()
    drawing.focus()
    drawing.press("ArrowLeft")
    expect(chart.locator(".readout")).to_contain_text("a minute")
    chart.get_by_text("As a table").click()
    assert chart.locator("tbody tr").count() > 20
    page.get_by_role("link", name="Day").click()
    expect(page.get_by_role("link", name="Day")).to_have_attribute("aria-current", "true")
    expect(page).to_have_url(f"{hospital.url}/#/charts?window=day")


def test_token_opens_the_page_and_logging_out_closes_it(closed, page):
    page.goto(f"{closed.url}/#/?Modality=CT")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    expect(page.get_by_role("navigation")).to_have_count(0)
    log_in(page, "wrong")
    expect(page.get_by_role("alert")).to_contain_text("does not know this token")
    log_in(page, TOKENS["reader"]["token"])
    expect(page.locator("tr[data-uid]")).to_have_count(1)
    expect(page.locator(".live")).to_have_text("Live")
    expect(page.locator(".account-name")).to_have_text("reader")
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect(page.locator("tr[data-uid]")).to_have_count(1)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_token_that_may_not_read_is_told_so(closed, page):
    page.goto(closed.url)
    log_in(page, TOKENS["writer"]["token"])
    expect(page.locator(".list [role=alert]")).to_contain_text("this token does not allow: read")


def test_revoked_token_ends_what_is_open(closed, page):
    body = {"name": "guest", "scopes": ["read"]}
    token = closed.client.post("/tokens", json=body).raise_for_status().json()["token"]
    page.goto(closed.url)
    log_in(page, token)
    expect(page.locator("tr[data-uid]")).to_have_count(1)
    expect(page.locator(".live")).to_have_text("Live")
    closed.client.delete("/tokens/guest").raise_for_status()
    closed.client.post("/series", json=one_of_many(2)).raise_for_status()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_colours_are_chosen_and_kept(hospital, page):
    page.goto(hospital.url)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_label("Colours").select_option("dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    page.get_by_label("Colours").select_option("system")
    assert page.evaluate(ground) == light


def test_page_is_used_by_keys_alone(hospital, page):
    page.goto(hospital.url)
    expect(page.locator("tr[data-uid]").nth(0)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.locator("tr[data-uid] a").nth(0).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_each_page_keeps_nobody_out(hospital, closed, page):
    """By what axe-core says, in light and dark; and none is wider than a small screen."""
    page.add_init_script(AXE)
    ready = {f"{hospital.url}/#/{address}": ready for address, ready in PAGES.values()}
    for address, there in [*ready.items(), (closed.url, "#token")]:
        page.goto(address)
        expect(page.locator(there).nth(0)).to_be_visible()
        page.emulate_media(color_scheme="light")
        assert violations(page) == [], address
        page.emulate_media(color_scheme="dark")
        assert violations(page, "color-contrast") == [], f"{address}, dark"
        for width in (360, 768, 1280):
            page.set_viewport_size({"width": width, "height": 740})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


def violations(page, *rules):
    """What axe-core says by its rules, or by these, but for what is minor or moderate."""
    found = page.evaluate(
        """async (rules) => {
            const options = { resultTypes: ["violations"] };
            if (rules.length) {
                options.runOnly = rules;
            }
            return (await axe.run(document, options)).violations;
        }""",
        rules,
    )
    return [
        (each["id"], each["impact"], [node["html"][:120] for node in each["nodes"]][:3])
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]
