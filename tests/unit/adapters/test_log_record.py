"""The form of the write-ahead log: what is read is what was written, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriesgate.adapters.spool.log_record import (
    BLOCK,
    LAST_GENERATION,
    VOID,
    SegmentHead,
    content_of,
    decode_record_head,
    decode_segment_head,
    encode_record,
    encode_segment_head,
    record_size,
)

NAME = f"{'a' * 32}/{'0' * 32}.dcm"
HEADS = st.builds(SegmentHead, st.integers(0, LAST_GENERATION), st.binary(min_size=16, max_size=16))
HEAD = SegmentHead(7, b"m" * 16)


@given(HEADS, st.binary(max_size=3 * BLOCK))
def test_record_is_read_as_it_was_written_and_fills_whole_blocks(segment, content):
    record = encode_record(segment, NAME, content)
    assert len(record) == record_size(len(content))
    assert len(record) % BLOCK == 0
    head = decode_record_head(record[:BLOCK])
    assert head is not None
    assert (head.segment, head.name, head.size) == (segment, NAME, len(content))
    assert not head.is_void
    assert content_of(head, record) == content


@given(st.data())
def test_changed_record_is_none(data):
    content = data.draw(st.binary(min_size=1, max_size=2 * BLOCK))
    record = bytearray(encode_record(HEAD, NAME, content))
    head = decode_record_head(bytes(record))
    assert head is not None
    used = len(record) - (-(len(content) + 129) % BLOCK)
    at = data.draw(st.integers(0, used - 1))
    record[at] ^= data.draw(st.integers(1, 255))
    changed = decode_record_head(bytes(record))
    assert changed is None or content_of(changed, bytes(record)) is None


@given(HEADS)
def test_segment_head_is_read_as_it_was_written(head):
    block = encode_segment_head(head)
    assert len(block) == BLOCK
    assert decode_segment_head(block) == head
    assert decode_segment_head(block[:-1]) is None
    assert decode_segment_head(b"\1" + block[1:]) is None


@given(st.binary(max_size=2 * BLOCK))
def test_garbage_is_no_record_and_no_head(garbage):
    assert decode_segment_head(garbage) is None
    head = decode_record_head(garbage)
    assert head is None or content_of(head, garbage) is None


@pytest.mark.parametrize("name", ["../" + NAME[3:], NAME[:-1] + "x", NAME.upper(), "/" + NAME[1:]])
def test_record_with_a_name_that_is_none_of_the_spool_is_none(name):
    assert decode_record_head(encode_record(HEAD, name, b"content")) is None


def test_void_record_still_says_how_long_it_is():
    record = encode_record(HEAD, NAME, b"content")
    head = decode_record_head(VOID + record[len(VOID) :])
    assert head is not None
    assert (head.is_void, head.blocks_size) == (True, BLOCK)


def test_absurd_generation_is_no_head():
    absurd = SegmentHead(LAST_GENERATION + 1, b"m" * 16)
    assert decode_segment_head(encode_segment_head(absurd)) is None
    assert decode_record_head(encode_record(absurd, NAME, b"content")) is None
