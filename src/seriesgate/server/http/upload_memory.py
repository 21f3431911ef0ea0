"""What the bodies of all requests together may take of the memory, and that it is given back."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_MANY = 16 * 2**20
_FEW = 2**20


class Upload(Protocol):
    """A body that comes."""

    def cut(self) -> None:
        """Be refused: there is no room. What it holds need not be kept any more."""


class UploadMemory:
    """Holds no more than `most` bytes: the upload that has been coming longest is cut for others.

    An honest one takes milliseconds, and one that is slow on purpose as long as it may. A body that
    is complete is never cut. `give_back` is called when there were many bytes and now are few.
    """

    def __init__(self, most: int, give_back: Callable[[], None]) -> None:
        self._most = most
        self._give_back = give_back
        self._coming: dict[Upload, int] = {}  # in the order in which they began
        self._complete: dict[Upload, int] = {}
        self._total = 0
        self._peak = 0

    @property
    def total(self) -> int:
        """How many bytes are held."""
        return self._total

    def take(self, upload: Upload, count: int) -> None:
        """Hold more bytes of an upload. Others are cut, or itself, if there is no room."""
        self._coming[upload] = self._coming.get(upload, 0) + count
        self._total += count
        self._peak = max(self._peak, self._total)
        while self._total > self._most and self._coming:
            oldest = next(iter(self._coming))
            self._total -= self._coming.pop(oldest)
            oldest.cut()

    def completed(self, upload: Upload) -> None:
        """An upload has ended; what it holds is kept until it is let go."""
        if upload in self._coming:
            self._complete[upload] = self._coming.pop(upload)

    def let_go(self, upload: Upload) -> None:
        """Hold nothing of an upload any more; of one that is not known too."""
        self._total -= self._coming.pop(upload, 0) + self._complete.pop(upload, 0)
        if self._peak >= _MANY and self._total < _FEW:
            self._peak = self._total
            self._give_back()


def give_memory_back() -> None:
    """Return what is free in the heap to the system, where the C library can (glibc).

    By itself it returns what is free at the end of the heap alone, and some small object that came
    later is always behind the pieces of a body.
    """
    if _trim is not None:
        _trim(0)


_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
