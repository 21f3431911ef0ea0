"""UIDs, names and AE titles as they stand in PDUs and commands."""

from __future__ import annotations

_PADDING = b" \0"


def encode_text(value: str) -> bytes:
    """Return a UID or a name as it is sent: without padding (PS3.8 Annex F)."""
    return value.encode("ascii")


def decode_text(raw: bytes) -> str:
    """Return a UID, a name or an AE title without its padding.

    Senders pad with spaces and NULs, also where padding is forbidden. The text of a C program ends
    at its NUL; what stands behind that was in its memory. Bytes beyond ASCII come out escaped: they
    match nothing and break nothing.
    """
    text = raw.strip(_PADDING)
    if b"\0" in text:
        text = text.partition(b"\0")[0].rstrip(_PADDING)
    return text.decode("ascii", "backslashreplace")
