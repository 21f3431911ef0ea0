"""The ports of the gateway: all that the use cases need of the outside world.

Each contract says what is durable on return and which errors may come. An adapter maps foreign
exceptions to these once, at its edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from seriesgate.series.delivery import Delivery, DeliveryState, PublishFailure
    from seriesgate.series.description import SeriesDescription
    from seriesgate.series.model import Instance, InstanceHeader
    from seriesgate.series.revision import SeriesRevision

P = ParamSpec("P")
T = TypeVar("T")


class SpoolUnavailable(Exception):
    """The spool could not store an instance: disk full, a failing disk, no file descriptors.

    Nothing is promised about the instance; the sender may try again later.
    """


class HeaderUnreadable(Exception):
    """A data set does not name its series. The text is one line without patient data."""


class SeriesUnreadable(Exception):
    """A spooled instance cannot be read back. The text is one line without patient data."""


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """What is known of an instance before its data set comes: negotiation and command set."""

    calling_ae_title: str
    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str


class KeptAs(Enum):
    """What the spool already held when an instance was kept."""

    NEW = auto()
    #: The same SOP Instance UID with the same content: one copy is kept.
    REPEATED = auto()
    #: The same SOP Instance UID with other content: both copies are kept.
    CONFLICTING = auto()


class IncomingFile(Protocol):
    """An instance on its way into the spool. Nothing of it is visible before `keep` returns."""

    @property
    def size(self) -> int:
        """Bytes of the data set so far."""

    def write(self, fragment: bytes | memoryview) -> None:
        """Append a fragment of the data set. Raises SpoolUnavailable."""

    def keep(self, header: InstanceHeader) -> KeptAs:
        """Make the instance part of the spool, as durable as the spool's setting promises.

        Raises SpoolUnavailable; then nothing was kept and the file is already discarded.
        """

    def discard(self) -> None:
        """Forget the file. Does nothing after `keep` or a second time."""


class InstanceSpool(Protocol):
    """Where received instances live until their series is delivered. Safe for many threads."""

    def create(self, request: StoreRequest) -> IncomingFile:
        """Begin to receive an instance. Raises SpoolUnavailable."""

    def sample(self, series_instance_uid: str) -> Path:
        """Return the file of one instance of a series. Raises SeriesUnreadable if there is none."""

    def release(self, series_instance_uid: str, sop_instance_uids: Iterable[str]) -> None:
        """Remove instances that are delivered. Those already gone are no error."""

    def recover(self) -> Iterator[Instance]:
        """Yield every complete instance; called once at start, before anything is received."""


class HeaderScanner(Protocol):
    """Finds the header of one data set while it arrives."""

    def feed(self, fragment: bytes | memoryview) -> InstanceHeader | None:
        """Take the next fragment; return the header once it is known. Raises HeaderUnreadable."""

    def finish(self) -> InstanceHeader:
        """Return the header; the data set has ended. Raises HeaderUnreadable."""


class Journal(Protocol):
    """The durable memory of what was closed and what is owed to the server."""

    def known(self, series_instance_uid: str) -> SeriesRevision | None:
        """Return the latest revision of a series, or None if it was never closed."""

    def record(self, revision: SeriesRevision, delivery: Delivery) -> None:
        """Write a revision, its instances and its delivery, all or nothing, durable on return."""

    def load(self, delivery_id: str) -> Delivery:
        """Return an undelivered delivery. Raises KeyError for any other."""

    def finish(self, delivery_id: str) -> frozenset[str]:
        """Mark as delivered and return the SOP Instance UIDs that the delivery covers."""

    def is_delivered(self, series_instance_uid: str) -> bool:
        """Return whether nothing of a known series is owed any more, nor a dead letter."""

    def reschedule(self, delivery_id: str, failure: PublishFailure) -> None:
        """Write down a failed attempt; the next one has the next number."""

    def bury(self, delivery_id: str, failure: PublishFailure) -> None:
        """Make a delivery a dead letter, kept with the reason."""

    def undelivered(self) -> list[Delivery]:
        """Return what is owed, revisions of one series in order; called once at start."""

    def counts(self) -> Mapping[DeliveryState, int]:
        """Return how many deliveries are in each state."""


class SeriesPublisher(Protocol):
    """How a report reaches the server."""

    async def publish(self, delivery: Delivery) -> PublishFailure | None:
        """Send a report once. None means that the server has it; no exception comes out."""


class Clock(Protocol):
    """Time, as seen by the use cases."""

    def monotonic(self) -> float:
        """Return a time in seconds that never goes back."""

    def utcnow(self) -> datetime:
        """Return the time of day, aware UTC, for people to read; never for timers."""

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Return when `event` is set or the monotonic time `until` has come."""


class Offload(Protocol):
    """Runs blocking work off the event loop."""

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns, or raise what it raises."""


class DescriptionReader(Protocol):
    """Reads from one instance what a report says of its series."""

    def __call__(self, path: Path) -> SeriesDescription:
        """Return the description. Raises SeriesUnreadable."""
