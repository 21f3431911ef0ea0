from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.upper_layer import wire
from tests.unit.upper_layer.conversation import cut
from tests.unit.upper_layer.strategies import p_data_tfs

from seriesgate.upper_layer.codec import encode
from seriesgate.upper_layer.errors import PeerViolation
from seriesgate.upper_layer.framing import MAX_ASSOCIATE_LENGTH, Fragment, PduReader, WholePdu
from seriesgate.upper_layer.pdu import AbortReason, PDataTf, PduType, PresentationDataValue


def fragments(reader: PduReader, data: bytes | memoryview) -> list[Fragment]:
    reader.feed(data)
    found = []
    while (part := reader.next_part()) is not None:
        assert isinstance(part, Fragment)
        found.append(part)
    return found


def values(pieces: list[bytes]) -> list[PresentationDataValue]:
    """Return what the pieces hold, the pieces of a fragment joined up to the one that is last."""
    reader = PduReader(0)
    joined: list[PresentationDataValue] = []
    open_ = False
    for piece in pieces:
        for context_id, is_command, is_last, data in fragments(reader, piece):
            head = joined.pop().data if open_ else b""
            joined.append(PresentationDataValue(context_id, is_command, is_last, head + data))
            open_ = not is_last
    return joined


def violation(data: bytes, reader: PduReader | None = None) -> PeerViolation:
    reader = reader or PduReader(0)
    reader.feed(data)
    with pytest.raises(PeerViolation) as caught:
        exhaust(reader)
    return caught.value


def exhaust(reader: PduReader) -> None:
    while reader.next_part() is not None:
        pass


@given(p_data_tfs, st.lists(st.integers(0, 300), max_size=6))
def test_p_data_gives_its_values_back_however_it_is_cut(pdu: PDataTf, offsets: list[int]):
    ended = PDataTf(
        tuple(
            PresentationDataValue(value.context_id, value.is_command, True, value.data)
            for value in pdu.values
        )
    )
    assert values(cut(encode(ended), offsets)) == list(ended.values)


headers = st.tuples(
    st.sampled_from([4, 4, 4, 1, 5, 9]),
    # How much longer the PDU is than its first PDV; 4 if that is the only one.
    st.sampled_from([4, 4, 4, 0, 3, 5, 12]),
    st.integers(0, 40) | st.integers(0, 2**32 - 20),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 40),
)


@given(st.lists(headers, max_size=4), st.integers(0, 40))
def test_headers_in_one_step_are_those_in_two(parts, limit):
    """Byte by byte the two headers of a PDU never come together, so they are read one by one."""
    data = b"".join(
        struct.pack(">BxIIBB", kind, more + length, length, context_id, control) + bytes(size)
        for kind, more, length, context_id, control, size in parts
    )
    assert read([data], limit) == read([bytes((byte,)) for byte in data], limit)


def read(pieces: list[bytes], limit: int) -> list[object]:
    """Return all parts with the pieces of each fragment joined, what was wrong, and the count."""
    reader = PduReader(limit)
    parts: list[object] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (part := reader.next_part()) is not None:
                if isinstance(part, Fragment):
                    # Empty pieces and where pieces end is up to the cuts.
                    parts += [(part.context_id, part.is_command, byte) for byte in part.data]
                    parts += ["last"] * part.is_last
                else:
                    parts.append(part)
    except PeerViolation as violation:
        parts.append((violation.reason, violation.detail))
    return [*parts, reader.oversized_pdus]


def test_a_fragment_may_hold_what_looks_like_a_pdu():
    inside = wire.p_data(wire.pdv(1, wire.LAST, b"ab"))
    outside = wire.p_data(wire.pdv(3, wire.LAST, inside))
    assert values([outside[: -len(inside)], inside]) == values([outside])


def test_fragment_is_a_view_into_the_callers_buffer():
    buffer = bytearray(wire.p_data(wire.pdv(3, 0, b"pixels")))
    (fragment,) = fragments(PduReader(0), memoryview(buffer))
    buffer[12:18] = b"PIXELS"
    assert bytes(fragment.data) == b"PIXELS"


def test_fragment_over_many_pieces_is_last_only_at_its_end():
    reader = PduReader(0)
    data = wire.p_data(wire.pdv(3, wire.LAST, b"abcdef"))
    found = [part for piece in cut(data, [14, 16]) for part in fragments(reader, piece)]
    assert [(bytes(part.data), part.is_last) for part in found] == [
        (b"ab", False),
        (b"cd", False),
        (b"ef", True),
    ]


def test_high_bits_of_the_control_header_are_not_looked_at():
    (fragment,) = fragments(PduReader(0), wire.p_data(wire.pdv(3, 0xFE, b"")))
    assert (fragment.is_command, fragment.is_last) == (False, True)


def test_many_values_in_one_pdu_come_one_by_one():
    data = wire.p_data(*[wire.pdv(1, 0, bytes((number,))) for number in range(100)])
    assert [bytes(part.data) for part in fragments(PduReader(0), data)] == [
        bytes((number,)) for number in range(100)
    ]


def test_odd_fragments_are_taken():
    assert values([wire.p_data(wire.pdv(1, wire.LAST, b"odd"))])[0].data == b"odd"


def test_buffer_can_be_resized_once_all_is_read():
    for data in (wire.A_RELEASE_RQ[:3], wire.p_data(wire.pdv(1, 0, b"abc"))[:14]):
        buffer = bytearray(data)
        reader = PduReader(0)
        reader.feed(memoryview(buffer))
        exhaust(reader)
        buffer.append(0)  # BufferError while anything still refers to it


