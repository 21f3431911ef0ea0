"""Runs both programs on one machine: the server and the gateway, each in a process of its own.

If one of them ends, so does the other; if this process is killed, both notice and end.
"""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from types import FrameType

# Longer than either program needs to drain; then it is killed.
_STOP_TIMEOUT = 30.0


class _Stopped(BaseException):
    """SIGINT or SIGTERM came."""


class Program:
    """One program in its own process. `main` is called there with a way to say that it is ready."""

    def __init__(self, name: str, main: Callable[[Callable[[str], None]], int]) -> None:
        context = multiprocessing.get_context("spawn")
        self._ready, child_end = context.Pipe(duplex=False)
        self.process: SpawnProcess = context.Process(
            target=_run_program, args=(main, child_end), name=name
        )
        self.process.start()
        # Only the child may hold the other end: its death is then the end of the pipe.
        child_end.close()

    def wait_until_ready(self) -> str | None:
        """Return where the program listens, or None if it ended instead."""
        try:
            return str(self._ready.recv())
        except EOFError:
            return None

    def stop(self) -> int:
        """Have the program drain and end; return its exit code."""
        if self.process.is_alive():
            self.process.terminate()
        self.process.join(_STOP_TIMEOUT)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        return self.process.exitcode or 0


def _run_program(main: Callable[[Callable[[str], None]], int], ready: Connection) -> None:
    # Ctrl-C reaches the whole foreground group; the parent alone decides the order of stopping.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise SystemExit(main(ready.send))


def supervise(
    programs: list[tuple[str, Callable[[Callable[[str], None]], int]]],
    announce: Callable[[dict[str, str]], None],
) -> int:
    """Start the programs in order, each when the one before is ready; stop them in reverse.

    `announce` gets where each listens once all are ready. Returns 0 when stopped by a signal,
    otherwise the exit code of the program that ended first.
    """
    signal.signal(signal.SIGINT, _raise_stopped)
    signal.signal(signal.SIGTERM, _raise_stopped)
    running: list[Program] = []
    exit_code = 0
    try:
        addresses = {}
        for name, main in programs:
            program = Program(name, main)
            running.append(program)
            address = program.wait_until_ready()
            if address is None:
                return program.stop() or 1
            addresses[name] = address
        announce(addresses)
        wait([program.process.sentinel for program in running])
        exit_code = next(
            program.stop() or 1 for program in running if not program.process.is_alive()
        )
    except _Stopped:
        pass
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for program in reversed(running):
            program.stop()
    return exit_code


def _raise_stopped(_signal: int, _frame: FrameType | None) -> None:
    raise _Stopped
