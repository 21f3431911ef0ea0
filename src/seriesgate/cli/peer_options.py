"""The options of the commands that call a Storage SCP."""

from __future__ import annotations

from typing import Annotated

import typer

from seriesgate.cli.options import EXIT_USAGE, fail
from seriesgate.requestor.remote_ae import RemoteAE, parse_address

To = Annotated[
    str, typer.Option("--to", metavar="HOST:PORT", help="Where the Storage SCP listens.")
]
CalledAe = Annotated[str, typer.Option(help="AE title of the Storage SCP.")]
CallingAe = Annotated[str, typer.Option(help="AE title to call it with.")]
Timeout = Annotated[
    float, typer.Option(min=0.1, metavar="SECONDS", help="Longest wait for each answer.")
]

DEFAULT_TO = "127.0.0.1:6667"
DEFAULT_CALLED_AE = "STORESCP"
DEFAULT_CALLING_AE = "SERIESGATE"
DEFAULT_TIMEOUT = 30.0


def destination_or_exit(to: str, called_ae: str, calling_ae: str) -> RemoteAE:
    """Return where to call; exit with one line that says what is wrong."""
    try:
        host, port = parse_address(to)
        return RemoteAE(host, port, called_ae, calling_ae)
    except ValueError as error:
        raise fail(str(error), EXIT_USAGE) from error
