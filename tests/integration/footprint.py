"""What this process holds, and which files the threads of a receiver touch."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integration.receiver import open_descriptors, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

KIB = 1024
MIB = 1024 * KIB

# What stays resident after all is given back: free lists and the grain of the allocator.
_LEFT_OVER = 1 * MIB

_RECEIVING_THREADS = {"association", "storage-scp"}
_FILE_EVENTS = ("open", "os.", "shutil.", "tempfile.")
_PROGRAM_EVENTS = (
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.",
)
# All names that a receiver makes: nothing in them came over the network as it is.
_OPAQUE_NAME = re.compile(
    r"(spool|incoming|spool/[0-9a-f]{32}(/[0-9a-f]{32}(\.[0-9]+)?\.dcm)?|incoming/[0-9]+|lock)?"
)


@dataclass(frozen=True)
class Footprint:
    """Memory, file descriptors and threads of the process, and the files in `folder`."""

    folder: Path
    state: Path
    resident: int
    descriptors: int
    threads: int
    surroundings: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path, state: Path) -> Footprint:
        """Return the footprint; of `folder`, all is noted but what is in `state`."""
        descriptors = open_descriptors()
        _return_free_memory()
        return cls(
            folder,
            state,
            resident_bytes(),
            descriptors,
            threading.active_count(),
            tuple(p for p in sorted(folder.rglob("*")) if state not in p.parents),
        )

    def check_given_back(self) -> None:
        """Check that nothing was kept and that nothing was made outside the state folder."""
        now = Footprint.of(self.folder, self.state)
        assert now.threads == self.threads
        assert now.descriptors == self.descriptors
        assert now.surroundings == self.surroundings
        kept = now.resident - self.resident
        assert kept < _LEFT_OVER, f"{kept / MIB:.1f} MiB are not given back"
        for path in self.state.rglob("*"):
            assert is_opaque(str(path), self.state), path


@contextmanager
def older_objects_set_aside() -> Iterator[None]:
    """Leave what exists already out of garbage collections: those in between are quick."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _return_free_memory() -> None:
    """Have the allocator of the C library return what is free, so that what stays is in use."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def reset_peak_memory() -> None:
    """Begin to measure the peak of resident memory anew (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory() -> int:
    """Return the peak of resident memory in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * KIB


def is_opaque(path: str, state: Path) -> bool:
    """Whether `path` is the state folder or a name in it of which nothing came over the network."""
    relative = os.path.relpath(path, state)
    return (
        os.path.isabs(path)
        and _OPAQUE_NAME.fullmatch("" if relative == "." else relative) is not None
    )


class _Confinement:
    """Notes what a receiver must not touch."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.violations: list[str] = []

    def saw(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_PROGRAM_EVENTS):
            self.violations.append(f"{event} {arguments!r}")
        # Of `open` the second argument is a mode, all other texts are paths.
        for path in arguments[:1] if event == "open" else arguments:
            if isinstance(path, str | bytes | os.PathLike):
                name = os.fsdecode(path)
                if not is_opaque(name, self.state):
                    self.violations.append(f"{event} {name!r}")


_confinements: list[_Confinement] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _confinements or not event.startswith((*_FILE_EVENTS, *_PROGRAM_EVENTS)):
        return
    if threading.current_thread().name in _RECEIVING_THREADS:
        for confinement in _confinements:
            confinement.saw(event, arguments)


sys.addaudithook(_audit)


@contextmanager
def confined_to(state: Path) -> Iterator[None]:
    """Check that the threads of a receiver touch opaque names in `state` alone, and run nothing."""
    confinement = _Confinement(state)
    _confinements.append(confinement)
    try:
        yield
    finally:
        _confinements.remove(confinement)
    assert not confinement.violations, confinement.violations[:5]
