from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context
from tests.data_sets import EXPLICIT_LE, IMPLICIT_LE, MR_IMAGE_STORAGE

from seriesgate.requestor.association_errors import AssociationError
from seriesgate.requestor.association_negotiation import (
    MAX_CONTEXTS,
    decode_abort,
    decode_accept,
    decode_reject,
    encode_request,
)
from seriesgate.requestor.outgoing_instance import StorageContext
from seriesgate.requestor.remote_ae import RemoteAE

PEER = "pacs:104"
MR_EXPLICIT = StorageContext(MR_IMAGE_STORAGE, EXPLICIT_LE)
MR_IMPLICIT = StorageContext(MR_IMAGE_STORAGE, IMPLICIT_LE)


def _item(item_type: int, body: bytes) -> bytes:
    return struct.pack(">BxH", item_type, len(body)) + body


def _accept(results: list[tuple[int, int, str]], max_length: bytes | None = b"\0\0\x40\0") -> bytes:
    """Return an A-ASSOCIATE-AC (PS3.8 9.3.3) made by hand."""
    body = struct.pack(">HH16s16s32x", 1, 0, b"STORESCP", b"ME")
    body += _item(0x10, b"1.2.840.10008.3.1.1.1")
    for context_id, result, transfer_syntax in results:
        sub_item = _item(0x40, transfer_syntax.encode())
        body += _item(0x21, struct.pack(">BxBx", context_id, result) + sub_item)
    body += _item(0x50, _item(0x51, max_length) if max_length else _item(0x52, b"1.2.3"))
    return struct.pack(">BxI", 2, len(body)) + body


def test_each_context_is_proposed_by_itself_with_an_odd_id():
    contexts = [StorageContext(f"1.2.{number}", EXPLICIT_LE) for number in range(MAX_CONTEXTS)]
    request = A_ASSOCIATE_RQ()
    request.decode(encode_request(RemoteAE("pacs", 104, "CALLED", "CALLING"), contexts))
    assert request.called_ae_title == "CALLED"
    assert request.calling_ae_title == "CALLING"
    assert request.application_context_name == "1.2.840.10008.3.1.1.1"
    assert request.user_information is not None
    assert request.user_information.maximum_length == 16384
    proposed = [
        (item.context_id, item.abstract_syntax, item.transfer_syntax)
        for item in request.presentation_context
    ]
    assert proposed == [
        (2 * number + 1, context.sop_class_uid, [context.transfer_syntax_uid])
        for number, context in enumerate(contexts)
    ]


def test_accepted_and_refused_contexts_are_told_apart():
    proposed = [MR_EXPLICIT, MR_IMPLICIT]
    negotiated = decode_accept(_accept([(1, 0, EXPLICIT_LE), (3, 4, IMPLICIT_LE)]), proposed, PEER)
    assert negotiated.context_ids == {MR_EXPLICIT: 1}
    assert negotiated.refusals == {MR_IMPLICIT: "transfer syntax not supported"}
    assert negotiated.peer_max_pdu_length == 16384


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (1, "refused by the user"),
        (2, "refused without a reason"),
        (3, "SOP class not supported"),
        (4, "transfer syntax not supported"),
        (9, "refused with result 9"),
    ],
)
def test_each_result_has_its_reason(result, reason):
    negotiated = decode_accept(_accept([(1, result, EXPLICIT_LE)]), [MR_EXPLICIT], PEER)
    assert negotiated.refusals == {MR_EXPLICIT: reason}


def test_an_accept_of_pynetdicom_is_understood():
    contexts = [StorageContext(f"1.2.{number}", IMPLICIT_LE) for number in range(3)]
    answer = A_ASSOCIATE()
    answer.application_context_name = "1.2.840.10008.3.1.1.1"
    answer.called_ae_title = answer.calling_ae_title = "X"
    answer.result, answer.result_source = 0, 1
    maximum_length = MaximumLengthNotification()
    maximum_length.maximum_length_received = 32768
    class_uid = ImplementationClassUIDNotification()
    class_uid.implementation_class_uid = UID("1.2.3")
    answer.user_information = [maximum_length, class_uid]
    for index, context in enumerate(contexts):
        item = build_context(context.sop_class_uid, IMPLICIT_LE)
        item.context_id = 2 * index + 1
        item.result = 3 if index == 1 else 0
        answer.presentation_context_definition_results_list.append(item)
    negotiated = decode_accept(A_ASSOCIATE_AC(answer).encode(), contexts, PEER)
    assert negotiated.context_ids == {contexts[0]: 1, contexts[2]: 5}
    assert negotiated.refusals == {contexts[1]: "SOP class not supported"}
    assert negotiated.peer_max_pdu_length == 32768


