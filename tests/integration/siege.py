"""A receiver under attack: what must hold while it lasts, and what once it is over.

While it lasts, a well-behaved peer is served within a second, again and again, and memory stays
within the bound that the attack states. Afterwards memory, threads and file descriptors are given
back, nothing outside the state folder was touched and no name in it is made of wire text, nothing
partial is left, what was stored can be reported, and the log has neither patient data nor text of
the peer in the raw.
"""

from __future__ import annotations

import fcntl
import logging
import sys
import termios
import threading
from contextlib import ExitStack, chdir, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from tests.integration.footprint import (
    MIB,
    Footprint,
    confined_to,
    older_objects_set_aside,
    peak_memory,
    reset_peak_memory,
)
from tests.integration.receiver import PATIENCE, Peer, Receiver, running_receiver
from tests.unit.upper_layer import wire

from seriesgate.adapters.data_set.series_description import read_series_description
from seriesgate.gateway.closer import report_of
from seriesgate.series.revision import next_revision

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from seriesgate.series.report import Series

# The patient of the data sets, and the word by which an attack knows the file that it wants made.
_NEVER_LOGGED = ("Doe", "Jane", "A/17", "outside")
_MAX_LINE = 300
_CANARY_PAUSE = 0.05
_WARM_UP_SERIES = "9.9"
# The loads that this process has had.
_ordinary_loads: set[int] = set()


class JudgedLog(logging.Handler):
    """Judges each line as it comes and keeps none, so that a log takes no part in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.objections: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
        line = record.getMessage()
        # A disk that a test fills is no peer's fault, and is to be an error.
        is_of_the_disk = line.startswith("instances are refused until it is over")
        is_fit = (
            (record.levelno < logging.ERROR or is_of_the_disk)
            and record.exc_info is None
            and line.isascii()
            and line.isprintable()
            and len(line) < _MAX_LINE
            and not any(text in line for text in _NEVER_LOGGED)
        )
        if not is_fit:
            self.objections.append(f"{record.levelname} {line!r}")


@dataclass
class Siege:
    """A receiver under attack, and the peers that attack it; they are closed at the end."""

    receiver: Receiver
    peers: ExitStack
    log: JudgedLog

    def connect(self, source: str = "") -> Peer:
        peer = self.receiver.connect(source)
        self.peers.callback(peer.close)
        return peer

    def associate(self, source: str = "", **request: Any) -> Peer:
        peer = self.connect(source)
        peer.send(wire.associate_rq(**request))
        assert peer.receive()[0] == 0x02
        return peer

    def accepted(self, peer: Peer) -> socket.socket:
        """Return the receiver's end of the connection of `peer`."""
        scp = self.receiver.scp
        address = peer.socket.getsockname()

        def ends() -> list[socket.socket]:
            with scp._changed:
                connections = [a._socket for a in (*scp._pending, *scp._associations)]
            return [end for end in connections if _address_of_peer(end) == address]

        wait_for("the connection is accepted", lambda: ends() != [])
        return ends()[0]

    def wait_until_read(self, peer: Peer) -> None:
        """Wait until the receiver has taken all bytes that `peer` has sent."""
        end = self.accepted(peer)
        wait_for("the bytes are read", lambda: _unread(end) == 0)

    def _is_all_counted(self) -> bool:
        scp = self.receiver.scp
        with scp._changed:
            return all(each._store._responded is None for each in scp._associations)

    def reports(self) -> Iterator[Series]:
        """Close the series that are not held open; yield what the gateway reports of each."""
        wait_for("all that was answered is counted", self._is_all_counted)
        closed = self.receiver.intake.close_quiet()
        self.receiver.intake.written_down(closed)
        for collected in closed:
            revision = next_revision(None, collected, datetime.now(UTC))
            assert revision is not None, "a series that is new to the journal is reported"
            copy = min(collected.copies())
            path = self.receiver.spool.path_of(collected.series_instance_uid, copy)
            yield report_of(revision.described(read_series_description(path)), "gateway")


