"""A disk that fills up, a time of day that jumps, a process that is stopped for a while."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests.crash.recovery import check
from tests.crash.site import Answer, Gateway, Site, instance

from seriesgate.gateway.intake import Refused
from seriesgate.gateway.ports import StoreRequest

REQUEST = StoreRequest("MODALITY", "1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.4", "1.2.1.1")


def store(gateway: Gateway, number: int, series: str = "1.2.1") -> bool:
    sop = f"{series}.{number}"
    return gateway.send(series, instance(series, sop, number), sop)


@pytest.mark.fault("F4")
def test_full_disk_refuses_and_takes_again_when_there_is_room():
    async def scenario() -> None:
        site = Site()
        gateway = Gateway(site)
        assert store(gateway, 1)
        site.disk.capacity = site.disk.used
        assert not store(gateway, 2)
        # What is acknowledged gets to the server meanwhile, and makes room.
        await gateway.advance(3.0)
        assert site.server.rows["1.2.1"].InstancesInSeries == 1
        site.disk.capacity = 1 << 40
        assert store(gateway, 2)
        await gateway.kill()
        await check(site)

    asyncio.run(scenario())


@pytest.mark.fault("F5")
def test_disk_that_is_nearly_full_refuses_before_it_is_full_and_recovers_by_itself():
    async def scenario() -> None:
        site = Site(min_free_bytes=100_000, capacity=200_000)
        gateway = Gateway(site)
        site.server.answer = Answer.DOWN
        number = 0
        while gateway.intake.has_room():
            number += 1
            assert store(gateway, number), "refused while there is room"
        outcomes = [gateway.intake.begin(REQUEST).finish() for _ in range(40)]
        assert any(
            isinstance(outcome, Refused) and "nearly full" in outcome.comment
            for outcome in outcomes
        )
        site.server.answer = Answer.RIGHT
        await gateway.advance(400.0)
        assert gateway.intake.has_room()
        assert store(gateway, number + 1)
        await gateway.kill()
        await check(site)

    asyncio.run(scenario())


@pytest.mark.fault("F16")
@pytest.mark.parametrize(
    "jump", [timedelta(days=-1), timedelta(days=365), timedelta(hours=1), timedelta(hours=-1)]
)
def test_time_of_day_moves_no_timer(jump):
    async def scenario() -> None:
        site = Site()
        gateway = Gateway(site)
        site.server.answers = [Answer.DOWN]
        assert store(gateway, 1)
        await gateway.advance(0.5)
        site.clock.offset += jump
        await gateway.advance(0.49)
        assert site.server.requests == 0, "closed early"
        await gateway.advance(0.02)
        assert site.server.requests == 1, "closed late"
        site.clock.offset -= jump
        # The retry is due half a second later, less its jitter, whatever the time of day.
        await gateway.advance(0.5)
        assert site.server.rows["1.2.1"].InstancesInSeries == 1
        await gateway.kill()
        await check(site)

    asyncio.run(scenario())


@pytest.mark.fault("F17")
def test_process_that_is_stopped_for_half_a_minute_closes_a_series_once():
    """After SIGCONT all timers are late at once, and the server has waited for nothing."""

    async def scenario() -> None:
        site = Site()
        gateway = Gateway(site)
        for number in (1, 2):
            assert store(gateway, number)
        await gateway.advance(0.5)
        site.clock.now += 30.0
        await gateway.advance(1.0)
        assert site.server.requests == 1
        assert site.server.rows["1.2.1"].Revision == 1
        assert store(gateway, 3)
        await gateway.advance(2.0)
        assert site.server.rows["1.2.1"].InstancesInSeries == 3
        await gateway.kill()
        await check(site)

    asyncio.run(scenario())
