"""Properties of the header scanner: how fragments are cut never matters, nothing breaks it, and it
agrees with pydicom.
"""

import io
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from tests.unit.adapters.data_set_bytes import (
    DEFLATED,
    ENCODINGS,
    EXPLICIT_LE,
    HEADER,
    IMPLICIT_LE,
    LONG_VRS,
    SERIES,
    UNDEFINED,
    Encoding,
    deflate,
)
from tests.unit.adapters.header_scanning import outcome

from seriesgate.adapters.data_set.data_set_head import HeadLimits
from seriesgate.adapters.data_set.header_scanner import HeaderScanner
from seriesgate.series.model import InstanceHeader

TRANSFER_SYNTAXES = (*(e.transfer_syntax_uid for e in ENCODINGS), DEFLATED, "1.2.3.4")

quick = settings(deadline=None, max_examples=150)


cuts = st.lists(st.integers(0, 10_000), max_size=12)

private_elements = st.tuples(
    st.sampled_from([0x00090010, 0x00091001, 0x00180010, 0x00191001]),
    st.sampled_from(["LO", "OB", "UN", "UT", "DS", "UI"]),
    st.one_of(st.binary(max_size=40), st.integers(1000, 3000).map(bytes)),
)


@st.composite
def contents(draw: st.DrawFn, encoding: Encoding, depth: int = 0) -> bytes:
    """Draw elements and sequences that stand before the UIDs."""
    parts = [encoding.element(*element) for element in draw(st.lists(private_elements, max_size=3))]
    if depth < 3 and draw(st.booleans()):
        vr = draw(st.sampled_from(["SQ", "UN"]))
        is_defined = draw(st.booleans())
        inner = IMPLICIT_LE if vr == "UN" and not is_defined else encoding
        items = [
            inner.item(draw(contents(inner, depth + 1)), is_defined=draw(st.booleans()))
            for _ in range(draw(st.integers(0, 2)))
        ]
        sequence = encoding.header(0x00091140, vr, UNDEFINED) + b"".join(items)
        sequence += inner.bare(0xFFFEE0DD, 0)
        if is_defined:
            sequence = encoding.sequence(0x00091140, *items, vr=vr, is_defined=True)
        parts.insert(draw(st.integers(0, len(parts))), sequence)
    return b"".join(parts)


@st.composite
def data_sets(draw: st.DrawFn) -> tuple[bytes, str]:
    """Draw a well-formed data set, and a transfer syntax that it may be declared to have."""
    encoding = draw(st.sampled_from(ENCODINGS))
    data = encoding.data_set(draw(contents(encoding)))
    declared = draw(st.sampled_from(TRANSFER_SYNTAXES))
    return (deflate(data) if declared == DEFLATED else data), declared


@st.composite
def damaged_data_sets(draw: st.DrawFn) -> tuple[bytes, str]:
    """Draw a data set in which a few bytes are changed, lost or inserted."""
    data, declared = draw(data_sets())
    damaged = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(damaged)))
        end = min(len(damaged), start + draw(st.integers(0, 4)))
        damaged[start:end] = draw(st.binary(max_size=4) | st.just(b"\xff\xff\xff\xff"))
    return bytes(damaged), declared


@quick
@given(data_sets(), cuts)
def test_fragments_of_a_good_data_set_may_be_cut_anywhere(sample, cuts):
    data, declared = sample
    assert outcome(data, declared, cuts) == HEADER


@quick
@given(damaged_data_sets(), cuts)
def test_fragments_of_a_damaged_data_set_may_be_cut_anywhere(sample, cuts):
    limits = HeadLimits(max_bytes=3000, max_depth=2, max_elements=20)
    data, declared = sample
    assert outcome(data, declared, cuts, limits=limits) == outcome(
        data, declared, [], limits=limits
    )


@quick
@given(data_sets(), cuts, st.integers(1, 3000), st.integers(1, 3), st.integers(1, 30))
def test_limits_hold_however_fragments_are_cut(sample, cuts, max_bytes, max_depth, max_elements):
    limits = HeadLimits(max_bytes, max_depth, max_elements)
    data, declared = sample
    assert outcome(data, declared, cuts, limits=limits) == outcome(
        data, declared, [], limits=limits
    )


@quick
@given(st.binary(max_size=400), st.sampled_from(TRANSFER_SYNTAXES), cuts)
def test_noise_is_never_more_than_unreadable(noise, declared, cuts):
    assert outcome(noise, declared, cuts) == outcome(noise, declared, [])


