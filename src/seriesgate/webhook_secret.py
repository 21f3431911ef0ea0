"""The secret of a webhook, as an administrator writes it (Standard Webhooks 1.0.0)."""

from __future__ import annotations

import base64
import binascii

_PREFIX = "whsec_"
_MIN_KEY_BYTES = 24


def signing_key(secret: str) -> bytes:
    """Give the key of a secret: base64 after `whsec_`, else the text itself.

    Raises ValueError for one that is too short, or not base64.
    """
    try:
        key = (
            base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
            if secret.startswith(_PREFIX)
            else secret.encode()
        )
    except binascii.Error:
        raise ValueError(f"what follows {_PREFIX} must be base64") from None
    if len(key) < _MIN_KEY_BYTES:
        raise ValueError(f"the secret must have at least {_MIN_KEY_BYTES} bytes")
    return key
