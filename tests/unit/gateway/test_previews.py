"""The queue of pictures: bounded, best effort, and gone with what it was for."""

from __future__ import annotations

import asyncio
import re
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.examples import AT, IDENTITY, collected, summary
from tests.fakes import FakeClock

from seriesgate.adapters.preview.hard_link_shelf import HardLinkShelf
from seriesgate.adapters.preview.worker_process import PreviewWorker
from seriesgate.gateway import previews
from seriesgate.gateway.bulkhead import Bulkheads
from seriesgate.gateway.ports import NoPreview
from seriesgate.gateway.previews import PreviewQueue
from seriesgate.gateway.totals import GatewayTotals
from seriesgate.series.model import Identity
from seriesgate.series.revision import KnownSeries, next_revision

STRANGER = Identity("9.9", b"B/9")


class Site:
    """A queue between a folder of instances and a renderer that takes the names for pictures."""

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "spool"
        self.spool.mkdir()
        self.kept = folder / "previews"
        self.sent: list[tuple[str, bytes]] = []
        self.rests = 0
        self.refuse = False
        self.done = asyncio.Event()
        self.totals = GatewayTotals()
        site: Any = self
        offload: Any = self.call
        self.queue = PreviewQueue(
            site,
            HardLinkShelf(self.kept),
            site,
            site,
            site,
            offload,
            offload,
            self.totals,
            Bulkheads(FakeClock()),
        )

    async def call(self, function, *args):
        return function(*args)

    def path_of(self, _uid, copy):
        return self.spool / copy.sop_instance_uid

    async def render(self, path):
        if self.refuse:
            self.done.set()
            raise NoPreview("it is no image")
        return path.read_bytes()

    async def rest(self):
        self.rests += 1

    async def publish_preview(self, uid, picture):
        self.sent.append((uid, picture))
        self.done.set()

    def monotonic(self):
        return 0.0

    async def wait(self, event, _until):
        await event.wait()

    async def close(self, uid, numbers, *, known=0, size=10, identity=IDENTITY):
        """Close a series of instances that are named by series and number, then release them."""
        instances = {f"{uid}.{n}": summary(size, n, identity=identity) for n in numbers}
        for name in instances:
            (self.spool / name).write_text(name)
        known_before = {f"old{n}": summary() for n in range(known)}
        came = collected(series=uid, instances=known_before)
        before = next_revision(None, came, AT)
        now = collected(series=uid, instances=instances)
        made = next_revision(None if before is None else KnownSeries(before.summary), now, AT)
        assert made is not None
        await self.queue.keep([(now, made)])
        for name in instances:
            (self.spool / name).unlink()

    def counts(self):
        totals = self.totals
        return totals.previews_made, totals.previews_failed, totals.previews_dropped

    async def make(self):
        self.done.clear()
        task = asyncio.create_task(self.queue.run())
        await self.done.wait()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_middle_instance_is_shown_after_the_delivery_and_outlives_its_release(tmp_path):
    async def scenario():
        site = Site(tmp_path)
        await site.close("1", [7, 1, 5, 2, 3])
        assert len(list(site.kept.iterdir())) == 1
        site.queue.delivered("1")
        site.queue.delivered("unknown")
        await site.make()
        assert site.sent == [("1", b"1.3")]
        assert list(site.kept.iterdir()) == []
        assert site.rests == 1
        assert site.counts() == (1, 0, 0)

    asyncio.run(scenario())


def test_picture_is_of_the_patient_that_the_series_is_shown_with(tmp_path):
    """Some instances of another patient came first, and are in the middle."""

    async def scenario():
        site = Site(tmp_path)
        names = {
            f"{n}": summary(10, n, identity=STRANGER if n in {4, 5} else IDENTITY)
            for n in range(1, 8)
        }
        for name in names:
            (site.spool / name).write_text(name)
        came = collected(series="1", instances=names)
        made = next_revision(None, came, AT)
        assert made is not None
        await site.queue.keep([(came, made)])
        site.queue.delivered("1")
        await site.make()
        assert site.sent == [("1", b"3")]

    asyncio.run(scenario())


