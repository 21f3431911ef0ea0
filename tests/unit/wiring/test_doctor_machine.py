"""What the doctor makes of disks, clocks and limits."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from seriesgate.settings.gateway import GatewaySettings
from seriesgate.wiring.doctor import machine
from seriesgate.wiring.doctor.finding import Verdict
from seriesgate.wiring.doctor.gateway_state import GatewayState

NOT_RUNNING = GatewayState()
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def running(uptime=1000.0, by_clock=1000.0, max_open_files=65536):
    """Return the state of a gateway that started so long ago, by its own clock and by the other."""
    return GatewayState(
        {
            "now": NOW.isoformat(),
            "started_at": (NOW - timedelta(seconds=by_clock)).isoformat(),
            "uptime_seconds": uptime,
            "max_open_files": max_open_files,
        }
    )


def only(findings):
    (finding,) = findings
    return finding


@pytest.mark.parametrize(
    ("version", "is_faulty"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
    ],
)
def test_versions_of_sqlite_with_the_fault_are_known_and_harmless(version, is_faulty):
    finding = machine.check_sqlite(version)
    assert finding.verdict is Verdict.OK
    assert ("WAL-reset" in finding.text) is is_faulty


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [(191, "problem"), (192, "warning"), (703, "warning"), (704, "ok"), (-1, "ok")],
)
def test_limit_of_open_files_is_held_against_the_associations(limit, verdict):
    settings = GatewaySettings(max_associations=64)
    assert machine.check_open_files(settings, NOT_RUNNING, lambda: limit).verdict == verdict
    finding = machine.check_open_files(settings, running(max_open_files=limit), lambda: 1)
    assert finding.verdict == verdict
    assert finding.text.startswith("the gateway")


def clock(now=NOW, step=0.0, state=NOT_RUNNING, server_ahead=None):
    return only(machine.check_clock(now, step, state, server_ahead))


def test_clock_that_is_right_is_shown():
    finding = clock(state=running(), server_ahead=0.4)
    assert (finding.verdict, finding.text.endswith("as the server's")) == (Verdict.OK, True)
    assert clock().verdict is Verdict.OK


@pytest.mark.parametrize(
    ("ahead", "verdict"), [(5.0, "ok"), (-5.5, "warning"), (300.0, "warning"), (-301.0, "problem")]
)
def test_servers_clock_may_differ_by_seconds(ahead, verdict):
    finding = clock(server_ahead=ahead)
    assert finding.verdict == verdict
    if verdict != "ok":
        assert ("behind" in finding.text) is (ahead < 0)


def test_clock_that_is_set_while_somebody_looks_is_noticed():
    finding = clock(step=-3.0)
    assert (finding.verdict, "-3.0 s just now" in finding.text) == (Verdict.WARNING, True)


@pytest.mark.parametrize(
    ("uptime", "by_clock", "is_noticed"),
    [(1000, 1001, False), (1000, 1005, True), (1000, 900, True), (10**6, 10**6 + 400, False)],
)
def test_clock_that_was_set_since_the_start_is_noticed(uptime, by_clock, is_noticed):
    finding = clock(state=running(uptime, by_clock))
    assert (finding.verdict is Verdict.WARNING) is is_noticed


@pytest.mark.parametrize("year", [1970, 2024, 2100])
def test_time_that_cannot_be_is_a_problem(year):
    finding = clock(datetime(year, 6, 1, tzinfo=UTC))
    assert finding.verdict is Verdict.PROBLEM
    assert str(year) in finding.text


def test_clock_watch_sees_steps_and_no_time_that_passes():
    wall, steady = 1000.0, 50.0
    watch = machine.ClockWatch(lambda: wall, lambda: steady)
    wall, steady = wall + 10, steady + 10
    assert watch.step() == 0
    wall -= 3600
    assert watch.step() == -3600


def findings(folder, state=NOT_RUNNING, **settings):
    checked = machine.check_state_folder(GatewaySettings(state_dir=folder, **settings), state)
    return {finding.check: finding for finding in checked}


@pytest.mark.parametrize(
    ("free", "verdict"), [(999, "problem"), (1000, "warning"), (1999, "warning"), (2000, "ok")]
)
def test_room_on_the_disk_is_held_against_the_minimum(free, verdict):
    assert machine.judge_room(free, 1000).verdict == verdict


def test_disk_without_room_is_found(tmp_path):
    assert findings(tmp_path, min_free_bytes=2**60)["disk room"].verdict is Verdict.PROBLEM


@pytest.mark.parametrize(
    ("seconds", "durability", "verdict"),
    [(0.020, "power", "ok"), (0.021, "power", "warning"), (0.5, "process", "ok")],
)
def test_disk_that_syncs_slowly_is_named_where_it_matters(seconds, durability, verdict):
    finding = machine.judge_speed(seconds, durability)
    assert finding.verdict == verdict
    assert f"{1000 * seconds:.1f} ms" in finding.text


def test_looking_at_a_state_folder_leaves_nothing_there(tmp_path):
    checked = findings(tmp_path)
    assert checked["state folder"].verdict is Verdict.OK
    assert os.listdir(tmp_path) == []
    assert "no gateway holds it" in checked["state folder"].text


def test_state_folder_that_can_be_made_is_well_and_one_that_cannot_is_not(tmp_path):
    (tmp_path / "file").touch()
    assert findings(tmp_path / "new" / "state")["state folder"].verdict is Verdict.OK
    assert not (tmp_path / "new").exists()
    finding = findings(tmp_path / "file" / "state")["state folder"]
    assert (finding.verdict, "cannot be made" in finding.text) == (Verdict.PROBLEM, True)


def test_state_folder_that_cannot_be_written_is_a_problem(tmp_path):
    (tmp_path / "file").touch()
    finding = findings(tmp_path / "file")["state folder"]
    assert (finding.verdict, "cannot be written" in finding.text) == (Verdict.PROBLEM, True)


def test_gateway_that_runs_elsewhere_is_noticed(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        finding = findings(folder, running())["state folder"]
        assert (finding.verdict, "--config" in finding.text) == (Verdict.WARNING, True)
