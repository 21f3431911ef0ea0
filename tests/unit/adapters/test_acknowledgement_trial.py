from __future__ import annotations

import socket

import pytest

from seriesgate.adapters.acknowledgement_trial import AcknowledgementTrial

QUICKACK = (socket.IPPROTO_TCP, socket.TCP_QUICKACK)


class Connection:
    def __init__(self) -> None:
        self.options: list[tuple[int, int, int]] = []

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options.append((level, option, value))


class Association:
    """Messages of two pieces with a gap in seconds between them, after a second of silence."""

    def __init__(self) -> None:
        self.trial = AcknowledgementTrial()
        self.connection = Connection()
        self.now = 100.0
        self.acknowledged: list[bool] = []
        self.trial.answered(self.now, self.connection)  # its request

    def message(self, gap: float) -> None:
        self.now += 1.0
        self.acknowledged.append(self.trial.received(self.now))
        self.now += gap
        self.trial.answered(self.now, self.connection)


def after(*gaps):
    association = Association()
    for gap in gaps:
        assert not association.trial.is_over
        association.message(gap)
    return association


@pytest.mark.parametrize(
    ("gap", "wait"),
    [(0.0, 0.0), (0.019, 0.0), (0.03, None), (0.044, 0.044), (0.07, 0.07), (0.2, None)],
)
def test_third_message_is_the_trial(gap, wait):
    association = after(0.001, 0.001, gap)
    assert association.trial.is_over
    assert association.trial.wait == (None if wait is None else pytest.approx(wait))
    assert association.acknowledged == [True, True, False]
    assert association.connection.options == [(*QUICKACK, 0)]


def test_acknowledgement_is_delayed_before_the_message_begins():
    association = after(0.001)
    assert (association.connection.options, association.trial.has_begun) == ([], False)
    association.message(0.001)
    assert (association.connection.options, association.trial.has_begun) == ([(*QUICKACK, 0)], True)


def test_sender_that_pauses_by_itself_is_not_tried():
    association = after(0.001, 0.044)
    assert association.trial.is_over
    assert (association.trial.wait, association.trial.has_begun) == (None, False)
    assert association.connection.options == []


def test_longest_of_several_gaps_counts_and_silence_between_messages_does_not():
    association = after(0.001, 0.001)
    trial, now = association.trial, association.now + 30.0
    for gap in (0.001, 0.045, 0.002):
        assert not trial.received(now)
        now += gap
    trial.answered(now, association.connection)
    assert trial.wait == pytest.approx(0.045)


def test_message_in_one_piece_has_not_waited():
    association = after(0.001, 0.001)
    association.trial.answered(association.now + 5.0, association.connection)
    assert association.trial.wait == 0.0
