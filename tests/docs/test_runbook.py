"""The runbook has a place for everything that the programs complain of."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "how-to" / "runbook.md").read_text(encoding="utf-8")
_COMPLAINTS = frozenset({"warning", "error", "exception", "critical", "log"})


@functools.cache
def complaints() -> frozenset[str]:
    """Return each message of level warning and above, its values as an ellipsis."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="_log"), attr=level), args=arguments
                ) if level in _COMPLAINTS:
                    text = arguments[1] if level == "log" else arguments[0]
                    assert isinstance(text, ast.Constant), f"{path}:{node.lineno}"
                    found.add(re.sub(r"%[-0-9.]*[a-z]", "…", str(text.value)))
    return frozenset(found)


def listed_messages() -> set[str]:
    tables = RUNBOOK.split("## Messages of the gateway's log")[1].split("## Metrics")[0]
    return {text for _, text in re.findall(r"^\| (`{1,2})(.+?)\1 \|", tables, re.MULTILINE)}


def test_every_complaint_of_the_code_has_its_place_and_no_other():
    assert len(complaints()) > 20
    assert listed_messages() == complaints()


def test_every_metric_has_its_place_and_no_other():
    reference = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")  # held to the code
    exported = set(re.findall(r"^\| `(\w+)` \|", reference, re.MULTILINE))
    tables = RUNBOOK.split("## Metrics of the gateway")[1]
    first_cells = re.findall(r"^\| (`.*?) \|", tables, re.MULTILINE)
    listed = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    assert len(exported) > 30
    assert listed == exported


def test_every_logger_is_called_by_the_name_that_the_test_looks_for():
    for path in (ROOT / "src").rglob("*.py"):
        named = re.findall(r"^(\w+) = logging\.getLogger\(", path.read_text("utf-8"), re.MULTILINE)
        assert set(named) <= {"_log", "access_log"}, path
