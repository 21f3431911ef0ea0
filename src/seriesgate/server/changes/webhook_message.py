"""What a webhook sends, and how it is signed: as Standard Webhooks has it (1.0.0). Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seriesgate.server.registry.store import Deletion, kind_of

if TYPE_CHECKING:
    from datetime import datetime

    from seriesgate.server.registry.store import AnyChange


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """A message: the same id and body at each attempt."""

    message_id: str
    body: bytes


def message_of(change: AnyChange) -> WebhookMessage:
    """Give the message about a change."""
    if isinstance(change, Deletion):
        changed_at = change.series.DeletedAt
    else:
        changed_at = change.series.UpdatedAt
    head = json.dumps(
        {
            "type": f"series.{kind_of(change)}",
            "timestamp": changed_at.isoformat(),
            "sequence": change.sequence,
        }
    )
    body = f'{head[:-1]}, "data": {change.series.model_dump_json()}}}'
    return WebhookMessage(f"change-{change.sequence}", body.encode())


def message_of_a_test(now: datetime, unique: str) -> WebhookMessage:
    """Give a message that is about no series."""
    body = json.dumps({"type": "test", "timestamp": now.isoformat(), "data": {}})
    return WebhookMessage(f"test-{unique}", body.encode())


def signed_headers(message: WebhookMessage, key: bytes, now: datetime) -> dict[str, str]:
    """Give the headers of one attempt. The signature covers id, time of the attempt and body."""
    timestamp = str(int(now.timestamp()))
    signed = f"{message.message_id}.{timestamp}.".encode() + message.body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "Webhook-Id": message.message_id,
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": f"v1,{signature}",
    }
