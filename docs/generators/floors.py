"""The reference page of the floors, made from the contracts of import-linter and from the code."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

PAGE = "floors.md"

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"

TITLE = """\
# Floors

<!-- Made by `make docs` from the contracts in pyproject.toml and from the code. -->

Imports point downwards only, and never across a floor. `make check` holds these contracts with
[import-linter](https://import-linter.readthedocs.io). Why the floors are as they are is told in
[architecture](../explanation/architecture.md).
"""

FORBIDDEN = """\
## What must not be imported

Also by way of others.
"""

LIBRARIES = """\
## Which package uses which library

Why each library is there stands in [ADR 5](../adr/0005-dependencies.md).
"""


def contracts() -> list[dict[str, Any]]:
    """Return import-linter's contracts."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(project["tool"]["importlinter"]["contracts"])


def render() -> str:
    """Return the page."""
    layered = [each for each in contracts() if each["type"] == "layers"]
    return "\n".join(
        [
            TITLE,
            *(_floors(each) for each in layered),
            FORBIDDEN,
            _forbidden(),
            LIBRARIES,
            _libraries(),
        ]
    )


def purpose(module: str) -> str:
    """Return the first sentence of what a module, or a package, says of itself."""
    path = SOURCE / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).rstrip(".")


def _floors(contract: dict[str, Any]) -> str:
    (container,) = contract["containers"]
    rows = ["| floor | package | what it is |", "|---|---|---|"]
    layers = contract["layers"]
    for floor, layer in zip(range(len(layers) - 1, -1, -1), layers, strict=True):
        rows += [
            f"| {floor} | `{name}` | {purpose(f'{container}.{name}')} |"
            for name in map(str.strip, layer.split("|"))
        ]
    return "\n".join([f"## {contract['name']}", "", *rows, ""])


def _forbidden() -> str:
    rows = ["| rule | of | not |", "|---|---|---|"]
    for contract in contracts():
        if contract["type"] == "forbidden":
            of, what = contract["source_modules"], contract["forbidden_modules"]
        elif contract["type"] == "independence":
            of = what = contract["modules"]
        else:
            continue
        rows.append(f"| {contract['name']} | {_names(of)} | {_names(what)} |")
    return "\n".join([*rows, ""])


def _names(modules: list[str]) -> str:
    return ", ".join(f"`{module.removeprefix('seriesgate.')}`" for module in modules)


def _libraries() -> str:
    used: defaultdict[str, set[str]] = defaultdict(set)
    distributions = _distributions()
    for path in sorted((SOURCE / "seriesgate").rglob("*.py")):
        package = ".".join(path.relative_to(SOURCE / "seriesgate").with_suffix("").parts[:2])
        for library in _imports(path) & distributions.keys():
            used[library].add(package.removesuffix(".__init__"))
    rows = ["| library | used in |", "|---|---|"]
    rows += [f"| {distributions[name]} | {_names(sorted(used[name]))} |" for name in sorted(used)]
    rows += [
        f"| {distributions[name]} | by way of another library |"
        for name in sorted(distributions.keys() - used)
    ]
    return "\n".join([*rows, ""])


def _distributions() -> dict[str, str]:
    """Return the declared dependencies by the names that they are imported by."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = [re.split(r"[\[<>=~!;]", each)[0] for each in project["project"]["dependencies"]]
    return {{"pillow": "PIL"}.get(name, name.replace("-", "_")): name for name in names}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found
