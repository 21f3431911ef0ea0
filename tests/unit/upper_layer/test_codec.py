from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.upper_layer import wire
from tests.unit.upper_layer.conversation import cut
from tests.unit.upper_layer.goldens import A_ASSOCIATE_RQ, A_ASSOCIATE_RQ_VALUE, GOLDENS
from tests.unit.upper_layer.strategies import whole_pdus

from seriesgate.upper_layer.codec import (
    MAX_CONTEXTS,
    MAX_TRANSFER_SYNTAXES,
    decode,
    encode,
    encode_fragment,
)
from seriesgate.upper_layer.errors import PeerViolation
from seriesgate.upper_layer.framing import PduReader, WholePdu
from seriesgate.upper_layer.pdu import (
    AAssociateRq,
    AbortReason,
    AsynchronousOperations,
    PDataTf,
    Pdu,
    PduType,
    PresentationDataValue,
    ProposedContext,
    RoleSelection,
    UserInformation,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

golden = pytest.mark.parametrize(
    ("wire_bytes", "value"), GOLDENS, ids=[type(value).__name__ for _, value in GOLDENS]
)


def read(pieces: Iterable[bytes]) -> list[Pdu]:
    reader = PduReader(0)
    pdus = []
    for piece in pieces:
        reader.feed(piece)
        while (part := reader.next_part()) is not None:
            assert isinstance(part, WholePdu)
            pdus.append(decode(part.pdu_type, part.body))
    return pdus


def decode_request(body: bytes) -> AAssociateRq:
    request = decode(PduType.A_ASSOCIATE_RQ, body)
    assert isinstance(request, AAssociateRq)
    return request


def information(*sub_items: bytes) -> UserInformation:
    body = wire.associate_rq_body(user_information=wire.item(0x50, b"".join(sub_items)))
    return decode_request(body).user_information


def violation(body: bytes) -> PeerViolation:
    with pytest.raises(PeerViolation) as caught:
        decode(PduType.A_ASSOCIATE_RQ, body)
    return caught.value


@golden
def test_golden_pdu_is_encoded_byte_for_byte(wire_bytes: bytes, value: Pdu):
    assert encode(value) == wire_bytes


@golden
def test_golden_pdu_is_decoded_as_a_whole(wire_bytes: bytes, value: Pdu):
    assert read([wire_bytes]) == [value]


@golden
def test_golden_pdu_is_decoded_byte_by_byte(wire_bytes: bytes, value: Pdu):
    assert read(bytes((byte,)) for byte in wire_bytes) == [value]


@golden
def test_golden_pdu_is_decoded_when_cut_anywhere(wire_bytes: bytes, value: Pdu):
    for offset in range(1, len(wire_bytes)):
        assert read([wire_bytes[:offset]]) == []
        assert read([wire_bytes[:offset], wire_bytes[offset:]]) == [value]


@golden
def test_golden_pdu_is_decoded_with_the_next_one_behind_it(wire_bytes: bytes, value: Pdu):
    following_bytes, following = GOLDENS[-1]
    assert read([wire_bytes + following_bytes]) == [value, following]


@given(whole_pdus)
def test_decode_of_encode_gives_the_pdu_back(pdu: Pdu):
    assert read([encode(pdu)]) == [pdu]


@given(whole_pdus, st.lists(st.integers(0, 600), max_size=5))
def test_segmentation_never_changes_a_pdu(pdu: Pdu, offsets: list[int]):
    assert read(cut(encode(pdu), offsets)) == [pdu]


@given(st.sampled_from([kind for kind in PduType if kind != PduType.P_DATA_TF]), st.binary())
def test_garbage_body_raises_nothing_but_a_violation(kind: PduType, body: bytes):
    with contextlib.suppress(PeerViolation):
        decode(kind, body)


@given(st.data())
def test_flipped_bytes_raise_nothing_but_a_violation(data: st.DataObject):
    body = bytearray(A_ASSOCIATE_RQ[6:])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PeerViolation):
        decode(PduType.A_ASSOCIATE_RQ, bytes(body))


@pytest.mark.parametrize(
    ("field", "title"),
    [
        (b"MR1\0\xcc\xcc\xfd\xab", "MR1"),
        (b"MR1 \0 junk", "MR1"),
        (b"\0 MR1\0x", "MR1"),
        (bytes(16), ""),
        (b"\0\0\0\0 \0", ""),
        (b"MR 1", "MR 1"),
    ],
)
def test_ae_title_ends_at_its_nul(field: bytes, title: str):
    request = decode_request(wire.associate_rq_body(calling=field, called=field))
    assert (request.calling_ae_title, request.called_ae_title) == (title, title)
    assert request.calling_ae_title_field == field.ljust(16)[:16]


