from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filereader import read_dataset
from pynetdicom.dimse_messages import C_ECHO_RQ, C_ECHO_RSP, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import encode
from tests.data_sets import MR_IMAGE_STORAGE

from seriesgate.requestor.dimse_requests import C_STORE_RSP as C_STORE_RSP_FIELD
from seriesgate.requestor.dimse_requests import (
    Response,
    decode_response,
    encode_c_echo_request,
    encode_c_store_request,
)

VERIFICATION = "1.2.840.10008.1.1"


def _command_set(message, primitive) -> bytes:
    message.primitive_to_message(primitive)
    encoded = encode(message.command_set, True, True)
    assert encoded
    return encoded


@pytest.mark.parametrize("sop_instance_uid", ["1.2.3", "1.2.34", "1." + "9" * 62])
@pytest.mark.parametrize("message_id", [1, 65535])
def test_a_c_store_request_is_encoded_as_pynetdicom_encodes_it(message_id, sop_instance_uid):
    primitive = C_STORE()
    primitive.MessageID = message_id
    primitive.Priority = 0
    primitive.AffectedSOPClassUID = MR_IMAGE_STORAGE
    primitive.AffectedSOPInstanceUID = sop_instance_uid
    primitive.DataSet = BytesIO(b"1")
    assert encode_c_store_request(message_id, MR_IMAGE_STORAGE, sop_instance_uid) == (
        _command_set(C_STORE_RQ(), primitive)
    )


def test_a_c_echo_request_is_encoded_as_pynetdicom_encodes_it():
    primitive = C_ECHO()
    primitive.MessageID = 7
    primitive.AffectedSOPClassUID = VERIFICATION
    assert encode_c_echo_request(7, VERIFICATION) == _command_set(C_ECHO_RQ(), primitive)


def test_the_group_length_counts_what_follows():
    command = encode_c_store_request(1, MR_IMAGE_STORAGE, "1.2.3")
    decoded = read_dataset(BytesIO(command), is_implicit_VR=True, is_little_endian=True)
    assert decoded.CommandGroupLength == len(command) - 12


@pytest.mark.parametrize(
    ("message", "primitive", "command_field"),
    [(C_STORE_RSP(), C_STORE(), 0x8001), (C_ECHO_RSP(), C_ECHO(), 0x8030)],
)
@pytest.mark.parametrize("status", [0x0000, 0x0122])
def test_responses_of_pynetdicom_are_understood(message, primitive, command_field, status):
    primitive.MessageIDBeingRespondedTo = 300
    primitive.Status = status
    command_set = _command_set(message, primitive)
    assert decode_response(command_set, command_field) == Response(300, status, "", "")
    with pytest.raises(ValueError, match="no response"):
        decode_response(command_set, 0x8031 - (command_field & 0xFF))


def test_instance_and_comment_of_a_response_of_pynetdicom_are_understood():
    primitive: Any = C_STORE()
    primitive.MessageIDBeingRespondedTo = 1
    primitive.Status = 0xA700
    primitive.ErrorComment = "the disk is full"
    primitive.AffectedSOPInstanceUID = "1.2.3"
    command_set = _command_set(C_STORE_RSP(), primitive)
    assert decode_response(command_set, C_STORE_RSP_FIELD) == (
        Response(1, 0xA700, "1.2.3", "the disk is full")
    )


def test_a_request_is_no_response():
    with pytest.raises(ValueError, match="no response"):
        decode_response(encode_c_echo_request(7, VERIFICATION), C_STORE_RSP_FIELD)


@given(st.integers(0, 200))
def test_a_response_cut_short_is_refused(length):
    primitive = C_STORE()
    primitive.MessageIDBeingRespondedTo = 1
    primitive.Status = 0
    primitive.AffectedSOPClassUID = MR_IMAGE_STORAGE
    whole = _command_set(C_STORE_RSP(), primitive)
    # Behind the status stands only what echoes the request.
    status_end = whole.index(b"\x00\x00\x00\x09\x02\x00\x00\x00") + 10
    cut = whole[: min(length, status_end - 1)]
    with pytest.raises(ValueError, match=r"damaged|has no"):
        decode_response(cut, C_STORE_RSP_FIELD)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_response_or_a_value_error(garbage):
    try:
        decode_response(garbage, C_STORE_RSP_FIELD)
    except ValueError:
        return
