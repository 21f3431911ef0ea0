"""Checksums of what the journal holds: SQLite keeps none, and a bit may flip on any disk."""

from __future__ import annotations

from hashlib import blake2b
from zlib import crc32


class DamagedRow(ValueError):
    """What was read of the journal is not what was written."""


def seal(*values: object) -> bytes:
    """Return a digest of values whose `repr` tells all of them."""
    return blake2b(repr(values).encode(), digest_size=16).digest()


def short_seal(*values: object) -> int:
    """Return a small checksum, for the rows of which there are a million."""
    return crc32(repr(values).encode())
