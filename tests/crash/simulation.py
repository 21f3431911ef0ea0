"""A whole busy day in seconds, from a seed: `make simulate SEED=…`.

    python -m tests.crash.simulation [--seed S] [--series N]

Thousands of series come in pieces, over and over until each instance is acknowledged, while the
gateway dies and is started again, power goes, the disk fails and fills up, the server is down,
slow or wrong, and the time of day is set. Time is injected: nothing waits. The same seed is the
same day.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections import Counter
from datetime import timedelta
from random import Random
from time import perf_counter
from typing import NamedTuple

from tests.crash.busy_site import BusySite
from tests.crash.site import Answer, Fault, Process

from seriesgate.adapters.spool.file_spool import Durability


class Instance(NamedTuple):
    series: str
    number: int
    content: int = 0


class BusyDay:
    """One day. `counts` says what has happened."""

    def __init__(self, seed: int, series: int, durability: Durability = Durability.POWER) -> None:
        self.counts: Counter[str] = Counter()
        self._random = Random(seed)
        self._waiting = self._instances(series)
        self._under_way: list[Instance] = []
        self._acknowledged: list[Instance] = []
        self._site = BusySite(durability, self._next_process)

    def run(self) -> None:
        """Live through the day, then check. Raises AssertionError for what was lost."""
        try:
            while self._waiting or self._under_way:
                self._send()
                if self._random.random() < 0.3:
                    self._site.pass_time(self._random.expovariate(1 / 20))
                if self._random.random() < 0.2:
                    self._something_happens()
            self._site.finish()
        finally:
            self._site.close()
        self.counts["starts"] = self._site.starts
        self.counts["requests to the server"] = self._site.site.server.requests
        self.counts["rows"] = len(self._site.site.server.rows)
        self.counts["hours"] = int(self._site.site.clock.now / 3600)

    def _instances(self, series: int) -> list[Instance]:
        """Return all instances, the last first; a series overlaps with those beside it."""
        moments: list[tuple[float, Instance]] = []
        for number in range(series):
            uid = f"1.2.{number}"
            count = self._random.randint(1, 8)
            for instance in range(1, count + 1):
                late = self._random.choice([0, 0, 0, 0, 30])
                moments.append((number + self._random.random() * 2 + late, Instance(uid, instance)))
            if self._random.random() < 0.05:
                moments.append((number + 1.5, Instance(uid, 1, content=1)))
        return [instance for _, instance in sorted(moments, reverse=True)]

    def _send(self) -> None:
        """Send some of what is due; what is not acknowledged is sent again later."""
        random = self._random
        while self._waiting and len(self._under_way) < 20:
            self._under_way.append(self._waiting.pop())
        if self._acknowledged and random.random() < 0.1:
            self.counts["sent again"] += 1
            self._site.send(*random.choice(self._acknowledged[-500:]))
        for instance in random.sample(self._under_way, min(10, len(self._under_way))):
            if random.random() < 0.03:
                self.counts["aborted"] += 1
                self._site.send(*instance, end=random.random() * 0.99)
            elif self._site.send(*instance):
                self.counts["acknowledged"] += 1
                self._under_way.remove(instance)
                self._acknowledged.append(instance)
            else:
                self.counts["not acknowledged"] += 1

    def _something_happens(self) -> None:
        random, site = self._random, self._site
        happening = random.choice(
            ["kill", "power", "server", "server", "clock", "full disk", "room", "refuse"]
        )
        self.counts[happening] += 1
        match happening:
            case "kill":
                site.kill()
            case "power":
                site.lose_power(random)
            case "server":
                site.serve(random.choice([a for a in Answer if a is not Answer.REFUSED]))
            case "clock":
                site.set_clock(timedelta(hours=random.choice([-24, -1, 1, 24])))
            case "full disk" | "room":
                site.fill_disk(is_full=happening == "full disk" and random.random() < 0.3)
            case "refuse":
                site.refuse(f"1.2.{random.randrange(1000)}")

    def _next_process(self) -> Process:
        faults = [Fault.KILL, Fault.KILL, Fault.ENOSPC, Fault.EMFILE, Fault.SHORT_WRITE]
        return Process(fails_at=self._random.randint(1, 3000), fault=self._random.choice(faults))


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--series", type=int, default=3000, help="how many (3000)")
    arguments = parser.parse_args()
    begin = perf_counter()
    day = BusyDay(arguments.seed, arguments.series)
    try:
        day.run()
    except AssertionError as error:
        print(f"FAILED, seed {arguments.seed}: {error}", file=sys.stderr)
        return 1
    counts = ", ".join(f"{name} {count}" for name, count in sorted(day.counts.items()))
    print(f"seed {arguments.seed}, {arguments.series} series, {perf_counter() - begin:.1f} s")
    print(f"nothing is lost: {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
