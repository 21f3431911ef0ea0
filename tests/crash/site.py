"""A site for tests that break things: a gateway on a simulated disk, with senders and a server.

The disk, the journal and the server outlast the gateway, which can be stopped at each of its steps
and started again. The `Ledger` has what the senders saw; `tests.crash.recovery` holds the
rest to it.
"""

from __future__ import annotations

import asyncio
import errno
import io
import logging
import os
import struct
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tests.crash.simulated_disk import Image, ProcessFiles, ShortWrite, SimulatedDisk
from tests.data_sets import EXPLICIT_LE, MR_IMAGE_STORAGE
from tests.fakes import EPOCH, FakeClock, inline
from tests.memory_journal import MemoryJournal

from seriesgate.adapters.data_set.header_scanner import HeaderScanners
from seriesgate.adapters.data_set.series_description import read_series_description
from seriesgate.adapters.spool.file_spool import Durability, FileSpool
from seriesgate.adapters.spool.part10 import ContentDigest
from seriesgate.adapters.state_folder import StateFolderUnusable
from seriesgate.gateway.bulkhead import Bulkheads
from seriesgate.gateway.closer import SeriesCloser
from seriesgate.gateway.deaths import NO_DEATHS
from seriesgate.gateway.dispatcher import SeriesDispatcher
from seriesgate.gateway.intake import Intake, Stored
from seriesgate.gateway.ports import JournalFailed, JournalFull, SpoolUnavailable, StoreRequest
from seriesgate.gateway.retention import Retention
from seriesgate.gateway.senders import SenderRegister
from seriesgate.gateway.series_reader import SeriesReader
from seriesgate.gateway.totals import GatewayTotals
from seriesgate.series.collector import SeriesCollector
from seriesgate.series.delivery import FailureKind, PublishFailure, RetryPolicy
from seriesgate.series.model import InstanceCopy
from seriesgate.server.registry.merge import canonical_json, merge
from seriesgate.server.registry.store import SeriesContradiction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seriesgate.gateway.ports import Journal
    from seriesgate.series.delivery import Delivery
    from seriesgate.series.description import SeriesDescription
    from seriesgate.server.registry.store import StoredSeries

STATE = "/state"
LOG = f"{STATE}/write-ahead/"
#: In each data set, and to be found nowhere else.
SECRET = "SECRET"
QUIET_PERIOD = 1.0
#: Of the write-ahead log: a few small instances, so that checkpoints come often.
SEGMENT_SIZE = 12 * 1024
#: Longer than all that a start has to do with a server that is right: two rounds of retention.
LONG = 130.0
#: What a gateway stops with, by design, for the next start to go on.
STOPS = (JournalFailed, SpoolUnavailable, StateFolderUnusable)


class ProcessDied(BaseException):
    """The process of the gateway is gone; nothing of it may have an effect any more."""


class Fault(Enum):
    """What befalls one operation."""

    EIO = auto()
    ENOSPC = auto()
    EINTR = auto()
    EMFILE = auto()
    SHORT_WRITE = auto()
    KILL = auto()

    def applies_to(self, operation: str) -> bool:
        """Return whether the operation can fail so. Those of the journal begin with its name."""
        if self is Fault.KILL or operation in {"written", "publish", "answer", "answered"}:
            return self is Fault.KILL
        if operation.startswith("journal."):
            is_write = operation.removeprefix("journal.") in WRITES
            return self is Fault.EIO or (self is Fault.ENOSPC and is_write)
        match self:
            case Fault.SHORT_WRITE:
                return operation == "pwrite"
            case Fault.EMFILE:
                return operation in {"create", "open", "listdir"}
            case Fault.ENOSPC:
                return operation in {"create", "pwrite", "mkdir", "rename", "fsync", "dsync"}
        return True


