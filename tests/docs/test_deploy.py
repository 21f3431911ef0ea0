"""What lies in `deploy` fits the programs, and the tools that read it accept it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.docs.test_pages import check

from seriesgate.settings.loading import load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CONTAINERS = DEPLOY / "containers"
PROMTOOL = ROOT / "build" / "peers" / "promtool"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
# systemd's own scale: up to 2 is "OK", what has no hardening has 9.6.
MOST_EXPOSURE = 1.5
SERVICES: dict[str, Any] = yaml.safe_load(
    (CONTAINERS / "compose.yaml").read_text(encoding="utf-8")
)["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"] == "seriesgate")


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    finished = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout + finished.stderr


def test_alerts_come_when_it_is_time_and_only_then():
    run(PROMTOOL, "test", "rules", "alerts.test.yml", cwd=DEPLOY / "prometheus")


def test_every_alert_is_tested_and_has_its_place_in_the_runbook():
    rules = (DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
    tests = (DEPLOY / "prometheus" / "alerts.test.yml").read_text(encoding="utf-8")
    runbook = (ROOT / "docs" / "how-to" / "runbook.md").read_text(encoding="utf-8")
    alerts = re.findall(r"alert: (\w+)", rules)
    assert len(alerts) > 10
    assert [name for name in alerts if f'alertname="{name}"' not in tests] == []
    assert [name for name in alerts if f"`{name}`" not in runbook] == []


def test_queries_of_the_dashboard_are_queries(tmp_path):
    dashboard = json.loads((DEPLOY / "grafana" / "seriesgate.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) > 20
    rules = [
        {
            "record": f"query:{number}",
            "expr": query.replace("$__rate_interval", "5m").replace("$instance", ".*"),
        }
        for number, query in enumerate(queries)
    ]
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in run(PROMTOOL, "check", "rules", "--lint=none", path)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def installed(unit: Path, folder: Path) -> Path:
    """Return a copy of a unit whose program exists here."""
    text = unit.read_text(encoding="utf-8").replace("/opt/seriesgate/bin/seriesgate", "/bin/true")
    copy = folder / unit.name
    copy.write_text(text)
    return copy


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_is_understood_and_exposes_little(unit, tmp_path):
    copy = installed(unit, tmp_path)
    assert run("systemd-analyze", "verify", "--man=no", copy) == ""
    threshold = f"--threshold={MOST_EXPOSURE * 10:.0f}"
    run("systemd-analyze", "security", "--no-pager", "--offline=yes", threshold, copy)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_runs_commands_that_exist_as_an_account_that_is_made(unit):
    text = unit.read_text(encoding="utf-8")
    commands = re.findall(
        r"^ExecStart(?:Pre)?=/opt/seriesgate/bin/seriesgate (.*)$", text, re.MULTILINE
    )
    assert len(commands) == 2
    for command in commands:
        check(shlex.split(command))
    accounts = (DEPLOY / "systemd" / "sysusers.conf").read_text(encoding="utf-8")
    (account,) = re.findall(r"^User=(.*)$", text, re.MULTILINE)
    assert re.search(rf"^u {account} ", accounts, re.MULTILINE)


def test_image_is_made_of_files_that_are_in_its_context():
    dockerfile = (CONTAINERS / "Dockerfile").read_text(encoding="utf-8")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    assert len(sources) > 4
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for named in re.findall(r'^(?:readme|license-files) = \[?"(.*?)"', project, re.MULTILINE):
        assert named in sources


def test_image_runs_our_commands_as_an_account_without_rights():
    dockerfile = (CONTAINERS / "Dockerfile").read_text(encoding="utf-8")
    last_stage = dockerfile.rpartition("\nFROM ")[2]
    (user,) = re.findall(r"^USER (.*)$", last_stage, re.MULTILINE)
    assert user.split(":")[0] not in {"root", "0"}
    (health,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", last_stage, re.MULTILINE)
    program, *words = json.loads(health)
    assert program == "seriesgate"
    check(words)
    (command,) = re.findall(r"^CMD (\[.*\])$", last_stage, re.MULTILINE)
    check(json.loads(command))


@pytest.mark.parametrize("name", OURS)
def test_service_starts_with_these_words_and_settings(name, monkeypatch):
    service = SERVICES[name]
    check(service["command"])
    for key, value in service["environment"].items():
        text = re.sub(r"\$\{(\w+).*?\}", "a-secret-of-enough-characters", value)
        monkeypatch.setenv(key, text)
    load_settings()
    test = service.get("healthcheck", {}).get("test")
    if test is not None:
        assert test[:2] == ["CMD", "seriesgate"]
        check(test[2:])
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]


def test_services_name_services_volumes_and_secrets_that_there_are():
    text = (CONTAINERS / "compose.yaml").read_text(encoding="utf-8")
    example = (CONTAINERS / "example.env").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(\w+)", text)) == set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    volumes = set(yaml.safe_load(text)["volumes"])
    used = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
    }
    assert used == volumes
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        for port in service.get("ports", []):
            assert re.fullmatch(r"(127\.0\.0\.1:)?\d+:\d+", port)
