"""The gateway tells how it stands, does what is asked, and is disturbed by no server."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.administered import AdministeredGateway

from seriesgate.gateway.heartbeat import (
    GatewayFacts,
    HeartbeatFailed,
    Heartbeats,
    HeartbeatUnknown,
)
from seriesgate.series.heartbeat import HeartbeatAnswer


class ScriptedReceiver:
    """Answers as told, then with nothing asked."""

    def __init__(self, *script):
        self.script = list(script)
        self.taken = []

    async def beat(self, heartbeat):
        self.taken.append(heartbeat)
        answer = self.script.pop(0) if self.script else HeartbeatAnswer()
        if isinstance(answer, Exception):
            raise answer
        return answer


def heartbeats(gateway, receiver):
    facts = GatewayFacts(10.0, 5, 1.0, "power")
    return Heartbeats(gateway.administration, receiver, gateway.clock, facts, gateway.bulkheads)


def test_dead_letter_is_told_and_retried_when_the_answer_asks():
    async def scenario():
        gateway = AdministeredGateway()
        letter = gateway.bury("1.7")
        asked = HeartbeatAnswer(RetryDeadLetters=(letter.delivery_id, "x" * 32))
        receiver = ScriptedReceiver(asked)
        sender = heartbeats(gateway, receiver)
        assert await sender.once() == 10.0
        await sender.once()
        first, second = receiver.taken
        (notice,) = first.DeadLetterList
        assert (first.DeadLetters, first.PendingDeliveries) == (1, 0)
        assert (notice.DeliveryID, notice.SeriesInstanceUID) == (letter.delivery_id, "1.7")
        assert notice.Reason == "the server answered 422"
        assert (second.DeadLetters, second.PendingDeliveries) == (0, 1)

    asyncio.run(scenario())


def test_failure_is_logged_when_it_begins_and_when_it_is_over(caplog):
    caplog.set_level(logging.INFO)

    async def scenario():
        failed = HeartbeatFailed("no answer")
        receiver = ScriptedReceiver(failed, failed, HeartbeatAnswer(), failed)
        sender = heartbeats(AdministeredGateway(), receiver)
        for _ in range(4):
            assert await sender.once() == 10.0

    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records] == [
        "the server does not take heartbeats: no answer",
        "the server takes heartbeats again",
        "the server does not take heartbeats: no answer",
    ]


@pytest.mark.parametrize(("answer", "times"), [(HeartbeatUnknown(), 2), (HeartbeatAnswer(), 61)])
def test_server_that_knows_no_heartbeats_is_left_in_peace(answer, times, caplog):
    async def scenario():
        gateway = AdministeredGateway()
        receiver = ScriptedReceiver(answer)
        running = asyncio.create_task(heartbeats(gateway, receiver).run())
        await gateway.clock.advance(605.0)
        running.cancel()
        assert len(receiver.taken) == times

    asyncio.run(scenario())
    assert caplog.records == []
