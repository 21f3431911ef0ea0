"""The sizes that codestreams declare: as the codecs have written them, and as an attacker would."""

from __future__ import annotations

import struct
from contextlib import suppress

import imagecodecs
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.adapters.preview.codestreams import (
    JPEG_LS_SOF,
    LOSSLESS_SOF,
    jpeg,
    jpeg_2000,
    rle,
    segment,
)

from seriesgate.adapters.preview.codestream import (
    BadCodestream,
    FrameShape,
    Kind,
    jpeg_2000_is_transformed,
    jpeg_2000_shape,
    jpeg_is_ybr,
    jpeg_ls_shape,
    jpeg_shape,
    kind_of,
    rle_segments,
    without_jp2,
)

GREY = np.zeros((48, 80), np.uint8)
DEEP = np.arange(48 * 80, dtype=np.uint16).reshape(48, 80)
COLOR = np.zeros((48, 80, 3), np.uint8)


@pytest.mark.parametrize(
    ("shape_of", "content", "samples", "bits"),
    [
        (jpeg_shape, imagecodecs.jpeg8_encode(GREY), 1, 8),
        (jpeg_shape, imagecodecs.jpeg8_encode(COLOR), 3, 8),
        (jpeg_shape, imagecodecs.jpeg8_encode(DEEP, bitspersample=12), 1, 12),
        (jpeg_shape, imagecodecs.ljpeg_encode(DEEP, bitspersample=16), 1, 16),
        (jpeg_ls_shape, imagecodecs.jpegls_encode(GREY), 1, 8),
        (jpeg_ls_shape, imagecodecs.jpegls_encode(COLOR), 3, 8),
        (jpeg_2000_shape, imagecodecs.jpeg2k_encode(DEEP, codecformat="j2k"), 1, 16),
        (jpeg_2000_shape, imagecodecs.jpeg2k_encode(COLOR, codecformat="j2k"), 3, 8),
        (jpeg_2000_shape, imagecodecs.htj2k_encode(DEEP), 1, 16),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_shape_of_what_a_codec_has_written(shape_of, content, samples, bits):
    assert shape_of(content) == FrameShape(48, 80, samples, bits)


def test_shape_is_that_of_the_header():
    assert jpeg_shape(jpeg(65535, 65500, 3, 16, LOSSLESS_SOF)) == FrameShape(65535, 65500, 3, 16)
    assert jpeg_ls_shape(jpeg(65535, 65500, 255, 16, JPEG_LS_SOF)) == FrameShape(
        65535, 65500, 255, 16
    )
    assert jpeg_2000_shape(jpeg_2000(2**32 - 1, 2**31, 2, 38)) == FrameShape(
        2**31, 2**32 - 1, 2, 38
    )
    assert jpeg_2000_shape(jpeg_2000(100, 60, offset=(20, 12))) == FrameShape(48, 80, 1, 8)


def test_fill_bytes_and_segments_of_applications_are_passed_over():
    content = jpeg(48, 80)
    filled = content[:2] + segment(0xE0, b"JFIF\0") + segment(0xFE, b"\xff\xc0") + b"\xff\xff"
    assert jpeg_shape(filled + content[2:]) == FrameShape(48, 80, 1, 8)


def test_boxes_of_jp2_are_taken_off():
    codestream = bytes(imagecodecs.jpeg2k_encode(DEEP, codecformat="j2k"))
    assert without_jp2(codestream) == codestream
    boxed = bytes(imagecodecs.jpeg2k_encode(DEEP, codecformat="jp2"))
    assert boxed.startswith(b"\0\0\0\x0cjP")
    assert jpeg_2000_shape(without_jp2(boxed)) == FrameShape(48, 80, 1, 16)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "begin"),
        (b"\0" + jpeg(48, 80), "begin"),
        (jpeg(0, 80), "no size"),
        (jpeg(48, 0), "no size"),
        (jpeg(48, 80, 0), "no size"),
        (jpeg(48, 80, 1, 0), "no size"),
        (jpeg(48, 80)[:-6], "damaged"),
        (b"\xff\xd8" + segment(0xDA, bytes(6)) + jpeg(48, 80)[2:], "damaged"),
        (b"\xff\xd8\0" + jpeg(48, 80)[2:], "damaged"),
        (b"\xff\xd8\xff\xe0\0\1" + jpeg(48, 80)[2:], "damaged"),
        (b"\xff\xd8" + segment(0xDE, jpeg(48, 80)[-9:]) + jpeg(48, 80)[2:], "damaged"),
        (jpeg(48, 80, sof=JPEG_LS_SOF), "damaged"),
        (b"\xff\xd8" + segment(0xFE) * 10**6 + jpeg(48, 80)[2:], "damaged"),
    ],
    ids=range(13),
)
def test_hostile_jpeg(content, reason):
    with pytest.raises(BadCodestream, match=reason):
        jpeg_shape(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no header"),
        (jpeg_2000(80, 48)[:-1], "damaged"),
        (jpeg_2000(80, 48, 0), "damaged"),
        (jpeg_2000(80, 48, offset=(80, 0)), "no size"),
        (jpeg_2000(80, 48, tile=(0, 48)), "no size"),
        (jpeg_2000(80, 48, steps=0), "one size"),
        (jpeg_2000(80, 48, steps=2), "one size"),
        (jpeg_2000(4000, 4000, tile=(1, 1)), "tiles"),
    ],
    ids=range(8),
)
def test_hostile_jpeg_2000(content, reason):
    with pytest.raises(BadCodestream, match=reason):
        jpeg_2000_shape(content)


