"""Modalities that never give up: each sends a job until all of it is acknowledged.

Three kinds of real senders. A job stays with its sender: DCMTK writes data sets anew, in its own
way, and the same instance from two programs may then be two contents.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pynetdicom import AE
from tests.data_sets import EXPLICIT_LE, MR_IMAGE_STORAGE
from tests.e2e.processes import Process

from seriesgate.modality.dicom_files import find_dicom_files
from seriesgate.requestor.association_errors import AssociationError
from seriesgate.requestor.remote_ae import RemoteAE
from seriesgate.requestor.storage_scu import send

if TYPE_CHECKING:
    from pathlib import Path

    from seriesgate.series.model import InstanceCopy

# Seconds before a gateway that was not there is tried again.
_PAUSE = 0.3


@dataclass(frozen=True)
class Item:
    """One instance to send: which, and its file."""

    series: str
    copy: InstanceCopy
    path: Path


@dataclass
class Ledger:
    """What was sent and what was acknowledged. Shared by all senders."""

    sent: dict[str, dict[InstanceCopy, int]] = field(default_factory=dict)
    acknowledged: dict[str, set[InstanceCopy]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def acknowledge(self, item: Item, sender: str) -> None:
        with self.lock:
            self.counts[f"acknowledged to {sender}"] += 1
            known = self.acknowledged.setdefault(item.series, set())
            self.counts["acknowledged again"] += item.copy in known
            known.add(item.copy)


class Sender(Protocol):
    """A program or library that sends."""

    name: str

    def store(self, items: list[Item]) -> list[Item]:
        """Send, in one go; return what was acknowledged."""


class Dcmtk:
    """storescu of DCMTK, one association for each go."""

    name = "storescu"

    def __init__(self, port: int, folder: Path) -> None:
        self._port = port
        self._folder = folder

    def store(self, items: list[Item]) -> list[Item]:
        process = Process(
            *("storescu", "-v", "-aec", "STORESCP", "127.0.0.1", str(self._port)),
            *(item.path for item in items),
            cwd=self._folder,
        )
        try:
            process.wait()
        finally:
            process.stop()
        # It sends in order and waits for each answer.
        answers = [line for line in process.output if "Received Store Response" in line]
        return [item for item, answer in zip(items, answers, strict=False) if "(Success)" in answer]


class Pynetdicom:
    """pynetdicom, one association for each go."""

    name = "pynetdicom"

    def __init__(self, port: int) -> None:
        self._port = port
        self._ae = AE()
        self._ae.add_requested_context(MR_IMAGE_STORAGE, EXPLICIT_LE)
        self._ae.connection_timeout = 5
        self._ae.dimse_timeout = 20

    def store(self, items: list[Item]) -> list[Item]:
        association = self._ae.associate("127.0.0.1", self._port, ae_title="STORESCP")
        stored = []
        for item in items:
            if not association.is_established:
                break
            if association.send_c_store(item.path).get("Status") == 0:
                stored.append(item)
        if association.is_established:
            association.release()
        return stored


class Seriesgate:
    """`seriesgate send`, with several associations at once."""

    name = "seriesgate send"

    def __init__(self, port: int) -> None:
        self._destination = RemoteAE("127.0.0.1", port)

    def store(self, items: list[Item]) -> list[Item]:
        try:
            summary = send(
                find_dicom_files([item.path for item in items]).files,
                self._destination,
                associations=3,
                reconnect_delays=(0.0,),
            )
        except AssociationError:
            return []
        # Its summary counts; it does not name what was stored.
        return items if summary.is_complete else []


class Modality(threading.Thread):
    """Takes jobs until `stop` is set and no job is left; `error` is what it has ended with."""

    def __init__(
        self,
        sender: Sender,
        jobs: queue.Queue[list[Item]],
        ledger: Ledger,
        stop: threading.Event,
        give_up: threading.Event,
    ) -> None:
        super().__init__(name=sender.name)
        self.error: BaseException | None = None
        self._sender = sender
        self._jobs = jobs
        self._ledger = ledger
        self._stop_event = stop
        self._give_up = give_up

    def run(self) -> None:
        try:
            while not self._give_up.is_set():
                try:
                    job = self._jobs.get(timeout=_PAUSE)
                except queue.Empty:
                    if self._stop_event.is_set():
                        return
                    continue
                self._deliver(job)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self.error = error

    def _deliver(self, job: list[Item]) -> None:
        left = list(job)
        while left and not self._give_up.is_set():
            stored = self._sender.store(left)
            for item in stored:
                self._ledger.acknowledge(item, self._sender.name)
            left = [item for item in left if item not in stored]
            if left:
                self._ledger.count("goes that broke")
                self._give_up.wait(_PAUSE)
