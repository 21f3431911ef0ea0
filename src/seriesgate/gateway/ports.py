"""The ports of the gateway: all that the use cases need of the outside world.

Each contract says what is durable on return and which errors may come. An adapter maps foreign
exceptions to these once, at its edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from seriesgate.gateway.deaths import Deaths
    from seriesgate.gateway.senders import SenderStatistics
    from seriesgate.series.delivery import Delivery, DeliveryState, PublishFailure
    from seriesgate.series.description import SeriesDescription
    from seriesgate.series.model import CollectedSeries, Instance, InstanceCopy, InstanceHeader
    from seriesgate.series.revision import KnownSeries, SeriesRevision

P = ParamSpec("P")
T = TypeVar("T")


class SpoolUnavailable(Exception):
    """The spool cannot be used: disk full, a failing disk, no file descriptors.

    Nothing is promised about an instance on its way; the sender may try again later. What is in the
    spool stays there.
    """


class HeaderUnreadable(Exception):
    """A data set does not name its series. The text is one line without patient data."""


class SeriesUnreadable(Exception):
    """A spooled instance cannot be read back. The text is one line without patient data."""


class StoreRequest(NamedTuple):
    """What is known of an instance before its data set comes: negotiation and command set."""

    calling_ae_title: str
    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    #: The address of whoever sends it, as text.
    calling_host: str = ""


class KeptAs(Enum):
    """What the spool already held when an instance was kept."""

    NEW = auto()
    #: The same instance with the same content: one copy is kept.
    REPEATED = auto()


class IncomingFile(Protocol):
    """An instance on its way into the spool. Nothing of it is visible before `keep` returns."""

    @property
    def size(self) -> int:
        """Bytes of the data set so far."""

    @property
    def digest(self) -> bytes:
        """The digest of the content, once it is kept."""

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

    def has_room(self) -> bool:
        """Return whether instances can be stored now, as far as the volume is concerned."""

    def create(self, request: StoreRequest) -> IncomingFile:
        """Begin to receive an instance. Raises SpoolUnavailable."""

    def path_of(self, series_instance_uid: str, copy: InstanceCopy) -> Path:
        """Return where a kept copy of an instance is, or was."""

    def is_damaged(self, series_instance_uid: str, copy: InstanceCopy) -> bool:
        """Read a kept copy again; put it away if it is not what was received, and say so.

        One that can't be read is damaged too. Raises SpoolUnavailable when nothing can be read.
        """

    def release(self, series_instance_uid: str, copies: Iterable[InstanceCopy]) -> int:
        """Remove what is delivered; return how many files went. What is gone is no error."""

    def recover(self, deaths: Deaths = ...) -> Iterator[Instance]:
        """Yield every complete instance; called once at start, while others may be stored.

        What earlier runs have died of is put away as damaged. Raises SpoolUnavailable.
        """

    def free_bytes(self) -> int:
        """Return how many bytes are free for instances. Raises SpoolUnavailable."""

    def quarantine_count(self) -> int:
        """Return how many entries were put away as damaged. Raises SpoolUnavailable."""


class HeaderScanner(Protocol):
    """Finds the header of one data set while it arrives."""

    def feed(self, fragment: bytes | memoryview) -> InstanceHeader | None:
        """Take the next fragment; return the header once it is known. Raises HeaderUnreadable."""

    def finish(self) -> InstanceHeader:
        """Return the header; the data set has ended. Raises HeaderUnreadable."""


class JournalFull(Exception):
    """There is no room to write to the journal; nothing of the call was written. Try again."""


class JournalFailed(Exception):
    """The journal cannot be relied on any more: the gateway must stop. The text is one line."""


@dataclass(frozen=True, slots=True)
class Owed:
    """A delivery that is not settled yet: which, and for what series."""

    delivery_id: str
    series_instance_uid: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt to deliver. `failure` is None when the server has the report.

    `is_final` says that a failed delivery is a dead letter now, and not tried again by itself.
    """

    delivery: Delivery
    failure: PublishFailure | None = None
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A delivery that is still tried. `instances` counts those that it reports first.

    `reason` says why the latest of its `attempts` failed; empty when none was made.
    """

    delivery_id: str
    series_instance_uid: str
    revision: int
    instances: int
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that was given up. `instances` counts those that it reports first."""

    delivery_id: str
    series_instance_uid: str
    revision: int
    instances: int
    attempts: int
    reason: str
    died_at: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """How many instances of closed series there are, by what became of their deliveries.

    `deliveries` counts deliveries in each state; those forgotten are still counted.
    `oldest_pending_at` is when the series of the delivery that is owed the longest was closed.
    """

    closed: int
    delivered: int
    pending: int
    dead: int
    discarded: int
    deliveries: Mapping[DeliveryState, int]
    oldest_pending_at: datetime | None = None


