from __future__ import annotations

import pytest
from tests.unit.upper_layer import wire
from tests.unit.upper_layer.conversation import associated

from seriesgate.upper_layer.dimse import CStoreRequest, StoreStatus
from seriesgate.upper_layer.errors import LocalMisuse
from seriesgate.upper_layer.events import (
    DataSetEnded,
    EchoAnswered,
    PeerViolated,
    RequestRefused,
    StoreRequested,
    StoreResponse,
)
from seriesgate.upper_layer.messages import MAX_COMMAND_SET_LENGTH
from seriesgate.upper_layer.pdu import AbortReason
from seriesgate.upper_layer.states import State

STORE_REQUESTED = StoreRequested(
    context_id=3,
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    abstract_syntax="1.2.840.10008.5.1.4.1.1.4",
    request=CStoreRequest(7, "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4", ""),
)


def stored(data: bytes) -> list[object]:
    return [STORE_REQUESTED, data, DataSetEnded()]


def test_store_is_told_streamed_and_answered():
    conversation = associated()
    assert conversation.receive(wire.store(b"data set")) == stored(b"data set")
    assert conversation.take_sent() == wire.command_pdu(wire.c_store_rsp())


def test_response_goes_out_on_the_context_of_the_request():
    contexts = wire.proposed(1, wire.MR_IMAGE_STORAGE) + wire.proposed(77, wire.MR_IMAGE_STORAGE)
    conversation = associated(request=wire.associate_rq(contexts=contexts))
    conversation.receive(wire.command_pdu(wire.c_store_rq(), 77) + wire.data_pdu(b"ab", 77))
    assert conversation.take_sent() == wire.command_pdu(wire.c_store_rsp(), 77)


def test_status_and_comment_of_the_driver_go_out():
    answer = StoreResponse(StoreStatus.OUT_OF_RESOURCES, "disk full!")
    conversation = associated(answer_store=answer)
    conversation.receive(wire.store(b"ab"))
    expected = wire.c_store_rsp(status=0xA700, comment=b"disk full!")
    assert conversation.take_sent() == wire.command_pdu(expected)


def test_padded_uids_are_told_without_and_answered_with_their_padding():
    conversation = associated()
    sop_class, instance = wire.MR_IMAGE_STORAGE + b"  \0", b"1.2.3.4 "
    command = wire.c_store_rq(sop_class=sop_class, instance=instance)
    conversation.receive(wire.command_pdu(command) + wire.data_pdu(b"ab"))
    assert conversation.events == stored(b"ab")
    response = wire.c_store_rsp(sop_class=sop_class, instance=instance)
    assert conversation.take_sent() == wire.command_pdu(response)


def test_command_and_data_set_may_share_a_pdu():
    conversation = associated()
    conversation.receive(
        wire.p_data(
            wire.pdv(3, wire.COMMAND | wire.LAST, wire.c_store_rq()),
            wire.pdv(3, 0, b"data "),
            wire.pdv(3, wire.LAST, b"set"),
        )
    )
    assert conversation.events == stored(b"data set")


def test_next_message_may_start_in_the_pdu_of_the_last():
    conversation = associated()
    command = wire.pdv(3, wire.COMMAND | wire.LAST, wire.c_store_rq())
    data = wire.pdv(3, wire.LAST, b"ab")
    conversation.receive(wire.p_data(command, data, command, data))
    assert conversation.events == stored(b"ab") * 2


def test_command_in_every_split_of_its_bytes_is_the_same():
    command = wire.c_store_rq()
    for offset in range(len(command) + 1):
        conversation = associated()
        parts = wire.p_data(wire.pdv(3, wire.COMMAND, command[:offset])) + wire.p_data(
            wire.pdv(3, wire.COMMAND | wire.LAST, command[offset:])
        )
        conversation.receive(parts + wire.data_pdu(b"ab"))
        assert conversation.events == stored(b"ab")


def test_data_set_of_many_fragments_with_an_empty_last_one():
    conversation = associated()
    conversation.receive(wire.command_pdu(wire.c_store_rq()))
    for _ in range(10):
        conversation.receive(wire.data_pdu(b"abc", last=False))
    conversation.receive(wire.data_pdu(b""))
    assert conversation.events == stored(b"abc" * 10)


def test_empty_data_set_ends_without_a_fragment():
    conversation = associated()
    conversation.receive(wire.store(b""))
    assert conversation.events == [STORE_REQUESTED, DataSetEnded()]


