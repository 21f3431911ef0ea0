"""DICOM messages written byte by byte from PS3.8 and PS3.7, without the code under test."""

from __future__ import annotations

import struct

VERIFICATION = b"1.2.840.10008.1.1"
MR_IMAGE_STORAGE = b"1.2.840.10008.5.1.4.1.1.4"
CT_IMAGE_STORAGE = b"1.2.840.10008.5.1.4.1.1.2"
PATIENT_ROOT_FIND = b"1.2.840.10008.5.1.4.1.2.1.1"
IMPLICIT_LITTLE = b"1.2.840.10008.1.2"
EXPLICIT_LITTLE = b"1.2.840.10008.1.2.1"
APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
INSTANCE_UID = b"1.2.3.4"

COMMAND = 0x01
LAST = 0x02

C_STORE_RQ = 0x0001
C_STORE_RSP = 0x8001
C_FIND_RQ = 0x0020
C_ECHO_RQ = 0x0030
C_CANCEL_RQ = 0x0FFF
DATA_SET_FOLLOWS = 0x0001
NO_DATA_SET = 0x0101

A_RELEASE_RQ = bytes.fromhex("05 00 00000004 00000000")
A_RELEASE_RP = bytes.fromhex("06 00 00000004 00000000")
A_ABORT_BY_USER = bytes.fromhex("07 00 00000004 00000000")
A_ABORT_BY_PROVIDER = bytes.fromhex("07 00 00000004 00000202")
A_ASSOCIATE_RJ = bytes.fromhex("03 00 00000004 00010101")


def pdu(pdu_type: int, body: bytes) -> bytes:
    return struct.pack(">BBI", pdu_type, 0, len(body)) + body


def item(item_type: int, body: bytes) -> bytes:
    return struct.pack(">BBH", item_type, 0, len(body)) + body


def counted(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


def proposed(context_id: int, abstract_syntax: bytes, *transfer_syntaxes: bytes) -> bytes:
    subitems = item(0x30, abstract_syntax) + b"".join(
        item(0x40, uid) for uid in transfer_syntaxes or (IMPLICIT_LITTLE,)
    )
    return item(0x20, bytes((context_id, 0, 0, 0)) + subitems)


MAX_LENGTH_16384 = item(0x51, (16384).to_bytes(4, "big"))
CLASS_UID = item(0x52, b"1.2.276.1")
USER_INFORMATION = item(0x50, MAX_LENGTH_16384 + CLASS_UID)
DEFAULT_CONTEXTS = (
    proposed(1, VERIFICATION)
    + proposed(3, MR_IMAGE_STORAGE, EXPLICIT_LITTLE, IMPLICIT_LITTLE)
    + proposed(5, PATIENT_ROOT_FIND)
)


def associate_rq_body(
    *,
    items: bytes | None = None,
    contexts: bytes = DEFAULT_CONTEXTS,
    user_information: bytes = USER_INFORMATION,
    called: bytes = b"STORESCP",
    calling: bytes = b"MODALITY",
    version: int = 1,
    reserved: bytes = bytes(32),
) -> bytes:
    if items is None:
        items = item(0x10, APPLICATION_CONTEXT) + contexts + user_information
    return (
        struct.pack(">HH", version, 0)
        + called.ljust(16)[:16]
        + calling.ljust(16)[:16]
        + reserved
        + items
    )


def associate_rq(**parts: object) -> bytes:
    return pdu(0x01, associate_rq_body(**parts))  # type: ignore[arg-type] # passed on as they are


def associate_ac() -> bytes:
    accepted = item(0x21, bytes((1, 0, 0, 0)) + item(0x40, IMPLICIT_LITTLE))
    return pdu(0x02, associate_rq_body(contexts=accepted))


def pdv(context_id: int, control: int, data: bytes) -> bytes:
    return struct.pack(">IBB", len(data) + 2, context_id, control) + data


def p_data(*pdvs: bytes) -> bytes:
    return pdu(0x04, b"".join(pdvs))


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def short(number: int, value: int) -> bytes:
    return element(number, value.to_bytes(2, "little"))


def with_group_length(elements: bytes) -> bytes:
    return element(0x0000, len(elements).to_bytes(4, "little")) + elements


def even(uid: bytes) -> bytes:
    return uid + b"\0" * (len(uid) % 2)


def c_store_rq(
    *,
    message_id: int = 7,
    sop_class: bytes = even(MR_IMAGE_STORAGE),
    instance: bytes = even(INSTANCE_UID),
    data_set_type: int = DATA_SET_FOLLOWS,
) -> bytes:
    """Return a C-STORE-RQ command set (PS3.7 Table 9.3-1)."""
    return with_group_length(
        element(0x0002, sop_class)
        + short(0x0100, C_STORE_RQ)
        + short(0x0110, message_id)
        + short(0x0700, 0)
        + short(0x0800, data_set_type)
        + element(0x1000, instance)
    )


def c_store_rsp(
    *,
    message_id: int = 7,
    status: int = 0,
    sop_class: bytes = even(MR_IMAGE_STORAGE),
    instance: bytes = even(INSTANCE_UID),
    comment: bytes = b"",
) -> bytes:
    """Return a C-STORE-RSP command set (PS3.7 Table 9.3-2)."""
    return with_group_length(
        (element(0x0002, sop_class) if sop_class else b"")
        + short(0x0100, C_STORE_RSP)
        + short(0x0120, message_id)
        + short(0x0800, NO_DATA_SET)
        + short(0x0900, status)
        + (element(0x0902, comment) if comment else b"")
        + (element(0x1000, instance) if instance else b"")
    )


def c_echo_rq(message_id: int = 1) -> bytes:
    """Return a C-ECHO-RQ command set (PS3.7 Table 9.3-12)."""
    return request(C_ECHO_RQ, message_id=message_id, sop_class=even(VERIFICATION))


def c_echo_rsp(message_id: int = 1) -> bytes:
    return response(C_ECHO_RQ, 0, message_id=message_id, sop_class=even(VERIFICATION))


def request(
    command_field: int,
    *,
    message_id: int = 1,
    sop_class: bytes = even(MR_IMAGE_STORAGE),
    data_set_type: int = NO_DATA_SET,
) -> bytes:
    return with_group_length(
        element(0x0002, sop_class)
        + short(0x0100, command_field)
        + short(0x0110, message_id)
        + short(0x0800, data_set_type)
    )


def response(
    command_field: int,
    status: int,
    *,
    message_id: int = 1,
    sop_class: bytes = even(MR_IMAGE_STORAGE),
) -> bytes:
    return with_group_length(
        element(0x0002, sop_class)
        + short(0x0100, command_field | 0x8000)
        + short(0x0120, message_id)
        + short(0x0800, NO_DATA_SET)
        + short(0x0900, status)
    )


def command_pdu(command: bytes, context_id: int = 3) -> bytes:
    return p_data(pdv(context_id, COMMAND | LAST, command))


def data_pdu(data: bytes, context_id: int = 3, *, last: bool = True) -> bytes:
    return p_data(pdv(context_id, LAST if last else 0, data))


def store(data: bytes, message_id: int = 7) -> bytes:
    """Return a whole C-STORE-RQ message: command and data set in a PDU each."""
    return command_pdu(c_store_rq(message_id=message_id)) + data_pdu(data)
