from __future__ import annotations

import pytest
from tests.unit.upper_layer import wire
from tests.unit.upper_layer.conversation import Conversation, associated

from seriesgate.upper_layer.acceptor import AcceptorConnection
from seriesgate.upper_layer.dimse import StoreStatus
from seriesgate.upper_layer.events import (
    NEED_DATA,
    Abort,
    AcceptAssociation,
    AssociationRequested,
    ConnectionClosed,
    DataSetEnded,
    DataSetFragment,
    RejectAssociation,
    StoreInterrupted,
    StoreResponse,
    TimedOut,
    TimeLimit,
)
from seriesgate.upper_layer.negotiation import AcceptorPolicy
from seriesgate.upper_layer.pdu import RejectReason, RejectResult
from seriesgate.upper_layer.states import State

POLICY = AcceptorPolicy(
    ae_title="STORESCP",
    implementation_class_uid="1.2.276.9",
    artim_timeout=30.0,
    idle_timeout=300.0,
    progress_window=30.0,
    min_progress=1024.0,
    store_timeout=3600.0,
)
WINDOW_BYTES = 30 * 1024
ARTIM = TimedOut(TimeLimit.ARTIM)
IDLE = TimedOut(TimeLimit.IDLE)
PROGRESS = TimedOut(TimeLimit.PROGRESS)
FRUITLESS = TimedOut(TimeLimit.FRUITLESS)
ECHO = wire.command_pdu(wire.c_echo_rq(), 1)


def storing() -> Conversation:
    """Return a conversation that has begun a long data set at 0 s."""
    conversation = associated(POLICY)
    header = bytes.fromhex("0400 7FFFFFFF 7FFFFFFB 03 00")
    conversation.receive(wire.command_pdu(wire.c_store_rq()) + header + b"ab")
    conversation.events.clear()
    return conversation


def test_artim_is_absolute_and_no_byte_restarts_it():
    conversation = Conversation(POLICY)
    request = wire.associate_rq()
    for second in range(30):
        assert conversation.receive(request[second : second + 1], now=float(second)) == []
        assert conversation.connection.next_timer() == 30.0
    assert conversation.pass_time(29.999) == []
    assert conversation.pass_time(30.0) == [ARTIM, ConnectionClosed()]
    assert conversation.take_sent() == b""
    assert conversation.connection.next_timer() is None


def test_artim_holds_when_bytes_keep_the_driver_from_asking():
    conversation = Conversation(POLICY)
    conversation.receive(wire.associate_rq()[:10], now=29.0)
    assert conversation.receive(b"x", now=31.0) == [ARTIM, ConnectionClosed()]


def test_request_that_was_complete_when_the_driver_came_late_is_taken():
    conversation = Conversation(POLICY)
    conversation.receive(wire.associate_rq(), now=31.0)
    assert conversation.connection.state is State.ESTABLISHED


def test_artim_stops_while_the_answer_is_ours():
    connection = AcceptorConnection(POLICY, 0.0)
    connection.receive_data(wire.associate_rq(), 1.0)
    assert isinstance(connection.next_event(), AssociationRequested)
    assert connection.next_timer() is None
    connection.handle_timer(1e6)
    assert connection.state is State.AWAITING_LOCAL_ANSWER


@pytest.mark.parametrize(
    "message",
    [Abort(), RejectAssociation(RejectResult.TRANSIENT, RejectReason.TEMPORARY_CONGESTION)],
)
def test_artim_starts_when_we_end_the_association(message: Abort | RejectAssociation):
    conversation = Conversation(POLICY, answer_request=message)
    conversation.receive(wire.associate_rq(), now=5.0)
    assert conversation.connection.next_timer() == 35.0
    conversation.receive(wire.A_RELEASE_RQ, now=34.0)
    assert conversation.connection.next_timer() == 35.0
    conversation.events.clear()
    assert conversation.pass_time(35.0) == [ARTIM, ConnectionClosed()]


def test_artim_starts_at_the_release_and_at_a_violation():
    for data in (wire.A_RELEASE_RQ, wire.pdu(0x99, b"")):
        conversation = associated(POLICY)
        conversation.receive(data, now=100.0)
        assert conversation.connection.next_timer() == 130.0


