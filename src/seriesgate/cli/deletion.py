"""`seriesgate series delete` and `patient delete`: have the server let go of what it keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from seriesgate.cli.options import EXIT_USAGE, ConfigFile, fail, settings_or_exit
from seriesgate.cli.server_api import ServerApi, ServerUrl, Token
from seriesgate.series.uid import as_path_segment

if TYPE_CHECKING:
    from pathlib import Path

patient_app = typer.Typer(
    help="Patients of whom series are registered with the server.", no_args_is_help=True
)

# A patient with very many series takes the server a while, in seconds.
_PATIENCE = 300.0

AllowReturn = Annotated[
    bool,
    typer.Option(
        "--allow-return",
        help="Let a later report bring a deleted series back; also one that was deleted before.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def delete_series(
    series_instance_uid: Annotated[str, typer.Argument(metavar="UID", show_default=False)],
    config: ConfigFile = None,
    server_url: ServerUrl = None,
    token: Token = None,
    allow_return: AllowReturn = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete a series from the server, with its history and picture. The token needs `admin`.

    Reports of it are not kept from then on.

    Example: seriesgate series delete 1.2.840.113619.2.1
    """
    what = f"Delete the series {series_instance_uid} from the server, with its history?"
    _delete(
        f"/series/{_segment(series_instance_uid)}",
        _api(config, server_url, token),
        None if yes else what,
        allow_return=allow_return,
        as_json=as_json,
    )


@patient_app.command("delete")
def delete_patient(
    patient_id: Annotated[str, typer.Argument(metavar="PATIENT-ID", show_default=False)],
    config: ConfigFile = None,
    server_url: ServerUrl = None,
    token: Token = None,
    allow_return: AllowReturn = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete every series of a patient from the server. The token needs `admin`.

    Other series that are sent of the patient later are registered.

    Example: seriesgate patient delete A/17
    """
    path = f"/patients/{_segment(patient_id)}"
    api = _api(config, server_url, token)
    question = None
    if not yes:
        parameters = {"PatientID": patient_id, "limit": 1}
        found = api.request("GET", "/patients", params=parameters).get("patients") or []
        count = found[0]["NumberOfPatientRelatedSeries"] if found else 0
        question = f"Delete the {count} series of the patient {patient_id} from the server?"
    _delete(path, api, question, allow_return=allow_return, as_json=as_json)


def _segment(text: str) -> str:
    if not text.strip():
        raise fail("what shall be deleted must not be empty", EXIT_USAGE)
    return as_path_segment(text)


def _api(config: Path | None, server_url: str | None, token: str | None) -> ServerApi:
    return ServerApi(settings_or_exit(config, gateway__server_url=server_url).gateway, token)


def _delete(
    path: str, api: ServerApi, question: str | None, *, allow_return: bool, as_json: bool
) -> None:
    """Ask the `question`, if there is one, and the server then."""
    if question is not None and not typer.confirm(question, err=True):
        raise fail("nothing is deleted")
    parameters = {"may_return": "true"} if allow_return else {}
    answer = api.request("DELETE", path, params=parameters, timeout=_PATIENCE)
    if as_json:
        typer.echo(json.dumps(answer))
    elif answer["Series"] == 0:
        typer.echo("it was deleted before, and may return now")
    else:
        typer.echo(f"{answer['Series']} series deleted")
