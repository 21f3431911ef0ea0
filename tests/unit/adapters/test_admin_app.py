"""The administration over HTTP: who gets in, and what is said."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.administered import AdministeredGateway
from tests.examples import header, report
from tests.fakes import QuietAssociation

from seriesgate.adapters.admin.app import create_admin_app
from seriesgate.gateway.associations import AssociationEnd, AssociationRefusal
from seriesgate.gateway.ports import JournalFailed, JournalFull
from seriesgate.gateway.senders import Peer
from seriesgate.series.delivery import delivery_id_of

MR1 = Peer("10.0.0.1", "MR1")
TOKEN = "a token of the administration"
JSON = {"Content-Type": "application/json"}
HOST = "http://127.0.0.1:6680"


def ask(*requests, prepare=lambda _gateway: None, token=None, is_local=True, base_url=HOST):
    """Return the answers to (method, path, headers) of a gateway that a test has prepared."""

    async def run():
        gateway = AdministeredGateway()
        gateway.administration.recovered()
        prepare(gateway)
        app = create_admin_app(gateway.administration, token=token, is_local=is_local)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
            return [
                await client.request(method, path, headers=headers)
                for method, path, headers in requests
            ]

    return asyncio.run(run())


def get(path, headers=None, **options):
    (answer,) = ask(("GET", path, headers), **options)
    return answer


def post(path, headers=None, **options):
    (answer,) = ask(("POST", path, JSON if headers is None else headers), **options)
    return answer


def test_probes_answer_without_a_token():
    for path in ("/healthz", "/readyz"):
        assert get(path, token=TOKEN, is_local=False).status_code == 200


def test_gateway_that_is_not_ready_says_why():
    answer = get("/readyz", prepare=lambda gateway: gateway.administration.stopping())
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["the gateway stops"]
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/status", "/metrics", "/senders", "/outbox", "/nothing"])
@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"]
)
def test_all_but_the_probes_need_the_token(path, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = get(path, headers, token=TOKEN)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in answer.text


def test_token_opens():
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {TOKEN}"}
        assert get("/status", headers, token=TOKEN, is_local=False).status_code == 200


@pytest.mark.parametrize(
    ("base_url", "status"),
    [
        ("http://localhost:1", 200),
        ("http://[::1]:6680", 200),
        ("http://attacker.example:6680", 421),
        ("http://192.0.2.1", 421),
    ],
)
def test_listener_of_this_machine_is_called_by_no_other_name(base_url, status):
    assert get("/status", base_url=base_url).status_code == status


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_form_of_another_site_changes_nothing(media_type):
    def prepare(gateway):
        gateway.bury("1.4")

    refused, listed = ask(
        ("POST", "/outbox/discard", {"Content-Type": media_type}),
        ("GET", "/outbox", None),
        prepare=prepare,
    )
    assert refused.status_code == 415
    assert listed.json()["dead"] == 1


def test_status_has_open_series_with_counts_and_the_time_to_close_and_no_patient():
    def prepare(gateway):
        gateway.receive("1")
        gateway.receive("2")
        gateway.clock.now += 0.75
        gateway.intake.hold(header(series="1.2.9"))
        gateway.associations.accepted(MR1, QuietAssociation())
        gateway.bury("1.4")

    answer = get("/status", prepare=prepare)
    status = answer.json()
    closing, held = sorted(status["open_series"]["next"], key=lambda s: s["closes_in"] is None)
    assert (closing["series_instance_uid"], closing["instances"]) == ("1.2", 2)
    assert closing["closes_in"] == 0.25
    assert (held["series_instance_uid"], held["in_flight"], held["closes_in"]) == ("1.2.9", 1, None)
    assert status["instances"] == {
        "acknowledged": 4,
        "delivered": 0,
        "pending": 2,
        "dead": 2,
        "discarded": 0,
        "adds_up": True,
    }
    assert status["associations"]["senders"][0]["calling_ae_title"] == "MR1"
    assert "Doe" not in answer.text


def test_senders_are_told_with_what_their_series_say_of_the_quiet_period():
    def prepare(gateway):
        association = QuietAssociation(
            stored=100,
            seconds=4.0,
            bytes=5000,
            longest_pdu=16378,
            announced_pdu=131072,
            has_tried=True,
            wait=0.0441,
            statuses={"A700": 1},
        )
        gateway.associations.accepted(MR1, association)
        gateway.associations.ended(association, AssociationEnd.ABORTED_BY_PEER)
        gateway.associations.refused(MR1, AssociationRefusal.NO_ROOM, "rejected")
        for _ in range(20):
            gateway.associations.senders.series_closed(MR1, None)
        gateway.associations.senders.series_closed(MR1, None, 3.5)

    answer = get("/senders", prepare=prepare).json()
    (sender,) = answer["senders"]
    assert (sender["calling_ae_title"], sender["host"]) == ("MR1", "10.0.0.1")
    assert (sender["instances"], sender["instances_per_second"]) == (100, 25.0)
    assert (sender["longest_pdu"], sender["announced_pdu"]) == (16378, 131072)
    assert sender["ended"] == {"aborted_by_peer": 1}
    assert (sender["refused"], sender["store_statuses"]) == ({"no_room": 1}, {"A700": 1})
    assert sender["nagle"] == {
        "sign": "on",
        "tried_at": "2026-01-01T00:00:00+00:00",
        "wait_seconds": 0.044,
        "saved_seconds_estimate": 4.4,
    }
    series = sender["series"]
    assert (series["closed"], series["late"]) == (20, 1)
    assert series["late_at"] == {"1": 1, "2": 1, "5": 0, "10": 0, "30": 0, "120": 0}
    recommended = {"advice": "longer", "quiet_period": 5.0}
    assert (answer["quiet_period"], answer["recommendation"]) == (1.0, recommended)
    assert series["recommendation"] == recommended


def test_metrics_are_prometheus_and_tell_of_no_patient_and_no_series():
    def prepare(gateway):
        gateway.receive("1")
        gateway.bury("1.2.840.4")
        association = QuietAssociation()
        gateway.associations.accepted(MR1, association)
        gateway.associations.ended(association, AssociationEnd.TIMED_OUT)
        gateway.associations.store_answered(0xA700)

    answer = get("/metrics", prepare=prepare)
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    prefix = "seriesgate_gateway_"
    assert values[f"{prefix}open_series",] == 1
    assert values[f"{prefix}deliveries", "dead"] == 1
    assert values[f"{prefix}associations_ended_total", "timed_out"] == 1
    assert values[f"{prefix}store_failures_total", "A700"] == 1
    assert values[f"{prefix}instances_add_up",] == 1
    assert values[f"{prefix}delivery_seconds_bucket", "+Inf"] == 0
    assert not {"Doe", "1.2.840", "MR1", "10.0.0.1"} & set(answer.text.split('"'))


def test_outbox_tells_dead_from_pending_and_all_are_given_up_at_once():
    letters = []

    def prepare(gateway):
        letters.append(gateway.bury("1.4").delivery_id)
        gateway.bury("1.6")
        gateway.owe("1.8")

    listed, discarded, retried, unknown, rest = ask(
        ("GET", "/outbox", None),
        ("POST", "/outbox/discard", JSON),
        ("POST", "/outbox/retry", JSON),
        ("POST", "/outbox/0123456789abcdef/retry", JSON),
        ("GET", "/outbox", None),
        prepare=prepare,
    )
    outbox = listed.json()
    assert (outbox["dead"], outbox["pending"]) == (2, 1)
    dead = outbox["deliveries"][0]
    assert (dead["delivery_id"], dead["state"], dead["attempts"]) == (letters[0], "dead", 1)
    assert dead["reason"] == "the server answered 422"
    assert outbox["deliveries"][2]["state"] == "pending"
    assert (discarded.json(), retried.json()) == ({"count": 2}, {"count": 0})
    assert unknown.status_code == 404
    assert (rest.json()["dead"], rest.json()["pending"]) == (0, 1)


def test_one_dead_letter_is_named_by_the_beginning_of_its_id():
    letter = delivery_id_of(report("1.4", count=2))
    path = f"/outbox/{letter[:8]}/retry"
    retried, again = ask(
        ("POST", path, JSON), ("POST", path, JSON), prepare=lambda gateway: gateway.bury("1.4")
    )
    assert retried.json() == {"count": 1, "delivery_id": letter}
    assert again.status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/outbox/retry", 405), ("POST", "/status", 405)],
)
def test_wrong_path_or_method_is_a_problem(method, path, status):
    (answer,) = ask((method, path, JSON))
    assert answer.status_code == answer.json()["status"] == status


@pytest.mark.parametrize(
    ("failure", "detail"),
    [
        (JournalFull("the journal cannot be written: disk full"), "disk full"),
        (JournalFailed("the journal failed: I/O error"), "the gateway stops"),
    ],
)
def test_journal_that_does_not_work_is_503(failure, detail):
    def prepare(gateway):
        gateway.bury("1.4")
        gateway.memory_journal.failure = failure

    answer = post("/outbox/retry", prepare=prepare)
    assert answer.status_code == 503
    assert detail in answer.json()["detail"]


def test_mistake_of_ours_is_500_and_quotes_nothing():
    def prepare(gateway):
        def broken():
            raise ValueError("Doe^Jane")

        gateway.memory_journal.tally = broken

    answer = get("/status", prepare=prepare)
    assert answer.status_code == 500
    assert "Doe" not in answer.text


def test_answers_are_not_kept_and_not_framed():
    headers = get("/status").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
