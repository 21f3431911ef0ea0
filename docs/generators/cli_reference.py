"""The reference page of the command line, made from its help texts."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from seriesgate.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "cli.md"


def render() -> str:
    """Return the page."""
    root = typer.main.get_group(app)
    lines = [
        "# Commands",
        "",
        "Exit codes: 0 all is well; 1 it did not work, and one line says why; 2 the command line",
        "or a setting is wrong; 3 the answer is that all is not well (`status`,",
        "`spool verify`); 130 interrupted.",
    ]
    for name, command in _commands(root, "seriesgate"):
        lines += ["", f"## `{name}`", "", *_help(command), "", *_parameters(command)]
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def _commands(group: TyperGroup, prefix: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        path = f"{prefix} {name}"
        if isinstance(command, TyperGroup):
            yield from _commands(command, path)
        elif isinstance(command, TyperCommand):
            yield path, command


def _help(command: TyperCommand) -> list[str]:
    return inspect.cleandoc(command.help or "").splitlines()


def _parameters(command: TyperCommand) -> list[str]:
    rows = [
        f"| `{_usage(parameter)}` | {_meaning(parameter)} |"
        for parameter in command.params
        if isinstance(parameter, TyperArgument | TyperOption) and parameter.name != "help"
    ]
    return ["| parameter | meaning |", "|---|---|", *rows] if rows else []


def _usage(parameter: TyperArgument | TyperOption) -> str:
    if isinstance(parameter, TyperArgument):
        return (parameter.name or "").upper()
    return ", ".join(parameter.opts)


def _meaning(parameter: TyperArgument | TyperOption) -> str:
    default = parameter.default
    if not default or callable(default):
        return parameter.help or ""
    return f"{parameter.help} Default: `{default}`."
