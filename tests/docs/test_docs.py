"""The documents say what the code does."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path

import pytest
from docs.generators.fault_reference import FAULTS, proofs
from docs.generators.generate import pages

import seriesgate

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
ARCHITECTURE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")


def code_classes() -> dict[str, type]:
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(seriesgate.__path__, "seriesgate.")
        if module.name != "seriesgate.__main__" and ".migrations." not in module.name
    ]
    return {
        name: value
        for module in modules
        for name, value in inspect.getmembers(module, inspect.isclass)
        if value.__module__.startswith("seriesgate")
    }


def diagram_classes() -> dict[str, list[str]]:
    diagram = ARCHITECTURE.split("classDiagram")[1].split("```")[0]
    return {
        name: [line.strip() for line in body.splitlines() if line.strip()]
        for name, body in re.findall(r"class (\w+) \{(.*?)\}", diagram, re.DOTALL)
    }


@pytest.mark.parametrize(("path", "text"), pages().items(), ids=lambda value: str(value)[-20:])
def test_generated_page_is_fresh(path, text):
    assert path.read_text(encoding="utf-8") == text, "run `make docs`"


def test_class_diagram_names_classes_and_members_of_the_code():
    classes = code_classes()
    diagram = diagram_classes()
    assert len(diagram) > 10
    for name, members in diagram.items():
        for member in members:
            attribute, _, parameters = member.partition("(")
            fields = getattr(classes[name], "model_fields", {})
            assert hasattr(classes[name], attribute) or attribute in fields, f"{name}.{attribute}"
            for parameter in filter(None, parameters.rstrip(")").split(", ")):
                signature = inspect.signature(getattr(classes[name], attribute))
                assert parameter in signature.parameters, f"{name}.{member}"


def test_class_diagram_draws_arrows_between_its_classes_only():
    diagram = ARCHITECTURE.split("classDiagram")[1].split("```")[0]
    arrows = re.findall(r"^\s+(\w+) (?:o--|-->) (\w+)$", diagram, re.MULTILINE)
    assert {end for arrow in arrows for end in arrow} == set(diagram_classes())


def test_sequence_diagram_names_classes_of_the_code():
    diagram = ARCHITECTURE.split("sequenceDiagram")[1].split("```")[0]
    named = set(re.findall(r"participant (?:\w+ as )?(\w+)", diagram))
    assert named - set(code_classes()) == {"Journal", "Server", "Database"} - set(code_classes())


def test_arrows_of_the_class_diagram_are_in_the_code():
    classes = code_classes()
    diagram = ARCHITECTURE.split("classDiagram")[1].split("```")[0]
    for user, used in re.findall(r"^\s+(\w+) (?:o--|-->) (\w+)$", diagram, re.MULTILINE):
        known = words(classes[user]) & set(classes)
        assert used in known or any(
            implements(classes[used], classes[name]) for name in known - {user}
        ), f"{user} knows nothing of {used}"


def words(class_: type) -> set[str]:
    """Return the words of a class and of what its module imports."""
    source = inspect.getsource(class_)
    module = inspect.getsource(sys.modules[class_.__module__])
    functions = re.findall(r"^(?:async )?def .*?(?=^\S|\Z)", module, re.MULTILINE | re.DOTALL)
    return {word for text in (source, *functions) for word in re.findall(r"\w+", text)}


def implements(class_: type, port: type) -> bool:
    """Return whether a class has all that a protocol asks for."""
    if not getattr(port, "_is_protocol", False):
        return False
    wanted = [name for name in vars(port) if not name.startswith("_") or name == "__call__"]
    return bool(wanted) and all(hasattr(class_, name) for name in wanted)


def test_every_decision_is_named_in_what_it_governs():
    places = [
        *(ROOT / "src").rglob("*.py"),
        *(ROOT / "src").rglob("*.js"),
        *(ROOT / "bench").glob("*.py"),
        *(ROOT / name for name in ("pyproject.toml", "mkdocs.yml", "Makefile")),
    ]
    named = {
        int(number)
        for place in places
        for number in re.findall(r"\bADR (\d+)\b", place.read_text(encoding="utf-8"))
    }
    records = {int(path.name[:4]) for path in (ROOT / "docs/adr").glob("0*.md")}
    # The first is about the records themselves.
    assert records - named == {1}
    assert named <= records


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_every_dependency_has_its_reason():
    reasons = (ROOT / "docs/adr/0005-dependencies.md").read_text(encoding="utf-8").lower()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[(.*?)^\]", project, re.DOTALL | re.MULTILINE)
    assert listed
    names = re.findall(r'"([a-z-]+)', listed[1])
    assert len(names) > 5
    assert [name for name in names if name not in reasons] == []


@pytest.mark.parametrize(
    "lock", ["requirements.txt", "requirements-dev.txt", "requirements-docs.txt"]
)
def test_lock_file_has_hashes_and_names_no_index(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links", text)
    pins = re.findall(r"^\S+==\S+.*\\\n(?:    --hash=sha256:[0-9a-f]{64}.*\n)+", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 20


def test_every_fault_has_a_proof():
    assert set(proofs()) == set(FAULTS)
