"""What the pages tell people to type and to set works as it is written."""

from __future__ import annotations

import functools
import json
import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from seriesgate.cli import app
from seriesgate.settings.gateway import GatewaySettings
from seriesgate.settings.loading import ENVIRONMENT_PREFIX, load_settings
from seriesgate.settings.server import ServerSettings

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    if "adr" not in path.parts and path.name != "CHANGELOG.md"
)
DEPLOYED = sorted(path for path in ROOT.glob("deploy/**/*") if path.is_file())
SECTIONS = {"gateway": GatewaySettings.model_fields, "server": ServerSettings.model_fields}
# What is said in capitals, for the reader to put a value there.
PLACEHOLDER = {"HOST:PORT": "127.0.0.1:6667", "FILE": "some.file", "NAME": "ris"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for language, body in re.findall(
            r"^ *```(\w+)[^\n]*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE
        ):
            if language in languages:
                found.append(Block(str(page.relative_to(ROOT)), language, body))
    return found


@functools.cache
def command_lines() -> tuple[tuple[str, str], ...]:
    """Return what follows each `seriesgate ` in blocks of shell and between backticks, by page."""
    lines = [
        (block.page, line.partition(" #")[0])
        for block in blocks("sh")
        for line in re.findall(r"(?:^|[/ ])seriesgate ([a-z].*)", block.text, re.MULTILINE)
    ]
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if page.name == "cli.md":
            continue  # generated: its headings are names of commands alone
        inline = re.findall(r"(?<!`)`seriesgate ([a-z][^`\n]*)`(?!`)", text)
        lines += [(str(page.relative_to(ROOT)), line) for line in inline]
    return tuple(lines)


def check(words: list[str]) -> None:
    """Have the command line parse these words, without running what they say."""
    group: object = typer.main.get_group(app)
    rest = words
    while isinstance(group, TyperGroup):
        assert rest, "a command is missing"
        assert rest[0] in group.commands, rest[0]
        group, rest = group.commands[rest[0]], rest[1:]
    assert hasattr(group, "make_context")
    group.make_context("seriesgate", [PLACEHOLDER.get(word, word) for word in rest])


def test_commands_on_the_pages_are_commands_with_their_parameters():
    for page, line in command_lines():
        if line not in {"gateway", "server", "up", "token", "webhooks", "outbox", "db"}:
            try:
                check(shlex.split(re.sub(r"\$\(.*?\)", "substituted", line)))
            except Exception as error:
                raise AssertionError(f"{page}: seriesgate {line}: {error!r}") from error


def test_commands_are_found_at_all():
    assert len(command_lines()) > 40
    with pytest.raises(Exception, match="no-such-option"):
        check(["send", "--no-such-option"])


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.page)
def test_settings_on_a_page_are_settings_that_can_be_used(block, tmp_path):
    tomllib.loads(block.text)
    path = tmp_path / "seriesgate.toml"
    path.write_text(block.text)
    load_settings(path)


def test_names_of_environment_variables_are_those_of_settings():
    known = {
        f"{ENVIRONMENT_PREFIX}{section}__{key}".upper()
        for section, keys in SECTIONS.items()
        for key in keys
    }
    named = set()
    for path in [*PAGES, *DEPLOYED]:
        found = re.findall(r"\bSERIESGATE_[A-Z]+__\w+", path.read_text(encoding="utf-8"))
        named |= set(found)
    assert len(named) > 10
    assert named <= known


def test_metrics_that_are_named_exist():
    text = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")  # held to the code
    exported = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    parts = {f"{name}{suffix}" for name in exported for suffix in ("_bucket", "_count", "_sum")}
    for path in [*PAGES, *DEPLOYED]:
        found = re.findall(r"\bseriesgate_(?:gateway|server)_\w+", path.read_text(encoding="utf-8"))
        assert set(found) <= exported | parts, path


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.page)
def test_json_on_a_page_is_json(block):
    text = block.text.strip()
    json.loads(text if text.startswith("{") else f"{{{text}}}")


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.page)
def test_python_on_a_page_compiles(block):
    compile(block.text, block.page, "exec")


def test_make_targets_that_are_named_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)
        assert set(named) <= targets, page


def test_every_page_is_in_the_navigation_once():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = re.findall(r"([\w/-]+\.md)$", navigation, re.MULTILINE)
    there = [str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md")]
    assert sorted(listed) == sorted(there)


def test_links_into_a_page_name_one_of_its_headings():
    anchors = {}
    for page in PAGES:
        headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        named = re.findall(r'<a (?:id|name)="([^"]+)"', page.read_text(encoding="utf-8"))
        anchors[page.resolve()] = {slug(heading) for heading in headings} | {*named}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\(([^):#]*)#([^)]+)\)", text):
            there = (page.parent / target).resolve() if target else page.resolve()
            assert anchor in anchors[there], f"{page}: {target}#{anchor}"
    for anchor in re.findall(
        r"runbook\.html#([\w-]+)", (ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8")
    ):
        assert anchor in anchors[ROOT / "docs/how-to/runbook.md"], anchor


def slug(heading: str) -> str:
    """Return the anchor that Python-Markdown's toc makes of a heading."""
    kept = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
    return re.sub(r"[-\s]+", "-", kept)