def test_uid_and_name_end_at_their_nul():
    contexts = wire.proposed(1, b"1.2.3\0\xcc\xcc", b"1.2.840.10008.1.2\0junk")
    request = decode_request(wire.associate_rq_body(contexts=contexts))
    assert request.presentation_contexts == (ProposedContext(1, "1.2.3", ("1.2.840.10008.1.2",)),)
    assert information(wire.item(0x55, b"V1\0\xff")).implementation_version_name == "V1"
    items = wire.item(0x10, wire.APPLICATION_CONTEXT + b"\0\xcc\xcc ")
    assert decode_request(wire.associate_rq_body(items=items)).application_context_name == (
        wire.APPLICATION_CONTEXT.decode()
    )


def test_every_proper_prefix_of_a_body_is_refused_or_ends_at_an_item():
    body = A_ASSOCIATE_RQ[6:]
    ends_of_items = {68, 93, 156, len(body)}
    for length in range(len(body)):
        if length not in ends_of_items:
            assert violation(body[:length]).reason is AbortReason.INVALID_PDU_PARAMETER_VALUE


def test_p_data_is_encoded_with_its_control_bits():
    values = (
        PresentationDataValue(1, is_command=True, is_last=False, data=b"ab"),
        PresentationDataValue(1, is_command=True, is_last=True, data=b""),
        PresentationDataValue(1, is_command=False, is_last=False, data=b"cd"),
        PresentationDataValue(255, is_command=False, is_last=True, data=b"e"),
    )
    assert encode(PDataTf(values)) == bytes.fromhex(
        "04 00 0000001D00000004 01 01 616200000002 01 0300000004 01 00 636400000003 FF 02 65"
    )


@given(st.integers(0, 255), st.booleans(), st.booleans(), st.binary(max_size=40))
def test_single_fragment_is_encoded_as_any_p_data(context_id, is_command, is_last, data):
    value = PresentationDataValue(context_id, is_command, is_last, data)
    one = encode_fragment(context_id, is_command=is_command, is_last=is_last, data=data)
    assert one == encode(PDataTf((value,)))


def test_p_data_is_not_for_decode():
    with pytest.raises(ValueError, match="streamed"):
        decode(PduType.P_DATA_TF, b"")


def test_reserved_bytes_are_not_looked_at():
    body = bytearray(A_ASSOCIATE_RQ[6:])
    body[2:4] = b"\xff\xff"  # after the protocol version
    body[69] = 0xFF  # of the application context item
    body[98:101] = b"\xff\xff\xff"  # behind the context id
    assert decode_request(bytes(body)) == A_ASSOCIATE_RQ_VALUE


def test_ae_titles_lose_their_padding_as_text_and_keep_it_as_bytes():
    request = decode_request(wire.associate_rq_body(called=b"  STORE SCP\0\0\0\0\0", calling=b""))
    assert request.called_ae_title == "STORE SCP"
    assert request.called_ae_title_field == b"  STORE SCP\0\0\0\0\0"
    assert request.calling_ae_title == ""


def test_ae_title_beyond_ascii_is_escaped():
    request = decode_request(wire.associate_rq_body(calling="RÖNTGEN".encode("latin-1")))
    assert request.calling_ae_title == r"R\xd6NTGEN"


def test_padding_of_uids_and_names_is_stripped():
    contexts = wire.proposed(1, b"1.2.3\0", b" 1.2.840.10008.1.2 ", b"1.2.3.4\0\0")
    request = decode_request(wire.associate_rq_body(contexts=contexts))
    (context,) = request.presentation_contexts
    assert context.abstract_syntax == "1.2.3"
    assert context.transfer_syntaxes == ("1.2.840.10008.1.2", "1.2.3.4")
    assert information(wire.item(0x55, b"OFFIS_1 \0")).implementation_version_name == "OFFIS_1"


def test_unknown_items_and_sub_items_are_skipped():
    items = (
        wire.item(0x10, wire.APPLICATION_CONTEXT)
        + wire.item(0x77, b"later version")
        + wire.item(
            0x20,
            bytes((1, 0, 0, 0))
            + wire.item(0x30, b"1.2")
            + wire.item(0x40, b"1.3")
            + wire.item(0x99, b"?"),
        )
        + wire.item(0x50, wire.item(0x5A, b"new") + wire.MAX_LENGTH_16384 + wire.item(0xFF, b""))
    )
    request = decode_request(wire.associate_rq_body(items=items))
    assert [item.context_id for item in request.presentation_contexts] == [1]
    assert request.user_information.max_pdu_length == 16384


