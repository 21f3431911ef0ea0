"""How many calls and instructions of Python one received instance takes: a guard, not a clock.

    python -m bench.guard            compare with bench/guard.json; exit code 1 when it grew
    python -m bench.guard --record   write down what it takes now, with the change that explains it

Both are counted on the thread of one association that gets its messages from a list, with the
spool, the header scanner and the collector of the product. So they are the same on every machine,
however busy it is, and one more call in the receiving path shows.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bench.instances import mr_instances
from bench.upper_layer_core import associate_request, store_request

from seriesgate.adapters.association import Association
from seriesgate.adapters.data_set.header_scanner import HeaderScanners
from seriesgate.adapters.spool.file_spool import Durability, FileSpool
from seriesgate.adapters.system_clock import SystemClock
from seriesgate.gateway.intake import Intake
from seriesgate.gateway.totals import GatewayTotals
from seriesgate.series.collector import SeriesCollector
from seriesgate.upper_layer.negotiation import AcceptorPolicy

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from seriesgate.adapters.association import AssociationOwner

RECORD = Path(__file__).with_suffix(".json")
#: So much more than was written down is a regression.
TOLERANCE = 0.05

_WARM_UP, _COUNTED = 20, 100
_SIZES_KB = (10, 512)
_RECEIVED_AT_ONCE = 256 * 1024
_LONGEST_WAIT = 60.0


class _Counter:
    """Counts what its thread does between `begin` and `end`."""

    def __init__(self) -> None:
        self.calls = 0
        self.instructions = 0
        self._is_counting = False

    def begin(self) -> None:
        self._is_counting = True
        sys.setprofile(self._profile)
        sys.settrace(self._trace)
        # Frames that run already are traced as well.
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way to a frame
        while frame is not None:
            frame.f_trace, frame.f_trace_opcodes = self._trace, True
            frame = frame.f_back

    def end(self) -> None:
        self._is_counting = False
        sys.settrace(None)
        sys.setprofile(None)

    def _profile(self, _frame: FrameType, event: str, _argument: object) -> None:
        if self._is_counting and event in {"call", "c_call"}:
            self.calls += 1

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Callable[..., Any]:
        frame.f_trace_opcodes = True
        if self._is_counting and event == "opcode":
            self.instructions += 1
        return self._trace


class _Messages:
    """A socket whose peer has said everything already. Counts from one message to another."""

    def __init__(self, messages: list[bytes], counter: _Counter) -> None:
        self._pieces = [
            message[start : start + _RECEIVED_AT_ONCE]
            for message in messages
            for start in range(0, len(message), _RECEIVED_AT_ONCE)
        ]
        self._counter = counter
        per_instance = (len(self._pieces) - 1) // (_WARM_UP + _COUNTED)
        # The association request comes first.
        self._first, self._last = 1 + _WARM_UP * per_instance, len(self._pieces)
        self._next = 0

    def recv_into(self, buffer: memoryview) -> int:
        if self._next == self._first:
            self._counter.begin()
        if self._next == self._last:
            self._counter.end()
            return 0
        piece = self._pieces[self._next]
        self._next += 1
        buffer[: len(piece)] = piece
        return len(piece)

    def sendall(self, _data: bytes) -> None:
        pass

    def setsockopt(self, *_options: object) -> None:
        pass

    def close(self) -> None:
        pass


class _Owner:
    """Implements `AssociationOwner`: everyone is welcome, and nothing is tried."""

    def __init__(self) -> None:
        self.is_over = threading.Event()

    def admit(self, _association: Association) -> None:
        return None

    def accepted(self, _association: Association) -> bool:
        return False

    def store_answered(self, status: int) -> None:
        raise AssertionError(f"an instance was answered {status:04X}")

    def ended(self, _association: Association) -> None:
        self.is_over.set()


def count(kilobytes: int, durability: Durability) -> dict[str, float]:
    """Return the calls and instructions for each instance of a series, of so many KB."""
    messages = [associate_request()]
    for instance in mr_instances(1, _WARM_UP + _COUNTED, kilobytes):
        with instance.open() as data_set:
            messages.append(store_request(data_set.read(), instance.sop_instance_uid))
    counter, owner = _Counter(), _Owner()
    with tempfile.TemporaryDirectory() as folder:
        scanner_for = HeaderScanners()
        spool = FileSpool(Path(folder), durability, scanner_for)
        clock, totals = SystemClock(), GatewayTotals()
        intake = Intake(spool, SeriesCollector(60.0), scanner_for, clock, lambda: None, totals)
        association = Association(
            cast("socket.socket", _Messages(messages, counter)),
            "127.0.0.1",
            AcceptorPolicy(ae_title="STORESCP", implementation_class_uid="1.2.276.9"),
            intake,
            None,
            cast("AssociationOwner", owner),
        )
        association.start()
        if not owner.is_over.wait(_LONGEST_WAIT):
            raise TimeoutError("the association does not end")
        spool.close()
    if totals.instances_stored != _WARM_UP + _COUNTED:
        raise AssertionError(f"{totals.instances_stored} instances were stored")
    return {
        "calls": round(counter.calls / _COUNTED, 2),
        "instructions": round(counter.instructions / _COUNTED, 1),
    }


def measure() -> dict[str, dict[str, float]]:
    """Return what an instance of each size takes, with each durability."""
    return {
        f"{size} KB, {durability.value}": count(size, durability)
        for size in _SIZES_KB
        for durability in Durability
    }


def grown(now: dict[str, dict[str, float]], recorded: dict[str, dict[str, float]]) -> list[str]:
    """Return a line for each figure that is more than a twentieth over what was recorded."""
    return [
        f"{size}: {now[size][what]:g} {what} an instance, {figure:g} were recorded"
        for size, figures in recorded.items()
        for what, figure in figures.items()
        if now[size][what] > figure * (1 + TOLERANCE)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="write down what it takes now")
    now = measure()
    if parser.parse_args().record:
        RECORD.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    for size, figures in now.items():
        print(
            f"{size}: {figures['calls']:g} calls, {figures['instructions']:g} instructions; "
            f"recorded {recorded[size]['calls']:g} and {recorded[size]['instructions']:g}"
        )
    if lines := grown(now, recorded):
        sys.exit("The receiving path has grown:\n  " + "\n  ".join(lines))


if __name__ == "__main__":
    main()