@contextmanager
def besieged(
    folder: Path,
    *,
    grows_by: int,
    has_canary: bool = True,
    rehearsal: Callable[[Siege], object] | None = None,
    **options: Any,
) -> Iterator[Siege]:
    """Run a receiver for an attack by which the process may grow by `grows_by` bytes at its peak.

    The test itself is part of the process: what the attack sends counts, unless it was made before.
    `has_canary`: whether the attack leaves a place for a well-behaved peer. `rehearsal` makes the
    attack once before: what the process keeps of stacks, and of memory for later use, is no leak.
    """
    state = folder / "state"
    with (
        chdir(folder),
        _judged_log() as log,
        older_objects_set_aside(),
        running_receiver(state, quiet_period=0.0, **options) as receiver,
        ExitStack() as peers,
    ):
        siege = Siege(receiver, peers, log)
        _warm_up(siege)
        if rehearsal is not None:
            rehearsal(siege)
            _disperse(siege)
            _check_stored(siege)
        before = Footprint.of(folder, state)
        reset_peak_memory()
        with confined_to(state):
            with _canaries(receiver if has_canary else None):
                yield siege
            if has_canary:
                receiver.canary()
            _disperse(siege)
        growth = peak_memory() - before.resident
        assert growth < grows_by, f"grew by {growth / MIB:.1f} MiB under attack"
        _check_stored(siege)
        before.check_given_back(leftover=max(MIB, grows_by // 2))


def wait_for(what: str, is_so: Callable[[], bool]) -> None:
    end = monotonic() + PATIENCE
    while not is_so():
        assert monotonic() < end, f"waited in vain: {what}"
        threading.Event().wait(0.001)


def _address_of_peer(connection: socket.socket) -> object:
    try:
        return connection.getpeername()
    except OSError:  # closed in the meantime
        return None


def _unread(connection: socket.socket) -> int:
    return int.from_bytes(fcntl.ioctl(connection, termios.FIONREAD, bytes(4)), sys.byteorder)


@contextmanager
def _judged_log() -> Iterator[JudgedLog]:
    logger = logging.getLogger("seriesgate")
    log = JudgedLog()
    before = logger.level, logger.propagate
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(log)
    try:
        yield log
    finally:
        logger.removeHandler(log)
        logger.setLevel(before[0])
        logger.propagate = before[1]
    assert not log.objections, log.objections[:5]


def _warm_up(siege: Siege) -> None:
    """Let the process make once what it keeps: the ordinary load of a full house."""
    receiver = siege.receiver
    load = receiver.scp._max_associations
    if load > max(_ordinary_loads, default=0):
        sops = [f"{_WARM_UP_SERIES}.{number}" for number in range(load)]
        for peer, sop in [(siege.associate(), sop) for sop in sops]:
            assert peer.store(sop, _WARM_UP_SERIES) == 0x0000
        assert [report.InstancesInSeries for report in siege.reports()] == [load]
        copies = [instance.copy for instance in receiver.spool.recover()]
        receiver.spool.release(_WARM_UP_SERIES, copies)
        _ordinary_loads.add(load)
    _disperse(siege)
    assert receiver.files() == []


def _disperse(siege: Siege) -> None:
    """Close all peers and wait until the receiver has noticed it of each."""
    siege.peers.close()
    # Who comes after them is answered after they were accepted.
    with closing(siege.receiver.connect()) as last:
        last.send(wire.associate_rq())
        assert last.receive()[0] in {0x02, 0x03}
    siege.receiver.wait_until_idle()


@contextmanager
def _canaries(receiver: Receiver | None) -> Iterator[None]:
    """Have a well-behaved peer served again and again, on a thread of its own."""
    stop = threading.Event()
    failures: list[Exception] = []

    def sing() -> None:
        try:
            while receiver is not None and not stop.wait(_CANARY_PAUSE):
                receiver.canary()
        except Exception as failure:  # noqa: BLE001 - raised again by the test's own thread
            failures.append(failure)

    canaries = threading.Thread(target=sing, name="canaries")
    canaries.start()
    try:
        yield
    finally:
        stop.set()
        canaries.join()
    if failures:
        raise AssertionError("a well-behaved peer was not served") from failures[0]


def _check_stored(siege: Siege) -> None:
    receiver = siege.receiver
    assert receiver.incoming() == []
    for report in siege.reports():
        assert report.InstancesInSeries
    assert receiver.intake.open_counts() == (0, 0), "a series is held open"
    assert len(list(receiver.spool.recover())) == len(receiver.files()), "a file is partial"
    for path in receiver.files():
        with path.open("rb") as file:
            assert file.read(132) == bytes(128) + b"DICM", "a preamble is not ours"
