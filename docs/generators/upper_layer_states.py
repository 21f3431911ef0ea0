"""The reference page of the upper layer's states, made from their table."""

from __future__ import annotations

from collections import defaultdict

from seriesgate.upper_layer.states import TRANSITIONS, Action, Input, State

PAGE = "upper-layer-states.md"

MEANINGS = {
    State.AWAITING_REQUEST: "connected, waiting for A-ASSOCIATE-RQ",
    State.AWAITING_LOCAL_ANSWER: "a request is being judged",
    State.ESTABLISHED: "the association stands, messages go to and fro",
    State.RELEASING: "the peer wants to end; confirmed at once",
    State.AWAITING_CLOSE: "over; the peer is to close the connection",
    State.CLOSED: "nothing left",
}

TITLE = """\
# States of the upper layer

<!-- Made by `make docs` from upper_layer/states.py. Change the table, not this page. -->

How seriesgate answers whatever a peer does: the state machine of DICOM PS3.8 section 9.2, for an
association acceptor that never asks for release itself. Six of the thirteen states of the standard
can be reached that way. The names of the actions (AE-6, AA-8, …) are those of the standard.
"""

DIAGRAM_INTRODUCTION = """\
## Diagram

Actions that lead to the same state share an arrow. What changes no state is left out.
"""

TABLE_INTRODUCTION = """\
## Table

Every input in every state. Empty cells can't happen, or are refused as a mistake of our own.
"""

ACTIONS_INTRODUCTION = """\
## Actions

ARTIM is the timer that bounds the time before a request and after the end. It is absolute: no byte
that arrives restarts it.

The standard lets AE-6 reject a request too. Here every rejection is AE-8, after the negotiation has
judged the request; the bytes are the same. AA-1 is there twice: for a peer that breaks the protocol
before it has an association, and for an abort of our own.
"""


def render() -> str:
    """Return the page."""
    parts = [
        TITLE,
        _states(),
        DIAGRAM_INTRODUCTION,
        _diagram(),
        TABLE_INTRODUCTION,
        _table(),
        ACTIONS_INTRODUCTION,
        _actions(),
    ]
    return "\n".join(parts)


def _states() -> str:
    rows = [f"| {state.value} | `{state.name}` | {text} |" for state, text in MEANINGS.items()]
    return "\n".join(["| PS3.8 | Name | Meaning |", "|---|---|---|", *rows, ""])


def _diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> AWAITING_REQUEST: connection opened"]
    for state in MEANINGS:
        arrows: defaultdict[State, list[str]] = defaultdict(list)
        for action in TRANSITIONS[state].values():
            if action.next_state is not state and action.name not in arrows[action.next_state]:
                arrows[action.next_state].append(action.name)
        lines += [
            f"    {state.name} --> {target.name}: {', '.join(names)}"
            for target, names in arrows.items()
            if names
        ]
    return "\n".join([*lines, "    CLOSED --> [*]", "```", ""])


def _table() -> str:
    columns = [state for state in MEANINGS if TRANSITIONS[state]]
    rows = [
        "| Input | " + " | ".join(f"{state.name} ({state.value})" for state in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for what in Input:
        cells = [_cell(TRANSITIONS[state].get(what)) for state in columns]
        rows.append(f"| {what.value} | " + " | ".join(cells) + " |")
    return "\n".join([*rows, ""])


def _cell(action: Action | None) -> str:
    return "" if action is None else f"{action.name} → {action.next_state.value}"


def _actions() -> str:
    unique = {
        (action.name, action.meaning): action.next_state
        for actions in TRANSITIONS.values()
        for action in actions.values()
    }
    rows = [
        f"| {name} | {meaning} | {next_state.name} |"
        for (name, meaning), next_state in sorted(unique.items(), key=lambda item: item[0])
    ]
    return "\n".join(["| Action | What is done | Next state |", "|---|---|---|", *rows, ""])
