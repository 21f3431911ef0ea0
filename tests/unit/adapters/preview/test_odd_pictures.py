"""Pictures of images as they come: encoded otherwise than negotiated, with damaged attributes."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from tests.unit.adapters.preview.codestreams import rle
from tests.unit.adapters.preview.test_picture import (
    COLOR,
    GREY,
    GREY8,
    assert_colors,
    image,
    is_ramp,
)

from seriesgate.adapters.preview.picture import picture_of
from seriesgate.adapters.preview.pixel_frame import NoPicture
from seriesgate.adapters.spool.part10 import FileMeta, encode_head

ILE, ELE, EBE = uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian
GE_PRIVATE = "1.2.840.113619.5.2"
DEFLATED = uid.DeflatedExplicitVRLittleEndian


@pytest.fixture(scope="session")
def draw_from(tmp_path_factory):
    """The picture of a data set that was negotiated in a syntax, as an array."""
    path = tmp_path_factory.mktemp("previews") / "instance"

    def draw(data_set: bytes, negotiated: str = ELE):
        head = encode_head(FileMeta("1.2.840.10008.5.1.4.1.1.7", "1.2.3", negotiated, "MR1"))
        path.write_bytes(head + data_set)
        picture = Image.open(io.BytesIO(picture_of(str(path))), formats=["PNG"])
        return np.asarray(picture).astype(int)

    return draw


def encoded(ds: Dataset, syntax: str = ELE) -> bytes:
    """A data set in an encoding, without File Meta Information."""
    stream = io.BytesIO()
    del ds.file_meta
    is_big = syntax == EBE
    if is_big and "PixelData" in ds and ds.BitsAllocated == 16:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    ds.save_as(stream, implicit_vr=syntax == ILE, little_endian=not is_big)
    return stream.getvalue()


def element(tag: int, vr: str, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value


def with_elements(*odd: tuple[int, str, bytes], pixels=GREY, **values: Any) -> bytes:
    """An image in explicit VR whose elements of these tags are replaced, byte for byte."""
    ds = image(pixels, **values)
    del ds.file_meta
    replaced = {tag: element(tag, vr, value) for tag, vr, value in odd}
    parts = []
    for tag in sorted({*map(int, ds.keys()), *replaced}):
        if tag in replaced:
            parts.append(replaced[tag])
            continue
        one = Dataset()
        one.add(ds[tag])
        stream = io.BytesIO()
        one.save_as(stream, implicit_vr=False, little_endian=True)
        parts.append(stream.getvalue())
    return b"".join(parts)


@pytest.mark.parametrize("negotiated", [ILE, ELE, EBE, "1.2.3.4", uid.JPEGBaseline8Bit])
@pytest.mark.parametrize("actual", [ILE, ELE, EBE])
@pytest.mark.parametrize("with_meta", [False, True])
def test_encoding_is_what_it_is_whatever_was_negotiated(draw_from, negotiated, actual, with_meta):
    meta = element(0x00020000, "UL", struct.pack("<I", 28)) + element(0x00020010, "UI", b"1.2\0")
    data_set = encoded(image(PixelSpacing=[1, 1], RescaleSlope="1"), actual)
    assert is_ramp(draw_from(meta * with_meta + data_set, negotiated))


def test_pixels_of_ges_private_syntax_are_big_endian(draw_from):
    ds = image(PixelData=GREY.astype(">u2").tobytes())
    assert is_ramp(draw_from(encoded(ds, ILE), GE_PRIVATE))


@pytest.mark.parametrize("compress", [lambda data: zlib.compress(data)[2:-4], zlib.compress, bytes])
def test_deflated_with_a_header_and_not_at_all(draw_from, compress):
    assert is_ramp(draw_from(compress(encoded(image())), DEFLATED))


CODESTREAMS = {
    "JPEG": (GREY8, imagecodecs.jpeg8_encode(GREY8, level=95)),
    "JPEG, lossless": (GREY, imagecodecs.jpeg8_encode(GREY, lossless=True)),
    "JPEG-LS": (GREY, imagecodecs.jpegls_encode(GREY)),
    "JPEG 2000": (GREY, imagecodecs.jpeg2k_encode(GREY, codecformat="j2k")),
    "RLE": (
        GREY8,
        rle(b"".join(bytes([63]) + row.tobytes() for row in GREY8)),
    ),
}


@pytest.mark.parametrize("negotiated", [ELE, ILE, uid.RLELossless, uid.JPEGLSLossless, "1.2.3"])
@pytest.mark.parametrize("kind", CODESTREAMS)
def test_codestream_is_what_it_is_whatever_was_negotiated(draw_from, negotiated, kind):
    pixels, data = CODESTREAMS[kind]
    assert is_ramp(draw_from(encoded(image(pixels, data=data)), negotiated))


@pytest.mark.parametrize("kind", ["JPEG", "JPEG-LS", "JPEG 2000"])
def test_codestream_without_the_items_around_it(draw_from, kind):
    pixels, data = CODESTREAMS[kind]
    ds = image(pixels, PixelData=data + b"\0" * (len(data) % 2))
    assert is_ramp(draw_from(encoded(ds), uid.JPEGBaseline8Bit))


def test_items_in_an_element_of_defined_length(draw_from):
    ds = image(GREY8, PixelData=encapsulate([CODESTREAMS["JPEG"][1]]))
    assert is_ramp(draw_from(encoded(ds), uid.JPEGBaseline8Bit))


def test_frames_whose_table_of_offsets_is_wrong(draw_from):
    data = [CODESTREAMS["JPEG-LS"][1]] * 3
    content = bytearray(encapsulate(data))
    content[8 + 4 : 8 + 8] = b"\xff\xff\xff\x7f"
    ds = image(GREY, data=data[0], NumberOfFrames=3, PixelData=bytes(content))
    ds["PixelData"].is_undefined_length = True
    assert is_ramp(draw_from(encoded(ds), uid.JPEGLSLossless))


DAMAGED = [
    (0x00280030, "DS", b"0,143\\0,143"),
    (0x00280030, "DS", b"abc"),
    (0x00280030, "DS", b"0\\0"),
    (0x00280030, "DS", b"1e999\\1"),
    (0x00280034, "IS", b"1:1"),
    (0x00281052, "DS", b"n/a"),
    (0x00281053, "DS", b""),
    (0x00281053, "DS", b"1,5"),
    (0x00281053, "DS", b"0"),
    (0x00281053, "DS", b"nan"),
    (0x00281053, "DS", b"1e300"),
    (0x00281053, "DS", b"9" * 5000),
    (0x00281050, "DS", b"abc"),
    (0x00281051, "DS", b"-5"),
    (0x00281056, "CS", b"ODD\\\xff"),
    (0x00280100, "US", b"16"),
    (0x00280101, "US", b"\x63\x00"),
    (0x00280101, "US", b"\0\0"),
    (0x00280101, "US", b""),
    (0x00280102, "US", b"\xff\xff"),
    (0x00280103, "US", b"\x07\x00"),
    (0x00280103, "US", b""),
    (0x00280002, "US", b"\0\0"),
    (0x00280002, "US", b""),
    (0x00280002, "US", b"\3\0"),
    (0x00280004, "CS", b"MONOCHROME2\0\0\0"),
    (0x00280004, "CS", b"monochrome2 "),
    (0x00280004, "CS", b" MONOCHROME2\0junk"),
    (0x00280004, "CS", b"MONOCHROME"),
    (0x00280004, "CS", b""),
    (0x00280004, "CS", b"RGB"),
    (0x00280004, "CS", b"PALETTE COLOR"),
    (0x00280008, "IS", b"1.0"),
    (0x00280008, "IS", b"one"),
    (0x00280008, "IS", b"0"),
    (0x00280008, "IS", b"9" * 5000),
    (0x00280008, "IS", b"3"),
    (0x00280010, "IS", b"32"),
    (0x00280010, "US", b"\x20\0\0\0"),
    (0x00280011, "DS", b"000064"),
    (0x00280120, "US", b"none"),
    (0x00281101, "US", b"\0"),
]
#: Two ASCII digits are a number of two bytes as well; what it is not, the data says.
_TEXT_OF_TWO = {(0x00280010, "IS", b"32")}


@pytest.mark.parametrize("damaged", [each for each in DAMAGED if each not in _TEXT_OF_TWO])
def test_damaged_attribute_costs_itself_and_not_the_picture(draw_from, damaged):
    assert is_ramp(draw_from(with_elements(damaged)))


def test_decimal_comma_of_a_window_is_a_point(draw_from):
    window = [(0x00281050, "DS", b"1000,5"), (0x00281051, "DS", b"2,0")]
    picture = draw_from(with_elements(*window))
    assert int((picture[0] > 128).sum()) == int((GREY[0] >= 1000).sum())


DISPLAY_TAGS = (
    *(0x00280002, 0x00280004, 0x00280006, 0x00280030, 0x00280034, 0x00280101, 0x00280102),
    *(0x00280103, 0x00280120, 0x00280121, 0x00281050, 0x00281051, 0x00281052, 0x00281053),
    *(0x00281056, 0x00281101, 0x00281201, 0x00283002, 0x00283006, 0x00181164),
)
values = st.binary(max_size=40) | st.text("0123456789.,+-eE\\ naif", max_size=40).map(str.encode)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(st.dictionaries(st.sampled_from(DISPLAY_TAGS), values, max_size=4))
def test_any_values_of_display_attributes_leave_a_picture(draw_from, found):
    odd = [(tag, "DS", value) for tag, value in found.items()]
    assert draw_from(with_elements(*odd)).size > 0


def lut(descriptor: bytes, data: bytes) -> bytes:
    item = element(0x00283002, "US", descriptor) + element(0x00283006, "US", data)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item


def sequence(tag: int, content: bytes) -> bytes:
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, len(content)) + content


@pytest.mark.parametrize("tag", [0x00283000, 0x00283010])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        lut(b"", b""),
        lut(b"\0\0", b"\1\0"),
        lut(struct.pack("<3H", 4096, 0, 16), b""),
        b"garbage!",
        struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFF00),
    ],
)
def test_damaged_table_costs_itself_and_not_the_picture(draw_from, tag, content):
    ds = encoded(image())
    place = ds.index(struct.pack("<HH", 0x7FE0, 0x0010))
    assert is_ramp(draw_from(ds[:place] + sequence(tag, content) + ds[place:]))


@pytest.mark.parametrize("bits", [0, 1, 12, 16, 255])
def test_table_that_is_shorter_than_it_says_goes_on_with_its_last_entry(draw_from, bits):
    entries = np.arange(4000, dtype=np.uint16).tobytes()
    content = lut(struct.pack("<3H", 4096, 0, bits), entries)
    ds = encoded(image())
    place = ds.index(struct.pack("<HH", 0x7FE0, 0x0010))
    picture = draw_from(ds[:place] + sequence(0x00283010, content) + ds[place:])
    assert (np.diff(picture[0]) >= 0).all()


@pytest.mark.parametrize("missing", [2, 3])
def test_palette_without_all_its_tables_is_grey(draw_from, missing):
    odd: list[tuple[int, str, bytes]] = [(0x00280004, "CS", b"PALETTE COLOR")]
    for channel in range(missing - 1):
        odd.append((0x00281101 + channel, "US", struct.pack("<3H", 2, 0, 16)))
        odd.append((0x00281201 + channel, "US", b"\0\0\xff\xff"))
    assert is_ramp(draw_from(with_elements(*odd)))


def test_palette_in_segments(draw_from):
    odd: list[tuple[int, str, bytes]] = [(0x00280004, "CS", b"PALETTE COLOR")]
    for channel in range(3):
        odd.append((0x00281101 + channel, "US", struct.pack("<3H", 4096, 0, 16)))
        # One discrete entry, then a line to white (PS3.3 C.7.9.2).
        segments = struct.pack("<6H", 0, 1, 0, 1, 4095, 65535)
        odd.append((0x00281221 + channel, "OW", segments))
    whole = with_elements(*[each for each in odd if each[1] != "OW"])
    for tag, _, value in [each for each in odd if each[1] == "OW"]:
        place = whole.index(struct.pack("<HH", 0x7FE0, 0x0010))
        head = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"OW", 0, len(value))
        whole = whole[:place] + head + value + whole[place:]
    picture = draw_from(whole)
    assert picture.shape[2] == 3
    assert is_ramp(picture[..., 0])


@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_pixel_data_that_ends_early_is_shown_as_far_as_it_goes(draw_from, kept):
    ds = encoded(image(np.tile(GREY, (8, 1))))
    picture = draw_from(ds[: int(len(ds) * kept)])
    assert is_ramp(picture[:100])


def test_attributes_behind_the_pixel_data_count(draw_from):
    ds = encoded(image())
    place = ds.index(struct.pack("<HH", 0x7FE0, 0x0010))
    assert is_ramp(draw_from(ds[place:] + ds[:place]))


def test_sequences_without_end_cost_no_stack(draw_from):
    opened = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    with pytest.raises(NoPicture, match="no image"):
        draw_from((opened + item) * 100_000 + encoded(image()))


def test_frame_that_is_too_large_is_refused_whoever_says_so(draw_from):
    huge = [(0x00280010, "UL", struct.pack("<I", 65535)), (0x00280011, "IS", b"65535 ")]
    with pytest.raises(NoPicture, match="too large"):
        draw_from(with_elements(*huge))
    beyond = (0x00280010, "IS", b"9" * 60)
    with pytest.raises(NoPicture, match="no size"):
        draw_from(with_elements(beyond))


def jpeg_of(pixels, *, markers: bytes = b"", ids: bytes = b"\1\2\3", **options: Any) -> bytes:
    """A JPEG with these segments in place of JFIF's and Adobe's, and components called so."""
    content = imagecodecs.jpeg8_encode(pixels, level=95, **options)
    for segment in (b"\xff\xe0", b"\xff\xee"):
        if (place := content.find(segment)) > 0:
            end = place + 2 + int.from_bytes(content[place + 2 : place + 4])
            content = content[:place] + content[end:]
    changed = bytearray(content[:2] + markers + content[2:])
    head = b"\xff\xc3" if options.get("lossless") else b"\xff\xc0"
    for marker, first, step in ((head, 10, 3), (b"\xff\xda", 5, 2)):
        place = changed.index(marker) + first
        for number, name in enumerate(ids):
            changed[place + step * number] = name
    return bytes(changed)


ADOBE_RGB = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"
ADOBE_YBR = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\1"
JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
YBR: dict[str, Any] = {"colorspace": "RGB", "outcolorspace": "YCBCR"}
RGB: dict[str, Any] = {"colorspace": "RGB", "outcolorspace": "RGB"}


@pytest.mark.parametrize("interpretation", ["RGB", "YBR_FULL", "YBR_FULL_422", "", "junk"])
@pytest.mark.parametrize(
    ("colors", "markers", "ids"),
    [
        (YBR, b"", b"\1\2\3"),
        (YBR, JFIF, b"\1\2\3"),
        (YBR, ADOBE_YBR, b"\0\1\2"),
        (YBR, JFIF, b"\0\1\2"),
        (RGB, b"", b"RGB"),
        (RGB, b"", b"rgb"),
        (RGB, ADOBE_RGB, b"\1\2\3"),
    ],
)
def test_colours_of_a_jpeg_are_what_it_says_itself(draw_from, interpretation, colors, markers, ids):
    data = jpeg_of(COLOR, markers=markers, ids=ids, subsampling="444", **colors)
    ds = image(COLOR, data=data, PhotometricInterpretation=interpretation)
    assert_colors(draw_from(encoded(ds), uid.JPEGBaseline8Bit))


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_chroma_with_fewer_samples_is_chroma(draw_from, subsampling):
    data = jpeg_of(COLOR, ids=b"\0\1\2", subsampling=subsampling, **YBR)
    says = "YBR_FULL_422" if subsampling == "444" else "RGB"
    ds = image(COLOR, data=data, PhotometricInterpretation=says)
    assert_colors(draw_from(encoded(ds), uid.JPEGBaseline8Bit))


@pytest.mark.parametrize(("says", "colors"), [("RGB", RGB), ("YBR_FULL", YBR)])
def test_components_of_no_known_name_are_what_the_data_set_says(draw_from, says, colors):
    data = jpeg_of(COLOR, ids=b"\0\1\2", subsampling="444", **colors)
    ds = image(COLOR, data=data, PhotometricInterpretation=says)
    assert_colors(draw_from(encoded(ds), uid.JPEGBaseline8Bit))


@pytest.mark.parametrize("ids", [b"\0\1\2", b"\1\2\3"])
def test_lossless_jpeg_is_what_the_data_set_says(draw_from, ids):
    data = jpeg_of(COLOR, lossless=True, ids=ids, **RGB)
    ds = image(COLOR, data=data, PhotometricInterpretation="RGB")
    assert_colors(draw_from(encoded(ds), uid.JPEGLosslessSV1))


@pytest.mark.parametrize("says", ["RGB", "YBR_RCT", "YBR_ICT", "YBR_FULL", ""])
@pytest.mark.parametrize("is_transformed", [False, True])
def test_colours_of_jpeg_2000_are_its_transforms(draw_from, says, is_transformed):
    pixels = COLOR
    if not is_transformed and says == "YBR_FULL":
        pixels = np.asarray(Image.fromarray(COLOR).convert("YCbCr"))
    data = imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", mct=is_transformed)
    ds = image(COLOR, data=data, PhotometricInterpretation=says)
    assert_colors(draw_from(encoded(ds), uid.JPEG2000Lossless))


def test_colour_that_is_labelled_grey_and_the_other_way_round(draw_from):
    assert_colors(draw_from(encoded(image(COLOR, PhotometricInterpretation="MONOCHROME2"))))
    assert_colors(draw_from(encoded(image(COLOR, SamplesPerPixel=1))))
    assert is_ramp(draw_from(encoded(image(PhotometricInterpretation="RGB"))))


def test_ybr_that_is_labelled_as_subsampled(draw_from):
    ybr = np.asarray(Image.fromarray(COLOR).convert("YCbCr"))
    assert_colors(draw_from(encoded(image(ybr, PhotometricInterpretation="YBR_FULL_422"))))


@pytest.mark.parametrize("frames", [3, 4])
def test_frame_of_single_bits_that_begins_inside_a_byte(draw_from, frames):
    rows, columns = 5, 5
    one = np.tile(np.arange(columns) >= 2, (rows, 1))
    bits = np.zeros((frames, rows, columns), bool)
    bits[frames // 2] = one
    data = np.packbits(bits.ravel(), bitorder="little").tobytes()
    ds = image(np.zeros((rows, columns), np.uint8))
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit, ds.NumberOfFrames = 0, frames
    ds.PixelData = data + b"\0" * (len(data) % 2)
    picture = draw_from(encoded(ds))
    assert ((picture > 128) == one).all()
