"""Runs both programs on one machine: the server and the gateway, each in a process of its own.

If one of them ends, so does the other; if this process is killed, both notice and end.

Decided in ADR 7.
"""

from __future__ import annotations

import signal
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from seriesgate.child_program import ChildProgram

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class _Stopped(BaseException):
    """SIGINT or SIGTERM came."""


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
    running: list[ChildProgram] = []
    exit_code = 0
    try:
        addresses = {}
        for name, main in programs:
            program = ChildProgram(name, main)
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
