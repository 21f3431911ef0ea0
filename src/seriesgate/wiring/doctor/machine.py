"""Checks of the machine: the state folder and its disk, the clock, SQLite, limits."""

from __future__ import annotations

import fcntl
import os
import resource
import sqlite3
import statistics
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from seriesgate.wiring.doctor.finding import Finding, ok, problem, warning
from seriesgate.wiring.doctor.gateway_state import GatewayState, clock_correction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from seriesgate.settings.gateway import GatewaySettings

_FOLDER, _ROOM, _SPEED = "state folder", "disk room", "disk speed"
_SYNCS = 20
_SYNC_SIZE = 4096
# A sync that takes longer, in seconds, keeps a sender with small instances below fifty a second.
_SLOW_SYNC = 0.02
# With less than so many times `min_free_bytes` there is time to act, not more.
_LITTLE_ROOM = 2
_GB = 1e9
# No computer that runs this has an earlier or a later time, if its clock is right.
_EARLIEST, _LATEST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
# By so many seconds the clock may be set while the doctor looks.
_STEP = 0.1
# The server's clock may differ by so many seconds; its header has whole ones.
_SKEW, _GROSS_SKEW = 5.0, 300.0
# Beside two for each association: connections that have not asked yet, listeners, the journal …
_OTHER_FILES = 64
_PENDING_CONNECTIONS = 512


