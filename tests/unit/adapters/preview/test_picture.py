"""Pictures of instances: each photometric interpretation, each transfer syntax, and any garbage."""

from __future__ import annotations

import io
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from tests.unit.adapters.preview.codestreams import (
    JPEG_LS_SOF,
    LOSSLESS_SOF,
    jpeg,
    jpeg_2000,
    rle,
)

from seriesgate.adapters.preview.picture import SIDE, picture_of
from seriesgate.adapters.preview.pixel_frame import NoPicture

GREY = np.tile(np.linspace(0, 4095, 64).astype(np.uint16), (32, 1))
GREY8 = (GREY >> 4).astype(np.uint8)
COLOR = np.zeros((32, 64, 3), np.uint8)
COLOR[:, :32] = (200, 30, 20)
COLOR[:, 32:] = (10, 60, 220)


def image(pixels=GREY, syntax=uid.ExplicitVRLittleEndian, data=None, **values: Any):
    """An instance of these pixels."""
    ds = Dataset()
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    ds.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = 8 * pixels.dtype.itemsize
    ds.BitsStored = 12 if pixels.dtype.itemsize == 2 else 8
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = 0
    ds.PixelData = pixels.tobytes() if data is None else encapsulate([data])
    ds["PixelData"].is_undefined_length = data is not None
    ds["PixelData"].VR = "OB" if data is not None or pixels.dtype.itemsize == 1 else "OW"
    for name, value in values.items():
        setattr(ds, name, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


def written(ds):
    stream = io.BytesIO()
    ds.file_meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@pytest.fixture(scope="session")
def draw(tmp_path_factory):
    """The picture of an instance, or of the bytes of a file, as an array."""
    path = tmp_path_factory.mktemp("previews") / "instance"

    def draw(instance):
        path.write_bytes(instance if isinstance(instance, bytes) else written(instance))
        picture = Image.open(io.BytesIO(picture_of(str(path))), formats=["PNG"])
        assert max(picture.size) <= SIDE
        return np.asarray(picture).astype(int)

    return draw


def is_ramp(picture):
    return picture[0, 0] <= 4 and picture[0, -1] >= 251 and (np.diff(picture[0]) >= 0).all()


def assert_colors(picture, tolerance=4):
    assert np.abs(picture[5, 5] - COLOR[0, 0]).max() <= tolerance
    assert np.abs(picture[5, -5] - COLOR[0, -1]).max() <= tolerance


def test_grey_without_a_window_is_scaled_to_what_is_in_it(draw):
    assert is_ramp(draw(image()))


def test_monochrome1_is_inverted(draw):
    assert is_ramp(draw(image(PhotometricInterpretation="MONOCHROME1"))[:, ::-1])


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_window(draw, function):
    picture = draw(image(WindowCenter=[1000, 5], WindowWidth=[200, 5], VOILUTFunction=function))
    middle = int(np.argmin(np.abs(GREY[0].astype(int) - 1000)))
    assert (picture[0, : middle - 4] <= 10).all()
    assert (picture[0, middle + 5 :] >= 245).all()


def test_rescaled_values_are_windowed(draw):
    picture = draw(
        image(RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=3071, WindowWidth=8192)
    )
    assert is_ramp(picture)


def test_voi_lut(draw):
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 12])
    table.add_new("LUTData", "US", list(range(4095, -1, -1)))
    assert is_ramp(draw(image(VOILUTSequence=[table]))[:, ::-1])


