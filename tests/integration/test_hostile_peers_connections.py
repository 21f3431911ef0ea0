"""Hostile connections: silent, slow, of other protocols, and deaf."""

from __future__ import annotations

import select
import socket
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

# A limit of the tests, and how late it may be noticed: a tick of 0.5 s, and a busy machine.
LIMIT = 0.5
NOTICED_WITHIN = 1.5
DRIP_PAUSE = 0.05

ABORTED_BY_USER = (0x07, b"\0\0\0\0")
REQUEST = wire.associate_rq()

OTHER_PROTOCOLS = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: pacs\r\nContent-Length: 4294967295\r\n\r\n",
    "TLS": bytes.fromhex("16030100A5010000A10303") + bytes(154),
    "HL7": b"\x0bMSH|^~\\&|HIS|RIH|EKG|EKG|199904140038||ADT^A01||P|2.2\r\x1c\r",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "zeros": bytes(64 * KIB),
    "ones": b"\xff" * 64 * KIB,
}


def seconds_until_closed(peer: Peer, drip: bytes = b"") -> float:
    """Wait for the end of the connection, sending a byte of `drip` after each pause."""
    began = monotonic()
    for number in range(200):
        if select.select([peer.socket], [], [], DRIP_PAUSE)[0]:
            assert peer.receive() == (0, b"")
            return monotonic() - began
        peer.send(drip[number : number + 1])
    raise AssertionError("the connection was not closed")


def next_pdu(peer: Peer, drip: bytes) -> tuple[int, bytes]:
    """Return the next PDU of the receiver, sending a byte of `drip` after each pause."""
    for number in range(200):
        if select.select([peer.socket], [], [], DRIP_PAUSE)[0]:
            return peer.receive()
        peer.send(drip[number : number + 1])
    raise AssertionError("nothing came")


@pytest.mark.parametrize("greeting", OTHER_PROTOCOLS.values(), ids=OTHER_PROTOCOLS)
def test_other_protocol_is_aborted_at_once_and_closed_in_time(tmp_path, greeting):
    with besieged(tmp_path, grows_by=FEW_BUFFERS, artim_timeout=LIMIT) as siege:
        peer = siege.connect()
        peer.send(greeting)
        assert peer.receive() == ABORTED_BY_USER
        assert seconds_until_closed(peer) < NOTICED_WITHIN


@pytest.mark.parametrize("begun", [b"", REQUEST[:3], REQUEST[:100]])
@pytest.mark.parametrize("is_dripping", [False, True], ids=["silent", "drips"])
def test_request_that_does_not_come_in_time_is_closed_without_a_word(tmp_path, begun, is_dripping):
    drip = REQUEST[len(begun) :] if is_dripping else b""
    with besieged(tmp_path, grows_by=FEW_BUFFERS, artim_timeout=LIMIT) as siege:
        peer = siege.connect()
        peer.send(begun)
        assert LIMIT * 0.9 < seconds_until_closed(peer, drip) < NOTICED_WITHIN


DATA_SET = mr_data_set(sop="1.2.3.4", pixels=2000)
TINY_FRAGMENT = wire.data_pdu(b"ab", last=False)
DRIPS = {
    "nothing more": (wire.data_pdu(DATA_SET)[:2000], b""),
    "bytes of a fragment": (wire.data_pdu(DATA_SET)[:2000], DATA_SET[2000:]),
    "tiny fragments": (wire.data_pdu(DATA_SET[:2000], last=False), TINY_FRAGMENT * 50),
    "bytes of a PDU header": (b"", TINY_FRAGMENT * 50),
}


@pytest.mark.parametrize(("begun", "drip"), DRIPS.values(), ids=DRIPS)
def test_message_without_progress_is_aborted_and_dropped(tmp_path, begun, drip):
    limits = {"progress_window": LIMIT, "min_progress": 1000.0, "artim_timeout": LIMIT}
    with besieged(tmp_path, grows_by=FEW_BUFFERS, **limits) as siege:
        peer = siege.associate()
        peer.begin_store()
        peer.send(begun)
        began = monotonic()
        if drip:
            assert next_pdu(peer, drip) == ABORTED_BY_USER
        else:
            assert peer.receive() == ABORTED_BY_USER
        assert monotonic() - began < 2 * NOTICED_WITHIN
        assert siege.receiver.intake.open_counts() == (0, 0)
        assert siege.receiver.incoming() == []
        assert seconds_until_closed(peer) < NOTICED_WITHIN
    assert siege.receiver.files() == []


def test_slow_but_steady_message_is_stored(tmp_path):
    content = mr_data_set(sop="1.2.3.4", pixels=4000)
    with besieged(
        tmp_path, grows_by=FEW_BUFFERS, progress_window=LIMIT, min_progress=1000.0
    ) as siege:
        peer = siege.associate()
        peer.begin_store()
        for start in range(0, len(content), 200):
            assert not select.select([peer.socket], [], [], DRIP_PAUSE)[0], "it was aborted"
            peer.send(wire.data_pdu(content[start : start + 200], last=False))
        peer.send(wire.data_pdu(b""))
        assert peer.response_status() == 0x0000


def test_idle_association_is_aborted_and_its_place_is_free(tmp_path):
    with besieged(
        tmp_path, grows_by=FEW_BUFFERS, idle_timeout=LIMIT, artim_timeout=LIMIT
    ) as siege:
        peers = [siege.associate() for _ in range(6)]
        assert [peer.receive() for peer in peers] == [ABORTED_BY_USER] * len(peers)
        for peer in peers:
            assert seconds_until_closed(peer) < NOTICED_WITHIN


def test_peer_that_vanishes_is_noticed_by_the_system(tmp_path):
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        siege.associate()
        (accepted,) = siege.receiver.scp._associations
        assert accepted._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle = accepted._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        assert idle <= 120


def test_peer_that_never_reads_its_answers_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(association, "_SEND_TIMEOUT", LIMIT)
    echoes = wire.command_pdu(wire.c_echo_rq(), context_id=1) * 1000
    with besieged(tmp_path, grows_by=4 * MIB) as siege:
        peer = siege.associate()
        with pytest.raises(ConnectionError):
            for _ in range(1000):
                peer.send(echoes)


