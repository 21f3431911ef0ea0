"""The one place where whatever is unexpected is caught, so that it is one unit's failure alone.

Decided in ADR 50 for the gateway, and in ADR 51 for the server.
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Unit:
    """A unit of work under way; after it, `failure` says in one line what went wrong, if it did."""

    failure: str = field(default="")


@contextmanager
def contained(unit: Unit, expected: tuple[type[Exception], ...]) -> Iterator[None]:
    """Note in `unit` whatever is raised and not `expected`, and go on behind the block."""
    try:
        yield
    except expected:
        raise
    except Exception as error:  # noqa: BLE001 - this is the one place for it
        unit.failure = failure_of(error)


def failure_of(error: BaseException) -> str:
    """Return what was raised, and where. The text of an error is left out: it may quote data."""
    place = traceback.extract_tb(error.__traceback__)[-1:]
    at = "".join(f" at {PurePath(frame.filename).name}:{frame.lineno}" for frame in place)
    return f"{type(error).__name__}{at}"
