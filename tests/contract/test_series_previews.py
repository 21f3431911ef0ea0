"""What every SeriesStore promises of pictures."""

from __future__ import annotations

from asyncio import run

from tests.contract.test_series_store import ALL, store, stores
from tests.unit.server.examples import report

from seriesgate.server.registry.preview import PNG, WEBP, Preview

__all__ = ["store", "stores"]

FIRST = Preview(PNG, b"\x89PNG\x00first")
SECOND = Preview(WEBP, b"RIFF\x00second")


def test_picture_of_an_unknown_series_is_not_kept(store):
    assert run(store.put_preview("1.2", FIRST)) is False
    assert run(store.preview("1.2")) is None
    run(store.register(report()))
    assert run(store.preview("1.2")) is None
    assert run(store.get("1.2")).HasPreview is False


def test_latest_picture_is_kept_and_the_row_says_so(store):
    run(store.register(report()))
    run(store.register(report(SeriesInstanceUID="1.9")))
    for picture in (FIRST, SECOND):
        assert run(store.put_preview("1.2", picture)) is True
        assert run(store.preview("1.2")) == picture
    assert run(store.preview("1.9")) is None
    rows = run(store.page(ALL, limit=10)).series
    assert {row.SeriesInstanceUID: row.HasPreview for row in rows} == {"1.2": True, "1.9": False}
    changes = run(store.changes(0, limit=10))
    assert [change.series.HasPreview for change in changes] == [True, False]


def test_a_later_report_keeps_the_picture_and_a_picture_the_report(store):
    before = run(store.register(report(InstancesInSeries=4))).series
    run(store.put_preview("1.2", FIRST))
    assert run(store.get("1.2")) == before.model_copy(update={"HasPreview": True})
    registration = run(store.register(report(InstancesInSeries=5)))
    assert registration.series.HasPreview is True
    assert run(store.get("1.2")) == registration.series
    assert run(store.preview("1.2")) == FIRST
