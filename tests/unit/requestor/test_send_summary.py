from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data_sets import EXPLICIT_LE, MR_IMAGE_STORAGE

from seriesgate.requestor.outgoing_instance import StorageContext
from seriesgate.requestor.send_summary import Outcome, SendSummary, SendTally


def _summary(tally: SendTally, *, unsent: int = 0, seconds: float = 2.0) -> SendSummary:
    return tally.summary(unsent=unsent, seconds=seconds, interrupted=False)


def test_success_and_warnings_count_as_sent():
    tally = SendTally()
    tally.answered("1.dcm", 0x0000, 10)
    tally.answered("1.dcm", 0xB007, 20)
    tally.answered("1.dcm", 0xB007, 20)
    summary = _summary(tally)
    assert (summary.sent, summary.size) == (3, 50)
    assert summary.warnings == (
        Outcome(0xB007, "Data Set Does Not Match SOP Class", 2, "", ("1.dcm", "1.dcm")),
    )
    assert summary.is_complete
    assert summary.instances_per_second == 1.5


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (0xA700, "Refused: Out of Resources"),
        (0xA900, "Data Set Does Not Match SOP Class"),
        (0xC123, "Cannot Understand"),
        (0x0122, "Refused: SOP Class Not Supported"),
        (0xFF00, "unknown status"),
        (0x1234, "unknown status"),
    ],
)
def test_every_other_status_is_a_refusal_with_its_meaning(status, meaning):
    tally = SendTally()
    tally.answered("1.dcm", status, 10)
    summary = _summary(tally)
    assert (summary.sent, summary.size) == (0, 0)
    assert summary.refused == (Outcome(status, meaning, 1, "", ("1.dcm",)),)
    assert not summary.is_complete


def test_a_refused_context_is_named_in_words():
    tally = SendTally()
    tally.context_refused("1.dcm", StorageContext(MR_IMAGE_STORAGE, EXPLICIT_LE), "not today")
    tally.context_refused("1.dcm", StorageContext(MR_IMAGE_STORAGE, EXPLICIT_LE), "not today")
    assert _summary(tally).refused == (
        Outcome(
            None,
            "MR Image Storage, Explicit VR Little Endian: not today",
            2,
            "",
            ("1.dcm", "1.dcm"),
        ),
    )


def test_outcomes_come_with_the_most_frequent_first():
    tally = SendTally()
    for reason, count in (("rare", 1), ("often", 5)):
        tally.failed(reason, count)
    assert [outcome.meaning for outcome in _summary(tally).failed] == ["often", "rare"]


def test_failed_and_unsent_instances_leave_it_incomplete():
    failed = SendTally()
    failed.failed("gone")
    assert not _summary(failed).is_complete
    assert not _summary(SendTally(), unsent=1).is_complete


def test_a_run_without_time_has_no_pace():
    assert _summary(SendTally(), seconds=0.0).instances_per_second == 0.0


def test_progress_hears_of_every_instance_once_also_from_many_threads():
    heard: list[int] = []
    tally = SendTally(heard.append)

    def work():
        for _ in range(200):
            tally.answered("1.dcm", 0x0000, 1)
            tally.answered("1.dcm", 0xA700, 1)
            tally.failed("gone")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    summary = _summary(tally)
    assert (summary.sent, summary.refused[0].count, summary.failed[0].count) == (800, 800, 800)
    assert (heard.count(1), heard.count(0)) == (800, 1600)


def test_refusals_are_told_apart_by_what_the_peer_says_and_the_first_are_named():
    tally = SendTally()
    for number in range(7):
        tally.answered(f"{number}.dcm", 0xA700, 10, "the disk is full")
    tally.answered("odd.dcm", 0xA700, 10, "too late")
    meaning = "Refused: Out of Resources"
    assert _summary(tally).refused == (
        Outcome(0xA700, meaning, 7, "the disk is full", tuple(f"{n}.dcm" for n in range(5))),
        Outcome(0xA700, meaning, 1, "too late", ("odd.dcm",)),
    )


@given(st.text(max_size=600), st.text(min_size=1, max_size=600))
def test_whatever_a_peer_says_is_one_line_of_bounded_length(comment, name):
    tally = SendTally()
    tally.answered(name, 0xA700, 10, comment)
    [refusal] = _summary(tally).refused
    for text in (refusal.comment, *refusal.instances):
        assert text.isprintable()
        assert len(text) <= 257


def test_peer_that_says_something_else_each_time_is_not_repeated_without_end():
    tally = SendTally()
    for number in range(1000):
        tally.answered(f"{number}.dcm", 0xA700, 10, f"number {number}")
    refused = _summary(tally).refused
    assert len(refused) == 101
    assert (refused[0].comment, refused[0].count) == ("", 900)
    assert sum(each.count for each in refused) == 1000
