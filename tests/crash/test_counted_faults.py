"""Each operation in turn fails, or is the last of its process; nothing is lost.

The file operations of the spool, the calls of the journal and those of the server are counted. A
sample runs here; with EXHAUSTIVE=1 (`make prove`) each of them.
"""

from __future__ import annotations

import asyncio
import os
from random import Random

import pytest
from tests.crash.recovery import check, run_to_the_end
from tests.crash.scenario import play
from tests.crash.site import Fault, Process, Site

from seriesgate.adapters.spool.file_spool import Durability

EXHAUSTIVE = os.environ.get("EXHAUSTIVE") == "1"


async def run_with(fault: Fault, number: int, durability: Durability) -> tuple[Process, Site]:
    process = Process(fails_at=number, fault=fault)
    site = Site(durability)
    site.may_lack_descriptions = fault in {Fault.EIO, Fault.EINTR}
    with site.watched_log():
        await play(site, process)
        await check(site)
    return process, site


def clean_run(durability: Durability = Durability.POWER) -> tuple[Process, Site]:
    return asyncio.run(run_with(Fault.KILL, 0, durability))


def test_without_a_fault_everything_is_acknowledged_and_delivered_or_a_dead_letter():
    process, site = clean_run()
    assert site.ledger.refused == 0
    assert {uid: row.InstancesInSeries for uid, row in site.server.rows.items()} == {
        "1.2.1": 3,
        "1.2.2": 1,
        "1.2.4": 5,
    }
    assert [letter.instances for letter in site.journal.dead_letters()] == [2]
    assert len(process.operations) > 150


@pytest.mark.parametrize("durability", list(Durability))
@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.fault("F1", "F4", "F6", "F7", "F15")
def test_nothing_is_lost_whichever_operation_fails(fault, durability):
    operations = clean_run(durability)[0].operations
    numbers = [n for n, name in enumerate(operations, 1) if fault.applies_to(name)]
    assert numbers
    if not EXHAUSTIVE:
        stride = 5 if durability is Durability.PROCESS or fault is Fault.EINTR else 2
        numbers = numbers[::stride]
    for number in numbers:
        try:
            process, _ = asyncio.run(run_with(fault, number, durability))
        except BaseException as error:
            error.add_note(f"{fault.name} at operation {number}, {operations[number - 1]}")
            raise
        assert len(process.operations) >= number


@pytest.mark.fault("F2")
def test_nothing_is_lost_when_the_recovery_is_killed_too():
    operations = clean_run()[0].operations
    numbers = range(1, len(operations) + 1)
    for number in numbers if EXHAUSTIVE else Random(1).sample(numbers, 6):
        asyncio.run(killed_twice(number, stride=1 if EXHAUSTIVE else 5))


async def killed_twice(number: int, stride: int) -> None:
    """Kill a day at its operation `number`, then recoveries one after another, ever later."""
    site = Site()
    with site.watched_log():
        await play(site, Process(fails_at=number))
        second = 1
        while await run_to_the_end(site, process=Process(fails_at=second)) is None:
            second += stride
        await check(site)


@pytest.mark.parametrize("fault", [Fault.EIO, Fault.EMFILE])
@pytest.mark.fault("F6", "F7")
def test_nothing_is_lost_when_the_disk_fails_a_start_on_a_full_spool(fault):
    """Nothing whole is put away either: the next start that can read it goes on with it."""
    operations = clean_run()[0].operations
    number = operations.index("journal.record")
    second, process = 0, Process()
    while len(process.operations) >= second:
        second += 1 if EXHAUSTIVE else 4
        process = asyncio.run(fail_start(number, second, fault))


async def fail_start(number: int, second: int, fault: Fault) -> Process:
    """Kill a day at one operation; then another fails in the start that follows."""
    site = Site()
    site.may_lack_descriptions = fault is Fault.EIO
    process = Process(fails_at=second, fault=fault)
    with site.watched_log():
        await play(site, Process(fails_at=number))
        await run_to_the_end(site, process=process)
        await check(site)
    return process