def test_series_without_a_picture_leaves_nothing(tmp_path):
    async def scenario():
        site = Site(tmp_path)
        site.refuse = True
        await site.close("1", [1])
        site.queue.delivered("1")
        await site.make()
        assert (site.sent, list(site.kept.iterdir())) == ([], [])
        assert site.counts() == (0, 1, 0)

    asyncio.run(scenario())


def test_oldest_are_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(previews, "MAX_KEPT", 2)
    monkeypatch.setattr(previews, "MAX_KEPT_BYTES", 100)

    async def scenario():
        site = Site(tmp_path)
        for uid in "123":
            await site.close(uid, [1])
            site.queue.delivered(uid)
        assert sorted(path.read_text() for path in site.kept.iterdir()) == ["2.1", "3.1"]
        await site.close("4", [1], size=95)
        assert [path.read_text() for path in site.kept.iterdir()] == ["4.1"]
        await site.close("5", [1], size=101)
        assert [path.read_text() for path in site.kept.iterdir()] == ["4.1"]
        assert site.counts() == (0, 0, 3)

    asyncio.run(scenario())


def test_few_late_instances_are_no_new_picture(tmp_path):
    async def scenario():
        site = Site(tmp_path)
        await site.close("1", [9], known=5)
        assert list(site.kept.iterdir()) == []

    asyncio.run(scenario())


def test_folder_is_emptied_at_start(tmp_path):
    (tmp_path / "left").write_text("of an earlier run")
    HardLinkShelf(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import time; time.sleep(600)", "more than"),
        ("import os; os.abort()", "ended"),
        ("print('x' * 5)", "ended"),
    ],
)
def test_worker_that_hangs_dies_or_babbles_is_a_refusal_and_is_ended(tmp_path, script, reason):
    async def scenario():
        worker = PreviewWorker(0.5, (sys.executable, "-S", "-c", script))
        with pytest.raises(NoPreview, match=reason):
            await worker.render(tmp_path / "instance")
        assert worker._process is None

    asyncio.run(scenario())


def test_real_worker_makes_and_refuses_and_goes_on(tmp_path):
    from tests.unit.adapters.preview.test_picture import image, written

    async def scenario():
        picture, garbage = tmp_path / "picture", tmp_path / "garbage"
        picture.write_bytes(written(image()))
        garbage.write_bytes(b"garbage")
        picture.chmod(stat.S_IRUSR)
        worker = PreviewWorker(60)
        try:
            with pytest.raises(NoPreview, match="no image"):
                await worker.render(garbage)
            assert (await worker.render(picture)).startswith(b"\x89PNG")
        finally:
            await worker.rest()

    asyncio.run(scenario())


def test_hostile_codestreams_take_the_real_worker_neither_memory_nor_time(tmp_path):
    from tests.unit.adapters.preview.test_picture import HOSTILE, image, written

    def most_memory(worker):
        assert worker._process is not None
        status = Path(f"/proc/{worker._process.pid}/status").read_text()
        return 1024 * int(re.findall(r"VmPeak:\s+(\d+)", status)[0])

    async def scenario():
        path = tmp_path / "instance"
        path.write_bytes(written(image()))
        worker = PreviewWorker(60)
        try:
            await worker.render(path)
            before, process = most_memory(worker), worker._process
            worker._time_limit = 5
            for syntax, data, values, _ in HOSTILE:
                path.write_bytes(written(image(syntax=syntax, data=data, **values)))
                with pytest.raises(NoPreview, match="its "):
                    await worker.render(path)
            assert most_memory(worker) < before + 64 * 2**20
            assert worker._process is process
        finally:
            await worker.rest()

    asyncio.run(scenario())