class ClockWatch:
    """Notices when the clock is set while the checks run. Both clocks are in seconds."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._ahead = clock() - monotonic()

    def step(self) -> float:
        """Return by how many seconds the clock was set since."""
        return self._clock() - self._monotonic() - self._ahead


def check_state_folder(settings: GatewaySettings, state: GatewayState) -> Iterator[Finding]:
    """Check that the state folder can be written, who holds it, and its disk."""
    path = settings.state_dir
    if not path.exists():
        yield from _check_missing_folder(path, state)
        return
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            seconds = _sync_seconds(file.fileno())
    except OSError as error:
        yield problem(
            _FOLDER,
            f"{path} cannot be written: {error.strerror}; run this as the gateway's user, or set "
            "gateway.state_dir to a folder that it may write",
        )
        return
    yield _check_lock(path, state)
    volume = os.statvfs(path)
    yield judge_room(volume.f_bavail * volume.f_frsize, settings.min_free_bytes)
    yield judge_speed(seconds, settings.durability)


def _check_missing_folder(path: Path, state: GatewayState) -> Iterator[Finding]:
    if state.is_running:
        yield warning(
            _FOLDER,
            f"there is no {path}: the gateway that runs has another; name its settings with "
            "--config",
        )
        return
    parent = next(each for each in path.absolute().parents if each.exists())
    if parent.is_dir() and os.access(parent, os.W_OK):
        yield ok(_FOLDER, f"there is no {path} yet; the gateway makes it when it starts")
    else:
        yield problem(
            _FOLDER,
            f"{path} cannot be made in {parent}: set gateway.state_dir to a folder that this user "
            "may write",
        )


def _check_lock(path: Path, state: GatewayState) -> Finding:
    if _is_locked(path / "lock"):
        if state.is_running:
            return ok(_FOLDER, f"{path} can be written, and the gateway holds it")
        return problem(
            _FOLDER,
            f"a gateway holds {path}, but its administration does not answer: name its port with "
            "--admin-port",
        )
    if state.is_running:
        return warning(
            _FOLDER,
            f"the gateway that runs does not hold {path}: it has another; name its settings with "
            "--config",
        )
    return ok(_FOLDER, f"{path} can be written, and no gateway holds it")


def _is_locked(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def judge_room(free: int, min_free_bytes: int) -> Finding:
    """Judge how many bytes are free on the disk of the state folder."""
    room = f"{free / _GB:.1f} GB are free, gateway.min_free_bytes are {min_free_bytes / _GB:.1f} GB"
    if free < min_free_bytes:
        return problem(_ROOM, f"{room}: instances are refused until there is room")
    if free < _LITTLE_ROOM * min_free_bytes:
        return warning(_ROOM, f"{room}: make room before instances are refused")
    return ok(_ROOM, room)


def _sync_seconds(fd: int) -> float:
    """Return how long the disk takes to make a small write durable: the median of some."""
    took = []
    for number in range(_SYNCS):
        os.pwrite(fd, bytes(_SYNC_SIZE), number * _SYNC_SIZE)
        began = time.perf_counter()
        os.fsync(fd)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def judge_speed(seconds: float, durability: str) -> Finding:
    """Judge how long the disk of the state folder takes for a sync."""
    text = f"a sync takes {1000 * seconds:.1f} ms"
    if durability == "power" and seconds > _SLOW_SYNC:
        return warning(
            _SPEED,
            f"{text}, and each instance waits for it: take an SSD for gateway.state_dir, or read "
            "what gateway.durability gives up",
        )
    return ok(_SPEED, text)


def check_clock(
    now: datetime, step: float, state: GatewayState, server_ahead: float | None
) -> Iterator[Finding]:
    """Check that the clock may be right, is not being set, and is that of the server.

    `now` is what it shows, aware UTC, and `step` by how many seconds it was just set;
    `server_ahead` is by how many the server's clock is ahead, None if that is not known.
    """
    name = "clock"
    before = list(_clock_troubles(now, step, state, server_ahead))
    if before:
        yield from before
    elif server_ahead is None:
        yield ok(name, f"{now:%Y-%m-%d %H:%M:%S} UTC; the server's clock is not known")
    else:
        yield ok(name, f"{now:%Y-%m-%d %H:%M:%S} UTC, as the server's")


def _clock_troubles(
    now: datetime, step: float, state: GatewayState, server_ahead: float | None
) -> Iterator[Finding]:
    name, remedy = "clock", "have it synchronised (NTP)"
    if not _EARLIEST <= now < _LATEST:
        yield problem(name, f"{now:%Y-%m-%d %H:%M} UTC cannot be right: {remedy}")
    if abs(step) > _STEP:
        yield warning(name, f"it was set by {step:+.1f} s just now: {remedy}")
    correction = clock_correction(state.status) if state.status else None
    if correction is not None:
        yield warning(
            name,
            f"it was set by {correction:+.1f} s since the gateway's start: the times of series "
            f"before that are wrong; {remedy}",
        )
    if server_ahead is not None and abs(server_ahead) > _SKEW:
        where = "ahead" if server_ahead > 0 else "behind"
        text = f"the server's clock is {abs(server_ahead):.0f} s {where}: have both synchronised"
        yield (problem if abs(server_ahead) > _GROSS_SKEW else warning)(name, f"{text} (NTP)")


def check_sqlite(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> Finding:
    """Tell SQLite's version. Its known fault with several connections can't befall this program."""
    text = ".".join(map(str, version))
    if has_wal_reset_fault(version):
        text += (
            ": it has the WAL-reset fault of databases with several connections (fixed in 3.51.3); "
            "the gateway and the server have one each, which is safe"
        )
    return ok("sqlite", text)


def has_wal_reset_fault(version: tuple[int, int, int]) -> bool:
    """Return whether a version of SQLite may corrupt a WAL file of several connections.

    Fixed in 3.51.3, and in 3.50.7 and 3.44.6 of the older lines (sqlite.org/wal.html).
    """
    fixed_lines = {(3, 50): 7, (3, 44): 6}
    fixed = fixed_lines.get(version[:2])
    return version < (3, 51, 3) and (fixed is None or version[2] < fixed)


def check_open_files(
    settings: GatewaySettings,
    state: GatewayState,
    own_limit: Callable[[], int] = lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0],
) -> Finding:
    """Check that the files that may be open are enough for `max_associations`."""
    name = "open files"
    limit = int(state.status["max_open_files"]) if state.status else own_limit()
    whose = "the gateway" if state.is_running else "this user"
    needed = 2 * settings.max_associations + _OTHER_FILES
    if limit == resource.RLIM_INFINITY or limit >= needed + _PENDING_CONNECTIONS:
        return ok(name, f"{whose} may open {limit}")
    text = f"{whose} may open {limit}, and {settings.max_associations} associations may need "
    remedy = "raise LimitNOFILE (ulimit -n), or lower gateway.max_associations"
    if limit < needed:
        return problem(name, f"{text}{needed}: {remedy}")
    return warning(name, f"{text}{needed + _PENDING_CONNECTIONS} in a crowd: {remedy}")
