"""The outbox of a gateway that does not run: its journal, opened under the lock of its state."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from seriesgate.adapters.admin.json_form import outbox_json
from seriesgate.adapters.journal.sqlite_journal import SqliteJournal
from seriesgate.adapters.state_folder import StateFolder, StateFolderInUse
from seriesgate.gateway.deaths import NOT_AT_ALL
from seriesgate.gateway.outbox import (
    AmbiguousDeadLetter,
    NoSuchDeadLetter,
    find_dead_letter,
    read_outbox,
)
from seriesgate.gateway.ports import JournalFailed, JournalFull
from seriesgate.startup import CannotStart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seriesgate.gateway.ports import DeadLetter, Journal


class LocalOutboxError(Exception):
    """The outbox can't be used so. The text is one line for a person."""


def list_locally(state_dir: Path, limit: int) -> dict[str, Any]:
    """Return what /outbox answers. Raises LocalOutboxError, as all functions here."""
    with local_journal(state_dir) as journal:
        return outbox_json(read_outbox(journal, limit))


def retry_locally(state_dir: Path, delivery_id: str | None) -> int:
    """Make a dead letter, or with None all of them, pending; return how many.

    The next gateway delivers them.
    """
    with local_journal(state_dir) as journal:
        letters = _chosen(journal, delivery_id)
        for letter in letters:
            journal.revive(letter.delivery_id)
        return len(letters)


def discard_locally(state_dir: Path, delivery_id: str | None) -> int:
    """Give a dead letter, or with None all of them, up for good; return how many.

    The next gateway removes their files.
    """
    with local_journal(state_dir) as journal:
        letters = _chosen(journal, delivery_id)
        for letter in letters:
            journal.discard(letter.delivery_id, datetime.now(UTC))
        return len(letters)


def list_deaths(state_dir: Path) -> list[dict[str, Any]]:
    """Return what earlier runs have died of so often that the next one puts it aside."""
    with local_journal(state_dir) as journal:
        return [
            {
                "unit_id": unit_id,
                "task": "a unit of the work of earlier runs",
                "reason": "earlier runs have died of it",
                "since": None,
                "times": times,
            }
            for unit_id, times in journal.deaths().items()
            if times >= NOT_AT_ALL
        ]


def forget_deaths(state_dir: Path, unit_id: str | None) -> int:
    """Have the next gateway do what earlier runs have died of, or all of it; return how many."""
    with local_journal(state_dir) as journal:
        found = [each for each in journal.deaths() if each.startswith(unit_id or "")]
        if unit_id is not None and len(found) != 1:
            raise LocalOutboxError("nothing that is put aside has this id alone")
        for each in found:
            journal.forget_death(each)
        return len(found)


@contextlib.contextmanager
def local_journal(state_dir: Path) -> Iterator[Journal]:
    """Open the journal of a gateway that does not run. Raises LocalOutboxError."""
    path = state_dir / "journal.db"
    if not path.exists():
        raise LocalOutboxError(
            f"no gateway runs, and there is no journal in {state_dir}: name the gateway's port "
            "with --admin-port, or its state folder with --state-dir"
        )
    try:
        with (
            contextlib.closing(StateFolder(state_dir)),
            contextlib.closing(SqliteJournal(path, is_expected=True, begins_anew=False)) as journal,
        ):
            yield journal
    except StateFolderInUse as error:
        raise LocalOutboxError(
            f"a gateway runs on the state folder {state_dir}, but its administration does not "
            "answer: name its port with --admin-port"
        ) from error
    except NoSuchDeadLetter as error:
        raise LocalOutboxError("no dead letter has this id") from error
    except AmbiguousDeadLetter as error:
        raise LocalOutboxError("several dead letters have ids like this") from error
    except (CannotStart, JournalFailed, JournalFull) as error:
        raise LocalOutboxError(str(error)) from error


def _chosen(journal: Journal, delivery_id: str | None) -> list[DeadLetter]:
    letters = journal.dead_letters()
    return letters if delivery_id is None else [find_dead_letter(letters, delivery_id)]
