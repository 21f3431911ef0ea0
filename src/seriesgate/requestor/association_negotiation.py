"""How an association is asked for, accepted, rejected and aborted (PS3.8 9.3).

pynetdicom writes the request. The answers are read here, for it logs what the peer wrote in them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from seriesgate.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from seriesgate.requestor.association_errors import (
    AssociationError,
    AssociationRejectedError,
)
from seriesgate.requestor.outgoing_instance import StorageContext

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from seriesgate.requestor.remote_ae import RemoteAE

#: Presentation context ids are the odd numbers 1 to 255 (PS3.8 9.3.2.2).
MAX_CONTEXTS = 128
#: The longest P-DATA-TF that we announce to take: only C-STORE and C-ECHO responses come to us.
MAX_PDU_LENGTH = 16384

#: The context of C-ECHO (PS3.4 A).
VERIFICATION = StorageContext("1.2.840.10008.1.1", "1.2.840.10008.1.2")

_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
# A peer that names no limit breaks PS3.8 D.1; what every peer takes will do.
_ASSUMED_MAX_PDU_LENGTH = 16384
# PS3.8 9.3.3.2.
_REFUSALS = {
    1: "refused by the user",
    2: "refused without a reason",
    3: "SOP class not supported",
    4: "transfer syntax not supported",
}
# PS3.8 9.3.4, by source and reason.
_REJECTIONS = {
    (1, 1): "no reason given",
    (1, 2): "application context not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}
_TRANSIENT = 2
# PS3.8 9.3.8: only the service provider (source 2) gives a reason.
_ABORT_BY_PROVIDER = 2
_ABORT_REASONS = {
    1: "unrecognised PDU",
    2: "unexpected PDU",
    4: "unrecognised PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}

_PDU_HEADER_LENGTH = 6
# In front of the items of an A-ASSOCIATE-AC: version, AE titles and reserved bytes.
_ACCEPT_HEADER_LENGTH = 74
_PRESENTATION_CONTEXT_ITEM = 0x21
_TRANSFER_SYNTAX_ITEM = 0x40
_USER_INFORMATION_ITEM = 0x50
_MAXIMUM_LENGTH_ITEM = 0x51
_ITEM_HEADER = struct.Struct(">BxH")
_CONTEXT_RESULT = struct.Struct(">BxBx")
_MAXIMUM_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on.

    `context_ids` has the accepted contexts, `refusals` why each other one was refused.
    `peer_max_pdu_length` limits the P-DATA-TF we send (PS3.8 D.1); 0 is no limit.
    """

    context_ids: dict[StorageContext, int]
    refusals: dict[StorageContext, str]
    peer_max_pdu_length: int


def encode_request(destination: RemoteAE, contexts: Sequence[StorageContext]) -> bytes:
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
    """Return what an A-ASSOCIATE-AC (PS3.8 9.3.3) says of the contexts proposed in this order.

    Raises AssociationError when it is damaged.
    """
    results: dict[int, tuple[int, str]] = {}
    max_pdu_length = _ASSUMED_MAX_PDU_LENGTH
    try:
        for item_type, item in _items(pdu[_ACCEPT_HEADER_LENGTH:]):
            if item_type == _PRESENTATION_CONTEXT_ITEM:
                context_id, result = _CONTEXT_RESULT.unpack_from(item)
                sub_items = dict(_items(item[_CONTEXT_RESULT.size :]))
                transfer_syntax = sub_items.get(_TRANSFER_SYNTAX_ITEM, b"").rstrip(b"\0 ")
                results[context_id] = result, transfer_syntax.decode("ascii", "replace")
            elif item_type == _USER_INFORMATION_ITEM:
                sub_items = dict(_items(item))
                if _MAXIMUM_LENGTH_ITEM in sub_items:
                    (max_pdu_length,) = _MAXIMUM_LENGTH.unpack(sub_items[_MAXIMUM_LENGTH_ITEM])
    except (ValueError, struct.error) as error:
        raise AssociationError(f"{peer} sent an A-ASSOCIATE-AC that is damaged") from error
    negotiated = Negotiated({}, {}, max_pdu_length)
    for index, context in enumerate(contexts):
        context_id = _context_id(index)
        result, transfer_syntax_uid = results.get(context_id, (None, ""))
        if result is None:
            negotiated.refusals[context] = "not answered"
        elif result:
            negotiated.refusals[context] = _REFUSALS.get(result, f"refused with result {result}")
        elif transfer_syntax_uid != context.transfer_syntax_uid:
            negotiated.refusals[context] = "accepted in a transfer syntax that was not proposed"
        else:
            negotiated.context_ids[context] = context_id
    return negotiated


def decode_reject(pdu: bytes, peer: str) -> AssociationRejectedError:
    """Return the error that tells an A-ASSOCIATE-RJ (PS3.8 9.3.4) with its meaning."""
    result, source, reason = pdu[_PDU_HEADER_LENGTH + 1 :].ljust(3, b"\0")[:3]
    is_transient = result == _TRANSIENT
    meaning = _REJECTIONS.get((source, reason), "unknown reason")
    return AssociationRejectedError(
        f"{peer} rejected the association {'for now' if is_transient else 'for good'}: {meaning}"
        f" (result {result}, source {source}, reason {reason})",
        is_transient=is_transient,
    )


def decode_abort(pdu: bytes, peer: str) -> AssociationError:
    """Return the error that tells an A-ABORT (PS3.8 9.3.8) with its meaning."""
    source, reason = pdu[_PDU_HEADER_LENGTH + 2 :].ljust(2, b"\0")[:2]
    meaning = _ABORT_REASONS.get(reason, "") if source == _ABORT_BY_PROVIDER else ""
    return AssociationError(f"{peer} aborted the association{meaning and ': '}{meaning}")


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each item. Raises ValueError when one is longer than the rest."""
    position = 0
    while position < len(data):
        item_type, length = _ITEM_HEADER.unpack_from(data, position)
        position += _ITEM_HEADER.size
        if position + length > len(data):
            raise ValueError("an item is cut short")
        yield item_type, data[position : position + length]
        position += length


def _context_id(index: int) -> int:
    return 2 * index + 1
