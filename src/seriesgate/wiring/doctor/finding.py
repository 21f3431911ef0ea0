"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a thing stands."""

    OK = "ok"
    #: It works, and somebody should look at it.
    WARNING = "warning"
    #: Something does not work, or soon will not.
    PROBLEM = "problem"
    #: It can't be checked now; the text says why.
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was checked, how it stands, and what to do if it is not well.

    It never has a token, nor anything of a patient.
    """

    check: str
    verdict: Verdict
    text: str


def ok(check: str, text: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Verdict.OK, text)


def warning(check: str, text: str) -> Finding:
    """Return that somebody should look."""
    return Finding(check, Verdict.WARNING, text)


def problem(check: str, text: str) -> Finding:
    """Return that something does not work."""
    return Finding(check, Verdict.PROBLEM, text)


def skipped(check: str, text: str) -> Finding:
    """Return why it was not checked."""
    return Finding(check, Verdict.SKIPPED, f"not checked: {text}")
