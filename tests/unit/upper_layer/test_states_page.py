from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from seriesgate.upper_layer.states import TRANSITIONS, State

DOCS = Path(__file__).parents[3] / "docs"
GENERATOR = DOCS / "generators" / "upper_layer_states.py"


@pytest.fixture(scope="module")
def page() -> str:
    rendered = runpy.run_path(str(GENERATOR))["render"]()
    assert isinstance(rendered, str)
    return rendered


def test_committed_page_is_what_the_table_says(page: str):
    committed = DOCS / "reference" / "upper-layer-states.md"
    assert committed.read_text(encoding="utf-8") == page, "run `make docs`"


def test_page_shows_every_state_and_every_action(page: str):
    assert "stateDiagram-v2" in page
    for state in State:
        assert f"| {state.value} | `{state.name}` |" in page
    for actions in TRANSITIONS.values():
        for what, action in actions.items():
            assert f"| {action.name} | {action.meaning} | {action.next_state.name} |" in page
            assert f"| {what.value} |" in page


def test_diagram_has_an_arrow_for_each_change_of_state(page: str):
    for state, actions in TRANSITIONS.items():
        for action in actions.values():
            arrow = f"    {state.name} --> {action.next_state.name}: "
            lines = [line for line in page.splitlines() if line.startswith(arrow)]
            if action.next_state is state:
                assert lines == []
            else:
                assert action.name in lines[0].removeprefix(arrow).split(", ")
