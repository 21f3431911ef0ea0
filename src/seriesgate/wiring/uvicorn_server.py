"""uvicorn as a part of a program that decides itself when to stop."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator


class UvicornServer(uvicorn.Server):
    """uvicorn without signal handlers of its own: the program already has one way to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
