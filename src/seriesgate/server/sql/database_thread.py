"""One thread for all work on a database, which commits waiting writes as a group.

A commit that survives power loss waits for the disk, as long for one row as for a hundred. So the
writes that arrive while one commit runs wait and go into the next, all of them: a lone client waits
for nobody, and many clients share the wait for the disk.

Clients that have more to tell come again as soon as they are answered. So the thread waits a few
milliseconds for as many writes as there were before: those clients, and those who waited already,
are one group then and not two that take turns, at twice the cost. Nobody waits for one who may
never come: a lone write does not wait, nor one that comes later than these milliseconds.

The event loop never waits for the database: it awaits a future that this thread resolves, after
the commit. The queue between them is bounded; when it is full the caller is told so at once.

Other calls take turns with the groups, so that neither a crowd of readers nor one of writers holds
up the others. When nobody wants anything there is time for what would else be done while all wait.

Decided in ADR 12.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from seriesgate.containment import failure_of
from seriesgate.server.bulkheads import Bulkheads
from seriesgate.server.registry.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")
T = TypeVar("T")

#: So long after its answer a client is expected to come again, in seconds.
_RETURN = 0.005
# For how long calls run until the writes have their turn again, but for the last of them; and after
# how much more time without anything to do it is time to tidy up. In seconds.
_TURN = 0.005
_IDLE = 0.01
# What could not be tidied up is tried again after so long, in seconds.
_TIDY_AGAIN = 60.0
_NAME = "database"
_TIDYING = "upkeep of the database"

_log = logging.getLogger(__name__)


class DatabaseThread(Generic[Item, Result]):
    """Hands groups of items to `commit`, and runs other calls between them, all on one thread.

    `commit` makes a group durable as a whole and gives, in the group's order, the result of each
    item or the exception its caller shall get. Where it raises, the items are committed one by
    one, so that an item the database chokes on spoils no other; not so for `StoreUnavailable`,
    which is everybody's answer. For `expect_return_for` seconds after a group those who were
    answered are expected again. `tidy` is called while there is nothing else to do, at the start,
    after there was something, and once a minute; it does a small piece of work and returns whether
    there is more.

    What unexpected is raised in a piece of work is its caller's; what no caller waits for is
    contained by `bulkheads`. If the thread ends all the same, they are told, and so is each caller.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Sequence[Result | Exception]],
        *,
        max_waiting: int = 2_000,
        max_group: int = 256,
        expect_return_for: float = _RETURN,
        tidy: Callable[[], bool] = lambda: False,
        bulkheads: Bulkheads | None = None,
    ) -> None:
        self._commit = commit
        self._max_waiting = max_waiting
        self._max_group = max_group
        self._expect_return_for = expect_return_for
        self._tidy = tidy
        self._changed = threading.Condition()
        self._writes: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        # Each with how many writes had come before it.
        self._calls: deque[tuple[int, Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._taken_writes = 0
        self._closing = False
        self._has_ended = False
        self._is_tidy = False  # a server that was killed, or an upgrade, may have left something
        self._in_hand: Sequence[asyncio.Future[Any]] = ()
        bulkheads = bulkheads or Bulkheads()
        self._bulkheads = bulkheads
        self._rounds = bulkheads.task(_NAME)
        self._tidying = bulkheads.task(_TIDYING)
        # So many writes are enough to begin with.
        self._expected = 1
        self._thread = threading.Thread(target=self._run, name=_NAME, daemon=True)
        self._thread.start()

    async def write(self, item: Item) -> Result:
        """Give the result of `item` once it is committed. StoreUnavailable: closed, or too busy."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._enqueue(self._writes, (item, future))
        return await future

    async def call(self, function: Callable[[], T]) -> T:
        """Run `function` on the thread, after the writes that wait now, and give its result.

        Neither it nor these writes wait for others to come.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._changed:
            before = self._taken_writes + len(self._writes)
            self._enqueue(self._calls, (before, function, future))
        return await future

    async def close(self) -> None:
        """Finish what waits and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    def _enqueue(self, queue: deque[T], job: T) -> None:
        with self._changed:
            if self._has_ended:
                raise StoreUnavailable("the thread of the database has ended")
            if self._closing:
                raise StoreUnavailable("the server is stopping")
            if len(self._writes) + len(self._calls) >= self._max_waiting:
                raise StoreUnavailable("too many requests are waiting for the database")
            queue.append(job)
            if self._is_work():
                self._changed.notify()

    def _is_work(self) -> bool:
        return len(self._writes) >= self._expected or bool(self._calls) or self._closing

    def _run(self) -> None:
        ended = "nothing was left to do"
        try:
            while True:
                with self._rounds.unit(expected=()) as unit:
                    if not self._round():
                        return
                if unit.failure:
                    self._fail(self._in_hand)
        except BaseException as error:  # noqa: BLE001 - a panic of Rust's is no Exception
            ended = failure_of(error)
        finally:
            if not self._closing:
                self._end(ended)

    def _round(self) -> bool:
        """Do what is to be done next, or wait for it; return False once all is done."""
        with self._changed:
            has_work = self._changed.wait_for(self._is_work, self._expect_return_for)
            # Whoever was expected has come, or does not: one is enough now.
            self._expected = 1
            if not has_work:
                patience = _TIDY_AGAIN if self._is_tidy else _IDLE
                has_work = self._changed.wait_for(self._is_work, patience)
            writes = _take(self._writes, self._max_group)
            self._taken_writes += len(writes)
            if self._closing and not writes and not self._calls:
                return False
        if not has_work:
            self._tidy_up()
            return True
        self._is_tidy = False
        if writes:
            self._in_hand = [future for _, future in writes]
            answers = self._commit_group([item for item, _ in writes])
            with self._changed:
                self._expected = min(len(writes) + len(self._writes), self._max_group)
            _resolve(self._in_hand, answers)
        self._run_calls()
        return True

    def _tidy_up(self) -> None:
        self._is_tidy = True
        with suppress(StoreUnavailable), self._tidying.unit():  # the database says so in the log
            self._is_tidy = not self._tidy()

    def _end(self, reason: str) -> None:
        """Answer all who wait, and whoever comes from now on."""
        with self._changed:
            self._has_ended = True
            waiting = [future for _, future in self._writes]
            waiting += [future for _, _, future in self._calls]
            self._writes.clear()
            self._calls.clear()
        self._bulkheads.ended(_NAME, reason)
        self._fail([*self._in_hand, *waiting])

    def _fail(self, futures: Sequence[asyncio.Future[Any]]) -> None:
        """Answer those who have no answer yet."""
        error = StoreUnavailable("the database could not finish what was asked of it")
        _resolve(futures, [error for _ in futures])

    def _run_calls(self) -> None:
        end = perf_counter() + _TURN
        while self._calls and self._calls[0][0] <= self._taken_writes:
            with self._changed:
                _, function, future = self._calls.popleft()
            self._in_hand = [future]
            _resolve([future], [_outcome(function)])
            if perf_counter() >= end:
                return

    def _commit_group(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        answers = _outcome(lambda: self._answers(items))
        if not isinstance(answers, Exception):
            return answers
        if isinstance(answers, StoreUnavailable):
            return [StoreUnavailable(*answers.args) for _ in items]
        if len(items) == 1:
            return [answers]
        return [self._commit_group([item])[0] for item in items]

    def _answers(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        answers = self._commit(items)
        if len(answers) != len(items):
            raise ValueError
        return answers


def _take(queue: deque[T], most: int) -> list[T]:
    return [queue.popleft() for _ in range(min(len(queue), most))]


def _outcome(function: Callable[[], T]) -> T | Exception:
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - it is raised again where the result is awaited
        return error


def _resolve(
    futures: Sequence[asyncio.Future[Result]], answers: Sequence[Result | Exception]
) -> None:
    """Tell the waiting tasks, with one wake-up of each event loop."""
    by_loop: dict[
        asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Result], Result | Exception]]
    ] = {}
    for future, answer in zip(futures, answers, strict=True):
        by_loop.setdefault(future.get_loop(), []).append((future, answer))
    for loop, resolved in by_loop.items():
        try:
            loop.call_soon_threadsafe(_set_all, resolved)
        except RuntimeError:
            _log.debug("the event loop ended before its answers came")


def _set_all(resolved: Sequence[tuple[asyncio.Future[Result], Result | Exception]]) -> None:
    for future, answer in resolved:
        if future.done():  # its task was cancelled while it waited
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
