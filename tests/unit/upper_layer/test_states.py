from __future__ import annotations

from itertools import product

import pytest
from pynetdicom.fsm import TRANSITION_TABLE
from tests.unit.upper_layer import wire
from tests.unit.upper_layer.conversation import POLICY

from seriesgate.upper_layer.acceptor import AcceptorConnection
from seriesgate.upper_layer.errors import LocalMisuse
from seriesgate.upper_layer.events import (
    NEED_DATA,
    Abort,
    AcceptAssociation,
    AssociationRequested,
    Event,
    LocalMessage,
    PeerViolated,
    RejectAssociation,
    StoreResponse,
)
from seriesgate.upper_layer.pdu import RejectReason, RejectResult
from seriesgate.upper_layer.states import TRANSITIONS, Input, State

# PS3.8 Table 9-10, the columns of the states an acceptor can reach; "-" is an empty cell.
STANDARD = """
                    Sta1   Sta2   Sta3   Sta6   Sta8   Sta13
ASSOCIATE_RQ        -      AE-6   AA-8   AA-8   AA-8   AA-7
ASSOCIATE_AC        -      AA-1   AA-8   AA-8   AA-8   AA-6
ASSOCIATE_RJ        -      AA-1   AA-8   AA-8   AA-8   AA-6
P_DATA              -      AA-1   AA-8   DT-2   AA-8   AA-6
RELEASE_RQ          -      AA-1   AA-8   AR-2   AA-8   AA-6
RELEASE_RP          -      AA-1   AA-8   AA-8   AA-8   AA-6
ABORT               -      AA-2   AA-3   AA-3   AA-3   AA-2
INVALID_PDU         -      AA-1   AA-8   AA-8   AA-8   AA-7
TRANSPORT_CLOSED    -      AA-5   AA-4   AA-4   AA-4   AR-5
ARTIM_EXPIRED       -      AA-2   -      -      -      AA-2
LOCAL_ACCEPT        -      -      AE-7   -      -      -
LOCAL_REJECT        -      -      AE-8   -      -      -
LOCAL_DATA          -      -      -      DT-1   AR-7   -
LOCAL_RELEASE       -      -      -      -      AR-4   -
LOCAL_ABORT         -      -      AA-1   AA-1   AA-1   -
"""

# PS3.8 Tables 9-6 to 9-9: the state that follows.
NEXT_STATES = {
    "AE-6": "Sta3", "AE-7": "Sta6", "AE-8": "Sta13",
    "DT-1": "Sta6", "DT-2": "Sta6",
    "AR-2": "Sta8", "AR-4": "Sta13", "AR-5": "Sta1", "AR-7": "Sta8",
    "AA-1": "Sta13", "AA-2": "Sta1", "AA-3": "Sta1", "AA-4": "Sta1", "AA-5": "Sta1",
    "AA-6": "Sta13", "AA-7": "Sta13", "AA-8": "Sta13",
}  # fmt: skip

# Numbers of the events in PS3.8 Table 9-10.
EVENT_NUMBERS = {
    Input.ASSOCIATE_AC: 3,
    Input.ASSOCIATE_RJ: 4,
    Input.ASSOCIATE_RQ: 6,
    Input.LOCAL_ACCEPT: 7,
    Input.LOCAL_REJECT: 8,
    Input.LOCAL_DATA: 9,
    Input.P_DATA: 10,
    Input.RELEASE_RQ: 12,
    Input.RELEASE_RP: 13,
    Input.LOCAL_RELEASE: 14,
    Input.LOCAL_ABORT: 15,
    Input.ABORT: 16,
    Input.TRANSPORT_CLOSED: 17,
    Input.ARTIM_EXPIRED: 18,
    Input.INVALID_PDU: 19,
}


def standard_cells() -> dict[tuple[State, Input], str]:
    header, *rows = STANDARD.strip().splitlines()
    states = [State(number) for number in header.split()]
    cells: dict[tuple[State, Input], str] = {}
    for row in rows:
        name, *actions = row.split()
        for state, action in zip(states, actions, strict=True):
            cells[state, Input[name]] = action
    return cells


CELLS = standard_cells()


def test_table_is_that_of_the_standard():
    assert set(CELLS) == set(product(State, Input))
    ours = {
        (state, what): TRANSITIONS[state][what].name if what in TRANSITIONS[state] else "-"
        for state, what in product(State, Input)
    }
    assert ours == CELLS


def test_table_is_that_of_pynetdicom():
    for (state, what), name in CELLS.items():
        theirs = TRANSITION_TABLE.get((f"Evt{EVENT_NUMBERS[what]}", state.value), "-")
        assert theirs == name, (state, what)


def test_every_action_leads_where_the_standard_says():
    for actions in TRANSITIONS.values():
        for action in actions.values():
            assert action.next_state.value == NEXT_STATES[action.name]


RECEIVED = {
    Input.ASSOCIATE_RQ: wire.associate_rq(),
    Input.ASSOCIATE_AC: wire.associate_ac(),
    Input.ASSOCIATE_RJ: wire.A_ASSOCIATE_RJ,
    Input.P_DATA: wire.command_pdu(wire.c_echo_rq()),
    Input.RELEASE_RQ: wire.A_RELEASE_RQ,
    Input.RELEASE_RP: wire.A_RELEASE_RP,
    Input.ABORT: wire.A_ABORT_BY_USER,
    Input.INVALID_PDU: wire.pdu(0x42, b""),
}

