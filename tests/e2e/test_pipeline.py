"""The main job with real senders: a PACS sends series, one right row for each is in the table."""

from __future__ import annotations

import itertools
import json
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.data_sets import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, mr_instance, write_file
from tests.e2e.processes import (
    Process,
    free_port,
    run,
    running_orthanc,
    running_seriesgate,
    seriesgate_command,
)

if TYPE_CHECKING:
    from pathlib import Path

SIZES = (7, 1, 12)
_roots = itertools.count(1)


@dataclass
class Study:
    """Files of one study with three series, in an order that interleaves them."""

    counts: dict[str, int]
    files: list[Path]


def make_study(folder: Path) -> Study:
    folder.mkdir()
    root = f"1.2.{next(_roots)}"
    counts = {f"{root}.{series}": size for series, size in enumerate(SIZES)}
    files = [
        write_file(
            folder / f"{series}.{number}.dcm",
            mr_instance(f"{series}.{number}", series, number=number, patient_id="0012"),
        )
        for series, count in counts.items()
        for number in range(1, count + 1)
    ]
    random.Random(7).shuffle(files)
    return Study(counts, files)


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    """One running gateway and server for all tests that don't stop it: each has its own UIDs."""
    with running_seriesgate(tmp_path_factory.mktemp("gate")) as running:
        yield running


@pytest.fixture(scope="module")
def prompt_gate(tmp_path_factory):
    """Another, for the tests that send one instance of a series and need not wait for more."""
    with running_seriesgate(tmp_path_factory.mktemp("prompt"), quiet_period=0.05) as running:
        yield running


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path / "study")


@pytest.fixture
def series():
    return f"1.2.{next(_roots)}"


def counts_of(gate, study):
    return {uid: count for uid, count in gate.counts().items() if uid in study.counts}


def storescu(gate, *arguments, expect=0):
    return run(
        "storescu",
        "-aec",
        "STORESCP",
        "127.0.0.1",
        str(gate.scp_port),
        *arguments,
        cwd=gate.folder,
        expect=expect,
    )


def test_orthanc_sends_a_study_and_each_series_is_one_row(gate, study, tmp_path):
    with running_orthanc(tmp_path, gate.scp_port) as pacs:
        pacs.send(pacs.upload(study.files))
        gate.wait_for_deliveries(len(study.counts))
    assert counts_of(gate, study) == study.counts
    row = gate.rows()[next(iter(study.counts))]
    assert row["PatientName"] == "Doe^Jane"
    assert row["PatientID"] == "0012"
    assert row["StudyInstanceUID"] == "1.3"
    gate.wait_until_released()


def test_sending_everything_twice_leaves_the_same_counts(gate, study):
    storescu(gate, *study.files)
    gate.wait_for_deliveries(len(study.counts))
    storescu(gate, *reversed(study.files))
    gate.process.wait_for("nothing in it is new", len(study.counts))
    assert counts_of(gate, study) == study.counts
    assert {gate.rows()[uid]["Revision"] for uid in study.counts} == {1}
    gate.wait_until_released()


def test_one_series_over_several_associations_at_once(gate, study):
    parts = [study.files[start::4] for start in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda part: storescu(gate, *part), parts))
    gate.wait_for_deliveries(len(study.counts))
    assert counts_of(gate, study) == study.counts


@pytest.mark.fault("F26")
def test_late_instance_makes_a_second_revision_of_the_row(gate, study):
    uid = next(iter(study.counts))
    files = sorted(path for path in study.files if path.name.startswith(uid + "."))
    storescu(gate, *files[:-1])
    gate.wait_for_deliveries(1)
    assert gate.counts()[uid] == 6
    storescu(gate, files[-1])
    gate.wait_for_deliveries(1)
    row = gate.rows()[uid]
    assert (row["InstancesInSeries"], row["Revision"], row["AddedInstances"]) == (7, 2, 1)


@pytest.mark.parametrize(
    ("option", "syntax"), [("-xi", IMPLICIT_LE), ("-xe", EXPLICIT_LE), ("-xb", EXPLICIT_BE)]
)
def test_uncompressed_transfer_syntaxes(prompt_gate, series, tmp_path, option, syntax):
    path = write_file(tmp_path / "one.dcm", mr_instance("1.1", series), syntax)
    storescu(prompt_gate, option, path)
    prompt_gate.wait_for_deliveries(1)
    assert prompt_gate.rows()[series]["PatientName"] == "Doe^Jane"


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Buc^Jérôme"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("ISO_IR 192", "王^小東=王^小东"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 127", "قباني^لنزار"),
    ],
)
def test_patient_name_is_utf_8_in_the_database(prompt_gate, series, tmp_path, character_set, name):
    instance = mr_instance("1.1", series, patient_name=name, character_set=character_set)
    storescu(prompt_gate, write_file(tmp_path / "one.dcm", instance))
    prompt_gate.wait_for_deliveries(1)
    assert prompt_gate.rows()[series]["PatientName"] == name


def test_missing_patient_name_and_id_are_empty_strings(prompt_gate, series, tmp_path):
    instance = mr_instance("1.1", series)
    del instance.PatientName
    del instance.PatientID
    storescu(prompt_gate, write_file(tmp_path / "one.dcm", instance))
    prompt_gate.wait_for_deliveries(1)
    row = prompt_gate.rows()[series]
    assert (row["PatientName"], row["PatientID"]) == ("", "")


