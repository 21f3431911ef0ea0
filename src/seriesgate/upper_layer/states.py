"""The state machine of an acceptor that never asks for release (PS3.8 9.2), as data alone.

Of the thirteen states of PS3.8 six can be reached: the others belong to a requestor (Sta4, Sta5) or
to an AE that sent A-RELEASE-RQ itself (Sta7, Sta9 to Sta12). The actions keep the names of PS3.8
Tables 9-6 to 9-9; what they do is a list of effects, which `acceptor` carries out in their order.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class State(Enum):
    """Where the dialogue stands. The value is the number of the state in PS3.8 9.2.1."""

    CLOSED = "Sta1"
    AWAITING_REQUEST = "Sta2"
    AWAITING_LOCAL_ANSWER = "Sta3"
    ESTABLISHED = "Sta6"
    RELEASING = "Sta8"
    AWAITING_CLOSE = "Sta13"


class Input(Enum):
    """What can happen. The value says it in words."""

    ASSOCIATE_RQ = "A-ASSOCIATE-RQ received"
    ASSOCIATE_AC = "A-ASSOCIATE-AC received"
    ASSOCIATE_RJ = "A-ASSOCIATE-RJ received"
    P_DATA = "P-DATA-TF received"
    RELEASE_RQ = "A-RELEASE-RQ received"
    RELEASE_RP = "A-RELEASE-RP received"
    ABORT = "A-ABORT received"
    INVALID_PDU = "unknown or invalid PDU received"
    TRANSPORT_CLOSED = "connection closed by the peer"
    ARTIM_EXPIRED = "ARTIM timer expired"
    LOCAL_ACCEPT = "local: accept the association"
    LOCAL_REJECT = "local: reject the association"
    LOCAL_DATA = "local: send a response"
    LOCAL_RELEASE = "local: confirm the release"
    LOCAL_ABORT = "local: abort"


class Effect(Enum):
    """One thing that `acceptor` does to carry out an action."""

    SEND_PDU = auto()
    SEND_RELEASE_RP = auto()
    SEND_USER_ABORT = auto()
    SEND_PROVIDER_ABORT = auto()
    START_ARTIM = auto()
    STOP_ARTIM = auto()
    INTERRUPT_STORE = auto()
    TELL = auto()
    TELL_VIOLATION = auto()
    CLOSE = auto()


class Action(NamedTuple):
    """An action of PS3.8 Tables 9-6 to 9-9: its effects, and the state that follows."""

    name: str
    meaning: str
    effects: tuple[Effect, ...]
    next_state: State


# PS3.8 lets AE-6 reject at once what the provider can't take. Here the negotiation judges the
# protocol version together with all the rest, so that rejection is always AE-8: the same bytes.
AE_6 = Action(
    "AE-6",
    "stop ARTIM, tell the request",
    (Effect.STOP_ARTIM, Effect.TELL),
    State.AWAITING_LOCAL_ANSWER,
)
AE_7 = Action("AE-7", "send A-ASSOCIATE-AC", (Effect.SEND_PDU, Effect.TELL), State.ESTABLISHED)
AE_8 = Action(
    "AE-8",
    "send A-ASSOCIATE-RJ, start ARTIM",
    (Effect.SEND_PDU, Effect.START_ARTIM, Effect.TELL),
    State.AWAITING_CLOSE,
)

# Data transfer changes no state: `messages` does it, without a look-up here for each fragment.
DT_1 = Action("DT-1", "send P-DATA-TF", (), State.ESTABLISHED)
DT_2 = Action("DT-2", "take the fragment", (), State.ESTABLISHED)
AR_7 = Action("AR-7", "send P-DATA-TF", (), State.RELEASING)

AR_2 = Action(
    "AR-2",
    "interrupt a store under way, tell the release",
    (Effect.INTERRUPT_STORE, Effect.TELL),
    State.RELEASING,
)
AR_4 = Action(
    "AR-4",
    "send A-RELEASE-RP, start ARTIM",
    (Effect.SEND_RELEASE_RP, Effect.START_ARTIM),
    State.AWAITING_CLOSE,
)
AR_5 = Action("AR-5", "stop ARTIM", (Effect.STOP_ARTIM, Effect.CLOSE), State.CLOSED)

# PS3.8 tells the user nothing in Sta2, for there is no association yet. An operator wants to know.
AA_1 = Action(
    "AA-1",
    "send A-ABORT as user, start ARTIM, tell the violation",
    (Effect.SEND_USER_ABORT, Effect.START_ARTIM, Effect.TELL_VIOLATION),
    State.AWAITING_CLOSE,
)
AA_1_LOCAL = Action(
    "AA-1",
    "interrupt a store under way, send A-ABORT as user, start ARTIM",
    (Effect.INTERRUPT_STORE, Effect.SEND_USER_ABORT, Effect.START_ARTIM),
    State.AWAITING_CLOSE,
)
AA_2 = Action(
    "AA-2", "stop ARTIM, close the connection", (Effect.STOP_ARTIM, Effect.CLOSE), State.CLOSED
)
AA_3 = Action(
    "AA-3",
    "interrupt a store under way, tell the abort, close the connection",
    (Effect.INTERRUPT_STORE, Effect.TELL, Effect.CLOSE),
    State.CLOSED,
)
AA_4 = Action(
    "AA-4",
    "interrupt a store under way, tell the loss of the connection",
    (Effect.INTERRUPT_STORE, Effect.TELL, Effect.CLOSE),
    State.CLOSED,
)
AA_5 = Action("AA-5", "stop ARTIM", (Effect.STOP_ARTIM, Effect.CLOSE), State.CLOSED)
AA_6 = Action("AA-6", "ignore the PDU", (), State.AWAITING_CLOSE)
AA_7 = Action(
    "AA-7", "send A-ABORT as provider", (Effect.SEND_PROVIDER_ABORT,), State.AWAITING_CLOSE
)
AA_8 = Action(
    "AA-8",
    "interrupt a store under way, send A-ABORT as provider, start ARTIM, tell the violation",
    (
        Effect.INTERRUPT_STORE,
        Effect.SEND_PROVIDER_ABORT,
        Effect.START_ARTIM,
        Effect.TELL_VIOLATION,
    ),
    State.AWAITING_CLOSE,
)

# PS3.8 Table 9-10. A pair that is not here can't happen (ARTIM runs in Sta2 and Sta13 only) or is
# not allowed (local inputs).
TRANSITIONS: dict[State, dict[Input, Action]] = {
    State.CLOSED: {},
    State.AWAITING_REQUEST: {
        Input.ASSOCIATE_RQ: AE_6,
        Input.ASSOCIATE_AC: AA_1,
        Input.ASSOCIATE_RJ: AA_1,
        Input.P_DATA: AA_1,
        Input.RELEASE_RQ: AA_1,
        Input.RELEASE_RP: AA_1,
        Input.ABORT: AA_2,
        Input.INVALID_PDU: AA_1,
        Input.TRANSPORT_CLOSED: AA_5,
        Input.ARTIM_EXPIRED: AA_2,
    },
    State.AWAITING_LOCAL_ANSWER: {
        Input.ASSOCIATE_RQ: AA_8,
        Input.ASSOCIATE_AC: AA_8,
        Input.ASSOCIATE_RJ: AA_8,
        Input.P_DATA: AA_8,
        Input.RELEASE_RQ: AA_8,
        Input.RELEASE_RP: AA_8,
        Input.ABORT: AA_3,
        Input.INVALID_PDU: AA_8,
        Input.TRANSPORT_CLOSED: AA_4,
        Input.LOCAL_ACCEPT: AE_7,
        Input.LOCAL_REJECT: AE_8,
        Input.LOCAL_ABORT: AA_1_LOCAL,
    },
    State.ESTABLISHED: {
        Input.ASSOCIATE_RQ: AA_8,
        Input.ASSOCIATE_AC: AA_8,
        Input.ASSOCIATE_RJ: AA_8,
        Input.P_DATA: DT_2,
        Input.RELEASE_RQ: AR_2,
        Input.RELEASE_RP: AA_8,
        Input.ABORT: AA_3,
        Input.INVALID_PDU: AA_8,
        Input.TRANSPORT_CLOSED: AA_4,
        Input.LOCAL_DATA: DT_1,
        Input.LOCAL_ABORT: AA_1_LOCAL,
    },
    State.RELEASING: {
        Input.ASSOCIATE_RQ: AA_8,
        Input.ASSOCIATE_AC: AA_8,
        Input.ASSOCIATE_RJ: AA_8,
        Input.P_DATA: AA_8,
        Input.RELEASE_RQ: AA_8,
        Input.RELEASE_RP: AA_8,
        Input.ABORT: AA_3,
        Input.INVALID_PDU: AA_8,
        Input.TRANSPORT_CLOSED: AA_4,
        Input.LOCAL_DATA: AR_7,
        Input.LOCAL_RELEASE: AR_4,
        Input.LOCAL_ABORT: AA_1_LOCAL,
    },
    State.AWAITING_CLOSE: {
        Input.ASSOCIATE_RQ: AA_7,
        Input.ASSOCIATE_AC: AA_6,
        Input.ASSOCIATE_RJ: AA_6,
        Input.P_DATA: AA_6,
        Input.RELEASE_RQ: AA_6,
        Input.RELEASE_RP: AA_6,
        Input.ABORT: AA_2,
        Input.INVALID_PDU: AA_7,
        Input.TRANSPORT_CLOSED: AR_5,
        Input.ARTIM_EXPIRED: AA_2,
    },
}