MESSAGES: dict[Input, LocalMessage] = {
    Input.LOCAL_ACCEPT: AcceptAssociation(),
    Input.LOCAL_REJECT: RejectAssociation(
        RejectResult.TRANSIENT, RejectReason.LOCAL_LIMIT_EXCEEDED
    ),
    Input.LOCAL_DATA: StoreResponse(0),
    Input.LOCAL_ABORT: Abort(),
}


def drain(connection: AcceptorConnection) -> list[Event]:
    events: list[Event] = []
    while (event := connection.next_event()) is not NEED_DATA:
        events.append(event)
    return events


def connection_in(state: State) -> AcceptorConnection:
    """Return a connection that came into `state` as a real one does."""
    connection = AcceptorConnection(POLICY, now=0.0)
    if state is State.AWAITING_REQUEST:
        return connection
    connection.receive_data(wire.associate_rq(), 0.0)
    assert isinstance(connection.next_event(), AssociationRequested)
    if state is not State.AWAITING_LOCAL_ANSWER:
        connection.send(AcceptAssociation(), 0.0)
    if state is State.RELEASING:
        # Left in the same breath, because the core itself confirms the release.
        connection._state = State.RELEASING
    elif state is State.AWAITING_CLOSE:
        connection.receive_data(wire.A_RELEASE_RQ, 0.0)
    elif state is State.CLOSED:
        connection.receive_data(wire.A_ABORT_BY_USER, 0.0)
    drain(connection)
    connection.data_to_send()
    assert connection.state is state
    return connection


def output_of(action: str, what: Input) -> bytes:
    """Return what the action writes, given the input of this test."""
    reason = 1 if what is Input.INVALID_PDU else 2
    return {
        "AA-1": bytes.fromhex("07 00 00000004 0000 00 00"),
        "AA-7": bytes.fromhex("07 00 00000004 0000 02") + bytes((reason,)),
        "AA-8": bytes.fromhex("07 00 00000004 0000 02") + bytes((reason,)),
        "AE-8": bytes.fromhex("03 00 00000004 00 02 03 02"),
        "AR-2": wire.A_RELEASE_RP,
        "DT-2": wire.command_pdu(wire.c_echo_rsp(), 1),
    }.get(action, b"")


EVENTS = {
    "AE-6": ["AssociationRequested"],
    "AE-7": ["AssociationAccepted"],
    "AE-8": ["AssociationRejected"],
    "DT-2": ["EchoAnswered"],
    "AR-2": ["AssociationReleased"],
    "AR-5": ["ConnectionClosed"],
    "AA-2": ["ConnectionClosed"],
    "AA-3": ["AssociationAborted", "ConnectionClosed"],
    "AA-4": ["ConnectionLost", "ConnectionClosed"],
    "AA-5": ["ConnectionClosed"],
    "AA-8": ["PeerViolated"],
}


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
@pytest.mark.parametrize("what", RECEIVED, ids=lambda what: what.name)
def test_received_pdu_does_what_the_table_says(state: State, what: Input):
    connection = connection_in(state)
    action = CELLS[state, what]
    data = RECEIVED[what]
    if what is Input.P_DATA:
        data = wire.command_pdu(wire.c_echo_rq(), 1)
    connection.receive_data(data, 1.0)
    events = drain(connection)
    assert connection.data_to_send() == output_of(action, what)
    # The core confirms a release at once (AR-4), so that Sta8 is passed through.
    follows = "Sta13" if action == "AR-2" else NEXT_STATES.get(action, state.value)
    assert connection.state is State(follows)
    expected = ["PeerViolated"] if action == "AA-1" else EVENTS.get(action, [])
    assert names(events) == expected
    assert connection.closed is (follows == "Sta1")


@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
def test_closed_connection_does_what_the_table_says(state: State):
    connection = connection_in(state)
    action = CELLS[state, Input.TRANSPORT_CLOSED]
    connection.receive_data(b"", 1.0)
    assert names(drain(connection)) == EVENTS.get(action, [])
    assert connection.closed
    assert connection.data_to_send() == b""
    assert connection.next_timer() is None


@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
def test_artim_does_what_the_table_says(state: State):
    connection = connection_in(state)
    connection.handle_timer(29.9)
    assert drain(connection) == []
    connection.handle_timer(30.0)
    runs = CELLS[state, Input.ARTIM_EXPIRED] == "AA-2"
    assert names(drain(connection)) == (["TimedOut", "ConnectionClosed"] if runs else [])
    assert connection.state is (State.CLOSED if runs else state)
    assert connection.data_to_send() == b""


@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
@pytest.mark.parametrize("what", MESSAGES, ids=lambda what: what.name)
def test_local_message_does_what_the_table_says(state: State, what: Input):
    connection = connection_in(state)
    action = CELLS[state, what]
    # Without a store under way there is nothing to respond to, even where PS3.8 allows P-DATA.
    if action in ("-", "DT-1", "AR-7"):
        with pytest.raises(LocalMisuse):
            connection.send(MESSAGES[what], 1.0)
        assert connection.state is state
        assert connection.data_to_send() == b""
        return
    connection.send(MESSAGES[what], 1.0)
    assert connection.state is State(NEXT_STATES[action])
    output = connection.data_to_send()
    assert output[:1] == b"\x02" if action == "AE-7" else output == output_of(action, what)
    assert names(drain(connection)) == EVENTS.get(action, [])


def test_violation_names_what_was_unexpected_and_where():
    connection = connection_in(State.ESTABLISHED)
    connection.receive_data(wire.A_RELEASE_RP, 1.0)
    (violated,) = drain(connection)
    assert isinstance(violated, PeerViolated)
    assert violated.detail == "A-RELEASE-RP received in state ESTABLISHED (Sta6)"
