"""Hostile connections: silent, slow, of other protocols, and deaf."""

from __future__ import annotations

import select
import socket
from itertools import repeat
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from tests.data_sets import mr_data_set
from tests.integration.footprint import KIB, MIB
from tests.integration.siege import besieged
from tests.unit.upper_layer import wire

from seriesgate.adapters import association

if TYPE_CHECKING:
    from tests.integration.receiver import Peer

FEW_BUFFERS = 1 * MIB

# Time limits of the receiver in these tests, and when at the latest a busy machine has noticed it.
LIMIT = 0.3
TICK = 0.1
NOTICED_WITHIN = 1.5
DRIP_PAUSE = 0.03

ABORTED_BY_USER = (0x07, b"\0\0\0\0")
REQUEST = wire.associate_rq()

OTHER_PROTOCOLS = [
    b"GET / HTTP/1.1\r\nHost: pacs\r\nContent-Length: 4294967295\r\n\r\n",
    bytes.fromhex("16030100A5010000A10303") + bytes(154),  # TLS ClientHello
    b"\x0bMSH|^~\\&|HIS|RIH|EKG|EKG|199904140038||ADT^A01||P|2.2\r\x1c\r",  # HL7 over MLLP
    b"SSH-2.0-OpenSSH_9.2\r\n",
    bytes(64 * KIB),
    b"\xff" * 64 * KIB,
]


@pytest.fixture(autouse=True)
def short_tick(monkeypatch):
    monkeypatch.setattr(association, "_TICK", TICK)


def drip_until_answered(peer: Peer, drip: bytes) -> None:
    """Send a byte of `drip` after each pause, for as long as nothing comes."""
    for number in range(200):
        if select.select([peer.socket], [], [], DRIP_PAUSE)[0]:
            return
        peer.send(drip[number : number + 1])
    raise AssertionError("nothing came")


def assert_closed_in_time(peer: Peer) -> None:
    began = monotonic()
    assert peer.receive() == (0, b"")
    assert monotonic() - began < NOTICED_WITHIN


@pytest.mark.fault("F20")
def test_other_protocol_is_aborted_at_once_and_closed_in_time(tmp_path):
    with besieged(tmp_path, grows_by=FEW_BUFFERS, artim_timeout=LIMIT) as siege:
        peers = []
        for greeting in OTHER_PROTOCOLS:
            peers.append(siege.connect())
            peers[-1].send(greeting)
            assert peers[-1].receive() == ABORTED_BY_USER
        for peer in peers:
            assert_closed_in_time(peer)


@pytest.mark.parametrize("begun", [b"", REQUEST[:3], REQUEST[:100]])
@pytest.mark.fault("F19")
def test_request_that_does_not_come_in_time_is_closed_without_a_word(tmp_path, begun):
    with besieged(tmp_path, grows_by=FEW_BUFFERS, artim_timeout=LIMIT) as siege:
        began = monotonic()
        silent, dripping = siege.connect(), siege.connect()
        for peer in (silent, dripping):
            peer.send(begun)
        drip_until_answered(dripping, REQUEST[len(begun) :])
        assert LIMIT <= monotonic() - began < NOTICED_WITHIN
        assert dripping.receive() == (0, b"")
        assert_closed_in_time(silent)


DATA_SET = mr_data_set(sop="1.2.3.4", pixels=2000)
TINY_FRAGMENT = wire.data_pdu(b"ab", last=False)
DRIPS = {
    "nothing more": (wire.data_pdu(DATA_SET)[:2000], b""),
    "bytes of a fragment": (wire.data_pdu(DATA_SET)[:2000], DATA_SET[2000:]),
    "tiny fragments": (wire.data_pdu(DATA_SET[:2000], last=False), TINY_FRAGMENT * 50),
    "bytes of a PDU header": (b"", TINY_FRAGMENT * 50),
}


@pytest.mark.parametrize(("begun", "drip"), DRIPS.values(), ids=DRIPS)
@pytest.mark.fault("F19")
def test_message_without_progress_is_aborted_and_dropped(tmp_path, begun, drip):
    with besieged(
        tmp_path,
        grows_by=FEW_BUFFERS,
        progress_window=LIMIT,
        min_progress=1000.0,
        artim_timeout=LIMIT,
    ) as siege:
        peer = siege.associate()
        began = monotonic()
        peer.begin_store()
        peer.send(begun)
        drip_until_answered(peer, drip)
        assert LIMIT <= monotonic() - began < NOTICED_WITHIN
        assert peer.receive() == ABORTED_BY_USER
        assert siege.receiver.intake.open_counts() == (0, 0)
        assert siege.receiver.incoming() == []
        assert_closed_in_time(peer)
    assert siege.receiver.files() == []


def test_slow_but_steady_message_is_stored(tmp_path):
    content = mr_data_set(sop="1.2.3.4", pixels=3000)
    with besieged(
        tmp_path, grows_by=FEW_BUFFERS, progress_window=2 * LIMIT, min_progress=1000.0
    ) as siege:
        peer = siege.associate()
        peer.begin_store()
        for start in range(0, len(content), 200):
            assert not select.select([peer.socket], [], [], DRIP_PAUSE)[0], "it was aborted"
            peer.send(wire.data_pdu(content[start : start + 200], last=False))
        peer.send(wire.data_pdu(b""))
        assert peer.response_status() == 0x0000


def test_idle_association_is_aborted_and_its_place_is_free(tmp_path):
    with besieged(tmp_path, grows_by=FEW_BUFFERS, idle_timeout=LIMIT, artim_timeout=LIMIT) as siege:
        peers = [siege.associate() for _ in range(6)]
        assert [peer.receive() for peer in peers] == [ABORTED_BY_USER] * len(peers)
        for peer in peers:
            assert_closed_in_time(peer)


@pytest.mark.fault("F18")
def test_peer_that_vanishes_is_noticed_by_the_system(tmp_path):
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        accepted = siege.accepted(siege.associate())
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 120


def test_peer_that_never_reads_its_answers_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(association, "_SEND_TIMEOUT", LIMIT)
    # The answer has the class UID of the request, as it came.
    echo = wire.request(wire.C_ECHO_RQ, sop_class=b"1" * 60_000)
    echoes = wire.command_pdu(echo, context_id=1) * 4
    with besieged(tmp_path, grows_by=4 * MIB) as siege:
        peer = siege.associate()
        with pytest.raises(ConnectionError):
            peer.send(*repeat(echoes, 1000))
