"""Clients that post reports all the time, and remember what they were promised."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

_SERIES = 40
_PAUSE = 0.1  # seconds; what no server answers must not keep the processor busy


@dataclass
class Promises:
    """What was answered 2xx: for each series the most instances of any report."""

    instances: dict[str, int] = field(default_factory=dict)
    accepted: int = 0
    statuses: set[int] = field(default_factory=set)
    unlike: list[str] = field(default_factory=list)


class Load:
    """`clients` threads, each posting to the servers in turn until it is stopped.

    All report the same series, with more and more instances, and again what they have reported: so
    there are inserts, updates and repeats, of the same row at the same time too.
    """

    def __init__(self, urls: Sequence[str], *, prefix: str, clients: int = 6) -> None:
        self.promises = Promises()
        self._urls = urls
        self._prefix = prefix
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, args=(client,)) for client in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        """Wait until so many more reports were accepted."""
        with self._changed:
            wanted = self.promises.accepted + more
            assert self._changed.wait_for(lambda: self.promises.accepted >= wanted, timeout=60)

    def _run(self, client: int) -> None:
        limits = httpx.Limits(max_keepalive_connections=2)
        with httpx.Client(limits=limits, trust_env=False, timeout=30) as http:
            while not self._stop.is_set():
                number = next(self._numbers)
                self._post(http, self._urls[(number + client) % len(self._urls)], number)

    def _post(self, http: httpx.Client, url: str, number: int) -> None:
        uid = f"{self._prefix}.{number % _SERIES}"
        instances = number // _SERIES + 1
        report = {
            "SeriesInstanceUID": uid,
            "PatientName": "Doe^Jane",
            "PatientID": "A/17",
            "StudyInstanceUID": "1.3",
            "InstancesInSeries": instances,
        }
        try:
            answer = http.post(f"{url}/series", json=report)
        except httpx.HTTPError:  # the server died: it has promised nothing
            self._stop.wait(_PAUSE)
            return
        with self._changed:
            promises = self.promises
            promises.statuses.add(answer.status_code)
            if answer.is_success:
                promises.accepted += 1
                promises.instances[uid] = max(instances, promises.instances.get(uid, 0))
            elif answer.headers.get("content-type") != "application/problem+json":
                promises.unlike.append(answer.text)
            self._changed.notify_all()


def assert_kept(promises: Promises, url: str) -> None:
    """Check that a server has all that was promised: the row, with no fewer instances."""
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
        for uid, instances in promises.instances.items():
            row = http.get(f"/series/{uid}").raise_for_status().json()
            assert row["InstancesInSeries"] >= instances, uid
    assert promises.unlike == []
