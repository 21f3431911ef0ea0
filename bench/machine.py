"""The machine in general terms: what a reader must know to judge the figures."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

from bench.programs import BenchmarkError

# Where a synced file is no safer than any other.
_VOLATILE = {"tmpfs", "ramfs"}
_SYNCS = 50
# Of a full run, all smaller files together take a few gigabytes.
_LARGE = 64 * 1024
_PROGRAMS = ("storescu", "storescp", "Orthanc")


def describe(folder: Path) -> dict[str, str]:
    """Return what is to be said of this machine; receivers store below `folder`.

    No name of a host and no path is in it.
    """
    kernel = re.match(r"[0-9]+\.[0-9]+", platform.release())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processors": str(os.cpu_count()),
        "memory": f"{memory:.0f} GB",
        "system": f"{platform.system()} {kernel[0] if kernel else ''}, {platform.machine()}",
        "file system": file_system(folder) + ("" if has_journal(folder) else ", no journal"),
        "one write of 10 KB and its fsync": f"{1000 * sync_seconds(folder):.2f} ms",
        "Python": platform.python_version(),
        "DCMTK": _said_by("storescp", "--version", r"v([0-9.]+)"),
        "Orthanc": _said_by("Orthanc", "--version", r"Orthanc ([0-9.]+)"),
        "pynetdicom": version("pynetdicom"),
        "seriesgate": version("seriesgate"),
    }


def check_programs() -> None:
    """Raise BenchmarkError when a program that takes part is not installed."""
    if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
        raise BenchmarkError(
            f"not installed: {', '.join(missing)}; scripts/install-test-peers does it"
        )


def check_disk(folder: Path) -> None:
    """Raise BenchmarkError when nothing in `folder` can be made durable."""
    if file_system(folder) in _VOLATILE:
        raise BenchmarkError(
            "the working folder is in memory, where fsync means nothing: "
            "name a folder on a disk with --folder"
        )


def spread_folders(folder: Path) -> None:
    """Have each new folder below `folder` in a block group of its own, on ext4 without a journal.

    There, making a file means searching the group past every file that was removed from it in the
    last minutes: what one measurement removes would slow down the next.
    """
    if not has_journal(folder):
        subprocess.run(["chattr", "+T", str(folder)], check=True)


def give_back_space(folder: Path) -> None:
    """Empty the large files below `folder`, and leave all of them there.

    Where `spread_folders` is needed, files that were removed slow down those who make new ones;
    what is only emptied does not.
    """
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size >= _LARGE:
            os.truncate(path, 0)


def file_system(folder: Path) -> str:
    """Return the type of the file system that holds `folder`."""
    return _mount(folder)[1]


def has_journal(folder: Path) -> bool:
    """Return whether the file system of `folder` has a journal; only of ext4 it may be False."""
    device, kind = _mount(folder)
    journals = Path("/proc/fs/jbd2").glob(f"{Path(device).resolve().name}-*")
    return kind != "ext4" or any(journals)


def _mount(folder: Path) -> tuple[str, str]:
    """Return the device and the type of the file system that holds `folder`."""
    resolved = folder.resolve()
    mounts = {}
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        device, place, kind, *_ = line.split()
        if resolved.is_relative_to(place):
            mounts[place] = device, kind
    return mounts[max(mounts, key=len)]


def sync_seconds(folder: Path) -> float:
    """Return the median time of writing a new file of 10 KB and syncing it."""
    content = os.urandom(10 * 1024)
    times = []
    for _ in range(_SYNCS):
        path = folder / "synced"
        began = time.perf_counter()
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        times.append(time.perf_counter() - began)
        path.unlink()
    return median(times)


def _said_by(program: str, option: str, pattern: str) -> str:
    said = subprocess.run([program, option], check=False, capture_output=True, text=True)
    found = re.search(pattern, said.stdout + said.stderr)
    return found[1] if found else "unknown"