@dataclass
class Process:
    """Counts the operations of one process, and lets one fail or end it."""

    fails_at: int = 0
    fault: Fault = Fault.KILL
    is_dead: bool = False
    operations: list[str] = field(default_factory=list)
    watch: Callable[[], None] = lambda: None

    def step(self, operation: str) -> None:
        """Stand before an operation."""
        if self.is_dead:
            raise ProcessDied
        self.watch()
        self.operations.append(operation)
        if len(self.operations) == self.fails_at:
            self._fail(operation)

    def _fail(self, operation: str) -> None:
        if not self.fault.applies_to(operation):
            return
        match self.fault:
            case Fault.KILL:
                self.is_dead = True
                raise ProcessDied
            case Fault.SHORT_WRITE:
                raise ShortWrite
            case Fault.ENOSPC if operation.startswith("journal."):
                raise JournalFull("database or disk is full")
            case _ if operation.startswith("journal."):
                raise JournalFailed("disk I/O error")
            case _:
                number = getattr(errno, self.fault.name)
                raise OSError(number, os.strerror(number))


#: Those methods of a journal that write: the process may also die right after them.
WRITES = {"record", "settle", "hold", "take_releasable", "forget", "revive", "discard"}


class WatchedJournal:
    """A journal whose calls are operations of a process."""

    def __init__(self, journal: Journal, process: Process) -> None:
        self._journal = journal
        self._process = process

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._journal, name)

        def call(*arguments: Any) -> Any:
            self._process.step(f"journal.{name}")
            result = method(*arguments)
            if name in WRITES:
                self._process.step("written")
            return result

        return call


class SiteClock(FakeClock):
    """A clock whose time of day can be set, and which goes on at once when nothing is to be done.

    `begin` is the monotonic time to go on from.
    """

    def __init__(self, begin: float = 1000.0, offset: timedelta = timedelta()) -> None:
        super().__init__()
        self.now = begin
        self.offset = offset

    def utcnow(self) -> Any:
        return EPOCH + timedelta(seconds=self.now) + self.offset

    async def settle(self) -> None:
        ready = cast("Any", asyncio.get_running_loop())._ready
        await asyncio.sleep(0)
        while ready:  # noqa: ASYNC110 - until nobody can do anything before time moves
            await asyncio.sleep(0)


class Answer(Enum):
    """What the server does with a report."""

    RIGHT = auto()
    DOWN = auto()
    #: It has committed, and its answer is lost.
    LOST = auto()
    BUSY = auto()
    WRONG = auto()
    REFUSED = auto()
    SLOW = auto()


_FAILURES = {
    Answer.DOWN: PublishFailure(FailureKind.TRANSIENT, "connection refused"),
    Answer.LOST: PublishFailure(FailureKind.TRANSIENT, "the connection was lost"),
    Answer.BUSY: PublishFailure(FailureKind.TRANSIENT, "the server answered 503", 7.0),
    Answer.WRONG: PublishFailure(FailureKind.MISCONFIGURED, "the server answered 401"),
    Answer.REFUSED: PublishFailure(FailureKind.REJECTED, "the server answered 422"),
}


class Server:
    """The server, with its rule for rows. `answers` come in turn, then `answer` for ever."""

    def __init__(self) -> None:
        self.answer = Answer.RIGHT
        self.answers: list[Answer] = []
        self.rows: dict[str, StoredSeries] = {}
        self.reports: dict[str, str] = {}
        self.requests = 0
        #: Series that it will never take.
        self.refuses: set[str] = set()

    def next_answer(self) -> Answer:
        self.requests += 1
        return self.answers.pop(0) if self.answers else self.answer

    def take(self, delivery: Delivery, at: Any) -> PublishFailure | None:
        report = delivery.report
        text = canonical_json(report)
        # A key names one revision of one series: I3.
        identity = f"{report.SeriesInstanceUID} {report.Revision} {report.InstancesInSeries}"
        assert self.reports.setdefault(delivery.delivery_id, identity) == identity, text
        if report.SeriesInstanceUID in self.refuses:
            return _FAILURES[Answer.REFUSED]
        try:
            kept = merge(self.rows.get(report.SeriesInstanceUID), report, at)
        except SeriesContradiction:
            return PublishFailure(FailureKind.REJECTED, "the server answered 409")
        self.rows[report.SeriesInstanceUID] = kept.series
        return None


