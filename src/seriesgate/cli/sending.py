"""What `seriesgate send` does. Not for other commands: pydicom takes half a second to import."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from seriesgate.cli.options import EXIT_USAGE, fail
from seriesgate.modality.dicom_files import DicomFiles, find_dicom_files
from seriesgate.modality.synthetic_series import (
    matrix_of_size,
    parse_shape,
    synthetic_study,
)
from seriesgate.requestor import storage_scu
from seriesgate.requestor.association_errors import AssociationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from seriesgate.requestor.outgoing_instance import OutgoingInstance
    from seriesgate.requestor.remote_ae import RemoteAE
    from seriesgate.requestor.send_summary import Outcome, SendSummary

_EXIT_INTERRUPTED = 130


def find_and_send(
    paths: Sequence[Path],
    destination: RemoteAE,
    *,
    associations: int,
    synthetic: str | None,
    instance_size: int,
    timeout: float,
    as_json: bool,
) -> None:
    """Send what is found and made and print what became of it; typer.Exit unless all went."""
    made = _make(synthetic, instance_size)
    found = _find(paths)
    for line in found.unusable:
        typer.secho(f"seriesgate: {line}", err=True, fg=typer.colors.RED)
    summary = _send([*found.files, *made], destination, associations, timeout)
    if as_json:
        typer.echo(json.dumps(_report(summary, found), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(_lines(summary, found)))
    if summary.interrupted:
        raise typer.Exit(_EXIT_INTERRUPTED)
    if found.unusable or not (summary.sent and summary.is_complete):
        raise typer.Exit(1)


def _make(synthetic: str | None, instance_size: int) -> list[OutgoingInstance]:
    if synthetic is None:
        return []
    try:
        shape = parse_shape(synthetic)
        matrix = matrix_of_size(instance_size)
    except ValueError as error:
        raise fail(str(error), EXIT_USAGE) from error
    return list(synthetic_study(shape, acquired_at=datetime.now().astimezone(), matrix=matrix))


def _find(paths: Sequence[Path]) -> DicomFiles:
    for path in paths:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise fail(f"{path} does not exist", EXIT_USAGE) from error
        except OSError:
            continue  # is counted below
    with Console(stderr=True).status("looking for DICOM files"):
        return find_dicom_files(paths)


def _send(
    instances: Sequence[OutgoingInstance],
    destination: RemoteAE,
    associations: int,
    timeout: float,
) -> SendSummary:
    console = Console(stderr=True)
    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), _Pace())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(instances))
        try:
            return storage_scu.send(
                instances,
                destination,
                associations=associations,
                timeout=timeout,
                on_progress=lambda _size: progress.advance(task),
            )
        except AssociationError as error:
            hint = ""
            if isinstance(error.__cause__, ConnectionRefusedError):
                hint = "; start the gateway with `seriesgate up`"
            raise fail(f"{error}{hint}") from error


class _Pace(ProgressColumn):
    """Instances per second."""

    def render(self, task: Task) -> Text:
        """Return the pace of the last seconds."""
        return Text(f"{task.speed or 0:.0f} instances/s")


def _report(summary: SendSummary, found: DicomFiles) -> dict[str, Any]:
    """Return what became of everything, for JSON."""
    return {
        "sent": summary.sent,
        "bytes": summary.size,
        "seconds": round(summary.seconds, 3),
        "instances_per_second": round(summary.instances_per_second, 1),
        "warnings": [_status(outcome) for outcome in summary.warnings],
        "refused": [_status(outcome) for outcome in summary.refused],
        "failed": [
            *(
                {
                    "reason": outcome.meaning,
                    "count": outcome.count,
                    "instances": list(outcome.instances),
                }
                for outcome in summary.failed
            ),
            *({"reason": line, "count": 1, "instances": []} for line in found.unusable),
        ],
        "skipped": found.skipped,
        "unsent": summary.unsent,
        "interrupted": summary.interrupted,
    }


def _status(outcome: Outcome) -> dict[str, Any]:
    status = None if outcome.status is None else f"{outcome.status:04X}"
    return {
        "status": status,
        "meaning": outcome.meaning,
        "comment": outcome.comment,
        "count": outcome.count,
        "instances": list(outcome.instances),
    }


def _lines(summary: SendSummary, found: DicomFiles) -> Iterator[str]:
    """Yield what became of everything, for people."""
    yield (
        f"sent     {summary.sent} in {summary.seconds:.2f} s, {decimal(summary.size)}, "
        f"{summary.instances_per_second:.0f} instances/s"
    )
    for outcome in summary.warnings:
        yield f"warning  {outcome.count} of them with {_said(outcome)}"
        yield from _named(outcome)
    for outcome in summary.refused:
        yield f"refused  {outcome.count} with {_said(outcome)}"
        yield from _named(outcome)
    for outcome in summary.failed:
        yield f"failed   {outcome.count}: {outcome.meaning}"
        yield from _named(outcome)
    if found.unusable:
        yield f"failed   {len(found.unusable)}: cannot be read or sent, see above"
    if found.skipped:
        yield f"skipped  {found.skipped}: not DICOM"
    if summary.unsent:
        yield f"unsent   {summary.unsent}: interrupted"


def _said(outcome: Outcome) -> str:
    """Return the status, its meaning, and what the peer says of it in quotes."""
    status = "" if outcome.status is None else f"{outcome.status:04X} "
    comment = f': "{outcome.comment}"' if outcome.comment else ""
    return f"{status}{outcome.meaning}{comment}"


def _named(outcome: Outcome) -> Iterator[str]:
    """Yield a line for each instance that is named, and one for all others."""
    for name in outcome.instances:
        yield f"         {name}"
    if outcome.instances and (others := outcome.count - len(outcome.instances)):
        yield f"         and {others} more"
