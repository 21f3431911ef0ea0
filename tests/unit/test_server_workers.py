"""When a worker that has ended is started again. What it is for is shown by tests/e2e."""

from __future__ import annotations

import os
from multiprocessing.connection import wait
from typing import Any

import pytest

from seriesgate.wiring import server_workers
from seriesgate.wiring.server_workers import _Workers, seconds_to_wait


@pytest.mark.parametrize(
    ("lived", "short_lives", "seconds"),
    [
        (3600.0, 0, 0.0),
        (10.0, 5, 0.0),
        (9.9, 0, 1.0),
        (0.1, 1, 2.0),
        (0.1, 4, 16.0),
        (0.1, 5, 30.0),
    ],
)
def test_worker_that_dies_young_waits_longer_each_time(lived, short_lives, seconds):
    assert seconds_to_wait(lived, short_lives) == seconds


def test_wait_is_bounded_however_often_it_dies():
    assert seconds_to_wait(0.1, 2_000) == 30.0


class Program:
    """A process that runs on, in the eyes of whoever attends to it."""

    pid = 1
    is_killed = False
    ready = None

    def __init__(self):
        self.process = self

    def is_alive(self):
        return True

    def kill(self):
        self.is_killed = True


class Worker:
    """A worker that tells something once, and then can't be read from."""

    def __init__(self, link=None):
        self.link = link
        self.program = Program()
        self.waits_for = [] if link is None else [link]
        self.is_stopped = False

    def stop(self):
        self.is_stopped = True
        return 0


class Clock:
    """Time that passes whenever it is asked for; after a while all shall stop."""

    def __init__(self, ends_at):
        self.now = 0.0
        self.ends_at = ends_at
        self.stop, self.writing = os.pipe()

    def __call__(self):
        self.now += 0.25
        if self.now >= self.ends_at:
            os.write(self.writing, b".")
        return self.now

    def close(self):
        os.close(self.stop)
        os.close(self.writing)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock(ends_at=20.0)
    monkeypatch.setattr(server_workers, "wait", lambda every, _pause: wait(every, 0.0))
    yield clock
    clock.close()


@pytest.mark.parametrize("kind", [OSError, MemoryError, ValueError, RecursionError])
def test_worker_that_cannot_be_started_is_tried_again_and_the_others_are_kept(clock, caplog, kind):
    failures = [kind("secret"), kind("secret"), kind("secret")]
    made = []

    def make(number):
        if number == 2 and failures:
            raise failures.pop()
        made.append(number)
        return Worker()

    workers = _Workers(make, clock)
    workers.start([1])
    workers._began[2] = 0.0
    workers._due[2] = 0.0
    workers.keep_running([clock.stop])
    assert made == [1, 2]
    assert list(workers.running) == [1, 2]
    waits = [record.getMessage() for record in caplog.records]
    assert [wait.split(": ")[0] for wait in waits] == [
        f"worker 2 can't be started, next attempt in {seconds} s" for seconds in (1, 2, 4)
    ]
    assert all(kind.__name__ in wait for wait in waits)
    assert "secret" not in caplog.text


def test_worker_that_cannot_be_attended_to_is_replaced_and_the_others_are_kept(clock, caplog):
    reading, writing = os.pipe()
    spoiled = Worker(reading)
    os.write(writing, b".")
    made = iter([Worker(), spoiled])
    workers: Any = _Workers(lambda _number: next(made, None) or Worker(), clock)  # type: ignore[arg-type, return-value]
    workers.start([1, 2])
    innocent = workers.running[1]
    workers.keep_running([clock.stop])  # a number of a file can't be read from as a link
    os.close(reading)
    os.close(writing)
    assert workers.running[1] is innocent
    assert workers.running[2] is not spoiled
    assert spoiled.is_stopped
    assert spoiled.program.is_killed
    assert "worker 2 is given up, another is started in its place: AttributeError" in caplog.text
