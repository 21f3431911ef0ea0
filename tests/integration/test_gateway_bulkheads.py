"""Each long task of the gateway survives whatever goes wrong in one unit of its work.

The tasks are those that the wiring runs: one that is added has no place in the table, and the first
test fails.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.integration.gateway_site import Site, site_in

if TYPE_CHECKING:
    from collections.abc import Callable

CULPRIT, INNOCENT = "1.666", "1.2"
UNEXPECTED = [ValueError, RecursionError, MemoryError, UnicodeError, OverflowError]


class Fault(NamedTuple):
    """How to make one unit of a task raise, what it is called, and what shows that others go on."""

    task: str
    spoil: Callable[[Site, Callable[[], None]], Callable[[], None]]
    goes_on: Callable[[Site], bool]
    is_mended: Callable[[Site], bool]


def replaced(owner: Any, name: str, spoiled: Callable[..., Any]) -> Callable[[], None]:
    """Put something else in the place of a method; return what undoes it."""
    setattr(owner, name, spoiled)
    return lambda: delattr(owner, name)


def for_the_culprit(owner: Any, name: str, fail: Callable[[], None]) -> Callable[[], None]:
    """Have a method fail whose first argument is, or names, one series."""
    original = getattr(owner, name)

    def spoiled(first: Any, *others: Any) -> Any:
        uid = first
        if hasattr(first, "report"):
            uid = first.report.SeriesInstanceUID
        elif hasattr(first, "series_instance_uid"):
            uid = first.series_instance_uid
        if uid == CULPRIT:
            fail()
        return original(first, *others)

    return replaced(owner, name, spoiled)


def always(owner: Any, name: str, fail: Callable[[], None]) -> Callable[[], None]:
    return replaced(owner, name, lambda *_: fail())


FAULTS = {
    "closer": Fault(
        "closing of a series",
        lambda site, fail: for_the_culprit(site.gateway._closer._reader, "checked", fail),
        lambda site: INNOCENT in site.registered(),
        lambda site: CULPRIT in site.registered(),
    ),
    "dispatcher": Fault(
        "delivery",
        lambda site, fail: for_the_culprit(site.server, "publish", fail),
        lambda site: INNOCENT in site.registered(),
        lambda site: CULPRIT in site.registered(),
    ),
    "retention": Fault(
        "removal of files",
        lambda site, fail: for_the_culprit(site.spool, "release", fail),
        lambda site: site.files() == 1,
        lambda site: site.files() == 0,
    ),
    "previews": Fault(
        "preview",
        lambda site, fail: for_the_culprit(site.pictures, "publish_preview", fail),
        lambda site: INNOCENT in site.pictures.published,
        lambda site: CULPRIT in site.pictures.published,
    ),
    "heartbeats": Fault(
        "heartbeat",
        lambda site, fail: always(site.heart, "beat", fail),
        lambda site: INNOCENT in site.registered(),
        lambda site: site.heart.beats > 0,
    ),
    "sender memory": Fault(
        "memory of senders",
        lambda site, fail: always(site.gateway._sender_memory._journal, "keep_senders", fail),
        lambda site: INNOCENT in site.registered(),
        lambda site: "memory of senders" not in site.aside(),
    ),
    "administration": Fault(
        "summing up of refusals",
        lambda site, fail: always(
            site.gateway.administration._associations, "log_repetitions", fail
        ),
        lambda site: INNOCENT in site.registered(),
        lambda site: "summing up of refusals" not in site.aside(),
    ),
}


def test_each_task_of_the_wiring_is_in_the_table(tmp_path):
    async def scenario():
        async with site_in(tmp_path) as site:
            assert site.gateway.tasks().keys() == FAULTS.keys()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", UNEXPECTED)
@pytest.mark.parametrize("task", FAULTS)
def test_unit_that_fails_is_put_aside_and_the_others_go_on(tmp_path, caplog, task, kind):
    fault = FAULTS[task]

    def fail() -> None:
        raise kind("Doe^Jane")

    async def scenario():
        async with site_in(tmp_path) as site:
            mend = fault.spoil(site, fail)
            for uid in (CULPRIT, INNOCENT):
                site.receive(uid)
            await site.until(lambda: fault.task in site.aside() and fault.goes_on(site), 5.0)
            status = await site.gateway.administration.status()
            assert status.put_aside[fault.task] >= 1
            assert status.instances.acknowledged == 2
            assert status.instances.adds_up
            mend()
            site.gateway.administration.retry_all_aside()
            await site.until(lambda: fault.is_mended(site) and not site.aside(), 5.0)

    asyncio.run(scenario())
    assert "Doe" not in caplog.text
    assert kind.__name__ in caplog.text