class Journal(Protocol):
    """The durable memory of what was closed and what is owed to the server.

    Each method that writes does so in one transaction and is durable on return. All raise
    JournalFailed, those that write JournalFull too.
    """

    def known(self, collected: CollectedSeries) -> KnownSeries | None:
        """Return what is known of a series, as far as `collected` asks; None if it is not known.

        It takes as long as there is collected, not as there is known.
        """

    def record(self, closed: Iterable[tuple[SeriesRevision, Delivery]]) -> None:
        """Write revisions, what they add, and their deliveries, all or nothing.

        Of the copies that came again, those are released once more that were released before.
        """

    def load(self, delivery_id: str) -> Delivery:
        """Return an undelivered delivery. Raises KeyError for any other."""

    def settle(self, outcomes: Iterable[Outcome], at: datetime) -> None:
        """Write down what became of attempts; a failed one counts, the next has the next number."""

    def hold(self, series_instance_uid: str, returned: Iterable[InstanceCopy]) -> None:
        """Have files released once more: these known copies came again.

        Those whose delivery is still owed, or dead, are released with it, as they would be anyway.
        """

    def take_releasable(self, delivered_before: datetime) -> Mapping[str, frozenset[InstanceCopy]]:
        """Return copies, by series, that were delivered before then, or given up for good.

        A bounded number of them, each once: the caller removes their files. Empty when there are no
        more.
        """

    def forget(self, delivered_before: datetime) -> bool:
        """Forget series that were delivered and released before then; return whether some are left.

        A call takes a bounded time; a series that is partly forgotten is not known any more.
        """

    def undelivered(self) -> list[Owed]:
        """Return what is owed, revisions of one series in order; called once at start."""

    def owed_copies(self) -> Iterator[tuple[str, InstanceCopy]]:
        """Yield what must be in the spool: series and copies of what is pending or dead."""

    def pending(self, limit: int) -> list[PendingDelivery]:
        """Return what is owed, the oldest first, `limit` at most."""

    def dead_letters(self) -> list[DeadLetter]:
        """Return what was given up, the oldest first."""

    def revive(self, delivery_id: str) -> Owed:
        """Make a dead letter owed again. Raises KeyError if it is none."""

    def discard(self, delivery_id: str, at: datetime) -> None:
        """Give a dead letter up for good. Raises KeyError if it is none."""

    def tally(self) -> Tally:
        """Return the numbers that must add up."""

    def count_death(self, unit_id: str) -> None:
        """Count that a run has died of a unit of its work."""

    def deaths(self) -> Mapping[str, int]:
        """Return how often a run has died of each unit, by its id; of most none ever has."""

    def forget_death(self, unit_id: str) -> None:
        """Forget that runs have died of a unit."""

    def keep_senders(self, senders: Sequence[SenderStatistics], quiet_period: float) -> None:
        """Remember these senders, in this order, instead of those that were kept before.

        `quiet_period` is the one in seconds that they were seen at.
        """

    def senders(self) -> tuple[list[SenderStatistics], float | None]:
        """Return those that were kept, but damaged ones, and their quiet period.

        That is None when none were kept.
        """


class SeriesPublisher(Protocol):
    """How a report reaches the server."""

    async def publish(self, delivery: Delivery) -> PublishFailure | None:
        """Send a report once. None means that the server has it; no exception comes out."""


class NoPreview(Exception):
    """There is no picture of this. The text is one line without patient data."""


class PreviewShelf(Protocol):
    """Where an instance waits for its picture. Nothing of it outlives the program."""

    def keep(self, source: Path) -> Path:
        """Keep a file that may be removed from now on; return where. Raises NoPreview."""

    def discard(self, path: Path) -> None:
        """Let go of a kept file. Never fails."""


class PreviewRenderer(Protocol):
    """Makes a small picture of an instance, one at a time, in bounded time and memory."""

    async def render(self, path: Path) -> bytes:
        """Return a PNG. Raises NoPreview, whatever the file is."""

    async def rest(self) -> None:
        """Let go of what a picture needs, until there is one to make again."""


class PreviewPublisher(Protocol):
    """How a picture reaches the server."""

    async def publish_preview(self, series_instance_uid: str, picture: bytes) -> None:
        """Send a picture once. Raises NoPreview when the server does not take it."""


class UnderWay(Protocol):
    """Notes what is being done, for the next start to find if the program dies of it."""

    def begin(self, unit_id: str) -> None:
        """Note what is being done now."""

    def end(self) -> None:
        """Note that it is done."""


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
        """Return the description. Raises SeriesUnreadable, and SpoolUnavailable."""
