"""Reads a whole spool and says what is wrong with it. Changes nothing."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seriesgate.adapters.spool.names import file_name, folder_name
from seriesgate.adapters.spool.part10 import NotPart10
from seriesgate.adapters.spool.spooled_file import SpooledFile
from seriesgate.gateway.ports import HeaderUnreadable
from seriesgate.series.model import InstanceCopy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from seriesgate.gateway.ports import HeaderScanner


@dataclass(frozen=True, slots=True)
class CheckedEntry:
    """An entry of the spool. `problem` says in one line what is wrong with it, if anything is.

    `name` is relative to the spool; `copy` is known of a file that can be read that far.
    """

    name: str
    size: int = 0
    series_instance_uid: str = ""
    copy: InstanceCopy | None = None
    problem: str = ""


def verify_spool(
    spool: Path, scanner_for: Callable[[str], HeaderScanner]
) -> Iterator[CheckedEntry]:
    """Yield each entry of the folder `spool`, checked from its head to the end of its data set.

    A gateway may run meanwhile: what it removes is passed over, and what it adds is whole from the
    beginning. Raises OSError if the folder can't be read.
    """
    for name in _entries(str(spool)):
        try:
            yield _checked(str(spool), name, scanner_for)
        except FileNotFoundError:
            continue


def _entries(root: str) -> Iterator[str]:
    for name in sorted(os.listdir(root)):
        folder = f"{root}/{name}"
        try:
            if stat.S_ISDIR(os.lstat(folder).st_mode):
                yield from (f"{name}/{entry}" for entry in sorted(os.listdir(folder)))
            else:
                yield name
        except FileNotFoundError:
            continue


def _checked(root: str, name: str, scanner_for: Callable[[str], HeaderScanner]) -> CheckedEntry:
    path = f"{root}/{name}"
    try:
        with SpooledFile(os, path) as file:
            header, seal = file.header(scanner_for), file.seal
        copy = InstanceCopy(header.sop_instance_uid, seal.digest)
        with SpooledFile(os, path) as file:
            is_whole = file.is_whole()
    except FileNotFoundError:
        raise
    except (NotPart10, HeaderUnreadable) as error:
        return CheckedEntry(name, problem=str(error))
    except OSError as error:
        return CheckedEntry(name, problem=f"it cannot be read: {error.strerror}")
    series = header.series_instance_uid
    problem = ""
    if not is_whole:
        problem = "its data set is not what was received: the checksum differs"
    elif name != f"{folder_name(series)}/{file_name(copy)}":
        problem = "its name is not that of its content"
    return CheckedEntry(name, seal.size, series, copy, problem)
