"""`seriesgate echo`: whether a Storage SCP answers."""

from __future__ import annotations

import typer

from seriesgate.cli.options import fail
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
from seriesgate.requestor.association_errors import AssociationError


def echo(
    to: To = DEFAULT_TO,
    called_ae: CalledAe = DEFAULT_CALLED_AE,
    calling_ae: CallingAe = DEFAULT_CALLING_AE,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Verify a Storage SCP with a C-ECHO; exit code 0 when it answers, 1 when not.

    Example: seriesgate echo --to 127.0.0.1:6667
    """
    from seriesgate.requestor import storage_scu  # noqa: PLC0415 - half a second, for pydicom

    destination = destination_or_exit(to, called_ae, calling_ae)
    try:
        seconds = storage_scu.echo(destination, timeout=timeout)
    except AssociationError as error:
        raise fail(str(error)) from error
    typer.echo(f"{destination.address} answers in {1000 * seconds:.1f} ms")
