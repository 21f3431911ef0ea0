"""Receivers side by side: the same instances from the same senders, in turn, in one run.

python -m bench.receivers            everything; writes the page, the chart and the samples
python -m bench.receivers --quick    a try in minutes; prints the page, its figures mean little
python -m bench.receivers --parts loopback,pacs --rounds 3 --output /tmp/page
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import latency, machine, memory, server_rate
from bench.instances import write_series
from bench.network import LOOPBACK, Ends, check_namespaces, joined_namespaces
from bench.peers import Job, Receiver
from bench.programs import BenchmarkError
from bench.report import render, write
from bench.results import Results, Sample
from bench.senders import Sender, Storescu, running_pacs
from bench.workloads import (
    LOOPBACK_RECEIVERS,
    LOOPBACK_WORKLOADS,
    MTUS,
    NETWORK_RECEIVERS,
    NETWORK_SIZES,
    PACS,
    PACS_RECEIVERS,
    Workload,
    network_workload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

PAGE_FOLDER = Path(__file__).parents[1] / "docs" / "explanation"
_QUICK_ROUNDS = 2
_QUICK_SHARE = 10
_QUICK_SIZES = (10, 64)
_FIGURES = {"latency": latency.measure, "memory": memory.measure, "server": server_rate.measure}
PARTS = ("loopback", "pacs", "network", *_FIGURES)


class Run:
    """One run: measures into `results`, with everything that it makes below `folder`."""

    def __init__(self, folder: Path, rounds: int, *, quick: bool) -> None:
        self.results = Results(machine.describe(folder), rounds, quick)
        self._folder = folder
        self._quick = quick

    def part(self, name: str) -> None:
        """Measure one of PARTS."""
        if name in _FIGURES:
            _say(name)
            with tempfile.TemporaryDirectory(dir=self._folder) as folder:
                self.results.figures |= _FIGURES[name](Path(folder), quick=self._quick)
        elif name == "pacs":
            self._pacs()
        elif name == "loopback":
            for workload in map(self._scaled, LOOPBACK_WORKLOADS):
                self._storescu(workload, LOOPBACK_RECEIVERS, LOOPBACK)
        else:
            sizes = _QUICK_SIZES if self._quick else NETWORK_SIZES
            for mtu in MTUS:
                with joined_namespaces(mtu) as ends:
                    for size in sizes:
                        workload = self._scaled(network_workload(mtu, size))
                        self._storescu(workload, NETWORK_RECEIVERS, ends)

    def _storescu(self, workload: Workload, receivers: Sequence[Receiver], ends: Ends) -> None:
        folder = self._new_folder()
        groups = [
            write_series(folder / str(n), workload.instances, workload.kilobytes)
            for n in range(workload.associations)
        ]

        def sender_for(receiver: Receiver) -> Sender:
            count = workload.instances_for(receiver)
            own = [paths[:count] for paths in groups]
            return Storescu(ends.sender, own, folder, no_delay=workload.no_delay)

        self._rounds(workload, receivers, ends, sender_for)

    def _pacs(self) -> None:
        workload = self._scaled(PACS)
        folder = self._new_folder()
        with running_pacs(folder) as pacs:
            pacs.hold(write_series(folder / "series", workload.instances, workload.kilobytes))
            self._rounds(workload, PACS_RECEIVERS, LOOPBACK, lambda _: pacs)

    def _new_folder(self) -> Path:
        """Make a folder that stays until the end: what is removed can slow down what follows."""
        return Path(tempfile.mkdtemp(dir=self._folder))

    def _rounds(
        self,
        workload: Workload,
        receivers: Sequence[Receiver],
        ends: Ends,
        sender_for: Callable[[Receiver], Sender],
    ) -> None:
        for number in range(self.results.rounds):
            # Each round begins with another one: none always comes after the same.
            start = number % len(receivers)
            for receiver in (*receivers[start:], *receivers[:start]):
                sample = self._measure(workload, receiver, ends, sender_for(receiver))
                self.results.samples.append(sample)
                each = 1000 * sample.seconds / sample.instances
                _say(f"{workload.name:<14} {number + 1}  {receiver.name:<22} {each:9.3f} ms")

    def _measure(
        self, workload: Workload, receiver: Receiver, ends: Ends, sender: Sender
    ) -> Sample:
        count = workload.instances_for(receiver) * workload.associations
        folder = self._new_folder()
        # What was written before must not be written back during the measurement.
        os.sync()
        job = Job(ends.receiver, folder, workload.associations, workload.no_delay)
        with receiver.listening(job) as listening:
            before = listening.program.usage()
            seconds = sender.send(ends.receiver.host, listening.port)
            after = listening.program.usage()
        stored = receiver.stored(folder)
        machine.give_back_space(folder)
        if stored != count:
            raise BenchmarkError(f"{receiver.name} stored {stored} instances of {count}")
        return Sample(
            workload=workload.name,
            receiver=receiver.name,
            instances=count,
            seconds=seconds,
            user=after.user - before.user,
            system=after.system - before.system,
            peak_rss=after.peak_rss,
        )

    def _scaled(self, workload: Workload) -> Workload:
        if not self._quick:
            return workload
        return replace(workload, instances=max(10, workload.instances // _QUICK_SHARE))


def main() -> None:
    """Measure what the command line asks for."""
    arguments = _parse()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        results = _measure_all(arguments)
    except BenchmarkError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted; everything is stopped and removed")
    is_page = not arguments.quick and set(arguments.parts) == set(PARTS)
    output = arguments.output or (PAGE_FOLDER if is_page else None)
    if output is None:
        print(render(results))
    else:
        write(results, output)


def _measure_all(arguments: argparse.Namespace) -> Results:
    machine.check_programs()
    if "network" in arguments.parts:
        check_namespaces()
    machine.check_disk(arguments.folder)
    rounds = arguments.rounds or (_QUICK_ROUNDS if arguments.quick else 5)
    with tempfile.TemporaryDirectory(prefix="seriesgate-bench-", dir=arguments.folder) as folder:
        machine.spread_folders(Path(folder))
        run = Run(Path(folder), rounds, quick=arguments.quick)
        for part in arguments.parts:
            run.part(part)
    return run.results


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two rounds, a tenth of the instances")
    parser.add_argument("--rounds", type=int, help="how often each is measured; 5")
    parser.add_argument("--parts", type=_parts, default=PARTS, help=f"of {','.join(PARTS)}")
    parser.add_argument(
        "--folder", type=Path, default=Path("/var/tmp"), help="where to store; on a disk"
    )
    parser.add_argument("--output", type=Path, help="folder for the page, chart and samples")
    return parser.parse_args()


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if wrong := set(parts) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(wrong))}")
    return parts


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
