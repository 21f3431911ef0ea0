from __future__ import annotations

import logging

import pytest
from tests.fakes import FakeClock, QuietAssociation

from seriesgate.gateway.associations import (
    AssociationEnd,
    AssociationRefusal,
    AssociationRegister,
)
from seriesgate.gateway.senders import Peer

MR1 = Peer("10.0.0.1", "MR1")
SCANNER = Peer("10.0.0.9")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def register(clock):
    return AssociationRegister(clock)


def test_associations_are_counted_from_acceptance_to_end(register):
    association = QuietAssociation()
    register.accepted(MR1, association)
    register.accepted(MR1, QuietAssociation())
    register.ended(association, AssociationEnd.ABORTED_BY_PEER)
    register.store_answered(0xA700)
    register.store_answered(0xA700)
    status = register.status()
    assert (status.open, status.accepted) == (1, 2)
    assert status.ended[AssociationEnd.ABORTED_BY_PEER] == 1
    assert sum(status.ended.values()) == 1
    assert status.store_statuses == {"A700": 2}


def test_latest_sender_is_the_first_and_knows_how_many_associations_it_had(register, clock):
    register.accepted(MR1, QuietAssociation())
    register.accepted(Peer("10.0.0.2", "CT1"), QuietAssociation())
    clock.now += 5
    register.accepted(MR1, QuietAssociation())
    first, second = register.status().senders
    assert (first.peer, first.associations, first.latest_at) == (MR1, 2, clock.utcnow())
    assert second.peer.calling_ae_title == "CT1"


def test_peers_are_remembered_up_to_a_bound(register):
    for number in range(1000):
        peer = Peer(f"10.0.{number // 256}.{number % 256}", f"AE{number}")
        register.accepted(peer, QuietAssociation())
        register.refused(peer, AssociationRefusal.NO_ROOM, "rejected")
    status = register.status()
    assert (len(status.senders), len(status.refused_peers)) == (256, 200)
    assert status.senders[0].peer.calling_ae_title == "AE999"
    assert status.refused[AssociationRefusal.NO_ROOM] == 1000


def test_host_that_is_refused_under_many_names_pushes_nobody_else_out(register):
    register.refused(MR1, AssociationRefusal.CALLING_AE_TITLE, "rejected")
    for number in range(1000):
        peer = Peer("10.6.6.6", f"AE{number}")
        register.refused(peer, AssociationRefusal.CALLING_AE_TITLE, "rejected")
    refused = register.status().refused_peers
    assert len(refused) == 200
    assert (refused[0].peer.calling_ae_title, refused[-1].peer) == ("AE999", MR1)


def test_port_scanner_leaves_one_line_and_one_more_a_minute(register, clock, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(120):
        for _ in range(100):
            register.refused(SCANNER, AssociationRefusal.NOT_REQUESTED, "connection closed")
        clock.now += 1.0
        register.log_repetitions()
    assert caplog.messages == [
        "connection from 10.0.0.9: connection closed",
        "5999 more refused in 60 s, from 10.0.0.9: not_requested",
        "6000 more refused in 60 s, from 10.0.0.9: not_requested",
    ]
    (refused,) = register.status().refused_peers
    assert (refused.times, refused.reason) == (12000, AssociationRefusal.NOT_REQUESTED)


def test_refusals_of_different_kinds_have_a_line_each(register, caplog):
    register.refused(MR1, AssociationRefusal.CALLING_AE_TITLE, "rejected (1/1/3)")
    register.refused(MR1, AssociationRefusal.NO_ROOM, "rejected (2/3/1)")
    assert caplog.messages == [
        "association of 'MR1' at 10.0.0.1: rejected (1/1/3)",
        "association of 'MR1' at 10.0.0.1: rejected (2/3/1)",
    ]
