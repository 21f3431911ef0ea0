"""Several worker processes that are one server, on one port.

The parent listens and every worker accepts from the same socket: whoever is free takes what comes,
and what waits when a worker dies is taken by another. The parent starts anew what ends, and passes
on what workers tell each other. It serves nothing itself, so it is small and does not die.

Decided in ADR 25.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from seriesgate.child_program import ChildProgram
from seriesgate.containment import Unit, contained
from seriesgate.listener import address_of, bind_listener
from seriesgate.startup import CannotStart
from seriesgate.wiring.worker_seat import MAX_MESSAGE, WorkerSeat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from seriesgate.settings.server import ServerSettings

    _Main: TypeAlias = Callable[[WorkerSeat, Callable[[str], None]], int]

# A worker that lived so long is started at once when it ends; one that did not waits, longer each
# time. In seconds.
_LONG_LIFE = 10.0
_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
_LONGEST_WAIT = 30.0

_log = logging.getLogger(__name__)


def run_workers(
    settings: ServerSettings,
    main: _Main,
    on_ready: Callable[[str], None],
    monotonic: Callable[[], float] = time.monotonic,
) -> int:
    """Run `settings.workers` processes until SIGTERM, SIGINT or the end of the parent.

    `main` is called in each with its seat and a way to say where it listens; it must be such that
    a new process can import it. `on_ready` gets the URL once all are ready. Returns the exit code:
    that of a worker that could not start at first, else 0. Raises CannotStart.
    """
    with (
        bind_listener(settings.host, settings.port) as listener,
        _folder_of_metrics() as metrics,
        _stopping() as stop,
    ):
        workers = _Workers(lambda number: _Worker(number, main, listener, metrics), monotonic)
        try:
            # The first alone: where nothing can start the reason is said once.
            for numbers in ([1], range(2, settings.workers + 1)):
                workers.start(numbers)
                for number in numbers:
                    if not workers.running[number].comes_up(stop):
                        return workers.running[number].exit_code or 0
            scheme = "http" if settings.tls_certificate is None else "https"
            on_ready(f"{scheme}://{address_of(listener)}")
            workers.keep_running(stop)
        finally:
            listener.close()  # nobody waits for who will not come
            workers.stop()
    return 0


def seconds_to_wait(lived: float, short_lives: int) -> float:
    """Give how long to wait with the next start of a worker that lived so many seconds.

    `short_lives` is how many lives in a row before this one were short.
    """
    if lived >= _LONG_LIFE:
        return 0.0
    return _WAITS[short_lives] if short_lives < len(_WAITS) else _LONGEST_WAIT


class _Worker:
    """One worker process, from its start on, and the link to it."""

    def __init__(self, number: int, main: _Main, listener: socket.socket, metrics: Path) -> None:
        self.link, other_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.link.setblocking(False)
        seat = WorkerSeat(listener, other_end, metrics)
        with other_end:
            self.program = ChildProgram(f"server-{number}", partial(main, seat))
        self.is_up = False

    @property
    def exit_code(self) -> int | None:
        """The exit code of a process that has ended."""
        return self.program.process.exitcode

    @property
    def waits_for(self) -> list[Any]:
        """What to wait for: the end of the process, that it is up, and what it tells."""
        up = [] if self.is_up else [self.program.ready]
        return [self.program.process.sentinel, *up, self.link]

    def comes_up(self, stop: Sequence[Any]) -> bool:
        """Wait until it is up and return True; False when it has ended or all shall stop."""
        if any(each in stop for each in wait([self.program.ready, *stop])):
            return False
        self.is_up = self.program.wait_until_ready() is not None
        if not self.is_up:
            self.program.process.join()
        return self.is_up

    def stop(self) -> int:
        """End it, if it has not ended; return its exit code."""
        self.link.close()
        return self.program.stop()


class _Workers:
    """All workers, by their numbers: those that run, and when those that ended are started."""

    def __init__(self, make: Callable[[int], _Worker], monotonic: Callable[[], float]) -> None:
        self.running: dict[int, _Worker] = {}
        self._make = make
        self._monotonic = monotonic
        self._began: dict[int, float] = {}
        self._due: dict[int, float] = {}
        self._short_lives: Counter[int] = Counter()

    def start(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._began[number] = self._monotonic()
            self.running[number] = self._make(number)

    def keep_running(self, stop: Sequence[Any]) -> None:
        """Start anew what ends and pass on what is told, until `stop` can be read from."""
        while True:
            pause = min(self._due.values()) - self._monotonic() if self._due else None
            all_of = [each for worker in self.running.values() for each in worker.waits_for]
            happened = wait([*stop, *all_of], None if pause is None else max(0.0, pause))
            if any(each in stop for each in happened):
                return
            for number, worker in tuple(self.running.items()):
                unit = Unit()
                with contained(unit, ()):
                    if worker.link in happened:
                        self._pass_on(worker)
                    self._attend(number, worker, happened)
                if unit.failure:
                    self._give_up(number, worker, unit.failure)
            now = self._monotonic()
            for number in [number for number, at in self._due.items() if at <= now]:
                self._start_again(number)

    def stop(self) -> None:
        for worker in self.running.values():
            worker.program.tell_to_stop()
        for worker in self.running.values():
            worker.stop()

    def _attend(self, number: int, worker: _Worker, happened: Sequence[Any]) -> None:
        """Say what has become of a worker, and when there is to be another in its place."""
        process = worker.program.process
        if not process.is_alive():
            del self.running[number]
            pause = self._plan_a_start(number)
            code = worker.stop()
            soon = f" in {pause:.0f} s" if pause else ""
            _log.error(
                "worker %d (process %d) %s; it is started again%s",
                *(number, process.pid, _end(code), soon),
            )
        elif worker.program.ready in happened and worker.program.wait_until_ready() is not None:
            worker.is_up = True
            _log.info("worker %d is there again (process %d)", number, process.pid)

    def _plan_a_start(self, number: int) -> float:
        """Note when a worker is to be started again; return in how many seconds that is."""
        now = self._monotonic()
        pause = seconds_to_wait(now - self._began[number], self._short_lives[number])
        self._short_lives[number] = self._short_lives[number] + 1 if pause else 0
        self._due[number] = now + pause
        return pause

    def _start_again(self, number: int) -> None:
        """Start a worker in the place of one that ended; later, if the system has no room now."""
        del self._due[number]
        unit = Unit()
        with contained(unit, ()):
            self.start([number])
        if unit.failure:
            pause = self._plan_a_start(number)
            _log.error(
                "worker %d can't be started, next attempt in %.0f s: %s",
                *(number, pause, unit.failure),
            )

    def _give_up(self, number: int, worker: _Worker, reason: str) -> None:
        """Have another worker in the place of one that can't be attended to."""
        _log.error("worker %d is given up, another is started in its place: %s", number, reason)
        if self.running.pop(number, None) is not None:
            self._plan_a_start(number)
        with contained(Unit(), ()):
            worker.program.process.kill()
            worker.stop()

    def _pass_on(self, teller: _Worker) -> None:
        with suppress(OSError):
            message = teller.link.recv(MAX_MESSAGE)
            for worker in self.running.values():
                if worker is not teller:
                    with suppress(OSError):  # it has just ended, or has no room for more
                        worker.link.send(message)


def _end(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by signal {-code} ({signal.strsignal(-code)})"


@contextmanager
def _folder_of_metrics() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="seriesgate-metrics-")
    except OSError as error:
        raise CannotStart(
            f"several workers keep their counts in the system's temporary folder, where nothing "
            f"can be written ({error.strerror}): make it writable, name another in TMPDIR, or set "
            "server.workers to 1"
        ) from error
    with folder as name:
        yield Path(name)


@contextmanager
def _stopping() -> Iterator[list[Any]]:
    """Give what to wait for: it can be read from once all shall stop."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def stop(_signal: int, _frame: object) -> None:
        with suppress(BlockingIOError):
            os.write(writing, b".")

    parent = multiprocessing.parent_process()
    # Where there is a parent it alone attends to Ctrl-C.
    signals = [signal.SIGTERM] if parent is not None else [signal.SIGTERM, signal.SIGINT]
    before = [signal.signal(number, stop) for number in signals]
    try:
        yield [reading] if parent is None else [reading, parent.sentinel]
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)
