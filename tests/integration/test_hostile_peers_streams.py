"""The byte stream cut anywhere, joined, broken off and mutated: the outcome stays the same."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from tests.data_sets import mr_data_set
from tests.integration.footprint import MIB
from tests.integration.receiver import MR_CONTEXT
from tests.integration.siege import besieged, wait_for
from tests.unit.adapters.data_set_bytes import EXPLICIT_LE
from tests.unit.upper_layer import wire

if TYPE_CHECKING:
    from tests.integration.siege import Siege

MUTANTS = 300
MUTANTS_IN_ASSOCIATION = 300
MESSAGES_IN_ONE_SEGMENT = 100

SHORT_DATA_SET = EXPLICIT_LE.before_uids() + EXPLICIT_LE.uids() + EXPLICIT_LE.instance_number()
REQUEST = wire.associate_rq(
    contexts=wire.proposed(MR_CONTEXT, wire.MR_IMAGE_STORAGE, wire.EXPLICIT_LITTLE)
)
STORE = wire.command_pdu(wire.c_store_rq()) + wire.data_pdu(SHORT_DATA_SET)
CONVERSATION = REQUEST + STORE + wire.A_RELEASE_RQ


def converse(siege: Siege, *pieces: bytes) -> bytes:
    """Send the pieces, each after the one before was read; return all that the receiver says."""
    peer = siege.connect()
    for piece in pieces:
        peer.send(piece)
        siege.wait_until_read(peer)
    peer.end_sending()
    return peer.receive_all()


@pytest.mark.fault("F22")
def test_stream_cut_at_any_byte_gives_the_same_answers_and_the_same_file(tmp_path):
    with besieged(tmp_path, grows_by=MIB) as siege:
        whole = converse(siege, CONVERSATION)
        assert whole[:1] == b"\x02"
        assert whole.endswith(wire.A_RELEASE_RP)
        for offset in range(1, len(CONVERSATION)):
            assert converse(siege, CONVERSATION[:offset], CONVERSATION[offset:]) == whole, offset
        (path,) = siege.receiver.files()
        assert path.read_bytes().endswith(SHORT_DATA_SET)
        assert [report.ConflictingInstances for report in siege.reports()] == [[]]


@pytest.mark.fault("F22")
def test_stream_of_single_bytes(tmp_path):
    with besieged(tmp_path, grows_by=MIB) as siege:
        whole = converse(siege, CONVERSATION)
        single = [CONVERSATION[i : i + 1] for i in range(len(CONVERSATION))]
        assert converse(siege, *single) == whole
        assert len(siege.receiver.files()) == 1


@pytest.mark.fault("F22")
def test_association_with_a_hundred_messages_in_one_segment(tmp_path):
    sops = [f"1.2.3.{number}" for number in range(MESSAGES_IN_ONE_SEGMENT)]
    messages = b"".join(
        wire.command_pdu(wire.c_store_rq(instance=wire.even(sop.encode()), message_id=number))
        + wire.data_pdu(mr_data_set(sop=sop))
        for number, sop in enumerate(sops)
    )
    with besieged(tmp_path, grows_by=2 * MIB) as siege:
        peer = siege.connect()
        peer.send(wire.associate_rq() + messages + wire.A_RELEASE_RQ)
        assert peer.receive()[0] == 0x02
        assert [peer.response_status() for _ in sops] == [0x0000] * len(sops)
        assert peer.receive()[0] == 0x06
        assert [report.InstancesInSeries for report in siege.reports()] == [len(sops)]


# Where a connection breaks: what has been sent, and whether the series was known by then.
DATA_SET = mr_data_set(sop="1.2.3.4", pixels=2000)
HALF_DATA_SET = wire.data_pdu(DATA_SET[:2000], last=False)
COMMAND = wire.command_pdu(wire.c_store_rq())
BREAKS = {
    "inside a PDU header": (wire.A_RELEASE_RQ[:3], False),
    "inside a PDV header": (COMMAND[:9], False),
    "inside a command": (COMMAND[:60], False),
    "between command and data set": (COMMAND, False),
    "before the series is known": (COMMAND + wire.data_pdu(DATA_SET)[:100], False),
    "inside the data set": (COMMAND + wire.data_pdu(DATA_SET)[:2000], True),
    "between two fragments": (COMMAND + HALF_DATA_SET, True),
    "before the last byte": (COMMAND + wire.data_pdu(DATA_SET)[:-1], True),
    "before the last flag": (COMMAND + wire.data_pdu(DATA_SET, last=False), True),
}


@pytest.mark.parametrize("is_reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize(("sent", "is_series_known"), BREAKS.values(), ids=BREAKS)
@pytest.mark.fault("F21")
def test_broken_message_leaves_no_file_and_holds_no_series_open(
    tmp_path, sent, is_series_known, is_reset
):
    with besieged(tmp_path, grows_by=MIB) as siege:
        receiver = siege.receiver
        peer = siege.associate()
        peer.send(sent)
        siege.wait_until_read(peer)
        wait_for("the series is held", lambda: receiver.intake.open_counts()[0] == is_series_known)
        if is_reset:
            peer.reset()
        else:
            peer.close()
        wait_for("the place is free", lambda: receiver.scp.association_count() == 0)
        assert receiver.intake.open_counts() == (0, 0)
        assert receiver.incoming() == []
    assert receiver.files() == []


@pytest.mark.parametrize("length", [1, 5, 6, 7, 74, 100, 150])
@pytest.mark.parametrize("is_reset", [False, True], ids=["FIN", "RST"])
def test_broken_request_leaves_nothing(tmp_path, length, is_reset):
    with besieged(tmp_path, grows_by=MIB) as siege:
        peer = siege.connect()
        peer.send(REQUEST[:length])
        siege.wait_until_read(peer)
        if is_reset:
            peer.reset()
        else:
            peer.close()
        siege.receiver.wait_until_idle()


@pytest.mark.fault("F21")
def test_what_was_acknowledged_stays_when_the_next_message_breaks(tmp_path):
    with besieged(tmp_path, grows_by=MIB) as siege:
        peer = siege.associate()
        assert peer.store("1.1.1") == 0x0000
        peer.begin_store("1.1.2")
        peer.send(HALF_DATA_SET)
        siege.wait_until_read(peer)
        peer.reset()
        siege.receiver.wait_until_idle()
        assert [report.InstancesInSeries for report in siege.reports()] == [1]


def mutated(stream: bytes, seed: int) -> bytes:
    """Return `stream` with a few bytes changed, cut out, doubled or swapped."""
    choose = random.Random(seed)
    mutant = bytearray(stream)
    for _ in range(choose.randint(1, 6)):
        start = choose.randrange(len(mutant))
        end = min(len(mutant), start + choose.choice((1, 2, 4, 16, 64)))
        part = bytes(mutant[start:end])
        edge = choose.choice((b"\0", b"\xff", b"\x7f", choose.randbytes(1))) * len(part)
        mutant[start:end] = choose.choice((edge, b"", part * 2, part[::-1], edge + part))
    return bytes(mutant) or b"\0"


@pytest.mark.parametrize(
    ("head", "tail", "count"),
    [(b"", CONVERSATION, MUTANTS), (REQUEST, STORE * 2, MUTANTS_IN_ASSOCIATION)],
    ids=["from the first byte", "in an association"],
)
def test_mutated_conversation_ends_and_ends_nothing_else(tmp_path, head, tail, count):
    with besieged(tmp_path, grows_by=2 * MIB) as siege:
        for seed in range(count):
            peer = siege.connect()
            peer.send(head + mutated(tail, seed))
            peer.end_sending()
            assert peer.receive_all()[:1] in {b"", b"\x02", b"\x03", b"\x07"}
            peer.close()
