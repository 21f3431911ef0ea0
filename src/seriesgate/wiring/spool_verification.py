"""Verification of a state folder: its files, and whether the journal's are all there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seriesgate.adapters.data_set.header_scanner import HeaderScanners
from seriesgate.adapters.journal.sqlite_journal import SqliteJournal
from seriesgate.adapters.spool.verification import CheckedEntry, verify_spool
from seriesgate.adapters.state_folder import StateFolder, StateFolderInUse
from seriesgate.gateway.ports import JournalFailed
from seriesgate.startup import CannotStart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from seriesgate.series.model import InstanceCopy


@dataclass(slots=True)
class SpoolReport:
    """What was found. `missing` are copies that the journal owes to the server, by series.

    `journal` says how the journal stands: empty when it was compared, or why it was not.
    """

    files: int = 0
    bytes: int = 0
    problems: list[CheckedEntry] = field(default_factory=list)
    missing: list[tuple[str, InstanceCopy]] = field(default_factory=list)
    quarantined: int = 0
    journal: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.problems or self.missing or self.quarantined)


def verify_state_folder(state_dir: Path, progress: Callable[[int], None]) -> SpoolReport:
    """Read everything in a state folder; `progress` gets the number of files so far.

    Where a gateway runs, its journal is not compared. Raises CannotStart.
    """
    if not (state_dir / "spool").is_dir():
        raise CannotStart(
            f"there is no spool in {state_dir}: name the gateway's state folder with --state-dir"
        )
    with contextlib.ExitStack() as stack:
        report = SpoolReport()
        journal = None
        try:
            stack.enter_context(contextlib.closing(StateFolder(state_dir)))
        except StateFolderInUse:
            report.journal = "a gateway runs: stop it to have its journal compared with the files"
        else:
            journal = _journal(state_dir, stack, report)
        found = _read_files(state_dir, report, progress)
        if journal is not None:
            try:
                journal.check()
                report.missing = [owed for owed in journal.owed_copies() if owed not in found]
            except JournalFailed as error:
                raise CannotStart(str(error)) from error
        return report


def _journal(
    state_dir: Path, stack: contextlib.ExitStack, report: SpoolReport
) -> SqliteJournal | None:
    path = state_dir / "journal.db"
    if not path.exists():
        report.journal = "there is no journal: a gateway that starts here reports all files anew"
        return None
    return stack.enter_context(
        contextlib.closing(SqliteJournal(path, is_expected=True, begins_anew=False))
    )


def _read_files(
    state_dir: Path, report: SpoolReport, progress: Callable[[int], None]
) -> set[tuple[str, InstanceCopy]]:
    """Fill the report; return the copies that are there and whole."""
    found = set()
    try:
        for entry in verify_spool(state_dir / "spool", HeaderScanners()):
            report.files += 1
            report.bytes += entry.size
            progress(report.files)
            if entry.problem:
                report.problems.append(entry)
            elif entry.copy is not None:
                found.add((entry.series_instance_uid, entry.copy))
        quarantine = state_dir / "quarantine"
        report.quarantined = sum(1 for _ in quarantine.iterdir()) if quarantine.exists() else 0
    except OSError as error:
        raise CannotStart(f"the spool in {state_dir} cannot be read: {error.strerror}") from error
    return found
