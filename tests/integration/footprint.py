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

_M_MMAP_THRESHOLD = -3  # mallopt(3)

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
    r"(spool|incoming|quarantine|write-ahead|lock)|write-ahead/[01](\.new)?"
    r"|spool/[0-9a-f]{32}(/[0-9a-f]{32}\.dcm)?|(incoming|quarantine)/[0-9]+"
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
        gc.collect()  # garbage that waits for the next collection is not kept
        return cls(
            folder,
            state,
            resident_bytes(),
            descriptors,
            threading.active_count(),
            tuple(p for p in sorted(folder.rglob("*")) if state not in p.parents),
        )

    def check_given_back(self, leftover: int) -> None:
        """Check that nothing was kept, and that nothing was made outside the state folder.

        `leftover`: bytes that may stay resident, for free lists and the grain of the allocator.
        """
        now = Footprint.of(self.folder, self.state)
        # Fewer: what another test left behind has ended in the meantime.
        assert now.threads <= self.threads
        assert now.descriptors <= self.descriptors
        assert now.surroundings == self.surroundings
        kept = now.resident - self.resident
        assert kept < leftover, f"{kept / MIB:.1f} MiB are not given back"
        for path in self.state.rglob("*"):
            assert is_opaque(path, self.state), path


@contextmanager
def older_objects_set_aside() -> Iterator[None]:
    """Leave what exists already out of garbage collections: those in between are quick."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def reset_peak_memory() -> None:
    """Begin to measure the peak of resident memory anew (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory() -> int:
    """Return the peak of resident memory in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * KIB


def is_opaque(path: Path, state: Path) -> bool:
    """Whether `path` is the state folder or a name in it of which nothing came over the network."""
    if not path.is_relative_to(state):
        return False
    return path == state or _OPAQUE_NAME.fullmatch(str(path.relative_to(state))) is not None


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
                if not is_opaque(Path(name), self.state):
                    self.violations.append(f"{event} {name!r}")


_confinements: list[_Confinement] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _confinements or not event.startswith((*_FILE_EVENTS, *_PROGRAM_EVENTS)):
        return
    if threading.current_thread().name in _RECEIVING_THREADS:
        for confinement in _confinements:
            confinement.saw(event, arguments)


sys.addaudithook(_audit)


def _give_large_blocks_back_at_once() -> None:
    """Keep glibc from raising the size from which a block is returned to the system when freed.

    It would keep megabytes for each thread that once had a large block, and hide what leaks.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, 128 * KIB)


_give_large_blocks_back_at_once()


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
