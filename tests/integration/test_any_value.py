"""Whatever a value says, in whatever attribute, the gateway lives and other series are registered.

The attributes are those that the gateway and the pages read, those of a picture included; the bytes
are put together here, for no library writes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.app_client import AppClient
from tests.integration.gateway_site import Site, site_in
from tests.unit.adapters.data_set_bytes import (
    DEFLATED,
    ENCODINGS,
    EXPLICIT_LE,
    LONG_VRS,
    SOP_CLASS,
    Encoding,
    deflate,
)

from seriesgate.adapters.data_set import element_header, header_scanner, series_description
from seriesgate.adapters.preview import image_elements, pixel_frame
from seriesgate.adapters.preview.picture import picture_of
from seriesgate.adapters.preview.pixel_frame import NoPicture
from seriesgate.adapters.spool.part10 import FileMeta, encode_head
from seriesgate.gateway.intake import Refused, Stored
from seriesgate.series.report import Series
from seriesgate.series.uid import as_path_segment

if TYPE_CHECKING:
    from seriesgate.gateway.intake import StoreOutcome

# Also such as are none; in implicit VR they leave no trace.
VRS = sorted({*(vr.decode() for vr in element_header._VRS), "??", "  ", "\0\0", "xy"})
LONGEST_SHORT = 0xFFFE
OK, CREATED = 200, 201

OTHERS = [
    (0x00080060, "Modality", "MR"),
    (0x00100010, "PatientName", "Doe^Jane"),
    (0x00100020, "PatientID", "A/17"),
]
SOP_INSTANCE, STUDY, SERIES = 0x00080018, 0x0020000D, 0x0020000E
# What makes a small picture, in the VR it has.
PICTURE = {
    0x00280002: ("US", b"\1\0"),
    0x00280004: ("CS", b"MONOCHROME2 "),
    0x00280008: ("IS", b"1 "),
    0x00280010: ("US", b"\4\0"),
    0x00280011: ("US", b"\4\0"),
    0x00280100: ("US", b"\x10\0"),
    0x00280101: ("US", b"\x0c\0"),
    0x00280102: ("US", b"\x0b\0"),
    0x00280103: ("US", b"\0\0"),
    0x00281050: ("DS", b"1000"),
    0x00281051: ("DS", b"2000"),
    0x00281052: ("DS", b"0 "),
    0x00281053: ("DS", b"1 "),
}
SHOWN = [*PICTURE, image_elements.IMAGER_PIXEL_SPACING, pixel_frame.FRAMES, 0x00280030, 0x00280034]
READ = sorted(
    {*header_scanner._WANTED, *series_description._WANTED, *SHOWN, *image_elements._SEQUENCES}
)

TEXTS = [
    b"",
    b" ",
    b"\0",
    b"\0\0\0\0",
    b"\\",
    b"\\" * 65,
    b"0",
    b"-0",
    b"-0.0",
    b"+",
    b"-",
    b".",
    b"1.5",
    b"1,0",
    b"1_000",
    b"0x10",
    b"1e999999999",
    b"-1e999999999",
    b"1e-999999999",
    b"1E5",
    b"NaN",
    b"-sNaN123",
    b"Infinity",
    b"-inf",
    b"9" * 16,
    b"9" * 5000,
    b"-" + b"9" * 5000,
    b"1." + b"0" * 5000,
    b"2147483648",
    b"-2147483649",
    "\u0661\u0662".encode(),
    "\u00b2".encode("latin-1"),
    b"20260230",
    b"00000000",
    b"99999999",
    b"10000101",
    b"0001.01.01",
    b"2026-13-01",
    b"20260101-20270101",
    b"252525.999999999",
    b"1.2.840.\x1b[31m",
    b"1." * 500,
    b".",
    b"..",
    b"../../etc/passwd",
    b"a/b?c#d%e%00",
    b"1.2\0Doe^Jane",
    b"\0001.2",
    b"A\0B\x1b$B\x01\x7f\x80\x9f",
    b"\x1b",
    b"\x1b$",
    b"\x1b$B",
    b"\x1b$)C\x1b-A\x1b(J\x1b%G",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf\xed\xa0\x80",
    b"\xff\xfe\xff\xff",
    b"\xf4\x90\x80\x80",
    b"\xc0\xaf",
    b"\xf0\x9f\x98\x80" * 300,
    "e\u0301".encode() * 2000,
    "\u202e\u2028\ufeff\ufffe".encode(),
    b"=" * 100,
    b"^" * 2000,
    b"ISO_IR 192",
    b"ISO_IR 192\\ISO 2022 IR 87",
    b"\\ISO 2022 IR 87",
    b"\\ISO 2022 IR 149\\ISO 2022 IR 58\\GB18030",
    b"ISO_IR 999",
    b"GBK",
    b"utf-7",
    b"idna",
    b"'; DROP TABLE series_data; --",
    b"<script>alert(1)</script>",
    b"=HYPERLINK(1)",
    b"\x00\x00\x00\x80",
    b"\xff" * 8,
    b"A" * 65534,
    b"\0" * 65536,
    b"\\" * 65536,
    b"\x1b$B!" * 16384,
    b"1." * 32768,
    b"9" * 65536,
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 100,
]
VALUES = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(TEXTS),
    st.binary(max_size=80),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.tuples(st.sampled_from(TEXTS), st.sampled_from(TEXTS)).map(b"\\".join),
)
Value = tuple[int, str, bytes]


class Hostile(NamedTuple):
    """What is odd about an instance, and how it is encoded."""

    values: list[Value]
    encoding: Encoding
    is_deflated: bool


HOSTILE = st.builds(
    Hostile,
    st.lists(
        st.tuples(st.sampled_from(READ), st.sampled_from(VRS), VALUES), min_size=1, max_size=4
    ),
    st.sampled_from(ENCODINGS),
    st.booleans(),
)


def encoded(hostile: Hostile, uid: str) -> tuple[bytes, str]:
    """Return a data set in order of its tags, and its transfer syntax."""
    # Deflated is explicit VR little endian (PS3.5 A.5).
    encoding = EXPLICIT_LE if hostile.is_deflated else hostile.encoding
    elements = {
        0x00080016: ("UI", SOP_CLASS.encode() + b"\0"),
        SOP_INSTANCE: ("UI", f"{uid}.1".encode()),
        0x00080060: ("CS", b"MR"),
        0x00100010: ("PN", b"Doe^Jane"),
        0x00100020: ("LO", b"A/17"),
        STUDY: ("UI", f"{uid}.2".encode()),
        SERIES: ("UI", uid.encode()),
        **PICTURE,
        0x7FE00010: ("OW", bytes(range(32))),
    }
    elements |= {tag: (vr, value) for tag, vr, value in hostile.values}
    data = b"".join(
        encoding.element(tag, vr, value if vr in LONG_VRS else value[:LONGEST_SHORT])
        for tag, (vr, value) in sorted(elements.items())
    )
    if hostile.is_deflated:
        return deflate(data), DEFLATED
    return data, encoding.transfer_syntax_uid


def outcomes(site: Site, batch: list[Hostile]) -> list[StoreOutcome]:
    """Have a batch received, each instance for a series of its own if it does not say otherwise."""
    received = []
    for number, hostile in enumerate(batch):
        uid = f"1.7.{number + 100}"
        data_set, syntax = encoded(hostile, uid)
        received.append(site.take(data_set, syntax, f"{uid}.1"))
    return received


def open_series(site: Site) -> set[str]:
    return {each.series_instance_uid for each in site.gateway._intake.open_series(1000)}


def run(batch: list[Hostile], folder: Path) -> list[Series]:
    """Send a batch to a gateway that is started again in the middle; return its reports."""

    async def scenario() -> list[Series]:
        async with site_in(folder) as site:
            site.receive("1.5.1")
            told = outcomes(site, batch)
            site.receive("1.5.2")
            expected = open_series(site)
            assert {"1.5.1", "1.5.2"} <= expected
            assert {type(each) for each in told} <= {Stored, Refused}
        # It starts again with all of it before its eyes, nothing of it closed.
        async with site_in(folder) as site:
            site.receive("1.5.3")
            await site.until(lambda: site.registered() >= expected | {"1.5.3"}, 30.0)
            reports = site.reports()
            # Late ones, among them those of which there is everything already.
            assert outcomes(site, batch) == told, "a restart changed what is taken"
            site.receive("1.5.4")
            await site.until(lambda: "1.5.4" in site.registered(), 30.0)
            assert site.aside() == []
        async with site_in(folder) as site:
            site.receive("1.5.5")
            await site.until(lambda: "1.5.5" in site.registered(), 30.0)
            assert site.aside() == []
        return reports

    return asyncio.run(scenario())


def check_pages(reports: list[Series]) -> None:
    """Have the server take the reports and show them."""
    with AppClient() as server:
        for report in reports:
            body = report.model_dump_json()
            assert Series.model_validate_json(body) == report
            assert server.post(body).status_code == CREATED, body
            path = as_path_segment(report.SeriesInstanceUID)
            assert server.row(f"/series/{path}")["SeriesInstanceUID"] == report.SeriesInstanceUID
        listed = {
            row["SeriesInstanceUID"] for row in server.get("/series?limit=1000").json()["series"]
        }
        assert listed == {report.SeriesInstanceUID for report in reports}
        for page in ("/series.csv", "/dicom-web/series", "/dicom-web/studies"):
            assert server.get(page).status_code == OK, page


@given(st.lists(HOSTILE, min_size=12, max_size=24))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_value_of_any_vr_harms_nothing_else(batch):
    with tempfile.TemporaryDirectory() as folder:
        check_pages(run(batch, Path(folder)))


@pytest.mark.parametrize("tag", sorted(series_description._WANTED | header_scanner._WANTED))
def test_each_value_in_each_attribute_costs_that_attribute_alone(tmp_path, caplog, tag):
    # One encoding after the other: over the attributes, each value meets all of them.
    encodings = itertools.islice(itertools.cycle((*ENCODINGS, None)), tag % 7, None)
    batch = [
        Hostile([(tag, "LT", value)], encoding or EXPLICIT_LE, is_deflated=encoding is None)
        for value, encoding in zip(TEXTS, encodings, strict=False)
    ]
    reports = run(batch, tmp_path)
    check_pages(reports)
    for attribute, name, value in OTHERS:
        if attribute != tag:
            assert {getattr(report, name) for report in reports} == {value}
    # Nothing failed that had to be contained, and what is reported fits as it was read.
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@given(HOSTILE)
@settings(max_examples=100, deadline=None)
def test_any_value_costs_a_picture_at_most(hostile):
    data_set, syntax = encoded(hostile, "1.7.1")
    with tempfile.NamedTemporaryFile() as file:
        file.write(encode_head(FileMeta(SOP_CLASS, "1.7.1.1", syntax, "MODALITY")) + data_set)
        file.flush()
        with contextlib.suppress(NoPicture):
            assert picture_of(file.name).startswith(b"\x89PNG")
