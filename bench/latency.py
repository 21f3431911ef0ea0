"""How soon after its last C-STORE a series is readable at the server, less the quiet period.

python -m bench.latency [--quick]
"""

from __future__ import annotations

import argparse
import http.client
import math
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from bench.blast import PipelinedAssociation
from bench.gate import DATABASE, running_gate
from bench.instances import mr_instances, series_instance_uid
from bench.programs import BenchmarkError

if TYPE_CHECKING:
    from bench.gate import Gate

    from seriesgate.modality.synthetic_series import SyntheticInstance

QUIET_PERIOD = 1.0
_KILOBYTES = 2
# Polling begins so long before the earliest moment, and is given up so long after it.
_LEAD = 0.02
_PATIENCE = 30.0
_API_POLL = 0.001
_DATABASE_POLL = 0.002


def measure(folder: Path, *, quick: bool) -> dict[str, float]:
    """Return the 50th and 99th percentiles, in ms, alone and with many series closing at once."""
    alone, together = (5, 20) if quick else (30, 200)
    with running_gate(folder, quiet_period=QUIET_PERIOD) as gate:
        _one_by_one(gate, 1)  # warms up
        delays = {"idle": _one_by_one(gate, alone), "burst": _all_at_once(gate, together)}
    return {"series at once": together} | {
        f"latency {name} p{percent} ms": 1000 * _percentile(values, percent / 100)
        for name, values in delays.items()
        for percent in (50, 99)
    }


def _one_by_one(gate: Gate, count: int) -> list[float]:
    """Send series of one instance, each after the one before is registered; ask the API."""
    with PipelinedAssociation("127.0.0.1", gate.scp_port) as association:
        return [_delay_of(gate, association, each) for each in mr_instances(count, 1, _KILOBYTES)]


def _delay_of(gate: Gate, association: PipelinedAssociation, instance: SyntheticInstance) -> float:
    (answered,) = association.store([instance])
    closes = answered + QUIET_PERIOD
    time.sleep(max(0.0, closes - _LEAD - time.monotonic()))
    server = http.client.HTTPConnection("127.0.0.1", gate.server_port, timeout=_PATIENCE)
    with closing(server):
        while time.monotonic() < closes + _PATIENCE:
            server.request("GET", f"/series/{series_instance_uid(instance)}")
            answer = server.getresponse()
            answer.read()
            if answer.status == http.HTTPStatus.OK:
                return time.monotonic() - closes
            time.sleep(_API_POLL)
    raise BenchmarkError("a series was not registered in time")


def _all_at_once(gate: Gate, count: int) -> list[float]:
    """Send series of one instance as fast as possible; look into the database.

    Asking the API for each of them over and over would be the load that is measured.
    """
    instances = list(mr_instances(count, 1, _KILOBYTES))
    with PipelinedAssociation("127.0.0.1", gate.scp_port) as association:
        answers = association.store(instances)
    waiting = {
        series_instance_uid(instance): answered + QUIET_PERIOD
        for instance, answered in zip(instances, answers, strict=True)
    }
    delays = []
    limit = time.monotonic() + QUIET_PERIOD + _PATIENCE
    uri = f"file:{gate.folder / DATABASE}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        while waiting:
            rows = database.execute("SELECT SeriesInstanceUID FROM series_data").fetchall()
            now = time.monotonic()
            delays += [now - waiting.pop(uid) for (uid,) in rows if uid in waiting]
            if now > limit:
                raise BenchmarkError(f"{len(waiting)} series were not registered in time")
            time.sleep(_DATABASE_POLL)
    return delays


def _percentile(values: list[float], share: float) -> float:
    """Return the smallest value that `share` of all do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer series, only to try")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seriesgate-bench-", dir="/var/tmp") as folder:
        for name, value in measure(Path(folder), quick=arguments.quick).items():
            print(f"{name:<24} {value:8.1f}")


if __name__ == "__main__":
    main()
