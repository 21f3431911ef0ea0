"""The stream of series: it grows by itself, is found through, and never gets slow."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import count

import pytest
from playwright.sync_api import expect
from tests.e2e.browser.sample_series import crowd, fill, one_of_many
from tests.e2e.processes import run, running_seriesgate, seriesgate_command
from tests.integration.running_server import running_server

MANY = 10_000
PAGE = 100
_numbers = count(1)


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    """A real gateway and its server, which has ten thousand series already."""
    folder = tmp_path_factory.mktemp("gate")
    fill(folder / "series_data.db", crowd(MANY, datetime.now(UTC)))
    with running_seriesgate(folder, quiet_period=0.1) as running:
        yield running


@pytest.fixture
def report(hospital):
    """Registers a series of this test alone, and gives what it says."""

    def register(**fields):
        number = next(_numbers)
        known = {"SeriesInstanceUID": f"1.2.3.{number}", "StudyInstanceUID": f"1.2.4.{number}"}
        hospital.register(**(known | {"Modality": "OT"} | fields))
        return fields

    return register


def rows(page):
    return page.locator("tr[data-uid]")


def is_live(page):
    expect(page.locator(".live")).to_have_text("Live")


def test_sent_series_appears_by_itself(gate, page):
    page.goto(f"{gate.url}/#/?Modality=MR&text=phantom")
    is_live(page)
    expect(page.get_by_text("No series match")).to_be_visible()
    page.goto(gate.url)
    is_live(page)
    expect(rows(page)).to_have_count(PAGE)
    command = (*seriesgate_command(), "send", "--synthetic", "2x3", "--to")
    run(*command, f"127.0.0.1:{gate.scp_port}", cwd=gate.folder)
    first = rows(page).nth(0)
    expect(first.locator(".cell-gateway")).not_to_have_text("radiology-1")
    expect(first.locator(".cell-instances")).to_have_text("3")
    expect(rows(page).nth(1).locator(".cell-instances")).to_have_text("3")
    expect(rows(page)).to_have_count(PAGE)
    expect(page.locator("#announcer")).to_contain_text("series came in")
    first.get_by_role("link").click()
    expect(page.locator(".timeline .since")).to_have_count(3)
    expect(page.locator(".timeline")).to_contain_text("Delivered, registered")


def test_ten_thousand_series_are_a_page_at_a_time(gate, page):
    page.goto(gate.url)
    expect(rows(page)).to_have_count(PAGE)
    pages = [uids(page)]
    for _ in range(2):
        page.get_by_role("link", name="Older").click()
        expect(rows(page).nth(0)).not_to_have_attribute("data-uid", pages[-1][0])
        pages.append(uids(page))
        assert page.evaluate("document.querySelectorAll('*').length") < 4000
    assert len({uid for each in pages for uid in each}) == 3 * PAGE
    page.go_back()
    expect(rows(page).nth(0)).to_have_attribute("data-uid", pages[1][0])
    page.get_by_role("link", name="Newest").click()
    expect(page).to_have_url(re.compile(r"#/$"))
    expect(page.get_by_role("link", name="Newest")).to_have_count(0)
    expect(rows(page).nth(0)).to_have_attribute("data-uid", pages[0][0])


def uids(page):
    return rows(page).evaluate_all("rows => rows.map(row => row.dataset.uid)")


def test_flood_of_changes_leaves_a_page_of_rows(gate, page):
    """What a busy minute sends at once: taken in batches, and only the last of it is drawn."""
    page.goto(gate.url)
    is_live(page)
    expect(rows(page)).to_have_count(PAGE)
    longest = page.evaluate(
        """async (series) => {
            const { SeriesTable } = await import("/dashboard/stream/table.js");
            const { meets } = await import("/dashboard/stream/conditions.js");
            const table = new SeriesTable();
            const all = Array.from({ length: 10000 }, (_, n) => ({
                ...series, SeriesInstanceUID: `1.${n}`,
            }));
            const wanted = new URLSearchParams({ text: "crowd" });
            const begin = performance.now();
            table.prepend(all.filter((each) => meets(each, wanted)));
            return { took: performance.now() - begin, rows: table.size,
                     first: table.element.querySelector("tbody tr").dataset.uid };
        }""",
        page.evaluate("async () => (await (await fetch('/series?limit=1')).json()).series[0]")
        | {"PatientName": "CROWD^1"},
    )
    assert (longest["rows"], longest["first"]) == (PAGE, "1.9999")
    assert longest["took"] < 1000


def test_deleted_series_leaves_the_list_and_its_own_page(hospital, page, report):
    for uid in ("1.2.8", "1.2.9"):
        report(SeriesInstanceUID=uid, PatientID="DELETED", PatientName="DELETED^NAME")
    page.goto(f"{hospital.url}/#/?PatientID=DELETED")
    is_live(page)
    expect(rows(page)).to_have_count(2)
    hospital.client.delete("/series/1.2.9")
    expect(rows(page)).to_have_count(1)
    assert uids(page) == ["1.2.8"]
    hospital.client.delete("/series/1.2.8")
    expect(page.get_by_text("No series match")).to_be_visible()
    report(SeriesInstanceUID="1.2.7", PatientID="DELETED", PatientName="DELETED^NAME")
    page.goto(f"{hospital.url}/#/series/1.2.7")
    expect(page.get_by_role("heading", level=1)).to_have_text("DELETED, NAME")
    is_live(page)
    hospital.client.delete("/patients/DELETED")
    expect(page.get_by_text("No such series")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Series")


def test_change_replaces_the_row_of_its_series(hospital, page, report):
    report(SeriesInstanceUID="1.2.5", StudyInstanceUID="1.2.6", PatientID="CHANGE")
    page.goto(f"{hospital.url}/#/?PatientID=CHANGE")
    is_live(page)
    expect(rows(page).locator(".cell-instances")).to_have_text("10")
    report(
        SeriesInstanceUID="1.2.5",
        StudyInstanceUID="1.2.6",
        PatientID="CHANGE",
        InstancesInSeries=1234,
        Revision=2,
        AddedInstances=1224,
        MissingInstanceNumbers=[3, 4],
        ConflictingInstances=["1.9"],
        DamagedInstances=["1.10"],
        InconsistentAttributes=["PatientID"],
        InconsistentInstances=["1.8", "1.7"],
        InconsistentInstanceCount=2,
    )
    expect(rows(page).locator(".cell-instances")).to_have_text("1,234")
    expect(rows(page).locator(".flag")).to_have_text(
        ["1 damaged", "1 conflicting", "2 inconsistent", "2 missing", "1,224 late"]
    )


def test_rows_do_not_move_under_who_reads_further_down(hospital, page, report):
    page.goto(hospital.url)
    is_live(page)
    expect(rows(page)).to_have_count(PAGE)
    page.mouse.wheel(0, 2000)
    page.wait_for_function("window.scrollY > 1000")
    uid = rows(page).nth(0).get_attribute("data-uid")
    report(PatientID="LATER")
    news = page.get_by_role("button", name="1 new series")
    expect(news).to_be_visible()
    expect(rows(page).nth(0)).to_have_attribute("data-uid", uid)
    news.click()
    expect(rows(page).nth(0)).to_contain_text("LATER")


def test_filters_live_in_the_url(hospital, page, report):
    report(PatientID="FILTER-1", PatientName="FILTER^ONE", Modality="XA", Gateway="ward-9")
    report(PatientID="FILTER-2", PatientName="FILTER^TWO", Modality="OT", Gateway="ward-9")
    page.goto(hospital.url)
    page.get_by_role("searchbox", name="Search series").fill("filter")
    expect(rows(page)).to_have_count(2)
    expect(page).to_have_url(re.compile(r"#/\?text=filter$"))
    page.get_by_text("Filters", exact=True).click()
    modality = page.get_by_label("Modality", exact=True)
    modality.fill("xa")
    modality.press("Enter")
    expect(rows(page)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"text=filter&Modality=XA$"))
    page.reload()
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("searchbox")).to_have_value("filter")
    report(PatientID="FILTER-3", PatientName="FILTER^THREE", Modality="XA")
    report(PatientID="FILTER-4", PatientName="FILTER^FOUR", Modality="MR")
    expect(rows(page)).to_have_count(2)
    expect(rows(page).nth(0)).to_contain_text("FILTER, THREE")
    page.get_by_role("button", name=re.compile("Modality XA")).click()
    expect(rows(page)).to_have_count(4)
    page.go_back()
    expect(rows(page)).to_have_count(2)


def test_filter_by_time_study_patient_and_gateway(hospital, page, report):
    report(PatientID="WHERE", Gateway="ward-7", StudyInstanceUID="1.2.77")
    for condition in ("Gateway=ward-7", "StudyInstanceUID=1.2.77", "PatientID=WHERE"):
        page.goto(f"{hospital.url}/#/?{condition}&received_from=2020-01-01T00:00:00Z")
        expect(rows(page)).to_have_count(1)
        page.goto(f"{hospital.url}/#/?{condition}&received_before=2020-01-01T00:00:00Z")
        expect(page.get_by_text("No series match")).to_be_visible()
    page.get_by_role("link", name="Show all series").click()
    expect(rows(page)).to_have_count(PAGE)


NAMES = {
    "Yamada^Hanako=山田^花子=やまだ^はなこ": ("Yamada, Hanako 山田 花子 やまだ はなこ", "ltr"),
    "قباني^سلمى": ("قباني سلمى", "rtl"),
    "בדיקה^דנה": ("בדיקה דנה", "rtl"),
    "קבאני " * 40: ("קבאני " * 40, "rtl"),
    "\u202eevil^name": ("\u202eevil, name", "ltr"),
    "<b>bold</b><script>": ("<b>bold</b><script>", "ltr"),
    "A" * 900: ("A" * 900, "ltr"),
    "": ("No name", None),
}


#: What does not fit is cut off at its end, whichever side that is.
BEGINS_IN_SIGHT = """(name) => {
    const [own, link] = [name, name.closest("a")].map((each) => each.getBoundingClientRect());
    return getComputedStyle(name).direction === "rtl"
        ? own.right <= link.right + 1
        : own.left >= link.left - 1;
}"""


def test_names_of_all_scripts_stay_in_their_place(hospital, page, report):
    for name in NAMES:
        report(PatientName=name, PatientID="NAMES")
    page.goto(f"{hospital.url}/#/?PatientID=NAMES")
    is_live(page)
    expect(rows(page)).to_have_count(len(NAMES))
    for position, (shown, direction) in enumerate(reversed(NAMES.values())):
        row = rows(page).nth(position)
        expect(row.get_by_role("link")).to_have_text(shown)
        if direction is not None:
            first = row.get_by_role("link").locator("bdi").nth(0)
            assert first.evaluate("each => getComputedStyle(each).direction") == direction
            assert first.evaluate(BEGINS_IN_SIGHT)
        cell = row.locator(".cell-patient").bounding_box()
        other = row.locator(".cell-modality").bounding_box()
        assert cell["x"] + cell["width"] <= other["x"] + 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_stream_goes_on_where_it_broke_off(hospital, page, report):
    page.goto(f"{hospital.url}/#/?PatientID=BREAK")
    is_live(page)
    report(PatientID="BREAK")
    expect(rows(page)).to_have_count(1)
    page.context.set_offline(True)  # an open stream goes on; the page comes back anyhow
    report(PatientID="BREAK")
    page.context.set_offline(False)
    expect(rows(page)).to_have_count(2)


def test_first_start_says_what_to_do(page, tmp_path):
    with running_server(f"sqlite:///{tmp_path}/series_data.db") as server:
        page.goto(server.url)
        expect(page.get_by_role("heading", name="No series yet")).to_be_visible()
        expect(page.get_by_text("seriesgate send --synthetic 5x100")).to_be_visible()
        is_live(page)
        server.client.post("/series", json=one_of_many(1)).raise_for_status()
        expect(rows(page)).to_have_count(1)


def test_picture_of_a_sent_series_appears_by_itself(tmp_path, page):
    with running_seriesgate(tmp_path, quiet_period=0.1, previews=True) as gate:
        page.goto(gate.url)
        is_live(page)
        command = (*seriesgate_command(), "send", "--synthetic", "1x3", "--to")
        run(*command, f"127.0.0.1:{gate.scp_port}", cwd=tmp_path)
        expect(rows(page)).to_have_count(1)
        image = page.locator(".preview.has-image img")
        expect(image).to_be_visible(timeout=30_000)
        assert image.evaluate("image => image.naturalWidth") > 0
        asked = []
        page.on("response", lambda answer: asked.append((answer.status, answer.url)))
        page.reload()
        expect(image).to_be_visible()
        assert [status for status, url in asked if url.endswith("/preview")] in ([200], [304])
