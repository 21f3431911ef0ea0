"""Inflates the head of a deflated data set piece by piece, bounded on both sides.

Deflated Explicit VR Little Endian (PS3.5 A.5) is a raw deflate stream (RFC 1951): a few MiB of it
can stand for many GiB. So nothing here inflates more than one small piece at a time.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE_SIZE = 16 * 1024
_RAW_DEFLATE = -zlib.MAX_WBITS  # no zlib header, no checksum


class InflateError(Exception):
    """Why the stream cannot be inflated further; all that came before has been handed out."""


class Inflater:
    """Turns fragments of a raw deflate stream into pieces of at most 16 KiB.

    `max_bytes` bounds the deflated bytes, for a stream can go on for ever without inflating to
    anything. The caller bounds the inflated ones: it stops asking for pieces.
    """

    def __init__(self, max_bytes: int) -> None:
        self._stream = zlib.decompressobj(_RAW_DEFLATE)
        self._bytes_left = max_bytes

    def feed(self, fragment: memoryview) -> Iterator[bytes]:
        """Yield what `fragment` inflates to; what follows the end of the stream is padding.

        Raises InflateError, after the last good byte, when the stream is damaged or too long.
        """
        is_too_long = len(fragment) > self._bytes_left
        fragment = fragment[: self._bytes_left]
        self._bytes_left -= len(fragment)
        step = min(len(fragment), _PIECE_SIZE)
        piece = b""
        while (fragment or len(piece) == _PIECE_SIZE) and not self._stream.eof:
            before = self._stream.copy()
            chunk = fragment[:step]
            try:
                piece = self._stream.decompress(chunk, _PIECE_SIZE)
            except zlib.error as error:
                # zlib drops what the same call had inflated before the fault. Closing in on the
                # faulty byte gets it, so that the outcome does not depend on the fragment sizes.
                if step <= 1:
                    raise InflateError("the data set is not a deflate stream") from error
                self._stream, step = before, step // 2
                continue
            fragment = fragment[len(chunk) - len(self._stream.unconsumed_tail) :]
            yield piece
        if is_too_long and not self._stream.eof:
            raise InflateError("the deflated head of the data set is too long")
