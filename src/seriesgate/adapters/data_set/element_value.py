"""Decodes the raw values of the two VRs that hold no free text: UI and IS (PS3.5 6.2)."""

from __future__ import annotations

import re
from functools import lru_cache

# PS3.5 9.1 allows 64 digits and dots. Real ones are longer or hold letters; the report of a series
# takes 128 characters of printable ASCII without spaces.
MAX_UID_LENGTH = 128
_UID = re.compile(rb"[!-~]*")
_INTEGER = re.compile(rb"[+-]?[0-9]+")
_INT32 = range(-(2**31), 2**31)


# The instances of a series have all of their UIDs but one in common.
@lru_cache(maxsize=256)
def decode_uid(value: bytes) -> str:
    """Return the first UID in the value of a UI element, without its padding.

    Raises ValueError, with what is wrong and nothing of the value, when it can't be told apart from
    noise: over 128 characters, or others than printable ASCII.
    """
    uid = _first(value)
    if len(uid) > MAX_UID_LENGTH:
        raise ValueError(f"is longer than {MAX_UID_LENGTH} characters")
    if _UID.fullmatch(uid) is None:
        raise ValueError("holds characters that no UID can have")
    return uid.decode("ascii")


def decode_integer(value: bytes) -> int | None:
    """Return the first number in the value of an IS element; None unless a 32-bit integer."""
    digits = _first(value)
    if _INTEGER.fullmatch(digits) is None:
        return None
    number = int(digits)
    return number if number in _INT32 else None


def _first(value: bytes) -> bytes:
    return value.partition(b"\\")[0].strip(b" \0")