def test_instance_without_series_is_refused_and_the_association_goes_on(
    prompt_gate, series, tmp_path
):
    orphan = mr_instance("1.1", series)
    del orphan.SeriesInstanceUID
    bad = write_file(tmp_path / "orphan.dcm", orphan)
    good = write_file(tmp_path / "good.dcm", mr_instance("1.2", series))
    output = "\n".join(storescu(prompt_gate, "-v", "--no-halt", bad, good, expect=None))
    assert "Received Store Response (Success)" in output
    assert "CannotUnderstand" in output
    prompt_gate.wait_for_deliveries(1)
    assert prompt_gate.counts()[series] == 1


def test_c_echo_is_answered(gate):
    run("echoscu", "-aec", "STORESCP", "127.0.0.1", str(gate.scp_port), cwd=gate.folder)


def test_seriesgate_sends_what_it_makes_itself_and_lists_it(gate):
    known = set(gate.counts())
    output = run(
        *seriesgate_command(),
        "send",
        "--synthetic",
        "5x20",
        "--associations",
        "2",
        "--to",
        f"127.0.0.1:{gate.scp_port}",
        "--json",
        cwd=gate.folder,
    )
    assert json.loads("\n".join(output))["sent"] == 100
    gate.wait_for_deliveries(5)
    new = {uid: count for uid, count in gate.counts().items() if uid not in known}
    assert sorted(new.values()) == [20] * 5
    answer = httpx.get(f"{gate.url}/series", params={"limit": 5}, trust_env=False).json()
    assert {row["SeriesInstanceUID"] for row in answer["series"]} == set(new)
    listing = ("series", "list", "--server-url", gate.url, "--limit", "3")
    shown = run(*seriesgate_command(), *listing, cwd=gate.folder, env={"COLUMNS": "80"})
    assert len(shown) == 1 + 3
    assert " ".join(shown[0].split()) == "updated patient ID mod. description inst. rev."
    assert all(len(line) <= 80 and " MR " in line and " 20 " in line for line in shown[1:])


@pytest.mark.fault("F1")
def test_killed_gateway_loses_nothing_that_it_acknowledged(tmp_path, study):
    with running_seriesgate(tmp_path, quiet_period=60) as gate:
        storescu(gate, *study.files)
        gate.process.wait_for("released")
        gate.process.signal(signal.SIGKILL)
        gate.process.wait()
    with running_seriesgate(tmp_path) as gate:
        gate.wait_for_deliveries(len(study.counts))
        assert gate.counts() == study.counts
        gate.process.signal(signal.SIGINT)
        assert gate.process.wait() == 0
        assert gate.process.output[-1] == "stopped"


def test_series_sent_twice_to_a_gateway_without_a_server_survives_its_death(tmp_path, study):
    port = free_port()
    gateway = Process(
        *seriesgate_command(),
        "gateway",
        f"--scp-port={port}",
        f"--admin-port={free_port()}",
        f"--server-url=http://127.0.0.1:{free_port()}",
        cwd=tmp_path,
    )
    try:
        gateway.wait_for("the gateway listens")
        for wanted in ("series closed", "nothing in it is new"):
            to_gateway = ("-aec", "STORESCP", "127.0.0.1", str(port), *study.files)
            run("storescu", *to_gateway, cwd=tmp_path)
            gateway.wait_for(wanted, len(study.counts))
        gateway.signal(signal.SIGKILL)
        gateway.wait()
    finally:
        gateway.stop()
    with running_seriesgate(tmp_path) as gate:
        gate.wait_for_deliveries(len(study.counts))
        assert gate.counts() == study.counts
        gate.wait_until_released()


def test_no_patient_data_in_the_log_or_in_a_name(tmp_path, study):
    marked = mr_instance("1.9.1", "1.9", patient_name="Secret^Name", patient_id="SECRETID")
    with running_seriesgate(tmp_path, quiet_period=60) as gate:
        storescu(gate, write_file(tmp_path / "one.dcm", marked), *study.files)
        gate.process.wait_for("released")
        names = [path.name for path in (tmp_path / "seriesgate-state").rglob("*")]
        assert len(names) > len(study.files)
        assert not any("1.9" in name or "secret" in name.lower() for name in names)
        gate.process.signal(signal.SIGTERM)
        gate.process.wait()
    with running_seriesgate(tmp_path) as again:
        again.wait_for_deliveries(4)
        again.process.signal(signal.SIGTERM)
        again.process.wait()
    log = "\n".join(gate.process.output + again.process.output).lower()
    assert "secret" not in log
    assert "doe" not in log


def test_port_that_is_taken_is_one_clear_line_and_an_exit_code(gate, tmp_path):
    options = (
        f"--scp-port={gate.scp_port}",
        f"--admin-port={free_port()}",
        f"--state-dir={tmp_path}/state",
    )
    output = run(*seriesgate_command(), "gateway", *options, cwd=tmp_path, expect=1)
    assert len(output) == 1
    assert "another program has this port" in output[0]


def test_wrong_setting_is_one_clear_line_and_exit_code_2(tmp_path):
    command = (*seriesgate_command(), "up", "--scp-port", "99999")
    (line,) = run(*command, cwd=tmp_path, expect=2)
    assert "gateway.scp_port" in line
