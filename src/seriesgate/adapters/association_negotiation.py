"""How an association is asked for, accepted, rejected and aborted (PS3.8 9.3), by pynetdicom."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.uid import UID
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from seriesgate.adapters.association_errors import AssociationError, AssociationRejectedError
from seriesgate.adapters.outgoing_instance import StorageContext
from seriesgate.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seriesgate.adapters.destination import Destination

#: Presentation context ids are the odd numbers 1 to 255 (PS3.8 9.3.2.2).
MAX_CONTEXTS = 128
#: The longest P-DATA-TF that we announce to take: only C-STORE and C-ECHO responses come to us.
MAX_PDU_LENGTH = 16384

#: The context of C-ECHO (PS3.4 A).
VERIFICATION = StorageContext("1.2.840.10008.1.1", "1.2.840.10008.1.2")

_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
# A peer that names no limit breaks PS3.8 D.1; what every peer takes will do.
_ASSUMED_MAX_PDU_LENGTH = 16384
_TRANSIENT = 2
_REFUSALS = {
    1: "refused by the user",
    2: "refused without a reason",
    3: "SOP class not supported",
    4: "transfer syntax not supported",
}
# What pynetdicom raises on a PDU that is not as PS3.8 says.
_UNDECODABLE = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    NotImplementedError,
    struct.error,
)


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on.

    `context_ids` has the accepted contexts, `refusals` why each other one was refused.
    `peer_max_pdu_length` limits the P-DATA-TF we send (PS3.8 D.1); 0 is no limit.
    """

    context_ids: dict[StorageContext, int]
    refusals: dict[StorageContext, str]
    peer_max_pdu_length: int


def encode_request(destination: Destination, contexts: Sequence[StorageContext]) -> bytes:
    """Return the A-ASSOCIATE-RQ that proposes each context, at most 128 of them, by itself."""
    request = A_ASSOCIATE()
    request.application_context_name = _APPLICATION_CONTEXT
    request.called_ae_title = destination.called_ae_title
    request.calling_ae_title = destination.calling_ae_title
    maximum_length = MaximumLengthNotification()
    maximum_length.maximum_length_received = MAX_PDU_LENGTH
    class_uid = ImplementationClassUIDNotification()
    class_uid.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version_name = ImplementationVersionNameNotification()
    version_name.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    request.user_information = [maximum_length, class_uid, version_name]
    for index, context in enumerate(contexts):
        proposed = build_context(context.sop_class_uid, context.transfer_syntax_uid)
        proposed.context_id = _context_id(index)
        request.presentation_context_definition_list.append(proposed)
    return A_ASSOCIATE_RQ(request).encode()


def decode_accept(pdu: bytes, contexts: Sequence[StorageContext], peer: str) -> Negotiated:
    """Return what an A-ASSOCIATE-AC says of the contexts that were proposed in this order.

    Raises AssociationError when it cannot be decoded.
    """
    accept = A_ASSOCIATE_AC()
    try:
        accept.decode(pdu)
        results: dict[int | None, tuple[int | None, str | None]] = {
            item.context_id: (item.result, item.transfer_syntax)
            for item in accept.presentation_context
        }
        user_information = accept.user_information
    except _UNDECODABLE as error:
        raise AssociationError(f"{peer} sent an A-ASSOCIATE-AC that is damaged") from error
    context_ids: dict[StorageContext, int] = {}
    refusals: dict[StorageContext, str] = {}
    for index, context in enumerate(contexts):
        context_id = _context_id(index)
        result, transfer_syntax_uid = results.get(context_id, (None, None))
        if result == 0 and transfer_syntax_uid == context.transfer_syntax_uid:
            context_ids[context] = context_id
        elif result == 0:
            refusals[context] = "accepted in a transfer syntax that was not proposed"
        else:
            refusals[context] = _REFUSALS.get(result or 0, "left unanswered")
    maximum_length = user_information.maximum_length if user_information else None
    return Negotiated(
        context_ids,
        refusals,
        peer_max_pdu_length=(_ASSUMED_MAX_PDU_LENGTH if maximum_length is None else maximum_length),
    )


def decode_reject(pdu: bytes, peer: str) -> AssociationRejectedError:
    """Return the error that tells an A-ASSOCIATE-RJ (PS3.8 9.3.4) with its meaning."""
    reject = A_ASSOCIATE_RJ()
    try:
        reject.decode(pdu)
        code = f"result {reject.result}, source {reject.source}, reason {reject.reason_diagnostic}"
        meaning = f"{reject.reason_str} ({code})"
    except _UNDECODABLE:
        meaning = "the reason cannot be read"
    is_transient = reject.result == _TRANSIENT
    kind = "for now" if is_transient else "for good"
    return AssociationRejectedError(
        f"{peer} rejected the association {kind}: {meaning}", is_transient=is_transient
    )


def decode_abort(pdu: bytes, peer: str) -> AssociationError:
    """Return the error that tells an A-ABORT (PS3.8 9.3.8) with its meaning."""
    abort = A_ABORT_RQ()
    try:
        abort.decode(pdu)
        # Only the service provider gives reasons (PS3.8 Table 9-26).
        by_provider = abort.source == _TRANSIENT
    except _UNDECODABLE:
        return AssociationError(f"{peer} aborted the association")
    reason = f": {abort.reason_str}" if by_provider else ""
    return AssociationError(f"{peer} aborted the association{reason}")


def _context_id(index: int) -> int:
    return 2 * index + 1
