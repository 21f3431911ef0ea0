"""What every SeriesPublisher promises, the fake and the real one before the real server."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime

import httpx
import pytest
from tests.examples import report
from tests.fakes import ScriptedPublisher
from tests.http_stub import hang_up, http_stub
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


def test_report_whose_answer_was_lost_is_one_row_once_it_is_sent_again(tmp_path):
    """The server has committed, and the connection breaks before the gateway hears of it."""

    async def scenario():
        with serving(f"sqlite:///{tmp_path}/series_data.db") as port:
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, trust_env=False) as client:

                async def commit_and_hang_up(request, writer):
                    key = request.headers["Idempotency-Key"]
                    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
                    done = await client.post("/series", content=request.body, headers=headers)
                    assert done.status_code == 201
                    await hang_up(request, writer)

                async with http_stub(commit_and_hang_up) as stub:
                    broken = HttpPublisher(stub.url, lambda: datetime.now(UTC))
                    failure = await broken.publish(delivery(count=2))
                    await broken.close()
                assert failure is not None
                assert failure.kind is FailureKind.TRANSIENT
            whole = HttpPublisher(url, lambda: datetime.now(UTC))
            assert await whole.publish(delivery(count=2)) is None
            await whole.close()

    asyncio.run(scenario())
    with closing(sqlite3.connect(tmp_path / "series_data.db")) as database:
        rows = database.execute("SELECT InstancesInSeries FROM series_data").fetchall()
        reports = database.execute("SELECT count(*) FROM series_reports").fetchone()
    assert rows == [(2,)]
    assert reports == (1,)
