"""A gateway that is killed by a certain file: `python -m tests.integration.deadly_gateway …`.

STEP is what kills it: `describe`, `revise` or `read`. The file is the one that has POISON in it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from pydantic import HttpUrl

from seriesgate.adapters.data_set import series_description
from seriesgate.adapters.spool.file_spool import FileSpool
from seriesgate.gateway import closer
from seriesgate.programs import gateway_program
from seriesgate.series import revision
from seriesgate.settings.gateway import GatewaySettings
from seriesgate.wiring import gateway

POISON = "Poison"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def poison(step: str) -> None:
    describe = series_description.read_series_description
    read: Any = FileSpool._read
    revise = revision.next_revision

    def deadly_description(path: Path) -> Any:
        if POISON.encode() in path.read_bytes():
            die()
        return describe(path)

    def deadly_read(spool: FileSpool, path: str) -> Any:
        if POISON.encode() in Path(path).read_bytes():
            die()
        return read(spool, path)

    def deadly_revision(known: Any, collected: Any, closed_at: Any) -> Any:
        if any(each.patient_id == POISON.encode() for each in collected.identities()):
            die()
        return revise(known, collected, closed_at)

    owner, name, deadly = {
        "describe": (gateway, "read_series_description", deadly_description),
        "revise": (closer, "next_revision", deadly_revision),
        "read": (FileSpool, "_read", deadly_read),
    }[step]
    setattr(owner, name, deadly)


if __name__ == "__main__":
    _, step, state_dir, scp_port, admin_port, server_url = sys.argv
    poison(step)
    settings = GatewaySettings(
        state_dir=Path(state_dir),
        scp_port=int(scp_port),
        admin_port=int(admin_port),
        server_url=HttpUrl(server_url),
        quiet_period=0.1,
        previews=False,
    )
    sys.exit(gateway_program(settings, lambda line: print(line, flush=True)))  # noqa: T201
