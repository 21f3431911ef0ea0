"""What no honest peer sends. Nothing raises, nothing grows, everything ends in one abort."""

from __future__ import annotations

import gc
import struct
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.upper_layer import wire
from tests.unit.upper_layer.conversation import POLICY, Conversation, associated

from seriesgate.upper_layer.acceptor import AcceptorConnection
from seriesgate.upper_layer.events import NEED_DATA, PeerViolated
from seriesgate.upper_layer.pdu import AbortReason
from seriesgate.upper_layer.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

KIB = 1024
MIB = 1024 * 1024
ABORTED_BY_PROVIDER = bytes.fromhex("0700 00000004 0000 02")


def peak_memory(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def assert_aborted(conversation: Conversation, reason: AbortReason | None = None) -> None:
    violated = conversation.events[-1]
    assert isinstance(violated, PeerViolated)
    assert reason is None or violated.reason is reason
    assert conversation.connection.state is State.AWAITING_CLOSE


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n",
        bytes.fromhex("16030100A5010000A10303"),  # TLS ClientHello
        b"\x0bMSH|^~\\&|HIS|RIH|EKG|EKG|",  # HL7 over MLLP
        b"SSH-2.0-OpenSSH_9.2\r\n",
        bytes(64),
        b"\xff" * 64,
    ],
)
def test_other_protocol_on_the_port_is_aborted_as_user_before_an_association(data: bytes):
    conversation = Conversation()
    conversation.receive(data)
    assert_aborted(conversation, AbortReason.UNRECOGNIZED_PDU)
    assert conversation.take_sent() == wire.A_ABORT_BY_USER
    assert conversation.receive(data) == []
    assert conversation.take_sent() == b""


@settings(max_examples=150)
@given(st.lists(st.binary(min_size=1, max_size=80), max_size=6))
def test_garbage_before_an_association_ends_in_one_abort(pieces: list[bytes]):
    conversation = Conversation()
    conversation.receive_all(pieces)
    conversation.close()
    assert conversation.connection.closed
    assert conversation.sent in (b"", wire.A_ABORT_BY_USER)
    assert conversation.kinds().count("ConnectionClosed") == 1


@settings(max_examples=150)
@given(st.lists(st.binary(min_size=1, max_size=80), max_size=6))
def test_garbage_in_an_association_ends_in_one_abort(pieces: list[bytes]):
    conversation = associated()
    conversation.receive_all(pieces)
    conversation.close()
    assert conversation.connection.closed
    assert conversation.sent.count(ABORTED_BY_PROVIDER) <= 1


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.sampled_from([1, 3, 5, 9]), st.integers(0, 3), st.binary(max_size=40)))
)
def test_any_fragments_end_in_one_abort_or_go_on(fragments: list[tuple[int, int, bytes]]):
    conversation = associated()
    for fragment in fragments:
        conversation.receive(wire.p_data(wire.pdv(*fragment)))
    assert conversation.sent.count(ABORTED_BY_PROVIDER) == conversation.kinds().count(
        "PeerViolated"
    )
    conversation.close()
    assert conversation.connection.closed


@settings(max_examples=150)
@given(st.binary(max_size=120), st.booleans())
def test_any_command_set_is_answered_ignored_or_aborted(command: bytes, has_store_head: bool):
    head = wire.c_store_rq() if has_store_head else b""
    conversation = associated()
    conversation.receive(wire.command_pdu(head + command) + wire.data_pdu(b"ab"))
    assert conversation.connection.state in (State.ESTABLISHED, State.AWAITING_CLOSE)
    assert "StoreRequested" not in conversation.kinds() or has_store_head


@pytest.mark.parametrize("pdu_type", range(1, 8))
@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0x00100001])
def test_length_bomb_allocates_nothing(pdu_type: int, length: int):
    header = struct.pack(">BBI", pdu_type, 0, length)
    before, during = Conversation(), associated()
    assert peak_memory(lambda: before.receive(header)) < 64 * KIB
    assert peak_memory(lambda: during.receive(header)) < 64 * KIB


def test_announced_request_costs_only_what_has_arrived():
    conversation = Conversation()
    header = struct.pack(">BBI", 1, 0, MIB)
    assert peak_memory(lambda: conversation.receive(header + bytes(1000))) < 64 * KIB
    assert conversation.connection.state is State.AWAITING_REQUEST


def test_sub_items_that_declare_64_kib_each_do_not_multiply():
    sub_items = b"\x54\x00\xff\xff\xff\xfd" * 10_000
    body = wire.associate_rq_body(user_information=wire.item(0x50, sub_items[:65_000]))
    conversation = Conversation()
    assert peak_memory(lambda: conversation.receive(wire.pdu(1, body))) < 2 * MIB
    assert conversation.connection.state is State.ESTABLISHED
    assert len(conversation.take_sent()) < 1000


