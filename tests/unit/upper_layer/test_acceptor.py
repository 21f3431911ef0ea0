from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.upper_layer import wire
from tests.unit.upper_layer.conversation import POLICY, Conversation, associated, cut

from seriesgate.upper_layer.acceptor import AcceptorConnection
from seriesgate.upper_layer.errors import LocalMisuse
from seriesgate.upper_layer.events import (
    NEED_DATA,
    Abort,
    AcceptAssociation,
    AssociationAborted,
    AssociationAccepted,
    AssociationRejected,
    AssociationReleased,
    AssociationRequested,
    ConnectionClosed,
    ConnectionLost,
    DataSetEnded,
    DataSetFragment,
    EchoAnswered,
    PeerViolated,
    RejectAssociation,
    StoreInterrupted,
)
from seriesgate.upper_layer.pdu import AbortReason, RejectReason, RejectResult
from seriesgate.upper_layer.states import State

DIALOGUE = (
    wire.associate_rq()
    + wire.command_pdu(wire.c_echo_rq(1), 1)
    + wire.store(b"first data set", message_id=2)
    + wire.command_pdu(wire.c_store_rq(message_id=3))
    + b"".join(wire.data_pdu(bytes((byte,)), last=byte == 9) for byte in range(10))
    + wire.command_pdu(wire.request(wire.C_FIND_RQ, message_id=4), 3)
    + wire.store(b"odd", message_id=5)
    + wire.A_RELEASE_RQ
)


def test_association_is_accepted_with_golden_bytes():
    conversation = Conversation()
    conversation.receive(wire.associate_rq(called=b" STORESCP", reserved=bytes(range(32))))
    answer = wire.associate_rq_body(
        called=b" STORESCP",
        reserved=bytes(range(32)),
        contexts=(
            wire.item(0x21, b"\1\0\0\0" + wire.item(0x40, wire.IMPLICIT_LITTLE))
            + wire.item(0x21, b"\3\0\0\0" + wire.item(0x40, wire.EXPLICIT_LITTLE))
            + wire.item(0x21, b"\5\0\3\0" + wire.item(0x40, wire.IMPLICIT_LITTLE))
        ),
        user_information=wire.item(
            0x50,
            wire.item(0x51, (131_072).to_bytes(4, "big"))
            + wire.item(0x52, POLICY.implementation_class_uid.encode()),
        ),
    )
    assert conversation.take_sent() == wire.pdu(0x02, answer)
    requested, accepted = conversation.events
    assert isinstance(requested, AssociationRequested)
    assert requested.request.calling_ae_title == "MODALITY"
    assert isinstance(accepted, AssociationAccepted)
    assert accepted.association.rejected_context_ids == {5}
    assert conversation.connection.state is State.ESTABLISHED


def test_policy_rejects_by_itself_when_the_driver_accepts():
    conversation = Conversation()
    conversation.receive(wire.associate_rq(called=b"OTHER"))
    assert conversation.take_sent() == bytes.fromhex("0300 00000004 00 01 01 07")
    assert conversation.events[1:] == [AssociationRejected(1, 1, 7)]
    assert conversation.close() == [ConnectionClosed()]


@pytest.mark.parametrize(
    ("reason", "wire_reason"),
    [
        (RejectReason.LOCAL_LIMIT_EXCEEDED, "02 03 02"),
        (RejectReason.TEMPORARY_CONGESTION, "02 03 01"),
        (RejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED, "02 01 03"),
        (RejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED, "02 01 07"),
        (RejectReason.NO_REASON_GIVEN, "02 01 01"),
    ],
)
def test_driver_may_reject_for_reasons_of_its_own(reason: RejectReason, wire_reason: str):
    rejection = RejectAssociation(RejectResult.TRANSIENT, reason)
    conversation = Conversation(answer_request=rejection)
    conversation.receive(wire.associate_rq())
    assert conversation.take_sent() == bytes.fromhex("0300 00000004 00" + wire_reason)
    assert conversation.kinds() == ["AssociationRequested", "AssociationRejected"]


