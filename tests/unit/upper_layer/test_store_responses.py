"""How a C-STORE is answered: in pieces, early, wrongly, or not at all."""

from __future__ import annotations

import pytest
from tests.unit.upper_layer import wire
from tests.unit.upper_layer.conversation import POLICY, Conversation, associated, cut

from seriesgate.upper_layer.acceptor import AcceptorConnection
from seriesgate.upper_layer.dimse import StoreStatus
from seriesgate.upper_layer.errors import LocalMisuse
from seriesgate.upper_layer.events import (
    NEED_DATA,
    AcceptAssociation,
    AssociationReleased,
    AssociationRequested,
    DataSetEnded,
    DataSetFragment,
    StoreInterrupted,
    StoreRequested,
    StoreResponse,
)


@pytest.mark.parametrize(
    ("peer_max", "fragment"),
    [(0, 10_000), (16384, 10_000), (48, 42), (16, 10), (9, 2), (8, 2), (7, 2), (6, 2), (1, 2)],
)
def test_response_is_cut_to_what_the_peer_takes(peer_max: int, fragment: int):
    information = wire.item(0x50, wire.item(0x51, peer_max.to_bytes(4, "big")) + wire.CLASS_UID)
    conversation = associated(request=wire.associate_rq(user_information=information))
    conversation.receive(wire.store(b"ab"))
    command = wire.c_store_rsp()
    pieces = cut(command, range(0, len(command), fragment))
    expected = [wire.pdv(3, wire.COMMAND, piece) for piece in pieces[:-1]]
    expected.append(wire.pdv(3, wire.COMMAND | wire.LAST, pieces[-1]))
    assert conversation.take_sent() == b"".join(map(wire.p_data, expected))


def early(connection: AcceptorConnection) -> None:
    """Go on up to the first fragment and answer with a failure."""
    while not isinstance(connection.next_event(), DataSetFragment):
        pass
    connection.send(StoreResponse(StoreStatus.OUT_OF_RESOURCES), 1.0)


def test_early_failure_goes_out_at_once_and_the_rest_is_swallowed():
    conversation = associated()
    connection = conversation.connection
    connection.receive_data(
        wire.command_pdu(wire.c_store_rq()) + wire.data_pdu(b"ab", last=False), 1.0
    )
    early(connection)
    assert connection.data_to_send() == wire.command_pdu(wire.c_store_rsp(status=0xA700))
    assert connection.next_event() is NEED_DATA
    assert conversation.receive(wire.data_pdu(b"cd", last=False)) == []
    assert conversation.receive(wire.data_pdu(b"ef")) == []
    assert conversation.take_sent() == b""
    conversation.receive(wire.store(b"gh"))
    assert conversation.events[-2:] == [b"gh", DataSetEnded()]


def test_failure_after_the_last_fragment_is_sent_once_and_the_end_not_told():
    conversation = associated()
    connection = conversation.connection
    connection.receive_data(wire.store(b"ab") + wire.store(b"cd"), 1.0)
    early(connection)
    conversation.drain()
    assert conversation.kinds() == ["StoreRequested", "bytes", "DataSetEnded"]
    assert conversation.events[1] == b"cd"
    assert conversation.take_sent() == wire.command_pdu(
        wire.c_store_rsp(status=0xA700)
    ) + wire.command_pdu(wire.c_store_rsp())


def test_early_failure_before_the_first_fragment():
    conversation = associated()
    connection = conversation.connection
    connection.receive_data(wire.store(b"ab"), 1.0)
    assert isinstance(connection.next_event(), StoreRequested)
    connection.send(StoreResponse(StoreStatus.NOT_AUTHORIZED), 1.0)
    assert connection.next_event() is NEED_DATA
    assert connection.data_to_send() == wire.command_pdu(wire.c_store_rsp(status=0x0124))


def test_broken_off_after_an_early_failure_there_is_nothing_left_to_interrupt():
    conversation = associated()
    connection = conversation.connection
    connection.receive_data(
        wire.command_pdu(wire.c_store_rq()) + wire.data_pdu(b"ab", last=False), 1.0
    )
    early(connection)
    conversation.drain()
    conversation.take_sent()
    conversation.receive(wire.A_RELEASE_RQ)
    assert conversation.kinds() == ["AssociationReleased"]
    assert conversation.take_sent() == wire.A_RELEASE_RP


