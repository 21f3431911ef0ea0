"""Hostile content behind a proper protocol: nesting, lengths, bombs, and sheer mass."""

from __future__ import annotations

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, repeat
from typing import TYPE_CHECKING

import pytest
from tests.data_sets import DEFLATED
from tests.integration.footprint import KIB, MIB
from tests.integration.receiver import MR_CONTEXT
from tests.integration.siege import besieged, wait_for
from tests.unit.adapters import data_set_bytes
from tests.unit.adapters.data_set_bytes import EXPLICIT_LE, UNDEFINED
from tests.unit.upper_layer import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.integration.receiver import Peer
    from tests.integration.siege import Siege
    from tests.unit.adapters.data_set_bytes import Encoding

    from seriesgate.series.report import Series

FEW_BUFFERS = 1 * MIB
BUFFER = 512 * KIB
BIG_OBJECT = 200 * MIB
INSTANCES_OF_ONE_SERIES = 2000
INTERLEAVED_SERIES = 500
INSTANCES_OF_EACH_SERIES = 4
SENDERS_AT_ONCE = 20

STORED = 0x0000
CANNOT_UNDERSTAND = 0xC000


def nested(levels: int, *, is_defined: bool) -> bytes:
    """Return a sequence inside a sequence inside a sequence ..."""
    if not is_defined:
        opening = EXPLICIT_LE.header(0x00081140, "SQ", UNDEFINED)
        opening += EXPLICIT_LE.bare(0xFFFEE000, UNDEFINED)
        closing = EXPLICIT_LE.bare(0xFFFEE00D, 0) + EXPLICIT_LE.bare(0xFFFEE0DD, 0)
        return opening * levels + closing * levels
    per_level = len(EXPLICIT_LE.header(0x00081140, "SQ", 0) + EXPLICIT_LE.bare(0xFFFEE000, 0))
    return b"".join(
        EXPLICIT_LE.header(0x00081140, "SQ", inside * per_level + 8)
        + EXPLICIT_LE.bare(0xFFFEE000, inside * per_level)
        for inside in reversed(range(levels))
    )


@pytest.mark.parametrize("levels", [64, 65, 1000, 100_000])
@pytest.mark.parametrize("is_defined", [True, False])
@pytest.mark.parametrize("is_in_head", [True, False])
def test_nested_sequences_exhaust_no_stack(tmp_path, levels, is_defined, is_in_head):
    sequences = nested(levels, is_defined=is_defined)
    data_set = EXPLICIT_LE.data_set(sequences) if is_in_head else EXPLICIT_LE.data_set() + sequences
    is_too_deep = is_in_head and not is_defined and levels > 64
    message = wire.data_pdu(data_set)
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        peer.begin_store(data_set_bytes.SOP_INSTANCE)
        peer.send(message)
        assert peer.response_status() == (CANNOT_UNDERSTAND if is_too_deep else STORED)


