"""`seriesgate send` and `seriesgate echo`, as a person or a script calls them."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.data_sets import EXPLICIT_LE, IMPLICIT_LE, MR_IMAGE_STORAGE, mr_instance, write_file
from tests.e2e.processes import free_port
from tests.integration.scps import (
    accept,
    pynetdicom_scp,
    receive_message,
    receive_pdu,
    release,
    response,
    scripted_scp,
)
from typer.testing import CliRunner

from seriesgate.cli import app
from seriesgate.requestor.outgoing_instance import StorageContext

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

MR_EXPLICIT = StorageContext(MR_IMAGE_STORAGE, EXPLICIT_LE)
LIMIT = 60.0


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: nothing may leak to its output."""
    return subprocess.run(
        _command(*arguments), capture_output=True, text=True, timeout=LIMIT, check=False
    )


def _call(*arguments: object) -> Result:
    """Run the command in this process: quicker, for what ends before anything is sent."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "seriesgate", *map(str, arguments)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with three instances, one of them below, and two files of other kinds."""
    (tmp_path / "below").mkdir()
    write_file(tmp_path / "1.dcm", mr_instance("1.1"))
    write_file(tmp_path / "below" / "2.dcm", mr_instance("1.2"))
    write_file(tmp_path / "below" / "3", mr_instance("1.3"))
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "below" / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path


def test_a_folder_is_sent_and_summed_up_in_lines(folder):
    with pynetdicom_scp(MR_EXPLICIT) as (destination, received):
        run = _run("send", folder, "--to", destination.address, "--associations", 2)
    assert (run.returncode, run.stderr) == (0, "")
    first, second = run.stdout.splitlines()
    assert re.fullmatch(r"sent     3 in \d+\.\d\d s, 1\.\d kB, \d+ instances/s", first)
    assert second == "skipped  2: not DICOM"
    assert set(received.data_sets) == {"1.1", "1.2", "1.3"}


def test_json_says_the_same(folder):
    statuses = {"1.1": 0xB007, "1.2": 0xA700, "1.3": 0}

    def answer(event, _received):
        return statuses[event.request.AffectedSOPInstanceUID]

    write_file(folder / "4.dcm", mr_instance("1.4"), IMPLICIT_LE)
    (folder / "gone").symlink_to(folder / "nowhere")
    with pynetdicom_scp(MR_EXPLICIT, answer=answer) as (destination, _):
        run = _run("send", folder, "--to", destination.address, "--json")
    assert run.returncode == 1
    report = json.loads(run.stdout)
    assert report.pop("bytes") > 0
    assert report.pop("seconds") > 0
    assert report.pop("instances_per_second") > 0
    line = f"cannot read {folder / 'gone'}: no such file or directory"
    mismatch = "Data Set Does Not Match SOP Class"
    context = "MR Image Storage, Implicit VR Little Endian: transfer syntax not supported"
    assert report == {
        "sent": 2,
        "warnings": [
            {
                "status": "B007",
                "meaning": mismatch,
                "comment": "",
                "count": 1,
                "instances": [str(folder / "1.dcm")],
            }
        ],
        "refused": [
            {
                "status": None,
                "meaning": context,
                "comment": "",
                "count": 1,
                "instances": [str(folder / "4.dcm")],
            },
            {
                "status": "A700",
                "meaning": "Refused: Out of Resources",
                "comment": "",
                "count": 1,
                "instances": [str(folder / "below" / "2.dcm")],
            },
        ],
        "failed": [{"reason": line, "count": 1, "instances": []}],
        "skipped": 2,
        "unsent": 0,
        "interrupted": False,
    }
    assert run.stderr == f"seriesgate: {line}\n"


def test_lines_say_what_was_not_stored_and_why(folder):
    statuses = {"1.1": 0xB007, "1.2": 0xA700, "1.3": 0xA700}

    def answer(event, _received):
        return statuses[event.request.AffectedSOPInstanceUID]

    with pynetdicom_scp(MR_EXPLICIT, answer=answer) as (destination, _):
        run = _run("send", folder / "1.dcm", folder / "below", "--to", destination.address)
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout.splitlines()[1:] == [
        "warning  1 of them with B007 Data Set Does Not Match SOP Class",
        f"         {folder / '1.dcm'}",
        "refused  2 with A700 Refused: Out of Resources",
        f"         {folder / 'below' / '2.dcm'}",
        f"         {folder / 'below' / '3'}",
        "skipped  1: not DICOM",
    ]