@pytest.mark.parametrize(
    ("data", "inside"),
    [
        (b"", False),
        (wire.A_RELEASE_RQ, False),
        (wire.A_RELEASE_RQ[:1], True),
        (wire.A_RELEASE_RQ[:6], True),
        (wire.A_RELEASE_RQ[:9], True),
        (wire.p_data(wire.pdv(1, 0, b"ab")), False),
        (wire.p_data(wire.pdv(1, 0, b"ab"))[:6], True),
        (wire.p_data(wire.pdv(1, 0, b"ab"))[:11], True),
        (wire.p_data(wire.pdv(1, 0, b"ab"))[:12], True),
        (wire.p_data(wire.pdv(1, 0, b"ab"))[:13], True),
        (wire.p_data(wire.pdv(1, 0, b"ab"), wire.pdv(1, 0, b"ab"))[:14], True),
    ],
)
def test_between_pdus_only_after_the_last_byte_of_one(data: bytes, inside: bool):
    reader = PduReader(0)
    reader.feed(data)
    exhaust(reader)
    assert reader.between_pdus is not inside


def test_pdu_over_the_announced_length_is_streamed_and_counted():
    reader = PduReader(max_pdu_length=8)
    exact = wire.p_data(wire.pdv(1, 0, b"ab"))
    over = wire.p_data(wire.pdv(1, 0, b"abc"))
    assert len(fragments(reader, exact)) == 1
    assert reader.oversized_pdus == 0
    assert len(fragments(reader, over + exact + over)) == 3
    assert reader.oversized_pdus == 2


@given(st.lists(st.integers(6, 60)), st.sampled_from([0, 8, 30, 1000]))
def test_longest_pdu_is_known_and_each_oversized_one_counted(lengths, limit):
    reader = PduReader(limit)
    for length in lengths:
        fragments(reader, wire.p_data(wire.pdv(1, 0, bytes(length - 6))))
    assert reader.longest_pdu == max(lengths, default=0)
    assert reader.oversized_pdus == sum(length > limit > 0 for length in lengths)


def test_no_pdu_is_oversized_without_a_limit():
    reader = PduReader(max_pdu_length=0)
    fragments(reader, wire.p_data(wire.pdv(1, 0, bytes(100_000))))
    assert reader.oversized_pdus == 0


def test_longest_possible_fragment_is_streamed_without_memory():
    reader = PduReader(0)
    fragments(reader, bytes.fromhex("0400 FFFFFFFF FFFFFFFB 01 00"))
    piece = memoryview(bytes(256 * 1024))
    tracemalloc.start()
    try:
        received = sum(len(part.data) for _ in range(1000) for part in fragments(reader, piece))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert received == 1000 * len(piece)
    assert peak < 64 * 1024


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ("0400 00000000", "0 bytes holds no PDV"),
        ("0400 00000005 0000000101", "5 bytes holds no PDV"),
        ("0400 00000006 00000000 0103", "PDV length 0 "),
        ("0400 00000006 00000001 0103", "PDV length 1 "),
        ("0400 00000006 00000003 0103", "PDV length 3 goes beyond"),
        ("0400 00000006 FFFFFFFF 0103", "PDV length 4294967295 goes beyond"),
        ("0400 00000007 00000002 0103", "1 bytes left over"),
        ("0400 0000000B 00000002 0103", "5 bytes left over"),
        ("0100 00100001", "1048577 bytes is over the limit"),
        ("0100 FFFFFFFF", "4294967295 bytes is over the limit"),
        ("0200 FFFFFFFF", "4294967295 bytes is over the limit"),
        ("0300 00000005", "A_ASSOCIATE_RJ PDU of 5 bytes"),
        ("0500 00000000", "A_RELEASE_RQ PDU of 0 bytes"),
        ("0600 FFFFFFFF", "A_RELEASE_RP PDU of 4294967295 bytes"),
        ("0700 00000003", "A_ABORT PDU of 3 bytes"),
    ],
)
def test_impossible_length_is_an_invalid_parameter(data: str, detail: str):
    caught = violation(bytes.fromhex(data))
    assert caught.reason is AbortReason.INVALID_PDU_PARAMETER_VALUE
    assert detail in caught.detail


@pytest.mark.parametrize("pdu_type", [0x00, 0x08, 0x16, ord("G"), 0xFF])
def test_unknown_type_is_an_unrecognized_pdu(pdu_type: int):
    caught = violation(wire.pdu(pdu_type, b""))
    assert caught.reason is AbortReason.UNRECOGNIZED_PDU


def test_nothing_is_read_after_a_violation():
    reader = PduReader(0)
    violation(wire.pdu(0x09, b"") + wire.A_RELEASE_RQ, reader)
    assert not reader.has_unread
    reader.feed(wire.A_RELEASE_RQ)
    assert reader.next_part() is None


@pytest.mark.parametrize("length", [6, 11, 12, 13])
def test_nothing_is_read_after_discard_inside_a_pdu(length: int):
    reader = PduReader(0)
    data = wire.p_data(wire.pdv(1, 0, b"ab"))
    fragments(reader, data[:length])
    reader.discard()
    reader.feed(data[length:] + wire.A_RELEASE_RQ)
    assert reader.next_part() is None


def test_longest_association_pdu_is_read_whole():
    reader = PduReader(0)
    body = bytes(MAX_ASSOCIATE_LENGTH)
    reader.feed(wire.pdu(0x01, body))
    assert reader.next_part() == WholePdu(PduType.A_ASSOCIATE_RQ, body)


def test_announced_length_alone_allocates_nothing():
    reader = PduReader(0)
    tracemalloc.start()
    try:
        reader.feed(bytes.fromhex("0100 00100000"))
        assert reader.next_part() is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4096