def test_request_without_user_information_has_no_limit_and_no_name():
    request = decode_request(wire.associate_rq_body(user_information=b""))
    assert request.user_information == UserInformation()


def test_request_without_application_context_has_an_empty_one():
    assert decode_request(wire.associate_rq_body(items=b"")).application_context_name == ""


def test_first_of_repeated_single_sub_items_counts():
    info = information(
        wire.MAX_LENGTH_16384,
        wire.item(0x51, (1).to_bytes(4, "big")),
        wire.item(0x52, b"1.1"),
        wire.item(0x52, b"2.2"),
    )
    assert (info.max_pdu_length, info.implementation_class_uid) == (16384, "1.1")


def test_secrets_are_in_no_repr():
    identity = (2).to_bytes(1, "big") + b"\1" + wire.counted(b"jdoe") + wire.counted(b"hunter2")
    info = information(wire.item(0x58, identity), wire.item(0x59, wire.counted(b"token")))
    assert info.user_identity is not None
    assert info.user_identity.secondary_field == b"hunter2"
    assert info.user_identity_response == b"token"
    for secret in ("jdoe", "hunter2", "token"):
        assert secret not in repr(info)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "shorter than its fixed fields"),
        (wire.associate_rq_body()[:67], "shorter than its fixed fields"),
        (wire.associate_rq_body(items=b"\x10\0\0"), "last 3 bytes are no item"),
        (wire.associate_rq_body(items=b"\x10\0\xff\xff"), "last 4 bytes are no item"),
        (wire.associate_rq_body() + bytes(6), "last 2 bytes are no item"),
    ],
)
def test_request_whose_items_do_not_end_with_it_is_an_invalid_parameter(body: bytes, detail: str):
    caught = violation(body)
    assert caught.reason is AbortReason.INVALID_PDU_PARAMETER_VALUE
    assert detail in caught.detail


A, T = wire.item(0x30, b"1.2"), wire.item(0x40, b"1.3")


@pytest.mark.parametrize(
    ("item", "proposed"),
    [
        (b"\2\0\0\0" + A + T, ProposedContext(2, "1.2", ("1.3",))),
        (b"\0\0\0\0" + A + T, ProposedContext(0, "1.2", ("1.3",))),
        (b"\1\0\0\0" + T + A, ProposedContext(1, "1.2", ("1.3",))),
        (b"\1\0\0\0" + A + A + T, ProposedContext(1, "1.2", ("1.3",))),
        (b"\1\0\0\0" + A, ProposedContext(1, "1.2", ())),
        (b"\1\0\0\0" + T, ProposedContext(1, "", ("1.3",))),
        (b"\1\0\0\0" + A + wire.item(0x30, b"1.4") + T, ProposedContext(1, "", ("1.3",))),
        (b"\1\0\0\0", ProposedContext(1, "", ())),
        (b"\1\0\0\0" + A + T + b"\0\0", ProposedContext(1, "1.2", ("1.3",))),
        (b"\1\0\0\0" + A + b"\x40\0\0\xff1.3", ProposedContext(1, "1.2", ())),
        (b"\1\0\0\0\x30\0\xff\xff1.2" + T, ProposedContext(1, "", ())),
        (b"\1\0\0\0" + A + wire.item(0x40, b"") + T, ProposedContext(1, "1.2", ("", "1.3"))),
        (
            b"\1\0\0\0" + A + T * (MAX_TRANSFER_SYNTAXES + 1),
            ProposedContext(1, "1.2", ("1.3",) * MAX_TRANSFER_SYNTAXES),
        ),
        (b"\1\0\0", None),
        (b"", None),
    ],
)
def test_odd_context_is_read_as_far_as_it_goes_and_those_beside_it_too(
    item: bytes, proposed: ProposedContext | None
):
    good = wire.proposed(9, b"1.2.3")
    request = decode_request(wire.associate_rq_body(contexts=good + wire.item(0x20, item) + good))
    expected = ProposedContext(9, "1.2.3", ("1.2.840.10008.1.2",))
    between = () if proposed is None else (proposed,)
    assert request.presentation_contexts == (expected, *between, expected)
    assert request.user_information.max_pdu_length == 16384


def test_contexts_without_number_are_not_all_looked_at():
    contexts = wire.proposed(1, b"1.2") * (MAX_CONTEXTS + 1)
    request = decode_request(wire.associate_rq_body(contexts=contexts))
    assert len(request.presentation_contexts) == MAX_CONTEXTS


GOOD_ROLE = wire.item(0x54, wire.counted(b"1.2") + b"\1\0")