def test_what_the_peer_says_of_a_refusal_is_shown_with_its_instances(folder):
    def refuse(connection):
        accept(connection)
        for number in range(1, 8):
            receive_message(connection)
            connection.sendall(response(number, 0xC000, (0x0902, b"no Study Instance UID")))
        release(connection)

    for number in range(7):
        write_file(folder / f"odd-{number}", mr_instance(f"1.9.{number}"))
    with scripted_scp(refuse, refuse) as destination:
        files = sorted(folder.glob("odd-*"))
        lines = _call("send", *files, "--to", destination.address).stdout.splitlines()[1:]
        report = json.loads(_call("send", *files, "--to", destination.address, "--json").stdout)
    assert lines == [
        'refused  7 with C000 Cannot Understand: "no Study Instance UID"',
        *(f"         {file}" for file in files[:5]),
        "         and 2 more",
    ]
    [refused] = report["refused"]
    assert refused["comment"] == "no Study Instance UID"
    assert refused["instances"] == [str(file) for file in files[:5]]


def test_a_file_that_cannot_be_read_alone_is_a_failure(folder):
    (folder / "gone").symlink_to(folder / "nowhere")
    with pynetdicom_scp(MR_EXPLICIT) as (destination, received):
        run = _call("send", folder, "--to", destination.address)
    assert run.exit_code == 1
    assert "failed   1: cannot be read or sent, see above" in run.stdout
    assert len(received.data_sets) == 3


def test_warnings_alone_are_a_success(folder):
    with pynetdicom_scp(MR_EXPLICIT, answer=lambda *_: 0xB000) as (destination, _):
        assert _run("send", folder, "--to", destination.address).returncode == 0


def test_a_synthetic_study_is_made_and_sent():
    with pynetdicom_scp(MR_EXPLICIT) as (destination, received):
        run = _run(
            *("send", "--synthetic", "2x3", "--instance-size", 2048, "--associations", 2),
            *("--to", destination.address, "--calling-ae", "MR1"),
        )
    assert (run.returncode, run.stderr) == (0, "")
    assert len(received.data_sets) == 6
    assert received.calling_ae_titles == {"MR1"}
    assert all(len(data_set) > 2048 for data_set in received.data_sets.values())


def test_files_and_a_synthetic_study_go_together(folder):
    with pynetdicom_scp(MR_EXPLICIT) as (destination, received):
        run = _run("send", folder, "--synthetic", "1x1", "--to", destination.address)
    assert run.returncode == 0
    assert len(received.data_sets) == 4


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "name files or folders to send, or --synthetic SERIESxINSTANCES"),
        (["/does/not/exist"], "/does/not/exist does not exist"),
        (["--synthetic", "5"], "write SERIESxINSTANCES, as 5x100, not '5'"),
        (["--synthetic", "1x1", "--instance-size", "1"], "a synthetic instance has 512 to"),
        (["--synthetic", "1x1", "--to", "pacs"], "write the address as HOST:PORT"),
        (["--synthetic", "1x1", "--called-ae", "A" * 17], "an AE title has at most 16 characters"),
        (["--synthetic", "1x1", "--calling-ae", " "], "an AE title must not be empty"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(arguments, complaint):
    run = _call("send", *arguments)
    assert (run.exit_code, run.stdout) == (2, "")
    assert run.stderr.startswith(f"seriesgate: {complaint}")
    assert run.stderr.count("\n") == 1


def test_a_path_that_does_not_exist_is_told_before_anything_is_sent(folder):
    with pynetdicom_scp(MR_EXPLICIT) as (destination, received):
        run = _call("send", folder, folder / "nowhere", "--to", destination.address)
    assert run.exit_code == 2
    assert received.associations == 0


def test_nothing_found_is_exit_code_1_without_an_association(tmp_path):
    (tmp_path / "readme.txt").write_text("hello")
    run = _call("send", tmp_path, "--to", f"127.0.0.1:{free_port()}")
    assert run.exit_code == 1
    assert "skipped  1: not DICOM" in run.stdout


def test_nobody_there_is_one_line_with_what_to_do(folder):
    address = f"127.0.0.1:{free_port()}"
    run = _run("send", folder, "--to", address)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        f"seriesgate: nothing answers at {address}: connection refused; "
        "start the gateway with `seriesgate up`\n"
    )