def test_idle_association_is_aborted():
    conversation = associated(POLICY)
    assert conversation.connection.next_timer() == 300.0
    conversation.receive(wire.command_pdu(wire.c_echo_rq(), 1), now=250.0)
    assert conversation.connection.next_timer() == 550.0
    conversation.events.clear()
    conversation.take_sent()
    assert conversation.pass_time(549.9) == []
    assert conversation.pass_time(550.0) == [IDLE]
    assert conversation.take_sent() == wire.A_ABORT_BY_USER
    assert conversation.connection.state is State.AWAITING_CLOSE
    assert conversation.connection.next_timer() == 580.0


def test_echo_does_not_renew_the_time_to_store_something_in():
    conversation = associated(POLICY)
    for now in range(240, 3600, 240):
        conversation.receive(ECHO, now=float(now))
    assert conversation.connection.next_timer() == 3600.0
    conversation.take_sent()
    assert conversation.pass_time(3599.0) == []
    assert conversation.pass_time(3600.0) == [FRUITLESS]
    assert conversation.take_sent() == wire.A_ABORT_BY_USER
    assert conversation.connection.state is State.AWAITING_CLOSE


def test_association_that_stores_now_and_then_lives_for_ever():
    conversation = associated(POLICY)
    for now in range(0, 30 * 86400, 250):
        stores = now % 3500 == 0
        conversation.receive(wire.store(b"ab") if stores else ECHO, now=float(now))
    assert not {FRUITLESS, IDLE} & {*conversation.events}


@pytest.mark.parametrize(
    ("status", "ends"), [(0x0000, False), (0xB007, False), (0xA700, True), (0xC000, True)]
)
def test_only_what_was_stored_counts(status: int, ends: bool):
    conversation = associated(POLICY, answer_store=StoreResponse(status))
    for now in range(0, 3600, 200):
        conversation.receive(wire.store(b"ab"), now=float(now))
    conversation.events.clear()
    conversation.receive(ECHO, now=3601.0)
    assert (FRUITLESS in conversation.events) is ends


def test_message_under_way_may_end_though_nothing_was_stored_for_long():
    conversation = associated(POLICY)
    for now in range(240, 3500, 240):
        conversation.receive(ECHO, now=float(now))
    message = wire.store(b"ab")
    conversation.receive(message[:-1], now=3590.0)
    conversation.receive(message[-1:], now=3610.0)
    assert conversation.events[-1] == DataSetEnded()
    assert conversation.connection.next_timer() == 3910.0


@pytest.mark.parametrize("inside", [1, 5, 11, len(ECHO) - 1])
def test_part_of_an_echo_does_not_renew_it_either(inside: int):
    """Who always leaves a message unfinished, and keeps to the least speed, stores nothing too."""
    conversation = associated(POLICY)
    conversation.receive(ECHO[:inside])
    burst = (ECHO[inside:] + ECHO[:inside]) * 500
    for now in range(20, 3600, 20):
        conversation.receive(burst, now=float(now))
        assert conversation.connection.state is State.ESTABLISHED
    conversation.events.clear()
    conversation.receive(burst, now=3600.0)
    assert conversation.events[-1] == FRUITLESS


def test_time_to_store_something_in_begins_with_the_association():
    connection = AcceptorConnection(POLICY, 0.0)
    connection.receive_data(wire.associate_rq(), 10.0)
    connection.next_event()
    connection.send(AcceptAssociation(), 3500.0)
    assert connection.next_event() is not NEED_DATA
    assert connection.next_event() is NEED_DATA
    connection.receive_data(ECHO, 3700.0)
    while connection.next_event() is not NEED_DATA:
        pass
    assert connection.next_timer() == 4000.0


def test_idle_time_begins_when_the_driver_has_answered():
    conversation = associated(POLICY)
    connection = conversation.connection
    connection.receive_data(wire.store(b"ab"), 10.0)
    while not isinstance(connection.next_event(), DataSetEnded):
        pass
    assert connection.next_timer() is None
    connection.handle_timer(1000.0)
    connection.send(StoreResponse(0), 1000.0)
    assert connection.next_event() is NEED_DATA
    assert connection.next_timer() == 1300.0


