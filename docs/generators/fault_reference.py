"""The reference page of the faults, made from the tests that prove what becomes of each."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from tests.crash.site import Fault
from tests.crash.test_counted_faults import clean_run
from tests.crash.test_crash_states import ALL_STATES

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "faults.md"
TESTS = Path(__file__).parents[2] / "tests"

#: What can go wrong, and what then becomes of it.
FAULTS = {
    "F1": ("the gateway is killed at any step", "no 0000, no instance; else delivered, one row"),
    "F2": ("it is killed while it recovers, again and again", "the same end state"),
    "F3": ("power is lost at any step", "no acknowledged file is missing, empty or torn"),
    "F4": ("the disk is full", "A700; the association stays; the next instance works"),
    "F5": ("the disk is nearly full", "refused before it is full; recovers by itself"),
    "F6": ("the disk fails: I/O errors, failed syncs", "A700; the file is never trusted again"),
    "F7": ("no file descriptors", "refused, or the start stops with one line; recovers"),
    "F8": ("the server is not there, or the connection breaks", "retried for ever; ingest goes on"),
    "F9": ("500, 502, 503, 429, 408, 425", "retried; Retry-After is honoured"),
    "F10": ("409 for another content", "dead letter; the files stay"),
    "F11": ("400, 413, 415, 422", "dead letter at once; the files stay; the others go on"),
    "F12": ("401, 403, 404, 3xx", "retried slowly, never dropped; no redirect is followed"),
    "F13": ("2xx with HTML, another series, no end", "no success: retried"),
    "F14": ("a server that is slow or never answers", "given up in time; other series go on"),
    "F15": ("the server dies after its commit", "one row after the retry"),
    "F16": ("the time of day jumps", "no timer moves"),
    "F17": ("the process is stopped for a while", "the series closes once"),
    "F18": ("the peer vanishes", "noticed; the instance under way is dropped"),
    "F19": ("slowloris, before the request and inside a PDU", "closed at an absolute limit"),
    "F20": ("thousands of silent connections; other protocols", "closed in time; others served"),
    "F21": ("reset or end inside a PDU or a message", "no file; no series is held open"),
    "F22": ("PDUs split and joined anywhere", "the same result"),
    "F23": ("too many associations at once", "rejected at once; the accepted lose nothing"),
    "F24": ("many interleaved series", "each complete, closed once"),
    "F25": ("a huge object, a huge series", "streamed in flat memory"),
    "F26": ("an instance just before, just after, long after closing", "counted once, in order"),
    "F27": ("a spooled file is damaged", "quarantine; named, not counted; the rest is delivered"),
    "F28": ("the journal is lost or damaged anywhere", "said; rebuilt from the spool; none lost"),
    "F29": ("foreign entries in the spool", "put away; never followed"),
    "F30": ("two gateways on one folder", "the second refuses to start"),
    "F31": ("SIGTERM under load", "messages under way end; the rest is aborted; no loss"),
    "F32": ("the database is locked, full, restarted", "503 or waited for; no partial row"),
    "F33": ("the same report at the same moment", "one row, both succeed"),
    "F34": ("a state folder or database of a newer version", "refused, left alone"),
    "F35": ("a worker of the server is killed under load", "started again; no answer is broken"),
}

INTRODUCTION = """\
# Faults and their proofs

<!-- Made by `make docs` from the marks of the tests. Mark a test, do not change this page. -->

What can go wrong, what then becomes of it, and the tests that show it. The promises behind are in
[What is promised, and how far](../explanation/delivery-guarantees.md).
"""


def proofs() -> dict[str, list[str]]:
    """Return the names of the tests that are marked with each fault."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for fault in _marks(node):
                found[fault].append(_name(node))
    return dict(found)


def render() -> str:
    """Return the page."""
    marked = proofs()
    lines = [INTRODUCTION, "| fault | outcome | proven by |", "|---|---|---|"]
    for number, (fault, outcome) in FAULTS.items():
        tests = ", ".join(f"`{name}`" for name in marked.get(number, [])) or "not proven by a test"
        lines.append(f"| {number}: {fault} | {outcome} | {tests} |")
    return "\n".join([*lines, "", _counts(), ""])


def _counts() -> str:
    operations = clean_run()[0].operations
    points = sum(fault.applies_to(name) for fault in Fault for name in operations)
    return (
        f"A short day of a gateway has {len(operations)} operations on files, journal and server.\n"
        "`make prove` lets each fail in each way it can, the death of the process among them: "
        f"{points} runs.\n"
        f"It starts a gateway on over {ALL_STATES} states of the disk that a loss of power "
        "may leave.\n"
        "`make test` takes a sample of both; `make simulate` and `make soak` take long days, and "
        "real\nprocesses that are killed under load."
    )


def _marks(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Assign):
        searched: list[ast.expr] = [node.value]
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        searched = node.decorator_list
    else:
        return
    for expression in searched:
        for call in ast.walk(expression):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.fault":
                yield from (ast.literal_eval(argument) for argument in call.args)


def _name(node: ast.stmt) -> str:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[target]):
            return ast.unparse(target)
    raise TypeError(f"a mark on line {node.lineno} is on no test")
