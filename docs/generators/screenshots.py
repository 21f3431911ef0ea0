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

Pages = dict[str, tuple[str, tuple[str, ...]]]

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
_LIVE = ".live[data-state=live]"
_LIST = (_LIVE, ".totals dd")
#: The address of each page, and what is on it once it is ready.
PAGES: Pages = {
    "series": ("", ("tr[data-uid]", *_LIST)),
    "filters": ("?text=doe&Modality=MR", (".chip", *_LIST)),
    "nothing-found": ("?PatientID=TEST-9999", (".empty", *_LIST)),
    "one-series": (f"series/{NOTEWORTHY}", (".history", _LIVE)),
    "charts": ("charts", (".chart .bar", _LIVE)),
    "gateways": ("gateways", (".gateway", _LIVE)),
}
LOGIN: Pages = {"login": ("", ("#token",))}
TOKEN = {"name": "reading-room", "token": "nobody-ever-types-this-one", "scopes": ["read"]}
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
        url = f"sqlite:///{database}"
        with running_chromium() as browser:
            for pages, tokens in ((PAGES, []), (LOGIN, [TOKEN])):
                with running_server(url, tokens=tokens) as server:
                    for look in LOOKS:
                        _take(browser, server.url, look, pages)


def _take(browser: Browser, url: str, look: Look, pages: Pages) -> None:
    context = browser.new_context(
        viewport={"width": look.width, "height": look.height},
        color_scheme=look.theme,
        locale="en-GB",
        reduced_motion="reduce",
    )
    for name, (address, ready) in pages.items():
        page = context.new_page()
        page.goto(f"{url}/#/{address}")
        for each in ready:
            page.locator(each).first.wait_for()
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
