"""Decodes the raw values of VRs that hold no free text: UI, IS and DA (PS3.5 6.2)."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache

# PS3.5 9.1 allows 64 digits and dots. Sites have objects whose UIDs are longer, or hold whatever
# can be printed; the report of a series takes 128 characters.
MAX_UID_LENGTH = 128
_UID = re.compile(rb"[^\x00-\x1f\x7f-\x9f]*")
# An IS has 12 characters (PS3.5 6.2), a DS 16. Real ones are padded, and have a fraction of zeros.
_LONGEST_NUMBER = 64
# Fewer digits than these are a number of 32 bits.
_SAFE_DIGITS = 10
_NUMBER = re.compile(rb"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]{1,2})?")
_INT32 = range(-(2**31), 2**31)
_DATE = re.compile(r"(?P<year>[0-9]{4})(?P<dot>[.-]?)(?P<month>[0-9]{2})(?P=dot)(?P<day>[0-9]{2})")


# The instances of a series have all of their UIDs but one in common.
@lru_cache(maxsize=256)
def decode_uid(value: bytes) -> str:
    """Return the first UID in the value of a UI element, without its padding.

    Raises ValueError, with what is wrong and nothing of the value, when it can't be told apart from
    noise: over 128 characters, or control characters among them.
    """
    uid = _first(value)
    if len(uid) > MAX_UID_LENGTH:
        raise ValueError(f"is longer than {MAX_UID_LENGTH} characters")
    if _UID.fullmatch(uid) is None:
        raise ValueError("holds control characters")
    return uid.decode("latin-1")


def decode_integer(value: bytes) -> int | None:
    """Return the first number in the value of an IS element; None unless a 32-bit integer.

    A number with a decimal point or comma, or an exponent, counts if it is whole.
    """
    digits = _first(value)
    if len(digits) < _SAFE_DIGITS and digits.isdigit():
        return int(digits)
    if len(digits) > _LONGEST_NUMBER or _NUMBER.fullmatch(digits) is None:
        return None
    number = Decimal(digits.replace(b",", b".").decode("ascii"))
    # Compared before it is converted: an exponent can stand for more digits than there is time.
    if not _INT32.start <= number < _INT32.stop or number != number.to_integral_value():
        return None
    return int(number)


def decode_date(text: str) -> str:
    """Return the text of a DA as YYYYMMDD where it is a date (PS3.5 6.2), any other as it is.

    The dots of ACR-NEMA (YYYY.MM.DD) and the dashes of ISO 8601 are dates, too.
    """
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return text
    year, month, day = (int(match[name]) for name in ("year", "month", "day"))
    try:
        return date(year, month, day).strftime("%Y%m%d").zfill(8)
    except ValueError:
        return text


def without_padding(value: bytes) -> bytes:
    """Return a text without its padding, and up to its NUL.

    What stands behind that was in the sender's memory.
    """
    text = value.strip(b" \0")
    return text.partition(b"\0")[0].rstrip(b" ") if b"\0" in text else text


def _first(value: bytes) -> bytes:
    text = without_padding(value)
    return text.partition(b"\\")[0].strip(b" \0") if b"\\" in text else text
