"""How much memory the gateway takes, and how soon it is back after a restart.

python -m bench.memory [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from bench.blast import PipelinedAssociation
from bench.gate import running_gate, spooled
from bench.instances import mr_instances
from bench.programs import BenchmarkError

if TYPE_CHECKING:
    from bench.gate import Gate

_KILOBYTES = 2
_ASSOCIATIONS = 4
_INSTANCES_PER_SERIES = 100
# No series closes before this many seconds, hence none before its measurement ends.
_NEVER = 86_400.0
_MEGABYTE = 1_000_000


def measure(folder: Path, *, quick: bool) -> dict[str, float]:
    """Return resident memory in MB and the time of a restart in s.

    `folder` gets a folder for each of the three states that are measured.
    """
    series, open_series = (50, 250) if quick else (1000, 5000)
    instances = series * _INSTANCES_PER_SERIES
    return {
        "instances": instances,
        "open series": open_series,
        "memory after delivery MB": _after_delivery(_new(folder / "delivered"), series),
        "memory with open series MB": _with_open_series(_new(folder / "open"), open_series),
        **_after_restart(_new(folder / "spooled"), series),
    }


def _after_delivery(folder: Path, series: int) -> float:
    """Receive and deliver all, with the quiet period of every day."""
    with running_gate(folder, durability="process") as gate:
        _fill(gate, series, _INSTANCES_PER_SERIES)
        gate.wait_until_delivered()
        return gate.gateway.resident() / _MEGABYTE


def _with_open_series(folder: Path, series: int) -> float:
    """Receive series of one instance, none of which closes."""
    with running_gate(folder, durability="process", quiet_period=_NEVER) as gate:
        _fill(gate, series, 1)
        return gate.gateway.resident() / _MEGABYTE


def _after_restart(folder: Path, series: int) -> dict[str, float]:
    """Receive all, deliver nothing, and start again over the full spool."""
    expected = series * _INSTANCES_PER_SERIES
    with running_gate(folder, durability="process", quiet_period=_NEVER) as gate:
        _fill(gate, series, _INSTANCES_PER_SERIES)
        before = gate.gateway.resident() / _MEGABYTE
    if spooled(folder) != expected:
        raise BenchmarkError(f"{spooled(folder)} instances in the spool instead of {expected}")
    with running_gate(folder, durability="process", quiet_period=_NEVER) as gate:
        return {
            "memory with all in the spool MB": before,
            "memory after restart MB": gate.gateway.resident() / _MEGABYTE,
            "restart s": gate.start_seconds,
        }


def _fill(gate: Gate, series: int, instances: int) -> None:
    """Send series over several associations at once."""
    share = series // _ASSOCIATIONS

    def send_share(number: int) -> None:
        own = share if number else series - share * (_ASSOCIATIONS - 1)
        with PipelinedAssociation("127.0.0.1", gate.scp_port) as association:
            association.store(list(mr_instances(own, instances, _KILOBYTES)))

    with ThreadPoolExecutor(_ASSOCIATIONS) as pool:
        list(pool.map(send_share, range(_ASSOCIATIONS)))


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer instances, only to try")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seriesgate-bench-", dir="/var/tmp") as folder:
        for name, value in measure(Path(folder), quick=arguments.quick).items():
            print(f"{name:<32} {value:12.1f}")


if __name__ == "__main__":
    main()
