"""The form of the write-ahead log: what is read is what was written, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriesgate.adapters.spool.log_record import (
    BLOCK,
    VOID,
    content_of,
    decode_record_head,
    decode_segment_head,
    encode_record,
    encode_segment_head,
    record_size,
)

NAME = f"{'a' * 32}/{'0' * 32}.dcm"
GENERATIONS = st.integers(0, 2**64 - 1)


@given(GENERATIONS, st.binary(max_size=3 * BLOCK))
def test_record_is_read_as_it_was_written_and_fills_whole_blocks(generation, content):
    record = encode_record(generation, NAME, content)
    assert len(record) == record_size(len(content))
    assert len(record) % BLOCK == 0
    head = decode_record_head(record[:BLOCK])
    assert head is not None
    assert (head.generation, head.name, head.size) == (generation, NAME, len(content))
    assert content_of(head, record) == content


@given(st.data())
def test_changed_record_is_none(data):
    content = data.draw(st.binary(min_size=1, max_size=2 * BLOCK))
    record = bytearray(encode_record(7, NAME, content))
    head = decode_record_head(bytes(record))
    assert head is not None
    used = len(record) - (-(len(content) + 105) % BLOCK)
    at = data.draw(st.integers(0, used - 1))
    record[at] ^= data.draw(st.integers(1, 255))
    changed = decode_record_head(bytes(record))
    assert changed is None or content_of(changed, bytes(record)) is None


@given(GENERATIONS)
def test_segment_head_is_read_as_it_was_written(generation):
    block = encode_segment_head(generation)
    assert len(block) == BLOCK
    assert decode_segment_head(block) == generation
    assert decode_segment_head(block[:-1]) is None
    assert decode_segment_head(b"\1" + block[1:]) is None


@given(st.binary(max_size=2 * BLOCK))
def test_garbage_is_no_record_and_no_head(garbage):
    assert decode_segment_head(garbage) is None
    head = decode_record_head(garbage)
    assert head is None or content_of(head, garbage) is None


@pytest.mark.parametrize("name", ["../" + NAME[3:], NAME[:-1] + "x", NAME.upper(), "/" + NAME[1:]])
def test_record_with_a_name_that_is_none_of_the_spool_is_none(name):
    assert decode_record_head(encode_record(1, name, b"content")) is None


def test_void_record_is_none():
    record = encode_record(1, NAME, b"content")
    assert decode_record_head(VOID + record[len(VOID) :]) is None
