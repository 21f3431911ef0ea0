"""A thousand reports of one series at once, to the whole app on a real database."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter

from tests.unit.server.examples import FIVE_FIELDS

from seriesgate.settings.server import ServerSettings
from seriesgate.wiring.server import server_app

INSTANCES, REVISIONS, REPEATS = 40, 5, 5


def test_thousand_posts_of_one_series_in_any_order_leave_its_one_right_row(tmp_path):
    different = [
        FIVE_FIELDS
        | {
            "InstancesInSeries": instances,
            "Revision": revision,
            "SeriesDescription": f"{instances} in {revision}",
        }
        for instances in range(1, INSTANCES + 1)
        for revision in range(1, REVISIONS + 1)
    ]
    posted = different * REPEATS
    random.Random(7).shuffle(posted)
    app = server_app(ServerSettings(database_url=f"sqlite:///{tmp_path}/series_data.db"))

    async def scenario():
        async with app.router.lifespan_context(app):
            answers = await asyncio.gather(*(post(app, each) for each in posted))
            row = await app.state.store.get("1.2")
            totals = await app.state.store.totals()
            changes = await app.state.store.changes(0, limit=2 * len(posted))
            history = await app.state.store.history("1.2", limit=2 * len(posted))
        return answers, row, totals, changes, history

    answers, row, totals, changes, history = asyncio.run(scenario())
    assert len(answers) == 1000
    assert Counter(status for status, _ in answers) == {201: 1, 200: 999}
    # Each answer is the row as it was then: never less than the report that it answers.
    for report, (_, answer) in zip(posted, answers, strict=True):
        assert rank(answer) >= rank(report)
    assert different[-1].items() <= vars(row).items()
    assert (totals.Series, totals.Instances) == (1, INSTANCES)
    assert len(history) == len({entry.report for entry in history}) == len(different)
    ranks = [rank(change.series.model_dump()) for change in changes]
    assert ranks == sorted(set(ranks))
    assert ranks[-1] == (INSTANCES, REVISIONS)
    assert [change.sequence for change in changes] == list(range(1, len(changes) + 1))


async def post(app, report):
    """Post without an HTTP client, which would take longer than the server."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": json.dumps(report).encode(), "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/series",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


def rank(series):
    return series["InstancesInSeries"], series["Revision"]
