"""What a webhook sends and how it is signed."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from tests.unit.server.examples import EVERY_FIELD, START

from seriesgate.server.changes.webhook_message import (
    WebhookMessage,
    message_of,
    message_of_a_test,
    signed_headers,
)
from seriesgate.server.registry.store import Change, Outcome, StoredSeries
from seriesgate.webhook_secret import signing_key


def test_signature_is_that_of_the_standards_example():
    """The example of the Standard Webhooks specification."""
    key = base64.b64decode("plJ3nmyCDGBKInavdOK15jsl")
    body = b'{"event_type":"ping","data":{"success":true}}'
    message = WebhookMessage("msg_loFOjxBNrRLzqYUf", body)
    at = datetime.fromtimestamp(1731705121, UTC)
    assert signed_headers(message, key, at) == {
        "Webhook-Id": "msg_loFOjxBNrRLzqYUf",
        "Webhook-Timestamp": "1731705121",
        "Webhook-Signature": "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
    }


def test_message_has_the_row_and_is_the_same_each_time():
    series = StoredSeries(**EVERY_FIELD, ReceivedAt=START, UpdatedAt=START)
    message = message_of(Change(7, Outcome.UPDATED, series))
    assert message == message_of(Change(7, Outcome.UPDATED, series))
    assert message.message_id == "change-7"
    body = json.loads(message.body)
    assert (body["type"], body["sequence"]) == ("series.updated", 7)
    assert body["data"] == json.loads(series.model_dump_json())


def test_message_of_a_test_has_no_data():
    assert json.loads(message_of_a_test(START, "1").body)["data"] == {}


def test_secrets():
    assert signing_key("whsec_" + base64.b64encode(b"k" * 24).decode()) == b"k" * 24
    assert signing_key("k" * 24) == b"k" * 24


@pytest.mark.parametrize("secret", ["", "short", "whsec_", "whsec_%%%", "whsec_" + "a" * 20])
def test_secret_that_is_no_secret_is_refused_and_not_repeated(secret):
    with pytest.raises(ValueError, match=r"24 bytes|base64") as caught:
        signing_key(secret)
    assert not secret or secret not in str(caught.value)