def test_hundred_messages_in_one_segment_are_answered_in_order():
    conversation = associated()
    conversation.receive(b"".join(wire.store(b"ab", message_id=number) for number in range(100)))
    requests = [event.request for event in conversation.events if isinstance(event, StoreRequested)]
    assert [request.message_id for request in requests] == list(range(100))
    assert conversation.take_sent() == b"".join(
        wire.command_pdu(wire.c_store_rsp(message_id=number)) for number in range(100)
    )


def test_nothing_after_the_data_set_is_read_before_the_answer():
    connection = associated().connection
    connection.receive_data(wire.store(b"ab") + wire.A_ABORT_BY_USER, 1.0)
    events = [connection.next_event() for _ in range(3)]
    assert isinstance(events[-1], DataSetEnded)
    for _ in range(2):
        with pytest.raises(LocalMisuse, match="send the StoreResponse"):
            connection.next_event()
    assert connection.state is State.ESTABLISHED
    connection.send(StoreResponse(0), 1.0)
    assert connection.data_to_send() == wire.command_pdu(wire.c_store_rsp())


def test_c_echo_is_answered_with_success():
    conversation = associated()
    assert conversation.receive(wire.command_pdu(wire.c_echo_rq(9), 1)) == [EchoAnswered()]
    assert conversation.take_sent() == wire.command_pdu(wire.c_echo_rsp(9), 1)


def test_c_echo_with_a_data_set_is_answered_after_it():
    conversation = associated()
    echo = wire.request(wire.C_ECHO_RQ, data_set_type=wire.DATA_SET_FOLLOWS)
    assert conversation.receive(wire.command_pdu(echo, 1)) == []
    assert conversation.receive(wire.data_pdu(b"??", 1)) == [EchoAnswered()]


def test_unknown_request_is_refused_after_its_data_set():
    conversation = associated()
    find = wire.request(wire.C_FIND_RQ, message_id=2, data_set_type=wire.DATA_SET_FOLLOWS)
    assert conversation.receive(wire.command_pdu(find)) == []
    assert conversation.take_sent() == b""
    assert conversation.receive(wire.data_pdu(b"query")) == [RequestRefused(0x0020, 0x0211)]
    expected = wire.response(wire.C_FIND_RQ, 0x0211, message_id=2)
    assert conversation.take_sent() == wire.command_pdu(expected)


@pytest.mark.parametrize("field", [0x0010, 0x0021, 0x0100, 0x0110, 0x0120, 0x0130, 0x0140, 0x0FFE])
def test_any_other_request_is_an_unrecognized_operation(field: int):
    conversation = associated()
    conversation.receive(wire.command_pdu(wire.request(field)))
    assert conversation.events == [RequestRefused(field, 0x0211)]
    assert conversation.take_sent() == wire.command_pdu(wire.response(field, 0x0211))


@pytest.mark.parametrize(
    ("command", "context_id", "status"),
    [
        # The SOP class is not that of the context (PS3.7 C.5, refused: SOP class not supported).
        (wire.c_store_rq(sop_class=wire.even(wire.CT_IMAGE_STORAGE)), 3, 0x0122),
        (wire.c_store_rq(sop_class=b""), 3, 0x0122),
        # A context that was proposed and rejected.
        (wire.c_store_rq(), 5, 0x0122),
        # Verification can't store.
        (wire.c_store_rq(sop_class=wire.even(wire.VERIFICATION)), 1, 0x0211),
        # No SOP Instance UID, or none left without padding.
        (wire.c_store_rq(instance=b""), 3, 0x0117),
        (wire.c_store_rq(instance=b"\0\0"), 3, 0x0117),
    ],
)
def test_store_that_can_not_be_served_is_refused_after_its_data_set(
    command: bytes, context_id: int, status: int
):
    conversation = associated()
    assert conversation.receive(wire.command_pdu(command, context_id)) == []
    assert conversation.receive(wire.data_pdu(b"abc", context_id, last=False)) == []
    assert conversation.take_sent() == b""
    refused = conversation.receive(wire.data_pdu(b"def", context_id))
    assert refused == [RequestRefused(0x0001, status)]
    sent = conversation.take_sent()
    assert wire.short(0x0900, status) in sent
    assert sent[10] == context_id
    # The association goes on.
    assert conversation.receive(wire.store(b"ab")) == stored(b"ab")


def test_store_without_data_set_is_a_mistyped_argument():
    conversation = associated()
    conversation.receive(wire.command_pdu(wire.c_store_rq(data_set_type=wire.NO_DATA_SET)))
    assert conversation.events == [RequestRefused(0x0001, 0x0212)]
    assert conversation.take_sent() == wire.command_pdu(wire.c_store_rsp(status=0x0212))


