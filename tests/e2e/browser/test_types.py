"""The types that the dashboard's modules declare in their JSDoc comments hold."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]
TYPESCRIPT = "node_modules/.bin/tsc"


def check(project):
    run = subprocess.run(
        [FOLDER / TYPESCRIPT, "--project", project], capture_output=True, text=True, check=False
    )
    return run.returncode, run.stdout


def test_types_of_the_dashboard_hold():
    assert check(FOLDER) == (0, "")


def test_a_wrong_type_is_noticed(tmp_path):
    shutil.copytree(ROOT / "src/seriesgate/server/dashboard", tmp_path / "dashboard")
    settings = (FOLDER / "tsconfig.json").read_text(encoding="utf-8")
    (tmp_path / "tsconfig.json").write_text(
        settings.replace("../../../src/seriesgate/server/dashboard", "./dashboard")
    )
    with (tmp_path / "dashboard/shared/format.js").open("a") as module:
        module.write("count('twelve');\n")
    status, output = check(tmp_path)
    assert status != 0
    assert "format.js" in output
    assert "'string' is not assignable to parameter of type 'number'" in output