@pytest.mark.parametrize("status", [0x0000, 0xB007])
def test_only_a_failure_may_come_early(status: int):
    connection = associated().connection
    connection.receive_data(
        wire.command_pdu(wire.c_store_rq()) + wire.data_pdu(b"ab", last=False), 1.0
    )
    connection.next_event()
    with pytest.raises(LocalMisuse, match="only a failure"):
        connection.send(StoreResponse(status), 1.0)
    assert connection.data_to_send() == b""


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (StoreResponse(-1), "status -1 does not fit"),
        (StoreResponse(0x10000), "status 65536 does not fit"),
        (StoreResponse(0, "x" * 65), "error comment"),
        (StoreResponse(0, "Müller"), "error comment"),
    ],
)
def test_unfit_response_is_refused_and_can_be_corrected(response: StoreResponse, message: str):
    connection = associated().connection
    connection.receive_data(wire.store(b"ab"), 1.0)
    while not isinstance(connection.next_event(), DataSetEnded):
        pass
    with pytest.raises(LocalMisuse, match=message):
        connection.send(response, 1.0)
    connection.send(StoreResponse(0), 1.0)
    assert connection.data_to_send() == wire.command_pdu(wire.c_store_rsp())


def test_second_response_is_refused():
    conversation = associated()
    conversation.receive(wire.store(b"ab"))
    with pytest.raises(LocalMisuse, match="no C-STORE request waits"):
        conversation.connection.send(StoreResponse(0), 1.0)


def test_response_before_the_association_is_refused():
    connection = AcceptorConnection(POLICY, 0.0)
    with pytest.raises(LocalMisuse, match="AWAITING_REQUEST"):
        connection.send(StoreResponse(0), 1.0)
    connection.receive_data(wire.associate_rq(), 0.0)
    assert isinstance(connection.next_event(), AssociationRequested)
    connection.send(AcceptAssociation(), 0.0)
    with pytest.raises(LocalMisuse, match="no C-STORE request waits"):
        connection.send(StoreResponse(0), 1.0)


def unfinished() -> Conversation:
    """Return a conversation in the middle of a data set."""
    conversation = associated()
    conversation.receive(wire.command_pdu(wire.c_store_rq()) + wire.data_pdu(b"ab", last=False))
    conversation.events.clear()
    return conversation


def test_release_inside_a_data_set_fails_the_store_and_is_confirmed():
    conversation = unfinished()
    conversation.receive(wire.A_RELEASE_RQ)
    assert conversation.events == [StoreInterrupted(), AssociationReleased()]
    failed = wire.c_store_rsp(status=0xC000, comment=b"Data set is incomplete")
    assert conversation.take_sent() == wire.command_pdu(failed) + wire.A_RELEASE_RP


def test_release_inside_a_command_is_confirmed():
    conversation = associated()
    conversation.receive(
        wire.p_data(wire.pdv(3, wire.COMMAND, wire.c_store_rq()[:20])) + wire.A_RELEASE_RQ
    )
    assert conversation.events == [AssociationReleased()]
    assert conversation.take_sent() == wire.A_RELEASE_RP


def test_release_inside_a_refused_store_sends_the_refusal():
    conversation = associated()
    conversation.receive(wire.command_pdu(wire.c_store_rq(instance=b"")) + wire.A_RELEASE_RQ)
    assert conversation.events == [AssociationReleased()]
    refused = wire.c_store_rsp(status=0x0117, instance=b"")
    assert conversation.take_sent() == wire.command_pdu(refused) + wire.A_RELEASE_RP


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        (wire.A_ABORT_BY_USER, b""),
        (b"", b""),
        (wire.pdu(0x99, b""), bytes.fromhex("0700 00000004 00000201")),
    ],
)
def test_broken_end_inside_a_data_set_interrupts_the_store_without_a_response(
    data: bytes, sent: bytes
):
    conversation = unfinished()
    conversation.connection.receive_data(data, 1.0)
    conversation.drain()
    assert conversation.events[0] == StoreInterrupted()
    assert conversation.take_sent() == sent
