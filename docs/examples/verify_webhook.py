"""Verify a webhook of seriesgate, with nothing but the standard library."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

TOLERANCE = 300  # seconds; an older message may be one that somebody has recorded


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes, now: int) -> bool:
    """Say whether the body, exactly as it came, was signed with the secret, and lately.

    `headers` have lower case names; `now` is the time, in seconds since 1970.
    """
    key = (
        base64.b64decode(secret.removeprefix("whsec_"))
        if secret.startswith("whsec_")
        else secret.encode()
    )
    timestamp = headers["webhook-timestamp"]
    signed = f"{headers['webhook-id']}.{timestamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    is_signed = any(
        hmac.compare_digest(expected, each) for each in headers["webhook-signature"].split(" ")
    )
    return is_signed and abs(now - int(timestamp)) <= TOLERANCE
