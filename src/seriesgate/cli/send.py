"""`seriesgate send`: a modality simulator."""

from pathlib import Path
from typing import Annotated

import typer

from seriesgate.cli.options import EXIT_USAGE, fail
from seriesgate.cli.peer_options import (
    DEFAULT_CALLED_AE,
    DEFAULT_CALLING_AE,
    DEFAULT_TIMEOUT,
    DEFAULT_TO,
    CalledAe,
    CallingAe,
    Timeout,
    To,
    destination_or_exit,
)

_DEFAULT_INSTANCE_SIZE = 8192


def send(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Files, and folders with all that is below."),
    ] = None,
    to: To = DEFAULT_TO,
    called_ae: CalledAe = DEFAULT_CALLED_AE,
    calling_ae: CallingAe = DEFAULT_CALLING_AE,
    associations: Annotated[
        int, typer.Option(min=1, max=64, help="How many associations send at once.")
    ] = 1,
    synthetic: Annotated[
        str | None,
        typer.Option(metavar="SERIESxINSTANCES", help="Make an MR study and send it: 5x100."),
    ] = None,
    instance_size: Annotated[
        int, typer.Option(metavar="BYTES", help="Pixels of a synthetic instance.")
    ] = _DEFAULT_INSTANCE_SIZE,
    timeout: Timeout = DEFAULT_TIMEOUT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send DICOM files as a modality would, byte for byte, each in its own transfer syntax.

    Of what was not stored, the first instances are named, and what the peer says of them.

    Exit code 0 when everything was stored, 1 when something was not or there was nothing to send.

    Example: seriesgate send /data/mr --to pacs.example:104 --called-ae PACS --associations 4

    Example: seriesgate send --synthetic 5x100
    """
    destination = destination_or_exit(to, called_ae, calling_ae)
    if not paths and synthetic is None:
        raise fail("name files or folders to send, or --synthetic SERIESxINSTANCES", EXIT_USAGE)
    # Half a second of imports that no other command needs.
    from seriesgate.cli.sending import find_and_send  # noqa: PLC0415

    find_and_send(
        paths or [],
        destination,
        associations=associations,
        synthetic=synthetic,
        instance_size=instance_size,
        timeout=timeout,
        as_json=as_json,
    )
