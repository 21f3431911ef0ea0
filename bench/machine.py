"""The machine in general terms: what a reader must know to judge the figures."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

from bench.programs import BenchmarkError

# Where a synced file is no safer than any other.
_VOLATILE = {"tmpfs", "ramfs"}
_SYNCS = 50


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
        "file system": file_system(folder),
        "one write of 10 KB and its fsync": f"{1000 * sync_seconds(folder):.2f} ms",
        "Python": platform.python_version(),
        "DCMTK": _said_by("storescp", "--version", r"v([0-9.]+)"),
        "Orthanc": _said_by("Orthanc", "--version", r"Orthanc ([0-9.]+)"),
        "pynetdicom": version("pynetdicom"),
        "seriesgate": version("seriesgate"),
    }


def check_disk(folder: Path) -> None:
    """Raise BenchmarkError when nothing in `folder` can be made durable."""
    if file_system(folder) in _VOLATILE:
        raise BenchmarkError(
            "the working folder is in memory, where fsync means nothing: "
            "name a folder on a disk with --folder"
        )


def spread_folders(folder: Path) -> None:
    """Let ext4 put each new folder below `folder` into a block group of its own.

    Without a journal it searches a group past every file that was removed from it in the last
    minutes: what one measurement removes would slow down the next.
    """
    if file_system(folder) == "ext4":
        subprocess.run(["chattr", "+T", str(folder)], check=True)


def file_system(folder: Path) -> str:
    """Return the type of the file system that holds `folder`."""
    resolved = folder.resolve()
    mounts = {}
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, *_ = line.split()
        if resolved.is_relative_to(place):
            mounts[place] = kind
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
