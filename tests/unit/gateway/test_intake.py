from __future__ import annotations

import pytest
from tests.examples import header
from tests.fakes import FakeClock, MemorySpool

from seriesgate.gateway.intake import Intake, RefusalReason, Refused, Stored
from seriesgate.gateway.ports import HeaderUnreadable, StoreRequest
from seriesgate.gateway.totals import GatewayTotals
from seriesgate.series.collector import SeriesCollector

MR = "1.2.840.10008.5.1.4.1.1.4"


class ScriptedScanner:
    """Knows the header once `after` fragments have come; `unreadable` fails instead."""

    after = 1
    unreadable = False
    header = header()

    def __init__(self, _transfer_syntax_uid: str) -> None:
        self._seen = 0

    def feed(self, _fragment):
        self._seen += 1
        if self._seen < self.after:
            return None
        return self.finish()

    def finish(self):
        if self.unreadable:
            raise HeaderUnreadable("no Series Instance UID")
        return self.header


class Bench:
    def __init__(self, *, refuses_strays: bool = False) -> None:
        self.clock = FakeClock()
        self.spool = MemorySpool()
        self.wakes = 0
        self.totals = GatewayTotals()
        self.scanner = type("Scanner", (ScriptedScanner,), {})
        self.intake = Intake(
            self.spool,
            SeriesCollector(1.0),
            self.scanner,
            self.clock,
            self._wake,
            self.totals,
            refuses_strays=refuses_strays,
        )

    def _wake(self) -> None:
        self.wakes += 1

    def begin(self, sop: str = "1.1", sop_class: str = MR):
        return self.intake.begin(StoreRequest("MODALITY", "1.2.840.10008.1.2.1", sop_class, sop))


def finish(reception):
    """Let the data set end, and the peer have its answer."""
    outcome = reception.finish()
    reception.answered()
    return outcome


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_instance_is_stored_then_counted(bench):
    reception = bench.begin()
    reception.write(b"abc")
    reception.write(b"de")
    assert finish(reception) == Stored()
    assert bench.intake.open_counts() == (1, 1)
    (stored,) = bench.spool.files.values()
    assert stored.size == 5
    assert stored.calling_ae_title == "MODALITY"


@pytest.mark.parametrize("after", [1, 5])
def test_instance_is_counted_once_the_peer_has_its_answer_and_held_until_then(bench, after):
    bench.scanner.after = after
    reception = bench.begin()
    reception.write(b"abc")
    assert reception.finish() == Stored()
    assert bench.spool.uids() == [("1.2", "1.1")]
    bench.clock.now += 100
    assert bench.intake.close_quiet() == []
    assert bench.totals.instances_stored == 0
    reception.answered()
    assert bench.totals.instances_stored == 1
    bench.clock.now += 1
    (closed,) = bench.intake.close_quiet()
    assert list(closed.instances) == ["1.1"]


def test_instance_in_flight_holds_its_series_open(bench):
    first = bench.begin()
    first.write(b"abc")
    finish(first)
    second = bench.begin("1.9")
    second.write(b"a")
    bench.clock.now += 100
    assert bench.intake.next_deadline() is None
    assert bench.intake.close_quiet() == []
    finish(second)
    assert bench.intake.next_deadline() == bench.clock.now + 1.0


def test_abandoned_instance_lets_its_series_close_and_wakes_the_closer(bench):
    first = bench.begin()
    first.write(b"abc")
    finish(first)
    second = bench.begin("1.9")
    second.write(b"a")
    bench.clock.now += 100
    assert bench.intake.next_deadline() is None
    wakes = bench.wakes
    second.abandon()
    assert bench.wakes > wakes
    (closed,) = bench.intake.close_quiet()
    assert list(closed.instances) == ["1.1"]


def test_instance_whose_header_never_came_is_abandoned_without_a_trace(bench):
    bench.scanner.after = 5
    reception = bench.begin()
    reception.write(b"a")
    reception.abandon()
    assert bench.intake.open_counts() == (0, 0)


def test_header_found_only_at_the_end_is_enough(bench):
    bench.scanner.after = 5
    reception = bench.begin()
    reception.write(b"a")
    assert finish(reception) == Stored()
    assert bench.intake.open_counts() == (1, 1)
    assert bench.intake.next_deadline() == bench.clock.now + 1.0


@pytest.mark.parametrize("after", [1, 5])
def test_data_set_without_a_series_is_refused(bench, after):
    bench.scanner.after = after
    bench.scanner.unreadable = True
    reception = bench.begin()
    reception.write(b"abc")
    reception.write(b"abc")
    outcome = finish(reception)
    assert outcome == Refused(RefusalReason.CANNOT_UNDERSTAND, "no Series Instance UID")
    assert bench.spool.files == {}