@pytest.mark.parametrize(
    "sub_item",
    [
        wire.item(0x5F, b""),
        wire.item(0x54, wire.counted(b"") + b"\1\0"),
        wire.item(0x56, wire.counted(b"")),
        wire.item(0x52, b""),
    ],
)
def test_thousands_of_tiny_sub_items_stay_small(sub_item: bytes):
    count = 65_000 // len(sub_item)
    information = wire.item(0x50, sub_item * count)
    request = wire.associate_rq(user_information=information)
    conversation = Conversation()
    assert peak_memory(lambda: conversation.receive(request)) < 8 * MIB
    assert conversation.connection.state is State.ESTABLISHED
    assert len(conversation.take_sent()) < 1000


def big_context(context_id: int) -> bytes:
    syntaxes = wire.item(0x40, b"1") * 13_000
    return wire.item(0x20, bytes((context_id, 0, 0, 0)) + wire.item(0x30, b"1") + syntaxes)


@pytest.mark.parametrize(
    "contexts",
    [
        b"".join(map(big_context, range(1, 31, 2))),
        wire.proposed(1, b"1", b"1") * 50_000,
        b"".join(wire.proposed(1, b"1.%d" % number, b"1") for number in range(40_000)),
        wire.item(0x20, b"\1\0\0\0" + wire.item(0x30, b"1") * 13_000),
        wire.item(0x7F, b"") * 100_000,
    ],
    ids=[
        "transfer syntaxes",
        "one id again and again",
        "one id for all",
        "abstract syntaxes",
        "unknown items",
    ],
)
def test_megabyte_of_tiny_items_stays_a_few_megabytes(contexts: bytes):
    request = wire.associate_rq(contexts=contexts)
    assert len(request) < MIB
    conversation = Conversation()
    assert peak_memory(lambda: conversation.receive(request)) < 8 * MIB


def test_answer_to_the_longest_request_is_short():
    contexts = b"".join(wire.proposed(number, b"9" * 8000) for number in range(1, 256, 2))
    request = wire.associate_rq(contexts=contexts)
    assert 1_000_000 < len(request) < MIB
    conversation = Conversation()
    conversation.receive(request)
    assert len(conversation.take_sent()) < 8 * KIB


def test_command_that_never_ends_is_aborted_at_its_limit():
    conversation = associated()
    part = wire.p_data(wire.pdv(3, wire.COMMAND, bytes(1000)))
    assert peak_memory(lambda: conversation.receive_all([part] * 100)) < MIB
    assert_aborted(conversation, AbortReason.INVALID_PDU_PARAMETER_VALUE)


@pytest.mark.parametrize("control", [0, wire.COMMAND])
def test_endless_empty_fragments_cost_nothing(control: int):
    conversation = associated()
    if control != wire.COMMAND:
        conversation.receive(wire.command_pdu(wire.c_store_rq()))
    piece = wire.p_data(wire.pdv(3, control, b"")) * 1000
    assert peak_memory(lambda: conversation.receive_all([piece] * 5)) < 64 * KIB
    assert conversation.connection.state is State.ESTABLISHED


def test_flood_after_our_abort_is_dropped():
    conversation = associated()
    conversation.receive(wire.pdu(0x99, b""))
    conversation.take_sent()
    flood = wire.store(bytes(10_000)) * 20
    assert peak_memory(lambda: conversation.receive_all([flood] * 20)) < 4 * len(flood)
    assert conversation.take_sent() == b""


def test_flood_of_requests_after_a_release_is_answered_by_less_than_it_costs():
    conversation = associated()
    conversation.receive(wire.A_RELEASE_RQ)
    conversation.take_sent()
    flood = wire.associate_rq() * 100
    conversation.receive(flood)
    assert conversation.take_sent() == bytes.fromhex("0700 00000004 00000202") * 100


def test_texts_of_the_peer_are_in_no_violation():
    secret = b"DOE^JANE"
    for data in (
        wire.pdu(0x99, secret),
        wire.associate_rq(calling=secret, contexts=wire.item(0x20, secret)),
        wire.command_pdu(secret * 3),
    ):
        conversation = associated()
        conversation.receive(data)
        violated = conversation.events[-1]
        assert isinstance(violated, PeerViolated)
        assert "DOE" not in repr(violated)


def test_thousands_of_connections_leave_nothing_behind():
    def connect(times: int) -> None:
        for _ in range(times):
            for request in (wire.associate_rq(), wire.associate_rq(called=b"OTHER"), b"GET /"):
                connection = AcceptorConnection(POLICY, 0.0)
                connection.receive_data(request, 0.0)
                while connection.next_event() is not NEED_DATA:
                    pass

    connect(50)
    gc.collect()
    tracemalloc.start()
    try:
        connect(100)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        connect(500)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 4 * KIB
