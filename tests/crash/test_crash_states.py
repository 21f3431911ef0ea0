"""Power is lost at each operation; of what was not synced, any part may be left.

Before each operation of a day the disk is asked what of it could remain: names and contents that
were not synced are lost, kept, or torn. A gateway starts on each such remainder.
"""

from __future__ import annotations

import asyncio
import copy
import os
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.crash.recovery import check
from tests.crash.scenario import play
from tests.crash.simulated_disk import ProcessFiles
from tests.crash.site import SEGMENT_SIZE, Process, Site

from seriesgate.adapters.spool import incoming_file
from seriesgate.adapters.spool.file_spool import Durability

if TYPE_CHECKING:
    from tests.crash.simulated_disk import Image

#: There are more states than this when up to a hundred are taken at each operation; the order in
#: which files are removed is not always the same.
ALL_STATES = 7000
EXHAUSTIVE = os.environ.get("EXHAUSTIVE") == "1"


class Moment:
    """All that outlasts a loss of power at one operation, but for the disk."""

    def __init__(self, site: Site) -> None:
        self.journal = copy.deepcopy(site.journal)
        self.server = copy.deepcopy(site.server)
        self.ledger = copy.deepcopy(site.ledger)
        self.clock = (site.clock.now, site.clock.offset)

    def site_on(self, image: Image) -> Site:
        site = Site(image=image, journal=copy.deepcopy(self.journal))
        site.server = copy.deepcopy(self.server)
        site.ledger = copy.deepcopy(self.ledger)
        site.clock.now, site.clock.offset = self.clock
        return site


def crash_states(states_at_once: int) -> list[tuple[int, Moment, list[Image]]]:
    """Play a day, and return what may be left of the disk at each of its operations.

    What was left at the operation before as well is not returned again, unless a sender was told
    something meanwhile that makes it a loss.
    """
    site = Site()
    found: list[tuple[int, Moment, list[Image]]] = []
    random = Random(1)
    before: set[frozenset[tuple[str, bytes | None]]] = set()

    def watch() -> None:
        nonlocal before
        images = list(site.disk.crash_images(states_at_once, random))
        seen = {frozenset(image.items()) for image in images}
        new = [image for image in images if frozenset(image.items()) not in before]
        is_told = bool(found) and found[-1][1].ledger.acknowledged != site.ledger.acknowledged
        if new or is_told:
            left = images if is_told else new
            found.append((len(process.operations) + 1, Moment(site), left))
        before = seen

    process = Process(watch=watch)
    asyncio.run(play(site, process))
    return found


async def recover(moment: Moment, image: Image) -> None:
    site = moment.site_on(image)
    with site.watched_log():
        await check(site)


def check_all(states: list[tuple[int, Moment, list[Image]]]) -> None:
    for number, moment, images in states:
        for image in images:
            try:
                asyncio.run(recover(moment, image))
            except AssertionError as error:
                error.add_note(f"power was lost before operation {number}")
                raise


@pytest.fixture(params=["logged", "direct"])
def way(request, monkeypatch):
    """Have instances become durable in the write-ahead log, as small ones do, or by themselves."""
    if request.param == "direct":
        monkeypatch.setattr(incoming_file, "SMALL", 0)


@pytest.mark.usefixtures("way")
@pytest.mark.fault("F3")
def test_nothing_acknowledged_is_lost_with_the_power():
    states = crash_states(100 if EXHAUSTIVE else 3)
    count = sum(len(images) for _, _, images in states)
    assert count > (ALL_STATES if EXHAUSTIVE else 100)
    check_all(states)


@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
@pytest.mark.usefixtures("way")
@pytest.mark.fault("F3")
def test_missing_sync_is_found(monkeypatch, is_folder):
    """The proof of the proof: a gateway that leaves out one kind of sync does lose instances."""
    sync = ProcessFiles.fsync

    def forgetful(files: ProcessFiles, fd: int, /) -> None:
        is_of_log = not files.is_folder(fd) and files.fstat(fd).st_size == SEGMENT_SIZE
        if is_of_log or files.is_folder(fd) is not is_folder:
            sync(files, fd)

    monkeypatch.setattr(ProcessFiles, "fsync", forgetful)
    with pytest.raises(AssertionError, match="I1"):
        check_all(crash_states(2))


@pytest.mark.fault("F3")
def test_missing_sync_of_the_write_ahead_log_is_found(monkeypatch):
    open_file = ProcessFiles.open

    def forgetful(files: ProcessFiles, path: str, flags: int, mode: int = 0o777, /) -> int:
        return open_file(files, path, flags & ~os.O_DSYNC, mode)

    monkeypatch.setattr(ProcessFiles, "open", forgetful)
    with pytest.raises(AssertionError, match="I1"):
        check_all(crash_states(2))


def test_without_syncs_power_is_what_is_not_promised():
    """`durability = "process"` says so: the same check finds a loss."""

    async def lose() -> None:
        site = Site(Durability.PROCESS)
        await play(site, Process(fails_at=60))
        site.insert(next(site.disk.crash_images(2, Random(1))))
        await check(site)

    with pytest.raises(AssertionError, match="I1"):
        asyncio.run(lose())
