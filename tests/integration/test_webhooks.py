"""Webhooks from a registration to a receiver."""

from __future__ import annotations

import base64
import logging
from asyncio import run

import pytest
from docs.examples.verify_webhook import is_genuine
from tests.integration.running_server import running_server
from tests.integration.webhook_receiver import webhook_receiver
from tests.unit.server.examples import START

from seriesgate.series.delivery import FailureKind
from seriesgate.server.changes.webhook_message import message_of_a_test
from seriesgate.server.changes.webhooks import WebhookSender, WebhookTarget

SECRET = "whsec_" + base64.b64encode(b"a key of at least 24 bytes").decode()


@pytest.fixture
def receiver():
    with webhook_receiver() as receiver:
        yield receiver


def hook(receiver, name="ris"):
    return {"name": name, "url": receiver.url, "secret": SECRET}


@pytest.fixture
def server(tmp_path, receiver):
    url = f"sqlite:///{tmp_path}/series_data.db"
    with running_server(url, webhooks=[hook(receiver)]) as server:
        wait_until_used(server)
        yield server


def state(server, name="ris"):
    webhooks = server.client.get("/webhooks").json()["webhooks"]
    return {each["name"]: each for each in webhooks}[name]


def wait_until(condition):
    for _ in range(5000):
        if condition():
            return
    raise AssertionError(condition)


def wait_until_used(server):
    """A webhook starts with the changes after its first look into the queue: see that it had it."""
    assert server.client.post("/webhooks/ris/test").json()["delivered"] is True


def after_test(receiver):
    assert b'"test"' in receiver.next()[1]
    return receiver


def test_each_change_arrives_signed(server, receiver):
    after_test(receiver)
    server.register(PatientName="山田^太郎")
    server.register(InstancesInSeries=11)
    headers, body = receiver.next()
    assert is_genuine(SECRET, headers, body, now=int(headers["webhook-timestamp"]))
    assert not is_genuine(SECRET, headers, body + b" ", now=int(headers["webhook-timestamp"]))
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == "change-1"
    assert receiver.next_data()["InstancesInSeries"] == 11
    wait_until(lambda: state(server)["pending"] == 0)


def test_failed_delivery_is_repeated_and_its_series_waits(server, receiver):
    after_test(receiver)
    receiver.answer(503)
    server.register()
    server.register(InstancesInSeries=11)
    messages = [receiver.next()[0]["webhook-id"] for _ in range(3)]
    assert messages == ["change-1", "change-1", "change-2"]


def test_refused_change_is_a_dead_letter_until_it_is_retried(server, receiver, caplog):
    caplog.set_level(logging.WARNING, "seriesgate")
    after_test(receiver)
    receiver.answer(422, b"<html>Doe^Jane</html>")
    server.register()
    receiver.next()
    wait_until(lambda: state(server)["dead"] == 1)
    assert state(server) == {
        "name": "ris",
        "receiver": receiver.url.removesuffix("/hook?secret=path"),
        "pending": 0,
        "dead": 1,
        "latest_failure": "the receiver answered 422 Unprocessable Entity",
    }
    (letter,) = server.client.get("/webhooks/ris/dead-letters").json()["dead_letters"]
    assert (letter["sequence"], letter["SeriesInstanceUID"]) == (1, "1.2")
    assert server.client.post("/webhooks/ris/retry").json() == {"retried": 1}
    assert receiver.next()[0]["webhook-id"] == "change-1"
    wait_until(lambda: state(server)["dead"] == state(server)["pending"] == 0)
    assert "Doe" not in caplog.text
    assert SECRET not in caplog.text
    assert "secret=path" not in caplog.text


def test_slow_receiver_holds_up_no_other(tmp_path, receiver):
    url = f"sqlite:///{tmp_path}/series_data.db"
    with webhook_receiver() as slow:
        hooks = [hook(slow, "slow"), hook(receiver, "ris")]
        with running_server(url, webhooks=hooks) as server:
            wait_until_used(server)
            after_test(receiver)
            slow.open.clear()
            for number in range(20):
                server.register(SeriesInstanceUID=f"1.{number}")
            for _ in range(20):
                receiver.next()
            assert state(server, "slow")["pending"] == 20
            slow.open.set()


def test_what_was_owed_at_the_end_is_delivered_after_the_start(tmp_path, receiver):
    url = f"sqlite:///{tmp_path}/series_data.db"
    with running_server(url, webhooks=[hook(receiver)]) as server:
        wait_until_used(server)
    after_test(receiver)
    with running_server(url) as server:
        server.register()
    with running_server(url, webhooks=[hook(receiver)]):
        assert receiver.next()[0]["webhook-id"] == "change-1"


def test_unknown_webhook_is_404(server):
    for answer in (
        server.client.post("/webhooks/none/test"),
        server.client.post("/webhooks/none/retry"),
        server.client.get("/webhooks/none/dead-letters"),
    ):
        assert answer.status_code == 404


def test_two_servers_deliver_each_change_once(postgresql, receiver):
    url = postgresql.migrated_database()
    hooks = [hook(receiver)]
    with running_server(url, webhooks=hooks) as one, running_server(url, webhooks=hooks) as other:
        for server in (one, other):
            wait_until_used(server)
            after_test(receiver)
        for number in range(30):
            (one, other)[number % 2].register(SeriesInstanceUID=f"1.{number}")
        found = [receiver.next_data()["SeriesInstanceUID"] for _ in range(30)]
        wait_until(lambda: state(one)["pending"] == 0)
    assert receiver.got.empty()
    assert sorted(found) == sorted(f"1.{number}" for number in range(30))
    postgresql.give_back(url)


# One attempt


def send(target_url, *, total_timeout=5.0):
    async def scenario():
        target = WebhookTarget("ris", target_url, b"k" * 24)
        sender = WebhookSender(target, lambda: START, total_timeout=total_timeout)
        try:
            return await sender.send(message_of_a_test(START, "1"))
        finally:
            await sender.close()

    return run(scenario())


def test_redirect_is_not_followed(receiver):
    with webhook_receiver() as elsewhere:
        receiver.answer(307, Location=elsewhere.url)
        assert send(receiver.url).kind is FailureKind.MISCONFIGURED
        assert elsewhere.got.empty()


def test_answer_without_end_is_not_read(receiver):
    receiver.answer(200, b"x" * 2**22)
    assert send(receiver.url) is None


def test_receiver_that_does_not_answer_is_given_up(receiver):
    receiver.open.clear()
    failure = send(receiver.url, total_timeout=0.05)
    assert (failure.kind, failure.reason) == (FailureKind.TRANSIENT, "no answer within 0.05 s")


def test_nobody_listens():
    failure = send("http://127.0.0.1:9/secret-path")
    assert failure.kind is FailureKind.TRANSIENT
    assert "secret-path" not in failure.reason
    assert "http://127.0.0.1:9" in failure.reason


def test_retry_after_is_heard(receiver):
    receiver.answer(429, **{"Retry-After": "17"})
    assert send(receiver.url).retry_after == 17
