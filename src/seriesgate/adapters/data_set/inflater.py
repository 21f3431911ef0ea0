"""Inflates the head of a deflated data set piece by piece, bounded on both sides.

Deflated Explicit VR Little Endian (PS3.5 A.5) is a raw deflate stream (RFC 1951): a few MiB of it
can stand for many GiB. So nothing here inflates more than one small piece at a time. Some senders
put a zlib header (RFC 1950) or a gzip header (RFC 1952) before it, and some do not deflate at all.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE_SIZE = 16 * 1024
_RAW_DEFLATE = -zlib.MAX_WBITS  # no zlib header, no checksum
_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"
# The first element of a data set, or of a File Meta, with its VR; how that begins, and how long it
# is.
_PLAIN = re.compile(rb"[\x02\x08]\0..[A-Z]{2}", re.DOTALL)
_PLAIN_GROUPS = (b"\x02\0", b"\x08\0")
_PLAIN_SIZE = 6


class InflateError(Exception):
    """Why the stream cannot be inflated further; all that came before has been handed out."""


class Inflater:
    """Turns fragments of a deflate stream into pieces of at most 16 KiB.

    `max_bytes` bounds the deflated bytes, for a stream can go on for ever without inflating to
    anything. The caller bounds the inflated ones: it stops asking for pieces.
    """

    def __init__(self, max_bytes: int) -> None:
        self._stream: zlib._Decompress | None = None
        self._beginning = b""
        self._is_plain = False
        self._bytes_left = max_bytes

    def feed(self, fragment: memoryview) -> Iterator[bytes]:
        """Yield what `fragment` inflates to; what follows the end of the stream is padding.

        Raises InflateError, after the last good byte, when the stream is damaged or too long.
        """
        is_too_long = len(fragment) > self._bytes_left
        fragment = fragment[: self._bytes_left]
        self._bytes_left -= len(fragment)
        if self._stream is None and not self._is_plain:
            fragment = self._begin(fragment)
        if self._is_plain:
            for start in range(0, len(fragment), _PIECE_SIZE):
                yield bytes(fragment[start : start + _PIECE_SIZE])
        elif self._stream is not None:
            yield from self._inflate(self._stream, fragment)
            is_too_long = is_too_long and not self._stream.eof
        if is_too_long:
            raise InflateError("the deflated head of the data set is too long")

    def _begin(self, fragment: memoryview) -> memoryview:
        """See from the first bytes what it is; return what is to be read, if it is known."""
        first = self._beginning + fragment[:_PLAIN_SIZE]
        if len(first) < (_PLAIN_SIZE if first.startswith(_PLAIN_GROUPS) else len(_GZIP_MAGIC)):
            self._beginning = first
            return fragment[:0]
        self._is_plain = _PLAIN.match(first) is not None
        if not self._is_plain:
            has_header = first.startswith(_GZIP_MAGIC) or _is_zlib_header(first[:2])
            self._stream = zlib.decompressobj(_ZLIB_OR_GZIP if has_header else _RAW_DEFLATE)
        return memoryview(self._beginning + fragment) if self._beginning else fragment

    def _inflate(self, stream: zlib._Decompress, fragment: memoryview) -> Iterator[bytes]:
        step = min(len(fragment), _PIECE_SIZE)
        piece = b""
        while (fragment or len(piece) == _PIECE_SIZE) and not stream.eof:
            before = stream.copy()
            chunk = fragment[:step]
            try:
                piece = stream.decompress(chunk, _PIECE_SIZE)
            except zlib.error as error:
                # zlib drops what the same call had inflated before the fault. Closing in on the
                # faulty byte gets it, so that the outcome does not depend on the fragment sizes.
                if step <= 1:
                    raise InflateError("the data set is not a deflate stream") from error
                self._stream = stream = before
                step //= 2
                continue
            fragment = fragment[len(chunk) - len(stream.unconsumed_tail) :]
            yield piece


def _is_zlib_header(first: bytes) -> bool:
    """Whether two bytes are a zlib header (RFC 1950 2.2), with which hardly any stream begins."""
    return first[0] & 0x0F == zlib.DEFLATED and int.from_bytes(first, "big") % 31 == 0