def test_release_is_confirmed_and_the_peer_closes():
    conversation = associated()
    assert conversation.receive(wire.A_RELEASE_RQ) == [AssociationReleased()]
    assert conversation.take_sent() == wire.A_RELEASE_RP
    assert not conversation.connection.closed
    assert conversation.close() == [ConnectionClosed()]
    assert conversation.connection.closed


def test_abort_of_the_peer_is_told_with_its_source_and_reason():
    conversation = associated()
    assert conversation.receive(wire.A_ABORT_BY_PROVIDER) == [
        AssociationAborted(source=2, reason=2),
        ConnectionClosed(),
    ]


def test_connection_lost_inside_a_data_set_interrupts_the_store():
    conversation = associated()
    conversation.receive(wire.store(b"ab")[:-1])
    conversation.events.clear()
    assert conversation.close() == [StoreInterrupted(), ConnectionLost(), ConnectionClosed()]


def test_driver_aborts_and_learns_that_its_store_is_interrupted():
    conversation = associated()
    conversation.receive(wire.store(b"ab")[:-1])
    conversation.events.clear()
    conversation.connection.send(Abort(), 1.0)
    assert conversation.drain() == [StoreInterrupted()]
    assert conversation.take_sent() == wire.A_ABORT_BY_USER


def test_what_the_peer_still_sends_after_our_abort_is_ignored_up_to_its_own():
    conversation = associated()
    message = wire.store(bytes(1000))
    conversation.receive(message[:500])
    conversation.connection.send(Abort(), 1.0)
    conversation.drain()
    conversation.events.clear()
    conversation.take_sent()
    assert conversation.receive(message[500:] + message + wire.A_RELEASE_RQ) == []
    assert conversation.take_sent() == b""
    assert conversation.receive(wire.A_ABORT_BY_USER) == [ConnectionClosed()]


def test_whole_dialogue():
    conversation = Conversation()
    conversation.receive(DIALOGUE)
    conversation.close()
    assert conversation.kinds() == [
        *("AssociationRequested", "AssociationAccepted", "EchoAnswered"),
        *("StoreRequested", "bytes", "DataSetEnded"),
        *("StoreRequested", "bytes", "DataSetEnded"),
        "RequestRefused",
        *("StoreRequested", "bytes", "DataSetEnded"),
        *("AssociationReleased", "ConnectionClosed"),
    ]
    data_sets = [event for event in conversation.events if isinstance(event, bytes)]
    assert data_sets == [b"first data set", bytes(range(10)), b"odd"]


WHOLE = Conversation()
WHOLE.receive(DIALOGUE)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7, 11, 12, 13, 64, 1000])
def test_pieces_of_any_size_make_no_difference(size: int):
    conversation = Conversation()
    conversation.receive_all(cut(DIALOGUE, range(0, len(DIALOGUE), size)))
    assert conversation.events == WHOLE.events
    assert conversation.sent == WHOLE.sent


def test_cut_at_every_offset_makes_no_difference():
    for offset in range(len(DIALOGUE)):
        conversation = Conversation()
        conversation.receive_all(cut(DIALOGUE, [offset]))
        assert conversation.events == WHOLE.events
        assert conversation.sent == WHOLE.sent


@given(st.lists(st.integers(0, len(DIALOGUE)), max_size=12))
def test_cut_anywhere_makes_no_difference(offsets: list[int]):
    conversation = Conversation()
    conversation.receive_all(cut(DIALOGUE, offsets))
    assert conversation.events == WHOLE.events
    assert conversation.sent == WHOLE.sent


@settings(max_examples=200)
@given(st.data())
def test_damaged_dialogue_is_the_same_however_it_is_cut(data: st.DataObject):
    """A violation may come at any byte; what was told before it must not depend on the pieces."""
    damaged = bytearray(DIALOGUE)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    offsets = data.draw(st.lists(st.integers(0, len(damaged)), max_size=8))
    whole, pieces = Conversation(), Conversation()
    whole.receive(bytes(damaged))
    pieces.receive_all(cut(bytes(damaged), offsets))
    assert pieces.events == whole.events
    assert pieces.sent == whole.sent
    assert pieces.close() == whole.close()
    assert whole.connection.closed