def test_a_rejection_is_one_line_with_its_meaning(folder):
    with pynetdicom_scp(MR_EXPLICIT, called_ae_title="OTHER") as (destination, _):
        for command in (["send", folder], ["echo"]):
            run = _call(*command, "--to", destination.address)
            assert (run.exit_code, run.stdout) == (1, "")
            assert run.stderr == (
                f"seriesgate: {destination.address} rejected the association for good: called AE "
                "title not recognised (result 1, source 1, reason 7)\n"
            )


def test_echo_prints_the_round_trip():
    with pynetdicom_scp() as (destination, _):
        run = _run("echo", "--to", destination.address)
    assert (run.returncode, run.stderr) == (0, "")
    assert re.fullmatch(rf"{destination.address} answers in \d+\.\d ms\n", run.stdout)


def test_echo_says_why_nobody_answered():
    address = f"127.0.0.1:{free_port()}"
    run = _call("echo", "--to", address)
    assert (run.exit_code, run.stdout) == (1, "")
    assert run.stderr == f"seriesgate: nothing answers at {address}: connection refused\n"


def test_echo_waits_no_longer_than_it_is_told():
    def say_nothing(connection):
        receive_pdu(connection)
        receive_pdu(connection)

    with scripted_scp(say_nothing) as destination:
        run = _call("echo", "--to", destination.address, "--timeout", "0.2")
    assert run.exit_code == 1
    assert run.stderr == f"seriesgate: {destination.address} did not answer in time\n"


def test_ctrl_c_prints_the_summary_so_far_and_exits_with_130():
    two_here = threading.Event()

    def answer(_event, received):
        if received.stores == 2:
            two_here.set()
        return 0

    with pynetdicom_scp(MR_EXPLICIT, answer=answer) as (destination, received):
        command = _command("send", "--synthetic", "20x500", "--json", "--to", destination.address)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert two_here.wait(LIMIT)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=LIMIT)
    assert (process.returncode, stderr) == (130, b"")
    report = json.loads(stdout)
    assert report["interrupted"]
    assert report["sent"] == len(received.data_sets) >= 2
    assert report["sent"] + report["unsent"] == 10_000


def test_a_terminal_shows_a_progress_bar_on_stderr(folder):
    controller, terminal = pty.openpty()
    with pynetdicom_scp(MR_EXPLICIT) as (destination, _):
        command = _command("send", folder, "--to", destination.address)
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=terminal, env=environment
        ) as process:
            os.close(terminal)
            shown = _read_all(controller)
            assert process.stdout is not None
            printed = process.stdout.read()
    assert b"sending" in shown
    assert b"3/3" in shown
    assert b"instances/s" in shown
    assert printed.startswith(b"sent     3 in ")
    assert b"\x1b" not in printed


def _read_all(descriptor: int) -> bytes:
    shown = b""
    # The end of the terminal is EIO on Linux.
    with open(descriptor, "rb", buffering=0) as terminal, contextlib.suppress(OSError):
        while piece := terminal.read(4096):
            shown += piece
    return shown


@pytest.mark.parametrize("command", ["send", "echo"])
def test_help_has_an_example(command):
    run = _call(command, "--help")
    assert run.exit_code == 0
    assert f"Example: seriesgate {command}" in run.stdout


def test_every_count_adds_up(folder):
    """What was found is sent, refused, failed or unsent: nothing is lost on the way."""

    def answer(event, _received):
        uid: Any = event.request.AffectedSOPInstanceUID
        if uid == "1.2":
            event.assoc.abort()
        return 0xC000 if uid == "1.3" else 0

    with pynetdicom_scp(MR_EXPLICIT, answer=answer) as (destination, _):
        run = _run("send", folder, "--to", destination.address, "--json")
    report = json.loads(run.stdout)
    assert report["sent"] == 1
    assert [entry["count"] for entry in report["refused"] + report["failed"]] == [1, 1]