def test_padding_is_black_and_does_not_count(draw):
    pixels = np.where(np.arange(64) < 32, 4095, GREY // 100).astype(np.uint16)
    picture = draw(image(pixels, PixelPaddingValue=4095))
    assert (picture[:, :32] == 0).all()
    assert picture[0, -1] >= 251


def test_one_bit(draw):
    pixels = np.zeros((32, 64), np.uint8)
    data = np.packbits(np.tile(np.arange(64) >= 32, (32, 1)).ravel(), bitorder="little").tobytes()
    picture = draw(image(pixels, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=data))
    assert (picture[:, :32] < picture[:, 32:]).all()


def test_rgb_in_pixels_and_in_planes(draw):
    assert_colors(draw(image(COLOR)))
    planes = np.moveaxis(COLOR, 2, 0).tobytes()
    assert_colors(draw(image(COLOR, PlanarConfiguration=1, PixelData=planes)))


def test_ybr(draw):
    ybr = np.asarray(Image.fromarray(COLOR).convert("YCbCr"))
    assert_colors(draw(image(ybr, PhotometricInterpretation="YBR_FULL")))
    pairs = ybr.reshape(-1, 2, 3)
    half = np.stack([pairs[:, 0, 0], pairs[:, 1, 0], pairs[:, 0, 1], pairs[:, 0, 2]], axis=1)
    subsampled = image(ybr, PhotometricInterpretation="YBR_FULL_422", PixelData=half.tobytes())
    assert_colors(draw(subsampled))


def test_palette(draw):
    values: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for channel, name in enumerate(("Red", "Green", "Blue")):
        values[f"{name}PaletteColorLookupTableDescriptor"] = [2, 0, 16]
        entries = np.array([COLOR[0, 0, channel], COLOR[0, -1, channel]], np.uint16) * 257
        values[f"{name}PaletteColorLookupTableData"] = entries.tobytes()
    pixels = (np.tile(np.arange(64), (32, 1)) >= 32).astype(np.uint8)
    assert_colors(draw(image(pixels, **values)))


def test_middle_frame_of_many(draw):
    frames = np.zeros((5, 32, 64), np.uint16)
    frames[2] = GREY
    assert is_ramp(draw(image(GREY, NumberOfFrames=5, PixelData=frames.tobytes())))


def test_window_of_the_frame_of_an_enhanced_image(draw):
    window, other, shared = Dataset(), Dataset(), Dataset()
    for group, center in ((window, 1000), (other, 3000)):
        item = Dataset()
        item.WindowCenter, item.WindowWidth = center, 2
        group.FrameVOILUTSequence = [item]
    ds = image(
        GREY,
        NumberOfFrames=2,
        PixelData=GREY.tobytes() * 2,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=[other, window],
    )
    white = int((draw(ds)[0] > 128).sum())
    assert white == int((GREY[0] >= 1000).sum())


def test_large_image_is_made_small_and_pixels_that_are_no_squares_square(draw):
    assert draw(image(np.tile(GREY, (40, 20)))).shape == (256, 256)
    assert draw(image(GREY, PixelSpacing=[2, 1])).shape == (256, 256)
    assert draw(image(GREY)).shape == (32, 64)


GREY_SYNTAXES = {
    uid.JPEGBaseline8Bit: lambda: (GREY8, imagecodecs.jpeg8_encode(GREY8, level=95)),
    uid.JPEGExtended12Bit: lambda: (
        GREY,
        imagecodecs.jpeg8_encode(GREY, level=95, bitspersample=12),
    ),
    uid.JPEGLossless: lambda: (GREY, imagecodecs.ljpeg_encode(GREY, bitspersample=16)),
    uid.JPEGLosslessSV1: lambda: (GREY, imagecodecs.jpeg8_encode(GREY, lossless=True)),
    uid.JPEGLSLossless: lambda: (GREY, imagecodecs.jpegls_encode(GREY)),
    uid.JPEGLSNearLossless: lambda: (GREY, imagecodecs.jpegls_encode(GREY, level=2)),
    uid.JPEG2000Lossless: lambda: (GREY, imagecodecs.jpeg2k_encode(GREY, codecformat="j2k")),
    uid.JPEG2000: lambda: (GREY8, imagecodecs.jpeg2k_encode(GREY8, level=60, codecformat="j2k")),
    uid.HTJ2KLossless: lambda: (GREY, imagecodecs.htj2k_encode(GREY)),
}


@pytest.mark.parametrize("syntax", GREY_SYNTAXES, ids=lambda each: each.name)
def test_grey_of_each_compressed_syntax(draw, syntax):
    pixels, data = GREY_SYNTAXES[syntax]()
    assert is_ramp(draw(image(pixels, syntax, data)))


def test_rle(draw):
    ds = image()
    ds.compress(uid.RLELossless, encoding_plugin="pydicom")
    assert is_ramp(draw(ds))


def test_rle_that_is_filled_up(draw):
    row = bytes([256 - 31, 7, 256 - 31, 9])
    filled = rle(row * 32 + b"\0\0")
    picture = draw(image(GREY8, uid.RLELossless, filled))
    assert (picture[:, :32] == 0).all()
    assert (picture[:, 32:] == 255).all()


def test_rle_in_colour(draw):
    ds = image(COLOR)
    ds.compress(uid.RLELossless, encoding_plugin="pydicom")
    assert_colors(draw(ds))


@pytest.mark.parametrize(
    ("syntax", "interpretation", "data"),
    [
        (uid.JPEGBaseline8Bit, "YBR_FULL_422", imagecodecs.jpeg8_encode(COLOR, level=95)),
        (uid.JPEGLSLossless, "RGB", imagecodecs.jpegls_encode(COLOR)),
        (uid.JPEG2000Lossless, "YBR_RCT", imagecodecs.jpeg2k_encode(COLOR, codecformat="j2k")),
    ],
    ids=["JPEG", "JPEG-LS", "JPEG 2000"],
)
def test_colour_of_compressed_syntaxes(draw, syntax, interpretation, data):
    assert_colors(draw(image(COLOR, syntax, data, PhotometricInterpretation=interpretation)))


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    ],
    ids=lambda each: each.name,
)
def test_native_syntaxes(draw, syntax):
    ds = image(syntax=syntax)
    if syntax is uid.ExplicitVRBigEndian:
        ds.PixelData = GREY.byteswap().tobytes()
    assert is_ramp(draw(ds))