@pytest.mark.parametrize(
    "sub_item",
    [
        wire.item(0x53, b"\0\1"),
        wire.item(0x54, b""),
        wire.item(0x54, b"\0"),
        wire.item(0x54, b"\0\5" + b"1.2"),
        wire.item(0x54, wire.counted(b"1.2") + b"\1"),
        wire.item(0x56, b"\0\2" + b"1"),
        wire.item(0x57, wire.counted(b"1")),
        wire.item(0x57, wire.counted(b"1") * 2 + wire.counted(b"\0\x091")),
        wire.item(0x58, b""),
        wire.item(0x58, b"\1"),
        wire.item(0x58, b"\1\0" + wire.counted(b"u")),
        wire.item(0x59, b"\0\1"),
        wire.item(0x5A, b"\0\1"),
    ],
)
def test_damaged_sub_item_is_as_if_it_were_not_there(sub_item: bytes):
    assert information(wire.MAX_LENGTH_16384, sub_item, GOOD_ROLE) == UserInformation(
        max_pdu_length=16384, role_selections=(RoleSelection("1.2", is_scu=True, is_scp=False),)
    )


@pytest.mark.parametrize("rest", [b"\x54\0\xff\xff1.2", b"\x54\0", b"\0\0\0"])
def test_sub_item_beyond_its_item_costs_what_follows_and_nothing_before(rest: bytes):
    assert information(wire.MAX_LENGTH_16384, rest) == UserInformation(max_pdu_length=16384)


@pytest.mark.parametrize(
    ("sub_item", "expected"),
    [
        (wire.item(0x51, b"\x40\0"), UserInformation(max_pdu_length=16384)),
        (wire.item(0x51, b"\0\0\x40\0\0\0\0\1"), UserInformation(max_pdu_length=16384)),
        (wire.item(0x51, b""), UserInformation(max_pdu_length=0)),
        (
            wire.item(0x53, b"\0\2\0\1\0"),
            UserInformation(asynchronous_operations=AsynchronousOperations(2, 1)),
        ),
        (
            wire.item(0x54, wire.counted(b"1.2") + b"\7\0\0\0"),
            UserInformation(role_selections=(RoleSelection("1.2", is_scu=True, is_scp=False),)),
        ),
        (
            wire.item(0x53, b"\0") + wire.item(0x53, b"\0\3\0\1"),
            UserInformation(asynchronous_operations=AsynchronousOperations(3, 1)),
        ),
    ],
)
def test_sub_item_of_another_length_is_read_where_its_meaning_is_plain(
    sub_item: bytes, expected: UserInformation
):
    assert information(sub_item) == expected


def test_first_of_repeated_single_items_counts():
    repeated = wire.item(0x10, b"1.2") + wire.item(0x50, wire.item(0x52, b"2.2"))
    assert decode_request(wire.associate_rq_body() + repeated) == decode_request(
        wire.associate_rq_body()
    )


@given(st.data())
def test_damage_inside_an_item_costs_no_item_beside_it(data: st.DataObject):
    """Whatever stands in an item: the framing holds, and the good context is read."""
    item_type = data.draw(st.sampled_from([0x20, 0x50, 0x54, 0x77]))
    odd = wire.item(item_type, data.draw(st.binary(max_size=200)))
    good = wire.proposed(1, b"1.2.3")
    contexts = data.draw(st.sampled_from([odd + good, good + odd]))
    request = decode_request(wire.associate_rq_body(contexts=contexts))
    assert ProposedContext(1, "1.2.3", ("1.2.840.10008.1.2",)) in request.presentation_contexts
    assert request.application_context_name == "1.2.840.10008.3.1.1.1"


def test_all_odd_context_ids_can_be_proposed():
    contexts = b"".join(wire.proposed(number, b"1.2") for number in range(1, 256, 2))
    request = decode_request(wire.associate_rq_body(contexts=contexts))
    assert [item.context_id for item in request.presentation_contexts] == list(range(1, 256, 2))


@pytest.mark.parametrize("kind", [PduType.A_ASSOCIATE_RJ, PduType.A_RELEASE_RQ, PduType.A_ABORT])
def test_short_pdu_of_another_length_is_refused(kind: PduType):
    with pytest.raises(PeerViolation, match=re.escape("PDU of 3 bytes instead of 4")):
        decode(kind, b"\0\0\0")


def test_result_without_transfer_syntax_is_decoded():
    body = wire.associate_rq_body(contexts=wire.item(0x21, b"\1\0\3\0"))
    answer = decode(PduType.A_ASSOCIATE_AC, body)
    assert "ContextResult(context_id=1, result=3, transfer_syntax_uid='')" in repr(answer)