@pytest.mark.parametrize("step", ["create", "write", "keep"])
def test_full_spool_refuses_the_instance_and_nothing_stays_open(bench, step):
    bench.spool.full = step == "create"
    reception = bench.begin()
    bench.spool.full = step in {"create", "write"}
    reception.write(b"abc")
    bench.spool.full = True
    outcome = finish(reception)
    assert isinstance(outcome, Refused)
    assert outcome.reason is RefusalReason.OUT_OF_RESOURCES
    assert bench.intake.open_counts() == (0, 0)
    assert bench.totals.instances_out_of_resources == 1
    assert bench.intake.is_failing()
    assert not bench.intake.has_room()
    reception.abandon()
    bench.spool.full = False
    again = bench.begin()
    again.write(b"abc")
    assert finish(again) == Stored()
    assert bench.intake.has_room()
    assert not bench.intake.is_failing()


@pytest.mark.parametrize(
    ("sop", "sop_class", "matches"),
    [("1.1", MR, True), ("9.9", MR, False), ("1.1", "1.2.840.10008.5.1.4.1.1.2", False)],
)
def test_mismatch_between_command_and_data_set_is_said(bench, sop, sop_class, matches):
    reception = bench.begin(sop, sop_class)
    reception.write(b"abc")
    assert finish(reception) == Stored(matches_request=matches)
    assert bench.spool.uids() == [("1.2", "1.1")]


def test_conflicting_instance_is_kept_and_flagged(bench):
    for content in (b"one", b"two", b"one"):
        reception = bench.begin()
        reception.write(content)
        assert finish(reception) == Stored()
    bench.clock.now += 1
    (closed,) = bench.intake.close_quiet()
    assert list(closed.instances) == ["1.1"]
    (conflict,) = closed.conflicting_copies
    assert conflict.sop_instance_uid == "1.1"
    assert bench.spool.uids() == [("1.2", "1.1")] * 2
    assert (bench.totals.instances_stored, bench.totals.instances_repeated) == (2, 1)
    assert bench.totals.bytes_received == 9


def test_closer_is_woken_only_when_there_was_no_deadline(bench):
    for _ in range(3):
        reception = bench.begin()
        reception.write(b"abc")
        finish(reception)
    assert bench.wakes == 1
    bench.clock.now += 1
    bench.intake.close_quiet()
    assert bench.intake.next_deadline() is None
    reception = bench.begin()
    reception.write(b"abc")
    finish(reception)
    assert bench.wakes == 2


def test_restart_rebuilds_open_series_with_a_fresh_quiet_period(bench):
    reception = bench.begin()
    reception.write(b"abc")
    finish(reception)
    clock = FakeClock()
    clock.now = 5.0
    restarted = Intake(
        bench.spool, SeriesCollector(1.0), bench.scanner, clock, lambda: None, GatewayTotals()
    )
    assert restarted.recover() == 1
    assert restarted.next_deadline() == 6.0


def sent(bench, sop, **attributes):
    """Let an instance be sent whole; return what the peer is told."""
    bench.scanner.header = header(sop, **attributes)
    reception = bench.begin(sop)
    reception.write(b"abc")
    return finish(reception)


@pytest.mark.parametrize("stray", [{"study": "9.9"}, {"patient_id": b"B/9"}])
def test_stray_is_refused_where_that_is_set_and_leaves_nothing(stray):
    bench = Bench(refuses_strays=True)
    assert sent(bench, "1.1") == Stored()
    refused = sent(bench, "1.5", **stray)
    assert isinstance(refused, Refused)
    assert refused.reason is RefusalReason.CANNOT_UNDERSTAND
    assert "study or patient" in refused.comment
    assert "9" not in refused.comment
    assert sent(bench, "1.7") == Stored()
    assert sent(bench, "1.9", series="1.4", **stray) == Stored()
    assert bench.spool.uids() == [("1.2", "1.1"), ("1.2", "1.7"), ("1.4", "1.9")]
    assert bench.totals.instances_not_understood == 1
    bench.clock.now += 1
    assert [len(closed.instances) for closed in bench.intake.close_quiet()] == [2, 1]
    assert sent(bench, "1.5", **stray) == Stored(), "the series is not open any more"


def test_stray_is_stored_by_default(bench):
    assert sent(bench, "1.1") == Stored()
    assert sent(bench, "1.5", study="9.9") == Stored()