@dataclass
class Ledger:
    """What the senders have sent, and what they were told."""

    contents: dict[str, dict[InstanceCopy, bytes]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    acknowledged: dict[str, set[InstanceCopy]] = field(default_factory=lambda: defaultdict(set))
    refused: int = 0
    unanswered: int = 0


class Site:
    """All that outlasts the gateway."""

    def __init__(
        self,
        durability: Durability = Durability.POWER,
        *,
        journal: Journal | None = None,
        image: Image | None = None,
        capacity: int = 1 << 40,
        min_free_bytes: int = 0,
    ) -> None:
        self.durability = durability
        self.min_free_bytes = min_free_bytes
        self.clock = SiteClock()
        self.disk = self.insert(image or {STATE: None, "/elsewhere": b"not ours"}, capacity)
        self.journal = journal or MemoryJournal()
        self.server = Server()
        self.ledger = Ledger()
        self.log: list[str] = []
        #: Whether a disk that could not be read may have cost a report its description.
        self.may_lack_descriptions = False

    def insert(self, image: Image, capacity: int = 1 << 40) -> SimulatedDisk:
        """Let the gateways to come find `image` on the disk."""
        self.disk = SimulatedDisk(image, lambda: self.clock.utcnow().timestamp(), capacity)
        return self.disk

    @contextmanager
    def watched_log(self) -> Iterator[None]:
        """Keep what the gateway logs: for the checker to find no patient in it."""
        handler = logging.Handler()
        handler.emit = lambda record: self.log.append(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger("seriesgate")
        level, is_propagated = logger.level, logger.propagate
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = is_propagated


class Gateway:
    """One run of the gateway at a site: what `wiring.gateway` joins, on simulated ground.

    Raises StateFolderUnusable, as a start does, or ProcessDied.
    """

    def __init__(self, site: Site, process: Process | None = None) -> None:
        self.site = site
        self.process = process or Process()
        site.clock = self._clock = SiteClock(site.clock.now, site.clock.offset)
        files = ProcessFiles(site.disk, self.process.step)
        journal = cast("Journal", WatchedJournal(site.journal, self.process))
        scanners = HeaderScanners()
        self.spool = FileSpool(
            Path(STATE),
            site.durability,
            scanners,
            site.min_free_bytes,
            files,
            in_background=lambda checkpoint: checkpoint(),
            segment_size=SEGMENT_SIZE,
        )
        self.files = files
        self.totals = GatewayTotals()
        self.intake = Intake(
            self.spool,
            SeriesCollector(QUIET_PERIOD),
            scanners,
            self._clock,
            self._wake_closer,
            self.totals,
        )
        bulkheads = Bulkheads(self._clock)
        self._retention = Retention(
            journal,
            self.spool,
            self._clock,
            inline,
            inline,
            bulkheads,
            keep_delivered=0.0,
            remember_delivered=30 * 86400.0,
        )
        self._dispatcher = SeriesDispatcher(
            journal,
            self,
            RetryPolicy(),
            self._clock,
            inline,
            lambda: 0.5,
            lambda _: self._retention.wake(),
            self.totals,
            bulkheads,
        )
        self._closer = SeriesCloser(
            self.intake,
            SeriesReader(self.spool, self._describe, NO_DEATHS, self.totals),
            journal,
            self._clock,
            inline,
            inline,
            self._dispatcher.deliver,
            self._retention.wake,
            self.totals,
            "gateway-1",
            SenderRegister(self._clock),
            bulkheads,
        )
        self._tasks = [
            asyncio.ensure_future(forever)
            for forever in (
                self._recover_and_close(),
                self._dispatcher.run(),
                self._retention.run(),
            )
        ]

    def _wake_closer(self) -> None:
        self._closer.wake()

    async def _recover_and_close(self) -> None:
        self.intake.recover()
        await self._closer.run()

    def _describe(self, path: Path) -> SeriesDescription:
        return read_series_description(cast("Path", _DiskPath(self.files, str(path))))

    async def publish(self, delivery: Delivery) -> PublishFailure | None:
        """Implement `SeriesPublisher`."""
        self.process.step("publish")
        answer = self.site.server.next_answer()
        if answer is Answer.SLOW:
            await self._clock.wait(asyncio.Event(), self._clock.monotonic() + 20.0)
            answer = Answer.RIGHT
        failure = _FAILURES.get(answer)
        if failure is None or answer is Answer.LOST:
            failure = self.site.server.take(delivery, self._clock.utcnow()) or failure
            self.process.step("answer")
        return failure

    def send(self, series: str, content: bytes, sop: str, *, end: float = 1.0) -> bool:
        """Send an instance as one association does; `end` is how much of it comes (1.0 is all).

        Return whether it was acknowledged, which the ledger then has. Raises ProcessDied.
        """
        ledger = self.site.ledger
        copy = copy_of(sop, content)
        ledger.contents[series][copy] = content
        ledger.unanswered += 1
        reception = self.intake.begin(StoreRequest("MODALITY", EXPLICIT_LE, MR_IMAGE_STORAGE, sop))
        length = int(len(content) * end)
        for begin in range(0, length, 1024):
            reception.write(memoryview(content)[begin : min(begin + 1024, length)])
        if end < 1.0:
            reception.abandon()
            return False
        outcome = reception.finish()
        ledger.unanswered -= 1
        if not isinstance(outcome, Stored):
            ledger.refused += 1
            return False
        ledger.acknowledged[series].add(copy)
        # The process may die between the answer and the count.
        self.process.step("answered")
        reception.answered()
        return True

    async def advance(self, seconds: float) -> None:
        """Let time pass. Raises ProcessDied, or what the gateway has stopped with."""
        await self._clock.advance(seconds)
        await self.check()

    async def check(self) -> None:
        """Raise what the gateway has stopped with, if it has."""
        if self.process.is_dead:
            raise ProcessDied
        for task in self._tasks:
            if task.done():
                raise _first(task.exception() or AssertionError("a use case has ended"))

    def has_ended(self) -> bool:
        """Return whether the process is gone, or has stopped by itself."""
        return self.process.is_dead or any(task.done() for task in self._tasks)

    async def kill(self) -> None:
        """End the process: from now on nothing of it has an effect."""
        self.process.is_dead = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _DiskPath:
    """What the reader of descriptions needs of a `Path`."""

    def __init__(self, files: ProcessFiles, path: str) -> None:
        self._files = files
        self._path = path

    def open(self, _mode: str) -> io.BytesIO:
        fd = self._files.open(self._path, os.O_RDONLY)
        try:
            return io.BytesIO(self._files.read(fd, 1 << 40))
        finally:
            self._files.close(fd)


def copy_of(sop: str, content: bytes) -> InstanceCopy:
    digest = ContentDigest(EXPLICIT_LE)
    digest.update(content)
    return InstanceCopy(sop, digest.digest())


def instance(
    series: str, sop: str, number: int = 1, *, content: int = 0, pixels: int = 600
) -> bytes:
    """Return a data set; another `content` contradicts the first."""
    return b"".join(
        (
            _element(0x0008, 0x0016, b"UI", MR_IMAGE_STORAGE),
            _element(0x0008, 0x0018, b"UI", sop),
            _element(0x0010, 0x0010, b"PN", f"{SECRET}^{content}"),
            _element(0x0010, 0x0020, b"LO", f"{SECRET}17"),
            _element(0x0020, 0x000D, b"UI", "1.3"),
            _element(0x0020, 0x000E, b"UI", series),
            _element(0x0020, 0x0013, b"IS", str(number)),
            struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OW", pixels * 2),
            struct.pack("<H", number + 1000 * content) * pixels,
        )
    )


def _element(group: int, element: int, vr: bytes, text: str) -> bytes:
    value = text.encode()
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
