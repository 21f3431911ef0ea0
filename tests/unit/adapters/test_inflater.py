import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.adapters.data_set_bytes import deflate

from seriesgate.adapters.data_set.inflater import InflateError, Inflater

MANY = 10_000_000


def inflate(deflated: bytes, step: int, max_bytes: int = MANY) -> bytes:
    inflater = Inflater(max_bytes)
    view = memoryview(deflated)
    pieces: list[bytes] = []
    for start in range(0, len(deflated), step):
        pieces += inflater.feed(view[start : start + step])
    assert all(len(piece) <= 16 * 1024 for piece in pieces)
    return b"".join(pieces)


contents = st.lists(st.tuples(st.binary(max_size=3), st.integers(0, 20_000)), max_size=5).map(
    lambda runs: b"".join(pattern * count for pattern, count in runs)
)


@settings(deadline=None)
@given(contents, st.integers(1, 70_000), st.integers(0, 300))
def test_all_that_a_truncated_stream_holds_comes_out(content, step, missing):
    deflated = deflate(content)
    deflated = deflated[: max(1, len(deflated) - missing)]
    expected = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(deflated)
    assert inflate(deflated, step) == expected


def test_nothing_is_held_back_where_a_piece_and_the_input_end_together():
    for length in range(16 * 1024, 16 * 1024 + 600):
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        deflated = deflater.compress(bytes(length)) + deflater.flush(zlib.Z_SYNC_FLUSH)
        for end in range(len(deflated) - 6, len(deflated)):
            expected = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(deflated[:end])
            assert inflate(deflated[:end], MANY) == expected


@pytest.mark.parametrize("step", [1, 7, 1000, MANY])
def test_all_before_a_damage_comes_out_for_every_fragment_size(step):
    content = bytes(range(256)) * 100
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    good = deflater.compress(content) + deflater.flush(zlib.Z_SYNC_FLUSH)
    damaged = memoryview(good + b"\xff" * 500)
    fragments = (damaged[start : start + step] for start in range(0, len(damaged), step))
    inflater = Inflater(MANY)
    pieces = (piece for fragment in fragments for piece in inflater.feed(fragment))
    assert read_until_error(pieces) == content


def read_until_error(pieces: Iterator[bytes]) -> bytes:
    content = b""
    while True:
        try:
            content += next(pieces)
        except InflateError:
            return content


def test_what_follows_the_end_is_not_kept():
    inflater = Inflater(MANY)
    list(inflater.feed(memoryview(deflate(b"content"))))
    padding = memoryview(bytes(4096))
    tracemalloc.start()
    try:
        for _ in range(500):
            assert not list(inflater.feed(padding))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_deflated_bytes_are_limited():
    deflated = deflate(bytes(100_000))
    assert inflate(deflated, 10, len(deflated)) == bytes(100_000)
    with pytest.raises(InflateError, match="too long"):
        inflate(deflated, 10, len(deflated) - 1)
