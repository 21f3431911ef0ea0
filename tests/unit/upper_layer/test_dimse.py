from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.upper_layer import wire

from seriesgate.upper_layer import dimse
from seriesgate.upper_layer.dimse import (
    CommandDecoder,
    CommandSet,
    CStoreRequest,
    StoreStatus,
    decode_command_set,
    encode_response,
    first_uid,
    is_error_comment,
    is_failure,
    store_request,
)
from seriesgate.upper_layer.errors import PeerViolation
from seriesgate.upper_layer.pdu import AbortReason

if TYPE_CHECKING:
    from collections.abc import Callable

# C-STORE-RQ, written out (PS3.7 Table 9.3-1). Numbers are little-endian.
GOLDEN_C_STORE_RQ = bytes.fromhex(
    "0000 0000 04000000 5C000000"  # group length 92
    "0000 0200 08000000 312E322E332E3400"  # affected SOP class UID "1.2.3.4" NUL
    "0000 0001 02000000 0100"  # command field C-STORE-RQ
    "0000 1001 02000000 3412"  # message id 1234H
    "0000 0007 02000000 0000"  # priority medium
    "0000 0008 02000000 0100"  # data set type: there is one
    "0000 0010 04000000 312E3500"  # affected SOP instance UID "1.5" NUL
    "0000 3010 06000000 4D4F56455220"  # move originator AE title "MOVER "
    "0000 3110 02000000 0900"  # move originator message id
)

# The response to it with status A700 (PS3.7 Table 9.3-2).
GOLDEN_C_STORE_RSP = bytes.fromhex(
    "0000 0000 04000000 50000000"  # group length 80
    "0000 0200 08000000 312E322E332E3400"  # affected SOP class UID, as received
    "0000 0001 02000000 0180"  # command field C-STORE-RSP
    "0000 2001 02000000 3412"  # message id being responded to
    "0000 0008 02000000 0101"  # no data set
    "0000 0009 02000000 00A7"  # status
    "0000 0209 04000000 66756C6C"  # error comment "full"
    "0000 0010 04000000 312E3500"  # affected SOP instance UID, as received
)


def test_c_store_request_is_decoded_from_golden_bytes():
    command = decode_command_set(GOLDEN_C_STORE_RQ)
    assert command == CommandSet(
        command_field=1,
        message_id=0x1234,
        has_data_set=True,
        affected_sop_class_uid=b"1.2.3.4\0",
        affected_sop_instance_uid=b"1.5\0",
        move_originator_ae_title=b"MOVER ",
    )
    assert store_request(command, 0x1234) == CStoreRequest(0x1234, "1.2.3.4", "1.5", "MOVER")


def test_c_store_response_is_encoded_to_golden_bytes():
    command = decode_command_set(GOLDEN_C_STORE_RQ)
    response = encode_response(command, 0x1234, StoreStatus.OUT_OF_RESOURCES, "full")
    assert response == GOLDEN_C_STORE_RSP


@pytest.mark.parametrize("instance", [b"1.2", b"1.2\0", b"1.2 ", b"1.2\\1.3", b" 1.2\0\0"])
def test_affected_uids_go_back_byte_for_byte(instance: bytes):
    command = decode_command_set(wire.c_store_rq(instance=instance, sop_class=instance))
    expected = wire.c_store_rsp(instance=instance, sop_class=instance)
    assert encode_response(command, 7, 0) == expected
    assert first_uid(command.affected_sop_instance_uid) == "1.2"


def test_affected_uids_that_were_absent_are_absent_from_the_response():
    command = decode_command_set(
        wire.short(0x0100, 1) + wire.short(0x0110, 7) + wire.short(0x0800, 1)
    )
    assert encode_response(command, 7, 0) == wire.c_store_rsp(sop_class=b"", instance=b"")


def test_odd_error_comment_is_padded_with_a_space():
    command = decode_command_set(wire.c_store_rq())
    response = encode_response(command, 7, 0xA700, "disk full")
    assert response == wire.c_store_rsp(status=0xA700, comment=b"disk full ")


@pytest.mark.parametrize(
    "group_length", [b"", wire.element(0, b"\0\0\0\0"), wire.element(0, b"\xff\xff\xff\xff")]
)
def test_group_length_may_be_missing_or_wrong(group_length: bytes):
    elements = wire.short(0x0100, 0x30) + wire.short(0x0110, 5) + wire.short(0x0800, 0x0101)
    command = decode_command_set(group_length + elements)
    assert (command.command_field, command.message_id, command.has_data_set) == (0x30, 5, False)


def test_first_of_doubled_elements_and_values_counts():
    command = decode_command_set(
        wire.element(0x0100, b"\1\0\2\0")
        + wire.short(0x0110, 5)
        + wire.short(0x0110, 6)
        + wire.short(0x0800, 1)
        + wire.short(0x0800, 0x0101)
    )
    assert (command.command_field, command.message_id, command.has_data_set) == (1, 5, True)


def test_elements_of_other_groups_and_unknown_ones_are_skipped():
    other_group = b"\x08\0\0\1" + b"\2\0\0\0" + b"\xff\xff"
    private = b"\1\0\0\1" + b"\2\0\0\0" + b"\xff\xff"
    command = decode_command_set(
        other_group + wire.short(0x0031, 9) + wire.c_echo_rq(message_id=4) + private
    )
    assert (command.command_field, command.message_id) == (0x30, 4)


