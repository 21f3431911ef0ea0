"""The vocabulary between the core and the program that drives it.

Events are what the core tells; messages are what the driver tells the core. Texts in events hold
nothing of what the peer wrote, save where the field says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from seriesgate.upper_layer.dimse import CStoreRequest
    from seriesgate.upper_layer.negotiation import AcceptedAssociation
    from seriesgate.upper_layer.pdu import AAssociateRq, AbortReason, RejectReason, RejectResult


class NeedData(Enum):
    """Type of the value that says: nothing more to tell before more bytes arrive."""

    NEED_DATA = "need data"


NEED_DATA: Final = NeedData.NEED_DATA


class TimeLimit(Enum):
    """Which limit has passed."""

    ARTIM = "no A-ASSOCIATE-RQ, or no closed connection, in time"
    IDLE = "nothing received between messages for too long"
    FRUITLESS = "nothing was stored for too long"
    PROGRESS = "a message comes in too slowly"


@dataclass(frozen=True, slots=True)
class AssociationRequested:
    """Somebody wants an association. Send AcceptAssociation or RejectAssociation before going on.

    The AE titles of the request are the peer's text.
    """

    request: AAssociateRq


@dataclass(frozen=True, slots=True)
class AssociationAccepted:
    """The negotiation has accepted, perhaps not a single context; A-ASSOCIATE-AC is on its way."""

    association: AcceptedAssociation


@dataclass(frozen=True, slots=True)
class AssociationRejected:
    """A-ASSOCIATE-RJ is on its way, by the driver's wish or by the policy (PS3.8 9.3.4)."""

    result: int
    source: int
    reason: int


class StoreRequested(NamedTuple):
    """A C-STORE-RQ has come, and its data set will follow. Answer with one StoreResponse.

    `transfer_syntax_uid` and `abstract_syntax` are those of the presentation context; the latter is
    the SOP class of the command, too.
    """

    context_id: int
    transfer_syntax_uid: str
    abstract_syntax: str
    request: CStoreRequest


class DataSetFragment(NamedTuple):
    """The next bytes of the data set: a view into the driver's buffer, never empty.

    It may be read until `next_event` has returned NEED_DATA and the buffer is used again.
    """

    data: memoryview


@dataclass(frozen=True, slots=True)
class DataSetEnded:
    """The data set is complete. Send the StoreResponse before going on."""


@dataclass(frozen=True, slots=True)
class StoreInterrupted:
    """The store under way will never end, and needs no answer any more: forget what came of it."""


@dataclass(frozen=True, slots=True)
class EchoAnswered:
    """A C-ECHO-RQ was answered with success."""


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request was answered with a failure that has no alternative (PS3.7 Annex C)."""

    command_field: int
    status: int


@dataclass(frozen=True, slots=True)
class AssociationReleased:
    """The peer has ended the association in good order."""


@dataclass(frozen=True, slots=True)
class AssociationAborted:
    """The peer has aborted the association (PS3.8 9.3.8)."""

    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The peer has closed the connection in the middle of the association."""


@dataclass(frozen=True, slots=True)
class PeerViolated:
    """The peer broke the protocol, so we aborted."""

    reason: AbortReason
    detail: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """A limit has passed, so we aborted or closed."""

    limit: TimeLimit


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """All is over: write what is pending and close the socket. Always the last event."""


Event = (
    AssociationRequested
    | AssociationAccepted
    | AssociationRejected
    | StoreRequested
    | DataSetFragment
    | DataSetEnded
    | StoreInterrupted
    | EchoAnswered
    | RequestRefused
    | AssociationReleased
    | AssociationAborted
    | ConnectionLost
    | PeerViolated
    | TimedOut
    | ConnectionClosed
)


@dataclass(frozen=True, slots=True)
class AcceptAssociation:
    """Accept, as far as the policy allows: the negotiation may still reject."""


@dataclass(frozen=True, slots=True)
class RejectAssociation:
    """Reject, whatever the policy says."""

    result: RejectResult
    reason: RejectReason


class StoreResponse(NamedTuple):
    """Answer the store under way.

    A failure may be sent before the data set has ended; the rest of it is swallowed then (PS3.7
    9.1.1.2). `error_comment`: at most 64 printable ASCII characters, no backslash, no patient data.
    """

    status: int
    error_comment: str | None = None


@dataclass(frozen=True, slots=True)
class Abort:
    """Abort the association."""


LocalMessage = AcceptAssociation | RejectAssociation | StoreResponse | Abort
