"""What was measured: every single sample, and the medians of them."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One sending to one receiver: its time, and what the receiver used for it.

    Times are in seconds, `peak_rss` is in bytes and counts from the receiver's start.
    """

    workload: str
    receiver: str
    instances: int
    seconds: float
    user: float
    system: float
    peak_rss: int


@dataclass(frozen=True)
class Summary:
    """The medians of the samples of one receiver under one workload; times in ms per instance."""

    elapsed: float
    fastest: float
    slowest: float
    user: float
    system: float
    peak_rss: float
    instances: int


@dataclass
class Results:
    """All that one run measured. `figures` are single numbers by name; `machine` says where.

    `quick` says that it was only a try.
    """

    machine: dict[str, str] = field(default_factory=dict)
    rounds: int = 0
    quick: bool = False
    samples: list[Sample] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def summaries(self, workload: str) -> dict[str, Summary]:
        """Return the summary of each receiver that had `workload`."""
        by_receiver = defaultdict(list)
        for sample in self.samples:
            if sample.workload == workload:
                by_receiver[sample.receiver].append(sample)
        return {receiver: _summary(samples) for receiver, samples in by_receiver.items()}

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        samples = [Sample(**sample) for sample in content.pop("samples")]
        return cls(**content, samples=samples)


def _summary(samples: list[Sample]) -> Summary:
    elapsed = [1000 * sample.seconds / sample.instances for sample in samples]
    return Summary(
        elapsed=median(elapsed),
        fastest=min(elapsed),
        slowest=max(elapsed),
        user=median(1000 * sample.user / sample.instances for sample in samples),
        system=median(1000 * sample.system / sample.instances for sample in samples),
        peak_rss=median(sample.peak_rss for sample in samples),
        instances=samples[0].instances,
    )
