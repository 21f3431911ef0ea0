"""The pictures of the dashboard: each page, light and dark, on a desk and on a phone."""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PIL import Image
from tests.e2e.browser.chromium import running_chromium
from tests.e2e.browser.sample_gateways import gateway_records
from tests.e2e.browser.sample_pictures import pictures_of
from tests.e2e.browser.sample_series import NOTEWORTHY, busy_hour, fill, noteworthy_series
from tests.integration.running_server import running_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = Path(__file__).parents[1] / "images"


@dataclass(frozen=True)
class Look:
    """How a page is looked at; `name` is the end of the picture's name."""

    name: str
    theme: Literal["light", "dark"]
    width: int
    height: int


LOOKS = (
    Look("light", "light", 1440, 900),
    Look("dark", "dark", 1440, 900),
    Look("phone", "light", 390, 844),
)
#: The address of each page, and what is on it once it is ready.
PAGES = {
    "series": ("", "tr[data-uid]"),
    "filters": ("?text=doe&Modality=MR", ".chip"),
    "nothing-found": ("?PatientID=TEST-9999", ".empty"),
    "one-series": (f"series/{NOTEWORTHY}", ".history"),
    "charts": ("charts", ".chart .bar"),
    "gateways": ("gateways", ".gateway"),
}
#: Those further down are only loaded when they come near.
PICTURES_IN_VIEW = """() => Promise.all(
    [...document.images]
        .filter((each) => each.offsetParent && each.getBoundingClientRect().top < innerHeight)
        .map((each) => each.decode()),
)"""


def main() -> None:
    """Write the pictures to docs/images."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "series_data.db")
        now = datetime.now(UTC)
        reports = [*busy_hour(now), *noteworthy_series(now)]
        fill(database, reports, pictures=pictures_of(reports), known_gateways=gateway_records(now))
        with running_server(f"sqlite:///{database}") as server, running_chromium() as browser:
            for look in LOOKS:
                _take(browser, server.url, look)


def _take(browser: Browser, url: str, look: Look) -> None:
    context = browser.new_context(
        viewport={"width": look.width, "height": look.height},
        color_scheme=look.theme,
        locale="en-GB",
        reduced_motion="reduce",
    )
    for name, (address, ready) in PAGES.items():
        page = context.new_page()
        page.goto(f"{url}/#/{address}")
        page.locator(ready).first.wait_for()
        page.locator(".live[data-state=live]").wait_for()
        if address.partition("?")[0] == "":
            page.locator(".totals dd").first.wait_for()
        page.evaluate(PICTURES_IN_VIEW)
        _keep(page.screenshot(), IMAGES / f"dashboard-{name}-{look.name}.png")
        page.close()
    context.close()


def _keep(screenshot: bytes, path: Path) -> None:
    """Write a picture with 256 colours, a third of the size; rare colours stay what they are."""
    picture = Image.open(io.BytesIO(screenshot)).convert("RGB")
    of_all = Image.Quantize.MAXCOVERAGE
    reduced = picture.quantize(256, of_all, kmeans=3, dither=Image.Dither.NONE)
    reduced.save(path, optimize=True)


if __name__ == "__main__":
    main()
