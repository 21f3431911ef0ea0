"""A program in a process of its own, which its parent waits for and stops."""

from __future__ import annotations

import multiprocessing
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

# Longer than any program needs to drain; then it is killed.
_STOP_TIMEOUT = 30.0


class ChildProgram:
    """One program in its own process. `main` is called there with a way to say that it is ready."""

    def __init__(self, name: str, main: Callable[[Callable[[str], None]], int]) -> None:
        context = multiprocessing.get_context("spawn")
        #: Can be read from once the program is ready, or has ended.
        self.ready, child_end = context.Pipe(duplex=False)
        self.process: SpawnProcess = context.Process(
            target=_run_program, args=(main, child_end), name=name
        )
        self.process.start()
        # Only the child may hold the other end: its death is then the end of the pipe.
        child_end.close()

    def wait_until_ready(self) -> str | None:
        """Return where the program listens, or None if it ended instead."""
        try:
            return str(self.ready.recv())
        except EOFError:
            return None

    def tell_to_stop(self) -> None:
        """Have the program drain and end; do not wait for it."""
        if self.process.is_alive():
            self.process.terminate()

    def stop(self) -> int:
        """Have the program drain and end; return its exit code."""
        self.tell_to_stop()
        self.process.join(_STOP_TIMEOUT)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.ready.close()
        return self.process.exitcode or 0


def _run_program(main: Callable[[Callable[[str], None]], int], ready: Connection) -> None:
    # Ctrl-C reaches the whole foreground group; the parent alone decides the order of stopping.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise SystemExit(main(ready.send))