@quick
@given(st.lists(st.integers(0, 4) | st.binary(max_size=6)), st.sampled_from(ENCODINGS), cuts)
def test_any_order_of_items_and_delimiters_is_never_more_than_unreadable(tokens, encoding, cuts):
    headers = (
        encoding.element(0x00091001, "LO", b"ab"),
        encoding.header(0x00091140, "SQ", UNDEFINED),
        encoding.bare(0xFFFEE000, UNDEFINED),
        encoding.bare(0xFFFEE00D, 0),
        encoding.bare(0xFFFEE0DD, 0),
    )
    data = b"".join(headers[token] if isinstance(token, int) else token for token in tokens)
    data += encoding.data_set()
    declared = encoding.transfer_syntax_uid
    assert outcome(data, declared, cuts) == outcome(data, declared, [])


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda e: e.name)
@pytest.mark.parametrize("is_deflated", [False, True])
def test_every_single_byte_may_be_a_fragment(encoding, is_deflated):
    item = encoding.item(encoding.ui(0x00081150, "9.9"))
    data = encoding.data_set(encoding.sequence(0x00181140, item, item))
    declared = DEFLATED if is_deflated else encoding.transfer_syntax_uid
    encoded = deflate(data) if is_deflated else data
    assert outcome(encoded, declared, list(range(len(encoded)))) == HEADER


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda e: e.name)
def test_truncated_data_set_has_the_right_header_or_none(encoding):
    item = encoding.item(encoding.ui(0x00081150, "9.9"))
    data = encoding.data_set(encoding.sequence(0x00181140, item, item))
    without_number = HEADER._replace(instance_number=None)
    last_uid = data.index(SERIES.encode()) + len(SERIES) + 1
    number = data.index(encoding.instance_number()) + len(encoding.instance_number())
    for end in range(len(data)):
        header = outcome(data[:end], encoding.transfer_syntax_uid, [])
        if end < last_uid:
            assert isinstance(header, str)
        else:
            assert header == (HEADER if end >= number else without_number)


# Against pydicom

uids = st.lists(st.integers(0, 10**9), min_size=2, max_size=5).map(
    lambda components: ".".join(["1", *map(str, components)])
)
texts = st.text("ABCxyz 0-9", max_size=20)


@st.composite
def pydicom_data_sets(draw: st.DrawFn, depth: int = 0) -> Dataset:
    """Draw a data set as pydicom knows it."""
    ds = Dataset()
    for keyword, values in {
        "SOPClassUID": uids,
        "SOPInstanceUID": uids,
        "Modality": st.sampled_from(["MR", "CT", ""]),
        "Manufacturer": texts,
        "PatientName": texts,
        "PatientID": texts,
        "ImageComments": texts,
        "StudyInstanceUID": uids,
        "SeriesInstanceUID": uids,
        "SliceThickness": st.sampled_from(["1.5", ""]),
        "InstanceNumber": st.integers(-(2**31), 2**31 - 1),
        "ImagePositionPatient": st.just([1, 2, 3]),
        "Rows": st.integers(0, 65535),
    }.items():
        if draw(st.booleans()) or (depth == 0 and "UID" in keyword):
            setattr(ds, keyword, draw(values))
    block = ds.private_block(0x0009, "SERIESGATE TEST", create=True)
    for offset, vr in enumerate(draw(st.lists(st.sampled_from(["UN", "OB", "UT", "LO"])))):
        value = draw(texts)
        block.add_new(offset, vr, value.encode() if vr in LONG_VRS - {"UT"} else value)
    if depth < 2:
        for keyword in ("ReferencedImageSequence", "RequestAttributesSequence"):
            if draw(st.booleans()):
                items = draw(st.lists(pydicom_data_sets(depth + 1), max_size=2))
                setattr(ds, keyword, Sequence(items))
                ds[keyword].is_undefined_length = draw(st.booleans())
                for item in items:
                    item.is_undefined_length_sequence_item = draw(st.booleans())
    return ds


def header_by_pydicom(data: bytes, encoding: Encoding) -> InstanceHeader:
    ds = read_dataset(io.BytesIO(data), not encoding.is_explicit, encoding.order == "<")
    patient_id = ds.get_item("PatientID").value if "PatientID" in ds else b""
    number = ds.get("InstanceNumber")
    return InstanceHeader(
        sop_class_uid=str(ds.SOPClassUID),
        sop_instance_uid=str(ds.SOPInstanceUID),
        study_instance_uid=str(ds.StudyInstanceUID),
        series_instance_uid=str(ds.SeriesInstanceUID),
        patient_id=(patient_id or b"").strip(b" \0"),
        instance_number=None if number is None else int(number),
    )


@quick
@given(pydicom_data_sets(), st.sampled_from(ENCODINGS), st.booleans(), cuts)
def test_scanner_agrees_with_pydicom(ds, encoding, is_deflated, cuts):
    file = DicomBytesIO()
    file.is_little_endian = encoding.order == "<"
    file.is_implicit_VR = not encoding.is_explicit
    write_dataset(file, ds)
    data = file.getvalue()
    expected = header_by_pydicom(data, encoding)
    declared = encoding.transfer_syntax_uid
    if is_deflated and encoding is EXPLICIT_LE:
        data, declared = deflate(data), DEFLATED
    scanner = HeaderScanner(declared)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    header = None
    for start, end in itertools.pairwise(edges):
        header = header or scanner.feed(data[start:end])
    assert (header or scanner.finish()) == expected