@pytest.mark.parametrize("missing", [0x0100, 0x0800])
def test_command_without_field_or_data_set_type_is_refused(missing: int):
    elements = b"".join(wire.short(n, 1) for n in (0x0100, 0x0110, 0x0800) if n != missing)
    with pytest.raises(PeerViolation, match="without command field or data set type") as caught:
        decode_command_set(elements)
    assert caught.value.reason is AbortReason.INVALID_PDU_PARAMETER_VALUE


@pytest.mark.parametrize("value", [b"", b"\1"])
def test_number_without_two_bytes_counts_as_missing(value: bytes):
    command = wire.short(0x0100, 1) + wire.element(0x0110, value) + wire.short(0x0800, 1)
    assert decode_command_set(command).message_id is None


def test_every_proper_prefix_that_cuts_an_element_is_refused():
    data = wire.short(0x0100, 1) + wire.short(0x0110, 5) + wire.short(0x0800, 1)
    for length in range(len(data)):
        with pytest.raises(PeerViolation):
            decode_command_set(data[:length])


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 3])
def test_element_beyond_the_end_is_refused(length: int):
    data = bytes.fromhex("0000 0001") + length.to_bytes(4, "little") + b"\1\0"
    with pytest.raises(PeerViolation, match="longer than what is left"):
        decode_command_set(data)


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_but_a_violation(data: bytes):
    with contextlib.suppress(PeerViolation):
        decode_command_set(data)


def test_responses_are_told_from_requests():
    assert decode_command_set(wire.c_store_rsp()).is_response
    assert not decode_command_set(wire.c_store_rq()).is_response


def test_uid_beyond_ascii_is_escaped():
    assert first_uid(b"1.2.\xe9") == r"1.2.\xe9"


@pytest.mark.parametrize(
    "status", [0x0000, 0x0001, 0x0107, 0x0116, 0xB000, 0xB007, 0xBFFF, 0xFE00, 0xFF00, 0xFF01]
)
def test_success_warning_cancel_and_pending_are_no_failures(status: int):
    assert not is_failure(status)


@pytest.mark.parametrize(
    "status", [0x0110, 0x0117, 0x0122, 0x0212, 0xA700, 0xA7FF, 0xA900, 0xC000, 0xCFFF]
)
def test_refused_and_error_are_failures(status: int):
    assert is_failure(status)


@pytest.mark.parametrize("text", ["", "disk full", "x" * 64])
def test_fit_error_comments(text: str):
    assert is_error_comment(text)


@pytest.mark.parametrize("text", ["x" * 65, "é", "a\\b", "line\nbreak", "nul\0"])
def test_unfit_error_comments(text: str):
    assert not is_error_comment(text)


# The decoder of an association, which compares each command set with the last one

ELEMENTS = (0x0000, 0x0002, 0x0100, 0x0110, 0x0110, 0x0700, 0x0800, 0x1000, 0x1000, 0x1030)
UIDS = st.sampled_from([b"1.5\0", b"1.6\0", b"1.1234\0", b"", b"1"])
USUAL = st.builds(
    wire.c_store_rq,
    message_id=st.integers(0, 0xFFFF),
    instance=UIDS,
    sop_class=st.sampled_from([b"1.2\0", b"1.3\0"]),
    data_set_type=st.sampled_from([1, 0x0101]),
)
UNUSUAL = st.lists(
    st.builds(wire.element, st.sampled_from(ELEMENTS), st.binary(max_size=4)), max_size=6
).map(b"".join)


@st.composite
def command_sets(draw: st.DrawFn) -> list[bytes]:
    """Draw command sets that come one after the other, many of them alike, some damaged."""
    kinds = [draw(UNUSUAL) + draw(USUAL), draw(USUAL) + draw(UNUSUAL), draw(UNUSUAL)]
    drawn = []
    for _ in range(draw(st.integers(1, 6))):
        data = bytearray(draw(st.sampled_from(kinds) | USUAL))
        if data and draw(st.booleans()):
            start = draw(st.integers(0, len(data) - 1))
            data[start : start + 1] = draw(st.binary(min_size=1, max_size=1))
        drawn.append(bytes(data))
    return drawn


def decoded(decode: Callable[[bytes], CommandSet], data: bytes) -> CommandSet | str:
    try:
        return decode(data)
    except PeerViolation as violation:
        return violation.detail


@settings(max_examples=300)
@given(command_sets())
def test_decoder_of_an_association_decodes_as_if_each_were_the_first(drawn):
    decoder = CommandDecoder()
    for data in drawn:
        assert decoded(decoder.decode, data) == decoded(decode_command_set, data)


def test_what_comes_after_the_instance_uid_is_compared_too():
    decoder = CommandDecoder()
    for title in (b"MOVER ", b"OTHER ", b""):
        data = wire.c_store_rq() + wire.element(0x1030, title)
        assert decoder.decode(data).move_originator_ae_title == title


def test_like_command_set_is_compared_and_not_taken_apart(monkeypatch):
    decoder = CommandDecoder()
    decoder.decode(wire.c_store_rq(message_id=1, instance=b"1.2.3.4\0"))
    monkeypatch.setattr(dimse, "_find_elements", None)
    command = decoder.decode(wire.c_store_rq(message_id=0xABCD, instance=b"1.2.3.56"))
    assert (command.message_id, command.affected_sop_instance_uid) == (0xABCD, b"1.2.3.56")
