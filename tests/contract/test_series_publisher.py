"""What every SeriesPublisher promises, the fake and the real one before the real server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from tests.examples import report
from tests.fakes import ScriptedPublisher
from tests.serving import serving

from seriesgate.adapters.http_publisher import HttpPublisher
from seriesgate.series.delivery import Delivery, FailureKind, PublishFailure, delivery_id_of


def delivery(**attributes):
    sent = report(**attributes)
    return Delivery(delivery_id_of(sent), sent)


CONTRADICTION = Delivery("k", report().model_copy(update={"StudyInstanceUID": "9.9"}))


@asynccontextmanager
async def scripted(_tmp_path):
    yield ScriptedPublisher(None, PublishFailure(FailureKind.REJECTED, "409"))


@asynccontextmanager
async def http(tmp_path):
    with serving(f"sqlite:///{tmp_path}/series_data.db") as port:
        publisher = HttpPublisher(f"http://127.0.0.1:{port}", lambda: datetime.now(UTC))
        yield publisher
        await publisher.close()


@pytest.mark.parametrize("make", [scripted, http])
def test_report_is_taken_and_a_contradiction_is_rejected(make, tmp_path):
    async def scenario():
        async with make(tmp_path) as publisher:
            assert await publisher.publish(delivery()) is None
            failure = await publisher.publish(CONTRADICTION)
            assert failure.kind is FailureKind.REJECTED

    asyncio.run(scenario())


def test_repeats_and_revisions_in_any_order_are_taken(tmp_path):
    async def scenario():
        async with http(tmp_path) as publisher:
            second = delivery(count=3, revision=2)
            first = delivery(count=2, revision=1)
            for sent in (second, first, second, first):
                assert await publisher.publish(sent) is None

    asyncio.run(scenario())