def test_time_of_the_driver_inside_a_drain_is_not_the_peers():
    connection = associated(POLICY).connection
    connection.receive_data(wire.command_pdu(wire.c_store_rq()) + wire.data_pdu(b"ab"), 10.0)
    connection.next_event()
    assert connection.next_timer() is None
    connection.handle_timer(1000.0)
    assert isinstance(connection.next_event(), DataSetFragment)


def test_slow_data_set_is_aborted():
    conversation = storing()
    assert conversation.connection.next_timer() == 30.0
    conversation.receive(bytes(1000), now=29.0)
    assert conversation.connection.next_timer() == 30.0
    conversation.events.clear()
    assert conversation.pass_time(30.0) == [PROGRESS, StoreInterrupted()]
    assert conversation.take_sent() == wire.A_ABORT_BY_USER


def test_slow_data_set_is_aborted_although_bytes_keep_coming():
    conversation = storing()
    for second in range(1, 30):
        conversation.receive(bytes(1000), now=float(second))
    assert PROGRESS not in conversation.events
    conversation.receive(bytes(1000), now=30.0)
    assert conversation.events[-2:] == [PROGRESS, StoreInterrupted()]


def test_window_begins_anew_once_it_has_its_bytes():
    conversation = storing()
    conversation.receive(bytes(WINDOW_BYTES - 1), now=10.0)
    assert conversation.connection.next_timer() == 30.0
    conversation.receive(b"x", now=20.0)
    assert conversation.connection.next_timer() == 50.0


def test_peer_at_the_least_rate_goes_on_for_ever():
    conversation = storing()
    for second in range(1, 1000):
        conversation.receive(bytes(1100), now=float(second))
    assert PROGRESS not in conversation.events


def test_bytes_that_waited_for_the_driver_count_before_the_window_is_judged():
    conversation = storing()
    conversation.receive(bytes(WINDOW_BYTES), now=1000.0)
    assert PROGRESS not in conversation.events
    assert conversation.connection.next_timer() == 1030.0


def test_message_that_was_complete_when_the_driver_came_late_is_taken():
    conversation = associated(POLICY)
    message = wire.store(b"ab")
    conversation.receive(message[:-1], now=1.0)
    conversation.receive(message[-1:], now=1000.0)
    assert conversation.events[-1] == DataSetEnded()
    assert conversation.connection.next_timer() == 1300.0


@pytest.mark.parametrize("length", [1, 6, 9])
def test_part_of_a_pdu_between_messages_has_the_progress_limit(length: int):
    conversation = associated(POLICY)
    conversation.receive(wire.A_RELEASE_RQ[:length], now=1.0)
    assert conversation.connection.next_timer() == 31.0
    assert conversation.pass_time(31.0) == [PROGRESS]


def test_pause_between_command_and_data_set_has_the_progress_limit():
    conversation = associated(POLICY)
    conversation.receive(wire.command_pdu(wire.c_store_rq()), now=1.0)
    assert conversation.connection.next_timer() == 31.0


def test_each_message_has_a_window_of_its_own():
    conversation = associated(POLICY)
    message = wire.store(b"ab")
    half = len(message) // 2
    conversation.receive(message[:half], now=0.0)
    # The rest of the first and the head of the second come together, 29 s later.
    conversation.receive(message[half:] + message[:half], now=29.0)
    assert conversation.connection.next_timer() == 59.0


def test_early_failure_keeps_a_limit_on_the_rest():
    conversation = storing()
    conversation.connection.send(StoreResponse(StoreStatus.OUT_OF_RESOURCES), now=20.0)
    assert conversation.connection.next_timer() == 50.0
    assert conversation.pass_time(50.0) == [PROGRESS]


def test_limit_holds_for_an_association_accepted_after_the_bytes_ran_out():
    connection = AcceptorConnection(POLICY, 0.0)
    connection.receive_data(wire.associate_rq(), 0.0)
    connection.next_event()
    assert connection.next_event() is NEED_DATA
    connection.send(AcceptAssociation(), 50.0)
    assert connection.next_timer() == 350.0


def test_no_timer_runs_once_the_connection_is_closed():
    conversation = storing()
    conversation.receive(bytes(100), now=1.0)
    conversation.close(now=2.0)
    assert conversation.connection.next_timer() is None
    assert conversation.pass_time(1e9) == []