def deflate_bomb(gibibytes: int) -> bytes:
    """Return a raw deflate stream, 1 MiB of it for each GiB of zeros that it stands for."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # A full flush makes the block independent of those before it.
    block = compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return block * KIB * gibibytes


@pytest.mark.parametrize("is_before_the_series", [True, False])
def test_deflate_bomb_is_not_inflated(tmp_path, is_before_the_series):
    uids = b"" if is_before_the_series else EXPLICIT_LE.uids() + EXPLICIT_LE.instance_number()
    huge = EXPLICIT_LE.header(0x00201040, "OB", 0x7FFFFFFE)
    head = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data_set = head.compress(EXPLICIT_LE.before_uids() + uids + huge)
    data_set += head.flush(zlib.Z_FULL_FLUSH) + deflate_bomb(1)
    contexts = wire.proposed(MR_CONTEXT, wire.MR_IMAGE_STORAGE, DEFLATED.encode())
    message = wire.data_pdu(data_set)
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate(contexts=contexts)
        peer.begin_store(data_set_bytes.SOP_INSTANCE)
        peer.send(message)
        assert peer.response_status() == (CANNOT_UNDERSTAND if is_before_the_series else STORED)


def before_patient_id(encoding: Encoding) -> bytes:
    return encoding.before_uids().removesuffix(encoding.element(0x00100020, "LO", b"A/17"))


def length_bombs(encoding: Encoding, length: int) -> dict[str, bytes]:
    """Return elements that declare more than there is, in each kind that has a 32-bit length."""
    return {
        "value": encoding.header(0x00091010, "OB", length),
        "value that is asked for": encoding.header(0x00100020, "UT", length),
        "unknown value": encoding.header(0x00091010, "UN", length),
        "sequence": encoding.header(0x00081140, "SQ", length),
        "item": encoding.header(0x00081140, "SQ", UNDEFINED) + encoding.bare(0xFFFEE000, length),
    }


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFF])
@pytest.mark.parametrize("encoding", data_set_bytes.ENCODINGS, ids=lambda encoding: encoding.name)
def test_length_beyond_the_end_allocates_nothing(tmp_path, length, encoding):
    contexts = wire.proposed(
        MR_CONTEXT, wire.MR_IMAGE_STORAGE, encoding.transfer_syntax_uid.encode()
    )
    known = encoding.before_uids() + encoding.uids() + encoding.instance_number()
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate(contexts=contexts)
        for bomb in length_bombs(encoding, length).values():
            before = before_patient_id(encoding) + bomb + encoding.uids() + bytes(600)
            assert peer.store(data_set=before) == CANNOT_UNDERSTAND
            assert peer.store(data_set_bytes.SOP_INSTANCE, data_set=known + bomb) == STORED


# What begins it, what it goes on with, and how much of that is more than enough.
ENDLESS_HEADS = {
    "tiny elements": (b"", EXPLICIT_LE.element(0x00091010, "LO", b"") * 8000, 9 * MIB),
    "items": (
        EXPLICIT_LE.header(0x00081140, "SQ", UNDEFINED),
        EXPLICIT_LE.item(EXPLICIT_LE.element(0x00081150, "LO", b"ab")) * 2000,
        12 * MIB,
    ),
    "one element": (EXPLICIT_LE.header(0x00091010, "OB", 0xFFFFFFFE), bytes(64 * KIB), 65 * MIB),
    "one that is asked for": (
        EXPLICIT_LE.header(0x00100020, "UT", 0xFFFFFFFE),
        bytes(64 * KIB),
        65 * MIB,
    ),
}


@pytest.mark.parametrize(("first", "more", "enough"), ENDLESS_HEADS.values(), ids=ENDLESS_HEADS)
def test_head_without_an_end_is_given_up(tmp_path, first, more, enough):
    piece = wire.data_pdu(more, last=False)
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        peer.begin_store()
        peer.send(wire.data_pdu(before_patient_id(EXPLICIT_LE) + first, last=False))
        peer.send(*repeat(piece, enough // len(more) + 1))
        totals = siege.receiver.totals
        wait_for("it is given up before its end", lambda: totals.instances_not_understood == 1)
        wait_for("it is dropped", lambda: siege.receiver.incoming() == [])
        peer.send(wire.data_pdu(b""))
        assert peer.response_status() == CANNOT_UNDERSTAND
    assert siege.receiver.files() == []


@pytest.mark.fault("F25")
def test_object_of_hundreds_of_megabytes_is_streamed(tmp_path):
    head = EXPLICIT_LE.before_uids() + EXPLICIT_LE.uids() + EXPLICIT_LE.instance_number()
    head += EXPLICIT_LE.header(0x7FE00010, "OW", BIG_OBJECT)
    piece = bytes(range(256)) * 256
    message = wire.data_pdu(piece, last=False)
    count = BIG_OBJECT // len(piece)
    sent = zlib.crc32(head)
    for _ in range(count):
        sent = zlib.crc32(piece, sent)
    with besieged(tmp_path, grows_by=FEW_BUFFERS) as siege:
        peer = siege.associate()
        peer.begin_store(data_set_bytes.SOP_INSTANCE)
        peer.send(wire.data_pdu(head, last=False))
        peer.send(*repeat(message, count))
        peer.send(wire.data_pdu(b""))
        assert peer.response_status() == STORED
        assert [report.Bytes for report in siege.reports()] == [len(head) + BIG_OBJECT]
        (path,) = siege.receiver.files()
        stored = 0
        with path.open("rb") as file:
            file.seek(-len(head) - BIG_OBJECT, os.SEEK_END)
            while content := file.read(len(piece)):
                stored = zlib.crc32(content, stored)
        assert stored == sent
        path.unlink()


def small_instance(series: int, number: int) -> tuple[str, bytes]:
    """Return a SOP Instance UID and its data set."""
    sop = f"1.2.{series}.{number}"
    data_set = EXPLICIT_LE.ui(0x00080016, wire.MR_IMAGE_STORAGE) + EXPLICIT_LE.ui(0x00080018, sop)
    data_set += EXPLICIT_LE.ui(0x0020000D, "1.3") + EXPLICIT_LE.ui(0x0020000E, f"1.2.{series}")
    return sop, data_set + EXPLICIT_LE.instance_number(b"%d " % number)


def send_all(peer: Peer, instances: Iterable[tuple[str, bytes]]) -> None:
    """Store the instances; the requests run ahead of the answers."""
    waiting = iter(instances)
    while some := list(islice(waiting, 50)):
        for sop, data_set in some:
            peer.begin_store(sop)
            peer.send(wire.data_pdu(data_set))
        assert [peer.response_status() for _ in some] == [STORED] * len(some)


@pytest.mark.fault("F25")
def test_series_of_thousands_of_instances_is_counted_in_little_memory(tmp_path):
    def report_after_sending(siege: Siege) -> Series:
        numbers = range(INSTANCES_OF_ONE_SERIES)
        send_all(siege.associate(), (small_instance(1, number) for number in numbers))
        (report,) = siege.reports()
        return report

    with besieged(tmp_path, grows_by=4 * MIB, rehearsal=report_after_sending) as siege:
        report = report_after_sending(siege)
        assert report.InstancesInSeries == INSTANCES_OF_ONE_SERIES
        assert report.MissingInstanceNumbers == []


@pytest.mark.parametrize("senders", [1, SENDERS_AT_ONCE])
@pytest.mark.fault("F24")
def test_hundreds_of_interleaved_series_are_all_complete(tmp_path, senders):
    instances = [
        small_instance(series, number)
        for number in range(INSTANCES_OF_EACH_SERIES)
        for series in range(INTERLEAVED_SERIES)
    ]
    shares = [instances[number::senders] for number in range(senders)]

    def counts_after_sending(siege: Siege) -> dict[str, int]:
        list(pool.map(lambda share: send_all(siege.associate(), share), shares))
        return {r.SeriesInstanceUID: r.InstancesInSeries for r in siege.reports()}

    with (
        ThreadPoolExecutor(senders) as pool,
        besieged(
            tmp_path,
            grows_by=4 * MIB + senders * BUFFER,
            rehearsal=counts_after_sending,
            max_associations=senders + 4,
        ) as siege,
    ):
        counts = counts_after_sending(siege)
        assert len(counts) == INTERLEAVED_SERIES
        assert set(counts.values()) == {INSTANCES_OF_EACH_SERIES}
