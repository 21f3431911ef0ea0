"""Programs as processes: started, watched until they listen, measured, and stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
_POLL = 0.005
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# The connection state LISTEN in /proc/PID/net/tcp.
_LISTEN = "0A"
# DCMTK's library reads these; what the caller's shell has must not decide what is measured.
_FOREIGN_SETTINGS = ("TCP_NODELAY", "TCP_BUFFER_LENGTH", "SERIESGATE_")


class BenchmarkError(Exception):
    """The benchmark can't go on. The text is one line for people."""


@dataclass(frozen=True)
class Site:
    """Where programs run: on loopback, or in a network namespace that has an address of its own."""

    host: str = "127.0.0.1"
    namespace: str | None = None

    def command(self, command: Sequence[str | Path]) -> list[str]:
        """Return the command that runs `command` there, as the same process."""
        prefix = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        return [*prefix, *map(str, command)]


@dataclass(frozen=True)
class Usage:
    """What a process and its children have used: CPU time in seconds, peak memory in bytes.

    The memory is that of the process itself.
    """

    user: float
    system: float
    peak_rss: int


class Program:
    """A running process; its output is in `log`."""

    def __init__(
        self,
        site: Site,
        command: Sequence[str | Path],
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = folder / f"{Path(command[0]).name}-{time.monotonic_ns()}.log"
        self._command = command
        with self.log.open("wb") as output:
            self._popen = subprocess.Popen(
                site.command(command),
                cwd=folder,
                env=environment_for(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the benchmark, which then stops what it started, in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._popen.pid

    def wait_until_listening(self, port: int) -> float:
        """Return the monotonic time at which something listens on `port`. Raises BenchmarkError."""
        limit = time.monotonic() + START_TIMEOUT
        while not _has_listener(self.pid, port):
            if self._popen.poll() is not None:
                raise BenchmarkError(self.complaint("ended at its start"))
            if time.monotonic() > limit:
                raise BenchmarkError(self.complaint(f"does not listen after {START_TIMEOUT:.0f} s"))
            time.sleep(_POLL)
        return time.monotonic()

    def wait(self, timeout: float) -> None:
        """Wait for a good end and return at once when it comes. Raises BenchmarkError."""
        # Popen.wait with a timeout looks every 50 ms only: longer than what is measured.
        watchdog = threading.Timer(timeout, self._popen.kill)
        watchdog.start()
        try:
            code = self._popen.wait()
        finally:
            watchdog.cancel()
        if code != 0:
            raise BenchmarkError(self.complaint(f"ended with exit code {code}"))

    def usage(self) -> Usage:
        """Return what was used until now."""
        ticks = [_cpu_ticks(pid) for pid in _tree(self.pid)]
        return Usage(
            user=sum(user for user, _ in ticks) / _TICKS_PER_SECOND,
            system=sum(system for _, system in ticks) / _TICKS_PER_SECOND,
            peak_rss=_memory(self.pid, "VmHWM"),
        )

    def resident(self) -> int:
        """Return the resident memory now, in bytes."""
        return _memory(self.pid, "VmRSS")

    def stop(self) -> None:
        """End the process, by force if it does not go by itself."""
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()

    def complaint(self, what: str) -> str:
        """Return a line that says what is wrong, with the last of what the program said."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f"{Path(self._command[0]).name}: {what}: {' | '.join(lines[-3:]) or 'no output'}"


@contextmanager
def running(program: Program) -> Iterator[Program]:
    """Stop `program` at the end, however that comes."""
    try:
        yield program
    finally:
        program.stop()


def environment_for(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process' environment without foreign settings, and with `extra`."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN_SETTINGS)}
    return {**own, **extra}


def free_port() -> int:
    """Return a TCP port that is free on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _has_listener(pid: int, port: int) -> bool:
    """Look in the process' own network namespace; a probing connection would disturb it."""
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, *_ = line.split()
            if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                return True
    return False


def _tree(pid: int) -> Iterator[int]:
    """Yield a process and its descendants, those included that ended and are not yet reaped."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _tree(int(child))


def _cpu_ticks(pid: int) -> tuple[int, int]:
    """Return user and system time with that of reaped children (proc(5), fields 14 to 17)."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, children_user, children_system = map(int, stat[11:15])
    return user + children_user, system + children_system


def _memory(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise BenchmarkError(f"process {pid} has no memory any more")
