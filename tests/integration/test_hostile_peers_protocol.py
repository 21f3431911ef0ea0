"""Peers that break PS3.8 and PS3.7: each gets the answer that the standard names, and no memory."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from tests.data_sets import mr_data_set
from tests.integration.footprint import KIB, MIB
from tests.integration.receiver import MR_CONTEXT
from tests.integration.siege import besieged
from tests.unit.upper_layer import wire

if TYPE_CHECKING:
    from tests.integration.receiver import Peer

MEDIA_STORAGE_DIRECTORY = b"1.2.840.10008.1.3.10"

# Source and reason of an A-ABORT (PS3.8 9.3.8). Before an association the user aborts (AA-1).
BY_USER = (0, 0)
UNEXPECTED_PDU = (2, 2)
UNEXPECTED_PARAMETER = (2, 5)
INVALID_VALUE = (2, 6)

# What one attack may cost at its peak: the buffer of its association, and that of the canary.
FEW_BUFFERS = 1 * MIB
FLOOD = 16 * MIB
FLOOD_PIECE = bytes(64 * KIB)


def flood(peer: Peer) -> None:
    """Send zeros until the flood has ended or the receiver has had enough."""
    try:
        for _ in range(FLOOD // len(FLOOD_PIECE)):
            peer.send(FLOOD_PIECE)
    except ConnectionError:
        return


def echo(peer: Peer) -> int:
    peer.send(wire.command_pdu(wire.c_echo_rq(), context_id=1))
    return peer.response_status()


@pytest.mark.parametrize("pdu_type", range(1, 8))
@pytest.mark.parametrize("is_associated", [False, True])
def test_pdu_of_four_gigabytes_is_aborted_at_its_header(tmp_path, pdu_type, is_associated):
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate() if is_associated else siege.connect()
        peer.send(struct.pack(">BBI", pdu_type, 0, 0xFFFFFFFF))
        flood(peer)
        assert peer.abort_reason() == (INVALID_VALUE if is_associated else BY_USER)
    assert siege.receiver.files() == []


def test_announced_megabyte_costs_only_what_has_come(tmp_path):
    with besieged(tmp_path, grows_by=8 * MIB) as siege:
        for _ in range(100):
            siege.connect().send(struct.pack(">BBI", 1, 0, MIB) + bytes(100))
        siege.receiver.canary()


@pytest.mark.parametrize(
    "items",
    [
        {"user_information": b"\x50\x00\xff\xff" + wire.MAX_LENGTH_16384},
        {"contexts": b"\x20\x00\xff\xff\x01\x00\x00\x00", "user_information": b""},
        {"user_information": wire.USER_INFORMATION + b"\x77\x00"},
    ],
    ids=["user information", "context", "half a header"],
)
def test_item_longer_than_its_pdu_is_aborted(tmp_path, items):
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.connect()
        peer.send(wire.associate_rq(**items))
        assert peer.abort_reason() == BY_USER


_ODD_CONTEXT = b"\x07\0\0\0" + wire.item(0x30, wire.MR_IMAGE_STORAGE)
_CT = wire.item(0x30, wire.CT_IMAGE_STORAGE)
ODD_ITEMS = {
    "role bombs": wire.item(0x50, b"\x54\x00\xff\xff\xff\xfd" * 10_000),
    "long sub-item": wire.item(0x50, wire.MAX_LENGTH_16384 + b"\x52\x00\xff\xff1.2"),
    "short maximum length": wire.item(0x50, wire.item(0x51, b"\xff" * 3)),
    "common extended": wire.item(0x50, wire.item(0x57, b"\0\1a\0\1b\xff\xff")),
    "user identity": wire.item(0x50, wire.item(0x58, b"\1\0\xff\xff")),
    "user information twice": wire.USER_INFORMATION * 2,
    "second application context": wire.item(0x10, b"1.2.3"),
    "no transfer syntax": wire.item(0x20, _ODD_CONTEXT),
    "two abstract syntaxes": wire.item(0x20, _ODD_CONTEXT + _CT + wire.item(0x40, b"1.2")),
    "context without id": wire.item(0x20, b""),
    "even id": wire.proposed(2, wire.CT_IMAGE_STORAGE),
    "id 0": wire.proposed(0, wire.CT_IMAGE_STORAGE),
    "id twice": wire.proposed(MR_CONTEXT, wire.CT_IMAGE_STORAGE, wire.EXPLICIT_LITTLE),
    "result for a proposal": wire.item(0x21, b"\7\0\0\0"),
    "unknown item": wire.item(0x77, b"later version"),
}


@pytest.mark.parametrize("odd", ODD_ITEMS.values(), ids=ODD_ITEMS)
@pytest.mark.parametrize("comes_first", [True, False])
def test_odd_item_costs_itself_and_not_the_association(tmp_path, odd, comes_first):
    """As with peers that send them for years: what is beside it is negotiated and works."""
    items = wire.DEFAULT_CONTEXTS + wire.USER_INFORMATION
    ordered = odd + items if comes_first else items + odd
    request = wire.associate_rq(contexts=ordered, user_information=b"")
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.connect()
        peer.send(request)
        assert peer.receive()[0] == 0x02
        assert peer.store() == 0x0000
        assert echo(peer) == 0x0000


@pytest.mark.parametrize("context_id", [0, 2, 254])
def test_instance_is_stored_in_a_context_with_an_even_id(tmp_path, context_id):
    contexts = wire.proposed(context_id, wire.MR_IMAGE_STORAGE, wire.EXPLICIT_LITTLE)
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate(contexts=contexts)
        peer.send(wire.command_pdu(wire.c_store_rq(), context_id))
        peer.send(wire.data_pdu(mr_data_set(sop="1.2.3.4"), context_id))
        assert peer.response_status() == 0x0000


def test_instances_of_both_classes_are_stored_under_an_id_that_was_used_twice(tmp_path):
    contexts = wire.proposed(1, wire.CT_IMAGE_STORAGE, wire.EXPLICIT_LITTLE)
    contexts += wire.proposed(1, wire.MR_IMAGE_STORAGE, wire.EXPLICIT_LITTLE)
    contexts += wire.proposed(1, wire.PATIENT_ROOT_FIND)
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate(contexts=contexts)
        for number, (sop_class, status) in enumerate(
            [
                (wire.CT_IMAGE_STORAGE, 0xB007),  # stored: the data set says that it is one of MR
                (wire.MR_IMAGE_STORAGE, 0x0000),
                (wire.PATIENT_ROOT_FIND, 0x0122),
            ]
        ):
            uid = f"1.2.3.{number}"
            command = wire.c_store_rq(
                sop_class=wire.even(sop_class), instance=wire.even(uid.encode())
            )
            peer.send(wire.command_pdu(command, 1) + wire.data_pdu(mr_data_set(sop=uid), 1))
            assert peer.response_status() == status
        (report,) = siege.reports()
        assert report.InstancesInSeries == 2


@pytest.mark.parametrize(
    "items",
    [
        {"user_information": wire.item(0x50, wire.item(0x5F, b"") * 16_000)},
        {"user_information": wire.item(0x50, wire.item(0x54, b"\0\0\0\1") * 8_000)},
        {"contexts": wire.DEFAULT_CONTEXTS + wire.item(0x7F, b"") * 250_000},
        {"contexts": b"".join(wire.proposed(n, b"9" * 8000) for n in range(1, 256, 2))},
    ],
    ids=["unknown sub-items", "roles", "unknown items", "128 long abstract syntaxes"],
)
def test_thousands_of_tiny_items_cost_a_few_megabytes_and_a_short_answer(tmp_path, items):
    request = wire.associate_rq(**items)
    with besieged(tmp_path, grows_by=16 * MIB) as siege:
        peer = siege.connect()
        peer.send(request)
        kind, answer = peer.receive()
        assert kind == 0x02
        assert len(answer) < 8 * KIB


@pytest.mark.parametrize(
    "body",
    [
        b"",
        bytes(5),
        bytes.fromhex("00000000 0302"),
        bytes.fromhex("00000001 0302"),
        bytes.fromhex("00000009 0302") + bytes(6),
        bytes.fromhex("FFFFFFFF 0302") + bytes(100),
        wire.pdv(MR_CONTEXT, wire.LAST, b"ab")[:-1],
        wire.pdv(MR_CONTEXT, 0, b"ab") + b"\0\0\0",
    ],
    ids=[
        "no PDV",
        "half a header",
        "length 0",
        "length 1",
        "over PDU",
        "4 GiB",
        "cut",
        "left over",
    ],
)
@pytest.mark.parametrize("is_in_data_set", [False, True])
def test_pdv_that_does_not_fit_its_pdu_is_aborted(tmp_path, body, is_in_data_set):
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        if is_in_data_set:
            peer.begin_store()
            peer.send(wire.data_pdu(mr_data_set()[:200], last=False))
        peer.send(wire.pdu(0x04, body))
        assert peer.abort_reason() == INVALID_VALUE
    assert siege.receiver.files() == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (wire.associate_rq(), UNEXPECTED_PDU),
        (wire.associate_ac(), UNEXPECTED_PDU),
        (wire.A_ASSOCIATE_RJ, UNEXPECTED_PDU),
        (wire.A_RELEASE_RP, UNEXPECTED_PDU),
        (wire.pdu(0x08, b""), (2, 1)),
        (wire.data_pdu(b"ab"), UNEXPECTED_PARAMETER),
        (wire.command_pdu(wire.c_store_rq(), context_id=99), INVALID_VALUE),
        (wire.command_pdu(b"DOE^JANE" * 3), INVALID_VALUE),
        (wire.command_pdu(wire.c_store_rq()[:-3]), INVALID_VALUE),
        (wire.command_pdu(wire.c_store_rq()) * 2, UNEXPECTED_PARAMETER),
        (wire.command_pdu(wire.c_store_rq()) + wire.data_pdu(b"ab", 1), UNEXPECTED_PARAMETER),
    ],
    ids=[
        "second request",
        "acceptance",
        "rejection",
        "release response",
        "unknown PDU",
        "data set without command",
        "context never proposed",
        "garbage for a command",
        "cut command",
        "command inside a message",
        "messages interleaved",
    ],
)
def test_what_does_not_belong_into_an_association_is_aborted(tmp_path, message, reason):
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        peer.send(message)
        assert peer.abort_reason() == reason
    assert siege.receiver.files() == []


def test_data_before_an_association_is_aborted(tmp_path):
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.connect()
        peer.send(wire.store(mr_data_set()))
        assert peer.abort_reason() == BY_USER
    assert siege.receiver.files() == []


def test_data_after_a_release_is_neither_stored_nor_answered(tmp_path):
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        peer.send(wire.A_RELEASE_RQ + wire.store(mr_data_set()))
        assert peer.receive()[0] == 0x06
        peer.end_sending()
        assert peer.receive() == (0, b"")
    assert siege.receiver.files() == []


def test_release_inside_a_message_fails_the_message_first(tmp_path):
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        peer.begin_store()
        peer.send(wire.data_pdu(mr_data_set()[:200], last=False) + wire.A_RELEASE_RQ)
        assert peer.response_status() == 0xC000
        assert peer.receive()[0] == 0x06
    assert siege.receiver.files() == []


def test_two_messages_are_never_mixed_into_one_object(tmp_path):
    first, second = mr_data_set(sop="1.1.1"), mr_data_set(sop="1.1.2")
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        peer.begin_store("1.1.1")
        peer.send(wire.data_pdu(first[:300], last=False))
        peer.begin_store("1.1.2")
        peer.send(wire.data_pdu(second))
        assert peer.abort_reason() == UNEXPECTED_PARAMETER
    assert siege.receiver.files() == []


def test_store_on_a_rejected_context_is_refused_and_the_association_goes_on(tmp_path):
    contexts = wire.DEFAULT_CONTEXTS + wire.proposed(7, MEDIA_STORAGE_DIRECTORY)
    refused = wire.command_pdu(wire.c_store_rq(sop_class=MEDIA_STORAGE_DIRECTORY), context_id=7)
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate(contexts=contexts)
        peer.send(refused + wire.data_pdu(mr_data_set(), context_id=7))
        assert peer.response_status() == 0x0122
        assert siege.receiver.files() == []
        assert peer.store() == 0x0000


@pytest.mark.parametrize("field", [0x0002, 0x0010, 0x0020, 0x0021, 0x0130, 0x0150, 0x7FFF, 0x0000])
def test_request_nobody_knows_is_refused_with_its_data_set(tmp_path, field):
    request = wire.request(field, data_set_type=wire.DATA_SET_FOLLOWS)
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        peer.send(wire.command_pdu(request) + wire.data_pdu(mr_data_set()))
        assert peer.response_status() == 0x0211
        assert echo(peer) == 0x0000
    assert siege.receiver.files() == []


@pytest.mark.parametrize("field", [0x8001, 0x8030, 0xFFFF, wire.C_CANCEL_RQ])
def test_message_that_has_no_answer_gets_none(tmp_path, field):
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        peer.send(wire.command_pdu(wire.request(field, message_id=9)))
        assert echo(peer) == 0x0000


@pytest.mark.parametrize("size", [MIB // 64, MIB], ids=["many PDUs", "one PDU"])
def test_command_set_of_a_megabyte_is_aborted_at_its_limit(tmp_path, size):
    pdu = wire.p_data(wire.pdv(MR_CONTEXT, wire.COMMAND, bytes(size)))
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        for _ in range(MIB // size):
            peer.send(pdu)
        assert peer.abort_reason() == INVALID_VALUE


def test_rest_of_a_refused_data_set_is_dropped_as_it_comes(tmp_path):
    piece = wire.data_pdu(FLOOD_PIECE, last=False)
    full_disk = mock.patch("os.open", side_effect=OSError(28, "No space left on device"))
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        with full_disk:
            peer.begin_store()
            siege.wait_until_read(peer)
            for _ in range(FLOOD // len(FLOOD_PIECE)):
                peer.send(piece)
            peer.send(wire.data_pdu(b""))
            assert peer.response_status() == 0xA700
        assert siege.receiver.files() == []
        assert peer.store() == 0x0000


def test_flood_of_empty_fragments_costs_nothing(tmp_path):
    empty = wire.data_pdu(b"", last=False) * 1000
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        peer.begin_store()
        for _ in range(50):
            peer.send(empty)
        peer.send(wire.data_pdu(mr_data_set(sop="1.2.3.4")))
        assert peer.response_status() == 0x0000