@pytest.mark.parametrize("content", [b"", jpeg(48, 80), b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100)])
def test_what_is_no_jpeg_2000(content):
    with pytest.raises(BadCodestream, match="begin"):
        without_jp2(content)


def test_segments_of_rle():
    assert rle_segments(rle(b"one", b"", b"three")) == [b"one", b"", b"three"]


@pytest.mark.parametrize(
    "content",
    [
        bytes(63),
        bytes(64),
        struct.pack("<16I", 16, *[64] * 15),
        struct.pack("<16I", 1, 63, *[0] * 14) + bytes(10),
        struct.pack("<16I", 1, 99, *[0] * 14) + bytes(10),
        struct.pack("<16I", 2, 70, 64, *[0] * 13) + bytes(10),
    ],
    ids=range(6),
)
def test_hostile_rle(content):
    with pytest.raises(BadCodestream):
        rle_segments(content)


@given(st.sampled_from([jpeg(48, 80), jpeg_2000(80, 48), rle(b"a", b"b")]), st.binary(max_size=80))
@example(jpeg_2000(80, 48), struct.pack(">H", 65535))
def test_any_bytes_are_a_shape_or_a_refusal(head, garbage):
    for cut in range(0, len(head), 3):
        content = head[:cut] + garbage + head[cut + len(garbage) :]
        for read in (jpeg_shape, jpeg_ls_shape, jpeg_2000_shape, rle_segments, without_jp2):
            with suppress(BadCodestream):
                read(content)
        assert kind_of(content) in (None, *Kind)
        for said_to_be in (False, True):
            assert jpeg_is_ybr(content, said_to_be=said_to_be) in (False, True)
        assert jpeg_2000_is_transformed(content) in (False, True)


def jpeg_with(
    segments: bytes, ids: bytes, sof: int = 0xC0, samplings: bytes = b"\x11" * 3
) -> bytes:
    """A JPEG up to its frame header, with components of these names and sampling factors."""
    components = b"".join(bytes((*pair, 0)) for pair in zip(ids, samplings, strict=True))
    header = struct.pack(">BHHB", 8, 48, 80, 3) + components
    return b"\xff\xd8" + segments + struct.pack(">BBH", 0xFF, sof, 2 + len(header)) + header


ADOBE_RGB = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"
ADOBE_YBR = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\1"
JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"


@pytest.mark.parametrize("said_to_be", [False, True])
@pytest.mark.parametrize(
    ("content", "is_ybr"),
    [
        (jpeg_with(b"", b"RGB"), False),
        (jpeg_with(JFIF, b"rgb"), False),
        (jpeg_with(ADOBE_RGB, b"\1\2\3"), False),
        (jpeg_with(ADOBE_YBR, b"\0\1\2"), True),
        (jpeg_with(JFIF, b"\0\1\2"), True),
        (jpeg_with(b"", b"\1\2\3"), True),
        (jpeg_with(b"", b"\0\1\2", samplings=b"\x22\x11\x11"), True),
        (jpeg_with(b"", b"\0\1\2"), None),
        (jpeg_with(b"", b"\1\2\3", sof=0xC3), None),
        (b"\xff\xd8", None),
    ],
)
def test_colours_of_a_jpeg_are_by_its_own_word_or_else_by_that_of_the_data_set(
    content: bytes, is_ybr: bool | None, said_to_be: bool
):
    expected = said_to_be if is_ybr is None else is_ybr
    assert jpeg_is_ybr(content, said_to_be=said_to_be) is expected


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (jpeg(48, 80), Kind.JPEG),
        (jpeg(48, 80, 1, 8, LOSSLESS_SOF), Kind.JPEG),
        (jpeg(48, 80, 1, 8, JPEG_LS_SOF), Kind.JPEG_LS),
        (jpeg_2000(80, 48), Kind.JPEG_2000),
        (rle(b"a", b"b"), Kind.RLE),
        (bytes(64), None),
        (b"", None),
        (struct.pack("<2I", 16, 64) + bytes(56), None),
    ],
)
def test_codestream_is_known_by_its_first_bytes(content: bytes, kind: Kind | None):
    assert kind_of(content) is kind
