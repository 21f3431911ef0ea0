from __future__ import annotations

import pytest
from tests.fakes import EPOCH, FakeClock, QuietAssociation

from seriesgate.gateway.associations import AssociationEnd, AssociationRefusal
from seriesgate.gateway.senders import (
    MAX_SENDERS,
    NagleSign,
    Peer,
    SenderRegister,
    SenderStatistics,
    Traffic,
)
from seriesgate.series.pauses import PauseHistogram

MR1, CT1 = Peer("10.0.0.1", "MR1"), Peer("10.0.0.2", "CT1")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def register(clock):
    return SenderRegister(clock)


def only(register):
    (sender,) = register.senders()
    return sender


def test_associations_add_up(register, clock):
    first, second = (
        QuietAssociation(stored=5, bytes=100, seconds=1.0, longest_pdu=16, statuses={"A700": 1}),
        QuietAssociation(stored=3, bytes=50, seconds=1.0, longest_pdu=8, statuses={"A700": 2}),
    )
    register.accepted(MR1, first)
    clock.now += 60
    register.accepted(MR1, second)
    register.ended(first, AssociationEnd.RELEASED)
    register.ended(second, AssociationEnd.CONNECTION_LOST)
    sender = only(register)
    assert (sender.associations, sender.stored, sender.bytes) == (2, 8, 150)
    assert (sender.longest_pdu, sender.instances_per_second) == (16, 4.0)
    assert sender.statuses == {"A700": 3}
    assert sender.ended == {"released": 1, "connection_lost": 1}
    assert (sender.latest_at - sender.first_at).total_seconds() == 60


def test_open_association_counts_so_far_and_only_once(register):
    association = QuietAssociation(stored=5)
    register.accepted(MR1, association)
    assert only(register).stored == 5
    association.now = Traffic(stored=7)
    assert only(register).stored == 7
    register.ended(association, AssociationEnd.RELEASED)
    assert only(register).stored == 7


def test_what_was_read_does_not_change(register):
    register.accepted(MR1, association := QuietAssociation(statuses={"A700": 1}))
    before = only(register)
    register.ended(association, AssociationEnd.RELEASED)
    register.series_closed(MR1, PauseHistogram(), 5.0)
    assert (before.ended, before.late, before.pauses) == ({}, 0, PauseHistogram())


def test_latest_sender_is_the_first_and_the_oldest_are_forgotten(register):
    for number in range(MAX_SENDERS + 50):
        register.accepted(Peer("10.0.0.1", f"AE{number}"), QuietAssociation())
        register.accepted(MR1, QuietAssociation())
    titles = [sender.calling_ae_title for sender in register.senders()]
    assert titles[:2] == ["MR1", f"AE{MAX_SENDERS + 49}"]
    assert len(titles) == MAX_SENDERS
    assert "AE51" in titles
    assert "AE50" not in titles


def test_host_that_invents_names_pushes_nobody_else_out(register):
    register.accepted(MR1, QuietAssociation())
    register.accepted(CT1, QuietAssociation())
    for number in range(3 * MAX_SENDERS):
        register.accepted(Peer("10.6.6.6", f"AE{number}"), QuietAssociation())
    titles = [sender.calling_ae_title for sender in register.senders()]
    assert len(titles) == MAX_SENDERS
    assert titles[-2:] == ["CT1", "MR1"]
    assert titles[0] == f"AE{3 * MAX_SENDERS - 1}"


def test_sender_of_another_host_finds_a_place_among_invented_names(register):
    for number in range(MAX_SENDERS):
        register.accepted(Peer("10.6.6.6", f"AE{number}"), QuietAssociation())
    register.accepted(MR1, QuietAssociation())
    titles = {sender.calling_ae_title for sender in register.senders()}
    assert {"MR1", "AE1"} < titles
    assert "AE0" not in titles