def test_a_context_that_is_not_mentioned_is_refused():
    assert decode_accept(_accept([]), [MR_EXPLICIT], PEER).refusals == {MR_EXPLICIT: "not answered"}


def test_a_transfer_syntax_that_was_not_proposed_is_refused():
    negotiated = decode_accept(_accept([(1, 0, IMPLICIT_LE)]), [MR_EXPLICIT], PEER)
    assert negotiated.context_ids == {}
    assert "not proposed" in negotiated.refusals[MR_EXPLICIT]


def test_a_peer_without_maximum_length_gets_what_every_peer_takes():
    accepted = _accept([(1, 0, EXPLICIT_LE)], max_length=None)
    assert decode_accept(accepted, [MR_EXPLICIT], PEER).peer_max_pdu_length == 16384


def test_a_maximum_length_of_zero_is_kept_as_no_limit():
    accepted = _accept([(1, 0, EXPLICIT_LE)], max_length=bytes(4))
    assert decode_accept(accepted, [MR_EXPLICIT], PEER).peer_max_pdu_length == 0


@pytest.mark.parametrize(
    ("result", "source", "reason", "text", "is_transient"),
    [
        (1, 1, 7, "for good: called AE title not recognised", False),
        (1, 1, 3, "for good: calling AE title not recognised", False),
        (2, 3, 2, "for now: local limit exceeded", True),
        (2, 3, 1, "for now: temporary congestion", True),
        (1, 2, 2, "for good: protocol version not supported", False),
        (1, 9, 9, "for good: unknown reason", False),
    ],
)
def test_a_rejection_is_told_with_its_meaning(result, source, reason, text, is_transient):
    pdu = bytes([3, 0, 0, 0, 0, 4, 0, result, source, reason])
    error = decode_reject(pdu, PEER)
    assert text in str(error)
    assert error.is_transient == is_transient


def test_an_abort_of_the_provider_is_told_with_its_reason():
    assert str(decode_abort(bytes([7, 0, 0, 0, 0, 4, 0, 0, 2, 2]), PEER)) == (
        "pacs:104 aborted the association: unexpected PDU"
    )
    assert str(decode_abort(bytes([7, 0, 0, 0, 0, 4, 0, 0, 0, 0]), PEER)) == (
        "pacs:104 aborted the association"
    )
    assert str(decode_abort(bytes([7, 0, 0, 0, 0, 0]), PEER)) == "pacs:104 aborted the association"


_WHOLE = _accept([(1, 0, EXPLICIT_LE), (3, 4, IMPLICIT_LE)])


@given(
    st.lists(st.tuples(st.integers(74, len(_WHOLE) - 1), st.integers(0, 255)), max_size=6),
    st.integers(6, len(_WHOLE)),
)
@settings(max_examples=500)
def test_a_damaged_accept_is_an_association_error_and_nothing_else(changes, length):
    damaged = bytearray(_WHOLE)
    for position, value in changes:
        damaged[position] = value
    try:
        negotiated = decode_accept(bytes(damaged[:length]), [MR_EXPLICIT, MR_IMPLICIT], PEER)
    except AssociationError:
        return
    assert negotiated.context_ids.keys() | negotiated.refusals.keys() == {MR_EXPLICIT, MR_IMPLICIT}


@given(st.binary(max_size=20))
def test_a_damaged_reject_or_abort_is_still_told(garbage):
    assert "rejected" in str(decode_reject(b"\x03" + garbage, PEER))
    assert "aborted" in str(decode_abort(b"\x07" + garbage, PEER))
