"""What a program says when something unexpected ends it, or goes wrong in its loop."""

from __future__ import annotations

import asyncio

import pytest

from seriesgate import programs
from seriesgate.programs import _exit_code, _until_told_to_stop
from seriesgate.startup import CannotStart, MustStop


@pytest.fixture(autouse=True)
def _logging_of_the_tests(monkeypatch):
    monkeypatch.setattr(programs, "configure_logging", lambda _log_format: None)


@pytest.mark.parametrize("kind", [ValueError, RecursionError, MemoryError, UnicodeError])
def test_program_that_ends_unexpectedly_says_what_and_where_without_the_text(capsys, kind):
    def run() -> int:
        raise kind("Doe^Jane")

    assert _exit_code(run, "text") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"seriesgate: internal error: {kind.__name__} at test_programs.py:")
    assert said.count("\n") == 1
    assert "Doe" not in said


@pytest.mark.parametrize("kind", [CannotStart, MustStop])
def test_reason_for_a_person_is_said_as_it_is(capsys, kind):
    def run() -> int:
        raise kind("the port is taken")

    assert _exit_code(run, "text") == 1
    assert capsys.readouterr().err == "seriesgate: the port is taken\n"


def test_failure_of_a_callback_is_logged_without_its_text(caplog):
    def fail() -> None:
        raise ValueError("Doe^Jane")

    async def program(_stop: asyncio.Event, _on_ready: object) -> None:
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(_until_told_to_stop(program, lambda _address: None))
    (record,) = caplog.records
    assert record.getMessage().startswith("internal error: ValueError at test_programs.py:")
    assert record.exc_info is None
    assert "Doe" not in caplog.text
