"""The two DIMSE requests of a Storage SCU, C-STORE-RQ and C-ECHO-RQ, and their responses.

A command set is implicit VR little endian, ascending, its group length first (PS3.7 6.3.1).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_C_STORE_RQ = 0x0001
_C_ECHO_RQ = 0x0030
C_STORE_RSP = 0x8001
C_ECHO_RSP = 0x8030
_MEDIUM_PRIORITY = 0x0000
_DATA_SET = 0x0001
_NO_DATA_SET = 0x0101

_AFFECTED_SOP_CLASS_UID = 0x0002
_COMMAND_FIELD = 0x0100
_MESSAGE_ID = 0x0110
_MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
_PRIORITY = 0x0700
_COMMAND_DATA_SET_TYPE = 0x0800
_STATUS = 0x0900
_ERROR_COMMENT = 0x0902
_AFFECTED_SOP_INSTANCE_UID = 0x1000

_ELEMENT = struct.Struct("<HHI")
_US_LENGTH = 2
# An Error Comment has 64 characters (PS3.7 C.1.2); of more, in bytes, nobody reads the end.
_MAX_COMMENT = 512


@dataclass(frozen=True, slots=True)
class Response:
    """What matters of a C-STORE-RSP or C-ECHO-RSP.

    `sop_instance_uid` is empty where the peer did not repeat it; `comment` is its Error Comment, as
    it came, and empty without one.
    """

    message_id: int
    status: int
    sop_instance_uid: str
    comment: str


def encode_c_store_request(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """Return the command set of a C-STORE-RQ (PS3.7 9.3.1.1)."""
    return _command_set(
        (_AFFECTED_SOP_CLASS_UID, _uid(sop_class_uid)),
        (_COMMAND_FIELD, _us(_C_STORE_RQ)),
        (_MESSAGE_ID, _us(message_id)),
        (_PRIORITY, _us(_MEDIUM_PRIORITY)),
        (_COMMAND_DATA_SET_TYPE, _us(_DATA_SET)),
        (_AFFECTED_SOP_INSTANCE_UID, _uid(sop_instance_uid)),
    )


def encode_c_echo_request(message_id: int, sop_class_uid: str) -> bytes:
    """Return the command set of a C-ECHO-RQ (PS3.7 9.3.5.1)."""
    return _command_set(
        (_AFFECTED_SOP_CLASS_UID, _uid(sop_class_uid)),
        (_COMMAND_FIELD, _us(_C_ECHO_RQ)),
        (_MESSAGE_ID, _us(message_id)),
        (_COMMAND_DATA_SET_TYPE, _us(_NO_DATA_SET)),
    )


def decode_response(command_set: bytes, command_field: int) -> Response:
    """Return what a response says (PS3.7 9.3.1.2, 9.3.5.2).

    Raises ValueError when it is none of `command_field`: C_STORE_RSP or C_ECHO_RSP.
    """
    values: dict[int, bytes] = {}
    position = 0
    while position + _ELEMENT.size <= len(command_set):
        group, element, length = _ELEMENT.unpack_from(command_set, position)
        position += _ELEMENT.size
        if group != 0 or position + length > len(command_set):
            raise ValueError("the command set is damaged")
        values.setdefault(element, command_set[position : position + length])
        position += length
    if position < len(command_set):
        raise ValueError("the command set is damaged")
    if _number(values, _COMMAND_FIELD) != command_field:
        raise ValueError("the message is no response to what was asked")
    return Response(
        message_id=_number(values, _MESSAGE_ID_BEING_RESPONDED_TO),
        status=_number(values, _STATUS),
        sop_instance_uid=_text(values, _AFFECTED_SOP_INSTANCE_UID),
        comment=_text(values, _ERROR_COMMENT),
    )


def _command_set(*elements: tuple[int, bytes]) -> bytes:
    body = b"".join(
        _ELEMENT.pack(0x0000, element, len(value)) + value for element, value in elements
    )
    return _ELEMENT.pack(0x0000, 0x0000, 4) + len(body).to_bytes(4, "little") + body


def _uid(text: str) -> bytes:
    value = text.encode("ascii")
    return value + b"\x00" if len(value) % 2 else value


def _us(number: int) -> bytes:
    return number.to_bytes(_US_LENGTH, "little")


def _text(values: dict[int, bytes], element: int) -> str:
    return values.get(element, b"")[:_MAX_COMMENT].strip(b" \0").decode("utf-8", "replace")


def _number(values: dict[int, bytes], element: int) -> int:
    value = values.get(element, b"")
    if len(value) != _US_LENGTH:
        raise ValueError(f"the response has no (0000,{element:04X})")
    return int.from_bytes(value, "little")
