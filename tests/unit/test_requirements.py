"""`pip install -r requirements.txt && pip install .` is enough to run both programs."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]


def pinned() -> dict[str, Version]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.rstrip(" \\").partition(";")[0] for line in lines if line[:1].isalpha())
    requirements = [Requirement(pin) for pin in pins]
    return {
        canonicalize_name(each.name): Version(next(iter(each.specifier)).version)
        for each in requirements
    }


def wanted() -> list[Requirement]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return [Requirement(each) for each in tomllib.load(file)["project"]["dependencies"]]


def imported() -> set[str]:
    """Return the top level names of what the source imports, wherever it does."""
    names: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"seriesgate"}


def test_lock_has_a_fitting_version_of_all_that_the_project_asks_for():
    """So that `pip install .` after it finds everything there, and fetches nothing else."""
    pins = pinned()
    for requirement in wanted():
        name = canonicalize_name(requirement.name)
        assert requirement.specifier.contains(pins[name]), requirement
        for extra in requirement.extras:
            assert canonicalize_name(f"{name}-{extra}") in pins, requirement


def test_all_that_is_imported_is_asked_for():
    """A package that is there because another needs it may be gone with the next lock."""
    asked = {canonicalize_name(each.name) for each in wanted()}
    of_module = packages_distributions()
    for name in imported():
        distributions = {canonicalize_name(each) for each in of_module[name]}
        assert distributions & (asked | {"pydantic-core"}), name  # pydantic pins its own core


def test_every_pin_has_a_hash():
    entries = (ROOT / "requirements.txt").read_text(encoding="utf-8").split("\n    # via")
    assert all("--hash=sha256:" in entry for entry in entries[:-1])