def test_host_that_invents_names_has_pushed_nobody_out_after_a_restart(register):
    invented = [
        SenderStatistics("10.6.6.6", f"AE{number}", EPOCH, EPOCH) for number in range(MAX_SENDERS)
    ]
    real = SenderStatistics("10.0.0.1", "MR1", EPOCH, EPOCH)
    register.recall([*invented, real])
    assert real.peer in {sender.peer for sender in register.senders()}
    assert len(register.senders()) == MAX_SENDERS


def test_association_of_a_forgotten_sender_ends_without_a_trace(register):
    association = QuietAssociation(stored=1)
    register.accepted(MR1, association)
    for number in range(MAX_SENDERS):
        register.accepted(Peer("10.0.0.1", f"AE{number}"), QuietAssociation())
    register.ended(association, AssociationEnd.RELEASED)
    register.series_closed(MR1, None)
    assert MR1 not in {sender.peer for sender in register.senders()}


def test_whoever_only_knocks_takes_no_place(register):
    register.refused(MR1, AssociationRefusal.CALLING_AE_TITLE)
    assert register.senders() == []
    register.accepted(MR1, QuietAssociation())
    register.refused(MR1, AssociationRefusal.NO_ROOM)
    register.refused(CT1, AssociationRefusal.NO_ROOM)
    assert only(register).refused == {"no_room": 1}


def test_late_series_are_told_from_new_ones(register):
    register.accepted(MR1, QuietAssociation())
    pauses = PauseHistogram()
    pauses.add(0.7)
    register.series_closed(MR1, pauses)
    register.series_closed(MR1, None)
    register.series_closed(MR1, None, 4.0)
    sender = only(register)
    assert (sender.series, sender.late) == (2, 1)
    assert (sender.pauses.at_least(0.5), sender.pauses.at_least(3.0)) == (2, 1)
    assert sender.late_arrivals(1.0).late_at(5.0) == 0


def test_earlier_run_is_gone_on_with(register, clock):
    register.accepted(MR1, association := QuietAssociation(stored=5))
    register.ended(association, AssociationEnd.RELEASED)
    register.accepted(CT1, QuietAssociation())
    later = SenderRegister(clock)
    later.recall(register.senders())
    assert [sender.peer for sender in later.senders()] == [CT1, MR1]
    later.accepted(MR1, QuietAssociation(stored=2))
    assert [(sender.peer, sender.stored) for sender in later.senders()] == [(MR1, 7), (CT1, 0)]


def tried(register, wait):
    """Have an association that tried the sender; return whether it was wanted."""
    association = QuietAssociation(stored=100, has_tried=True, wait=wait)
    wanted = register.accepted(MR1, association)
    register.ended(association, AssociationEnd.RELEASED)
    return wanted


@pytest.mark.parametrize(
    ("wait", "sign", "saved"),
    [(None, "cannot_tell", 0.0), (0.0, "no_sign", 0.0), (0.044, "on", 4.4)],
)
def test_trial_tells_of_nagle_and_what_is_saved(register, wait, sign, saved):
    tried(register, wait)
    sender = only(register)
    assert sender.nagle == sign
    assert sender.saved_seconds == pytest.approx(saved)


def test_sender_is_tried_until_it_is_known_and_a_few_times_a_day_at_most(register, clock):
    assert [tried(register, None) for _ in range(5)] == [True, True, True, False, False]
    clock.now += 86400
    assert [tried(register, wait) for wait in (None, 0.0, None)] == [True, True, False]
    assert only(register).nagle is NagleSign.NO_SIGN


def test_what_is_known_is_tried_again_another_day_and_stays_until_then(register, clock):
    assert [tried(register, 0.044), tried(register, None)] == [True, False]
    clock.now += 2 * 86400
    assert tried(register, None)
    assert only(register).nagle is NagleSign.ON
    assert not tried(register, 0.0)


def test_association_that_has_not_come_to_its_trial_is_none(register):
    for _ in range(5):
        assert register.accepted(MR1, QuietAssociation(stored=2))
    assert only(register).nagle is NagleSign.CANNOT_TELL


def test_sender_without_instances_has_no_rate():
    sender = SenderStatistics("h", "A", EPOCH, EPOCH, seconds=3.0)
    assert sender.instances_per_second is None