def test_echo_on_a_rejected_context_is_refused():
    conversation = associated()
    conversation.receive(wire.command_pdu(wire.c_echo_rq(), 5))
    assert conversation.events == [RequestRefused(0x0030, 0x0122)]


@pytest.mark.parametrize(
    "command",
    [
        # C-CANCEL-RQ has no message id of its own (PS3.7 Table 9.3-9).
        wire.short(0x0100, wire.C_CANCEL_RQ) + wire.short(0x0120, 1) + wire.short(0x0800, 0x0101),
        wire.c_store_rsp(),
        wire.c_echo_rsp(),
    ],
)
def test_cancel_and_stray_responses_are_ignored(command: bytes):
    conversation = associated()
    assert conversation.receive(wire.command_pdu(command)) == []
    assert conversation.take_sent() == b""
    assert conversation.receive(wire.store(b"ab")) == stored(b"ab")


def test_data_set_of_a_stray_response_is_swallowed():
    conversation = associated()
    stray = wire.short(0x0100, 0x8020) + wire.short(0x0120, 1) + wire.short(0x0800, 1)
    assert conversation.receive(wire.command_pdu(stray) + wire.data_pdu(b"ab")) == []
    assert conversation.receive(wire.store(b"ab")) == stored(b"ab")


COMMAND = wire.pdv(3, wire.COMMAND | wire.LAST, wire.c_store_rq())
HALF_COMMAND = wire.pdv(3, wire.COMMAND, wire.c_store_rq()[:20])
DATA = wire.pdv(3, 0, b"ab")


@pytest.mark.parametrize(
    ("pdvs", "reason", "detail"),
    [
        ((DATA,), 5, "data set fragment without a complete command"),
        ((HALF_COMMAND, DATA), 5, "data set fragment without a complete command"),
        ((COMMAND, DATA, COMMAND), 5, "new command inside an unfinished message"),
        ((COMMAND, COMMAND), 5, "new command inside an unfinished message"),
        ((COMMAND, DATA, wire.pdv(1, 0, b"ab")), 5, "two messages interleaved"),
        ((COMMAND, wire.pdv(1, wire.COMMAND | wire.LAST, wire.c_echo_rq())), 5, "interleaved"),
        ((HALF_COMMAND, wire.pdv(1, wire.COMMAND, b"")), 5, "interleaved"),
        ((wire.pdv(9, wire.COMMAND, b""),), 6, "context 9 was never proposed"),
        ((wire.pdv(2, wire.COMMAND, b""),), 6, "context 2 was never proposed"),
        ((wire.pdv(3, wire.COMMAND | wire.LAST, b""),), 6, "without command field"),
        (
            (wire.pdv(3, 3, wire.short(0x0100, 1) + wire.short(0x0800, 1)),),
            6,
            "request without message id",
        ),
        ((wire.pdv(3, 3, b"\0\0\0\1\2\0\0\0\1"),), 6, "longer than what is left"),
    ],
)
def test_broken_message_is_aborted_with_its_reason(
    pdvs: tuple[bytes, ...], reason: int, detail: str
):
    conversation = associated()
    conversation.receive(wire.p_data(*pdvs))
    violated = conversation.events[-1]
    assert isinstance(violated, PeerViolated)
    assert violated.reason == AbortReason(reason)
    assert detail in violated.detail
    assert conversation.take_sent() == bytes.fromhex(f"0700 00000004 0000 02 0{reason}")
    assert conversation.connection.state is State.AWAITING_CLOSE
    # Whoever had begun to store knows that it is over.
    assert ("StoreRequested" in conversation.kinds()) is (
        "StoreInterrupted" in conversation.kinds()
    )


def test_command_set_may_be_64_kib_long_and_no_longer():
    filler = wire.element(0x1234, bytes(MAX_COMMAND_SET_LENGTH - len(wire.c_echo_rq()) - 8))
    command = wire.c_echo_rq() + filler
    assert len(command) == MAX_COMMAND_SET_LENGTH
    half = len(command) // 2

    def pdus(command: bytes) -> bytes:
        return wire.p_data(wire.pdv(1, wire.COMMAND, command[:half])) + wire.p_data(
            wire.pdv(1, wire.COMMAND | wire.LAST, command[half:])
        )

    assert associated().receive(pdus(command)) == [EchoAnswered()]
    (violated,) = associated().receive(pdus(command + b"\0"))
    assert isinstance(violated, PeerViolated)
    assert violated.detail == "command set over 65536 bytes"