def test_closed_inside_any_byte_every_store_is_ended_or_interrupted():
    for length in range(len(DIALOGUE)):
        conversation = Conversation()
        conversation.receive(DIALOGUE[:length])
        conversation.close()
        kinds = conversation.kinds()
        ends = kinds.count("DataSetEnded") + kinds.count("StoreInterrupted")
        assert kinds.count("StoreRequested") == ends
        assert kinds[-1] == "ConnectionClosed"
        assert kinds.count("ConnectionClosed") == 1


def test_pipelined_bytes_behind_the_request_are_not_lost():
    conversation = Conversation()
    conversation.receive(wire.associate_rq() + wire.command_pdu(wire.c_echo_rq(), 1))
    assert conversation.events[-1] == EchoAnswered()


def test_bytes_before_the_answer_of_a_driver_that_goes_on_without_it_are_unexpected():
    connection = AcceptorConnection(POLICY, 0.0)
    connection.receive_data(wire.associate_rq() + wire.store(b"ab"), 0.0)
    assert isinstance(connection.next_event(), AssociationRequested)
    violated = connection.next_event()
    assert isinstance(violated, PeerViolated)
    assert violated.reason is AbortReason.UNEXPECTED_PDU
    with pytest.raises(LocalMisuse, match="no association request"):
        connection.send(AcceptAssociation(), 0.0)


def test_data_before_the_last_was_looked_at_is_refused():
    connection = AcceptorConnection(POLICY, 0.0)
    connection.receive_data(wire.associate_rq() + wire.A_ABORT_BY_USER, 0.0)
    connection.next_event()
    with pytest.raises(LocalMisuse, match="take the events"):
        connection.receive_data(b"more", 0.0)


def test_close_is_told_after_all_bytes_before_it():
    conversation = associated()
    connection = conversation.connection
    connection.receive_data(wire.store(b"ab"), 0.0)
    conversation.drain()
    assert conversation.close() == [ConnectionLost(), ConnectionClosed()]
    assert conversation.events[2] == DataSetEnded()


def test_nothing_happens_after_the_end():
    conversation = associated()
    conversation.receive(wire.A_ABORT_BY_USER)
    conversation.events.clear()
    assert conversation.receive(wire.associate_rq()) == []
    assert conversation.close() == []
    assert conversation.take_sent() == b""
    with pytest.raises(LocalMisuse, match=r"CLOSED \(Sta1\): local: abort"):
        conversation.connection.send(Abort(), 0.0)


def test_output_is_given_once():
    connection = AcceptorConnection(POLICY, 0.0)
    assert connection.data_to_send() == b""
    connection.receive_data(wire.pdu(0x99, b""), 0.0)
    connection.next_event()
    assert connection.data_to_send() == wire.A_ABORT_BY_USER
    assert connection.data_to_send() == b""


def test_oversized_pdus_are_counted():
    conversation = associated()
    conversation.receive(wire.store(bytes(200_000)))
    assert conversation.connection.oversized_pdus == 1
    assert conversation.events[-1] == DataSetEnded()


def test_fragment_is_a_view_of_the_callers_buffer():
    connection = associated().connection
    buffer = bytearray(wire.store(b"pixels"))
    connection.receive_data(memoryview(buffer), 0.0)
    connection.next_event()
    fragment = connection.next_event()
    buffer[-6:] = b"PIXELS"
    assert isinstance(fragment, DataSetFragment)
    assert bytes(fragment.data) == b"PIXELS"


def test_buffer_is_free_once_more_data_is_needed():
    connection = associated().connection
    buffer = bytearray(wire.store(b"pixels")[:-1])
    connection.receive_data(memoryview(buffer), 0.0)
    while connection.next_event() is not NEED_DATA:
        pass
    buffer.append(0)  # BufferError while anything still refers to it
