"""The seven PDUs of the DICOM upper layer (PS3.8 9.3) and the items they are made of.

Plain values without behaviour. UIDs and names are text without padding; AE titles stay the sixteen
bytes that were received, for an acceptor has to return them as they came (PS3.8 9.3.3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

from seriesgate.upper_layer.text import decode_text

APPLICATION_CONTEXT_NAME = "1.2.840.10008.3.1.1.1"
PROTOCOL_VERSION = 1


class PduType(IntEnum):
    """First byte of a PDU."""

    A_ASSOCIATE_RQ = 0x01
    A_ASSOCIATE_AC = 0x02
    A_ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    A_RELEASE_RQ = 0x05
    A_RELEASE_RP = 0x06
    A_ABORT = 0x07


class AbortSource(IntEnum):
    """Who aborts (PS3.8 9.3.8)."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Why a service provider aborts (PS3.8 9.3.8)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER_VALUE = 6


class RejectResult(IntEnum):
    """Whether it makes sense to try again (PS3.8 9.3.4)."""

    PERMANENT = 1
    TRANSIENT = 2


class RejectReason(Enum):
    """Source and reason of a rejection: the pairs that PS3.8 9.3.4 knows."""

    NO_REASON_GIVEN = (1, 1)
    APPLICATION_CONTEXT_NOT_SUPPORTED = (1, 2)
    CALLING_AE_TITLE_NOT_RECOGNIZED = (1, 3)
    CALLED_AE_TITLE_NOT_RECOGNIZED = (1, 7)
    PROTOCOL_VERSION_NOT_SUPPORTED = (2, 2)
    TEMPORARY_CONGESTION = (3, 1)
    LOCAL_LIMIT_EXCEEDED = (3, 2)


class ContextResultReason(IntEnum):
    """The answer to one proposed presentation context (PS3.8 9.3.3.2)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class AsynchronousOperations:
    """How many operations may be outstanding each way; 0 is without limit (PS3.7 D.3.3.3)."""

    max_invoked: int
    max_performed: int


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """Which roles the requestor takes for one SOP class (PS3.7 D.3.3.4)."""

    sop_class_uid: str
    is_scu: bool
    is_scp: bool


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """SOP class extended negotiation (PS3.7 D.3.3.5)."""

    sop_class_uid: str
    application_information: bytes


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """SOP class common extended negotiation (PS3.7 D.3.3.6)."""

    sop_class_uid: str
    service_class_uid: str
    related_general_sop_class_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who the requestor claims to be (PS3.7 D.3.3.7). Its fields are secrets: no repr has them."""

    identity_type: int
    positive_response_requested: bool
    primary_field: bytes = field(repr=False)
    secondary_field: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class UserInformation:
    """The user information item (PS3.8 Annex D, PS3.7 Annex D.3.3).

    `max_pdu_length` is the longest P-DATA-TF, in bytes after its six-byte header, that the sender
    of this item is ready to receive; 0 is without limit.
    """

    max_pdu_length: int = 0
    implementation_class_uid: str = ""
    implementation_version_name: str | None = None
    asynchronous_operations: AsynchronousOperations | None = None
    role_selections: tuple[RoleSelection, ...] = ()
    extended_negotiations: tuple[ExtendedNegotiation, ...] = ()
    common_extended_negotiations: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    user_identity_response: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as the requestor proposes it (PS3.8 9.3.2.2).

    `abstract_syntax` is empty where there is not exactly one, and `transfer_syntaxes` where there
    is none: the negotiation rejects that context and no other.
    """

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextResult:
    """The acceptor's answer to one proposed context (PS3.8 9.3.3.2).

    `transfer_syntax_uid` has a meaning only where the result is acceptance.
    """

    context_id: int
    result: int
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class AAssociateRq:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2), with contexts as proposed: ids may be even, or used twice."""

    called_ae_title_field: bytes
    calling_ae_title_field: bytes
    presentation_contexts: tuple[ProposedContext, ...]
    user_information: UserInformation
    application_context_name: str = APPLICATION_CONTEXT_NAME
    protocol_version: int = PROTOCOL_VERSION
    reserved_field: bytes = bytes(32)

    @property
    def called_ae_title(self) -> str:
        """The AE title the requestor wants to reach, without padding."""
        return decode_text(self.called_ae_title_field)

    @property
    def calling_ae_title(self) -> str:
        """The AE title the requestor gives itself, without padding."""
        return decode_text(self.calling_ae_title_field)


@dataclass(frozen=True, slots=True)
class AAssociateAc:
    """A-ASSOCIATE-AC (PS3.8 9.3.3). The three fields are those of the request, byte for byte."""

    called_ae_title_field: bytes
    calling_ae_title_field: bytes
    context_results: tuple[ContextResult, ...]
    user_information: UserInformation
    application_context_name: str = APPLICATION_CONTEXT_NAME
    protocol_version: int = PROTOCOL_VERSION
    reserved_field: bytes = bytes(32)


@dataclass(frozen=True, slots=True)
class AAssociateRj:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class PresentationDataValue:
    """One fragment of a command set or of a data set (PS3.8 9.3.5.1, Annex E)."""

    context_id: int
    is_command: bool
    is_last: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class PDataTf:
    """P-DATA-TF (PS3.8 9.3.5)."""

    values: tuple[PresentationDataValue, ...]


@dataclass(frozen=True, slots=True)
class AReleaseRq:
    """A-RELEASE-RQ (PS3.8 9.3.6)."""


@dataclass(frozen=True, slots=True)
class AReleaseRp:
    """A-RELEASE-RP (PS3.8 9.3.7)."""


@dataclass(frozen=True, slots=True)
class AAbort:
    """A-ABORT (PS3.8 9.3.8)."""

    source: int
    reason: int


Pdu = AAssociateRq | AAssociateAc | AAssociateRj | PDataTf | AReleaseRq | AReleaseRp | AAbort
