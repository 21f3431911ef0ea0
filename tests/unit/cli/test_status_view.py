"""What `seriesgate status` shows, in a terminal as narrow as they come."""

from __future__ import annotations

import asyncio

from rich.console import Console
from tests.administered import AdministeredGateway

from seriesgate.adapters.admin.json_form import status_json
from seriesgate.cli.status_view import status_view
from seriesgate.gateway.associations import AssociationRefusal
from seriesgate.gateway.senders import Peer


def shown(width, prepare):
    """The lines of the status of a gateway that `prepare` was done to."""

    async def scenario():
        gateway = AdministeredGateway()
        prepare(gateway)
        return status_json(await gateway.administration.status())

    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(status_view(asyncio.run(scenario())))
    return capture.get().splitlines()


def test_refused_senders_are_named_with_the_reason():
    def refuse(gateway):
        for _ in range(3):
            gateway.associations.refused(
                Peer("10.1.2.3", "STRANGER"), AssociationRefusal.CALLING_AE_TITLE, "refused"
            )

    lines = shown(60, refuse)
    assert all(len(line) <= 60 for line in lines)
    (line,) = [line for line in lines if line.startswith("STRANGER")]
    assert line.split()[:6] == ["STRANGER", "10.1.2.3", "calling", "AE", "title", "3"]