def test_bombs_are_refused_before_they_are_read(draw):
    with pytest.raises(NoPicture, match="too large"):
        draw(image(Rows=65535, Columns=65535))
    ds = image(syntax=uid.DeflatedExplicitVRLittleEndian)
    head = written(ds)
    start = 144 + int.from_bytes(head[140:144], "little")
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(2**20)
    bomb = b"".join(deflater.compress(zeros) for _ in range(257)) + deflater.flush()
    with pytest.raises(NoPicture, match="too long when inflated"):
        draw(head[:start] + bomb)


RUNS = b"\x81\x00" * 2**20  # 128 MiB of zeros, once decoded
BYTES = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
DEEP_COLOR = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
HOSTILE: list[tuple[uid.UID, bytes, dict[str, Any], str]] = [
    (uid.JPEGBaseline8Bit, jpeg(65500, 65500), {}, "another size"),
    (uid.JPEGBaseline8Bit, jpeg(32, 65500), {}, "another size"),
    (uid.JPEGBaseline8Bit, jpeg(32, 64, 3), {}, "another size"),
    (uid.JPEGBaseline8Bit, jpeg(32, 64), DEEP_COLOR, "another size"),
    (uid.JPEGBaseline8Bit, jpeg(0, 64), {}, "no size"),
    (uid.JPEGBaseline8Bit, b"garbage", {}, "not known"),
    (uid.JPEGExtended12Bit, jpeg(65500, 65500, 1, 12), {}, "another size"),
    (uid.JPEGLossless, jpeg(65500, 65500, 1, 16, LOSSLESS_SOF), {}, "another size"),
    (uid.JPEGLosslessSV1, jpeg(32, 64, 1, 16, LOSSLESS_SOF), BYTES, "more bits"),
    (uid.JPEGLSLossless, jpeg(65500, 65500, 255, 16, JPEG_LS_SOF), {}, "another size"),
    (uid.JPEGLSNearLossless, jpeg(33, 64, 1, 16, JPEG_LS_SOF), {}, "another size"),
    (uid.JPEG2000Lossless, jpeg_2000(2**32 - 1, 2**32 - 1), {}, "another size"),
    (uid.JPEG2000Lossless, jpeg_2000(2**32 - 1, 2**32 - 1, tile=(1, 1)), {}, "too many tiles"),
    (uid.JPEG2000, jpeg_2000(64, 32, 16384), {}, "another size"),
    (uid.JPEG2000, jpeg_2000(64, 32, 1, 38), {}, "more bits"),
    (uid.HTJ2KLossless, jpeg_2000(60000, 60000), {}, "another size"),
    (uid.RLELossless, rle(*[RUNS] * 3), {}, "another size"),
    (uid.RLELossless, rle(RUNS, RUNS), {}, "cannot be decoded"),
    (uid.RLELossless, rle(b"", b""), {}, "cannot be decoded"),
    (uid.RLELossless, bytes(64), {}, "not known"),
]


@pytest.mark.parametrize(("syntax", "data", "values", "reason"), HOSTILE, ids=range(len(HOSTILE)))
def test_codestream_that_contradicts_its_data_set_reaches_no_codec(
    monkeypatch, draw, syntax, data, values, reason
):
    def decode(*_, **__):
        pytest.fail("a codec was asked")

    for name in ("jpeg8_decode", "jpegls_decode", "jpeg2k_decode"):
        monkeypatch.setattr(imagecodecs, name, decode)
    monkeypatch.setattr(Image, "open", decode)  # of pydicom's own plugins
    with pytest.raises(NoPicture, match=reason):
        draw(image(GREY, syntax, data, **values))


SEEDS = [
    written(image()),
    written(image(COLOR)),
    *(
        written(image(pixels(), syntax, data))
        for syntax, (pixels, data) in {
            uid.JPEGBaseline8Bit: (lambda: GREY8, imagecodecs.jpeg8_encode(GREY8)),
            uid.JPEGLSLossless: (lambda: GREY, imagecodecs.jpegls_encode(GREY)),
        }.items()
    ),
]


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(seed=st.sampled_from(SEEDS[:2]), places=st.data())
def test_any_garbage_is_a_picture_or_a_refusal(draw, seed, places):
    garbage = bytearray(seed)
    for _ in range(places.draw(st.integers(1, 6))):
        garbage[places.draw(st.integers(132, len(seed) - 1))] = places.draw(st.integers(0, 255))
    cut = places.draw(st.integers(0, len(seed)))
    try:
        draw(bytes(garbage[: cut if places.draw(st.booleans()) else len(seed)]))
    except NoPicture as refusal:
        assert str(refusal).isascii()  # noqa: PT017 - a picture is as good
