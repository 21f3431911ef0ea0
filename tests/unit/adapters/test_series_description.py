import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.adapters.data_set_bytes import (
    DEFLATED,
    ENCODINGS,
    EXPLICIT_LE,
    SERIES,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY,
    UNDEFINED,
    Encoding,
    deflate,
)

from seriesgate.adapters.data_set.series_description import read_series_description
from seriesgate.adapters.spool.part10 import FileMeta, encode_head
from seriesgate.gateway.ports import SeriesUnreadable
from seriesgate.series.description import SeriesDescription
from seriesgate.series.report import Series


def part10(data: bytes, transfer_syntax_uid: str = EXPLICIT_LE.transfer_syntax_uid) -> bytes:
    meta = FileMeta(SOP_CLASS, SOP_INSTANCE, transfer_syntax_uid, "SENDER")
    return encode_head(meta) + data


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "instance.dcm"


def describe(path: Path, data: bytes, transfer_syntax_uid: str = EXPLICIT_LE.transfer_syntax_uid):
    path.write_bytes(part10(data, transfer_syntax_uid))
    return read_series_description(path)


def full_data_set(encoding: Encoding) -> bytes:
    return b"".join(
        (
            encoding.element(0x00080005, "CS", b"ISO_IR 192"),
            encoding.ui(0x00080018, SOP_INSTANCE),
            encoding.element(0x00080020, "DA", b"20240229"),
            encoding.element(0x00080050, "SH", b"ACC 1 "),
            encoding.element(0x00080060, "CS", b"MR"),
            encoding.element(0x00080070, "LO", b"Maker "),
            encoding.element(0x00081030, "LO", b"Head "),
            encoding.element(0x0008103E, "LO", "t1 größer ".encode()),
            encoding.sequence(0x00081140, encoding.item(encoding.element(0x00100020, "LO", b"no"))),
            encoding.element(0x00100010, "PN", "Wang^XiaoDong=王^小東==".encode()),
            encoding.element(0x00100020, "LO", b"0012"),
            encoding.element(0x00180015, "CS", b"BRAIN "),
            encoding.uids(),
            encoding.element(0x00200011, "IS", b"301 "),
            encoding.after(),
        )
    )


DESCRIPTION = SeriesDescription(
    patient_name="Wang^XiaoDong=王^小東",
    patient_id="0012",
    study_instance_uid=STUDY,
    series_instance_uid=SERIES,
    modality="MR",
    series_number=301,
    series_description="t1 größer",
    body_part_examined="BRAIN",
    study_date="20240229",
    study_description="Head",
    accession_number="ACC 1",
    manufacturer="Maker",
)


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda e: e.name)
def test_every_field_is_read_in_every_encoding(path, encoding):
    assert describe(path, full_data_set(encoding), encoding.transfer_syntax_uid) == DESCRIPTION


def test_every_field_is_read_from_a_deflated_file(path):
    assert describe(path, deflate(full_data_set(EXPLICIT_LE)), DEFLATED) == DESCRIPTION


def test_what_is_missing_is_empty(path):
    assert describe(path, b"") == SeriesDescription()


def test_what_stands_before_a_truncation_is_read(path):
    data = full_data_set(EXPLICIT_LE)
    description = describe(path, data[: data.index(b"BRAIN")])
    assert description.patient_id == "0012"
    assert description.series_instance_uid == ""


def test_text_before_a_head_that_is_no_data_set_is_not_invented(path):
    assert describe(path, b"\xff" * 1000) == SeriesDescription()


# Texts


@pytest.mark.parametrize(
    ("value", "patient_id"),
    [
        (b"0012", "0012"),
        (b"A/17 \xdf", "A/17 ß"),
        (b" 17 ", "17"),
        (b"17\0\0", "17"),
        (b"A\\B", "A\\B"),
        (b"", ""),
        (b"  ", ""),
        (b"a\0b", "a"),
        (b"a\x1b[2Jb\x07", "a\ufffd[2Jb\ufffd"),
        (b"a\r\nb\tc", "a  b c"),
        (b"x" * 2000, "x" * 1024),
        (b"x" * 60_000, "x" * 1024),
        (b"x" * 1023 + b" y", "x" * 1023),
    ],
)
def test_patient_id_is_clean_text(path, value, patient_id):
    data = EXPLICIT_LE.element(0x00080005, "CS", b"ISO_IR 100")
    data += EXPLICIT_LE.element(0x00100020, "LO", value) + EXPLICIT_LE.uids()
    assert describe(path, data).patient_id == patient_id


def test_c1_control_character_is_replaced(path):
    data = EXPLICIT_LE.element(0x00080005, "CS", b"ISO_IR 144")
    data += EXPLICIT_LE.element(0x00100020, "LO", b"a\x9bb") + EXPLICIT_LE.uids()
    assert describe(path, data).patient_id == "a\ufffdb"


@pytest.mark.parametrize(
    ("value", "patient_name"),
    [
        (b"Doe^Jane^^", "Doe^Jane^^"),
        (b"Doe^Jane== ", "Doe^Jane"),
        (b"=", ""),
        (b"", ""),
        (b"=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "=山田^太郎"),
    ],
)
def test_patient_name_keeps_its_form(path, value, patient_name):
    data = EXPLICIT_LE.element(0x00080005, "CS", b"\\ISO 2022 IR 87")
    data += EXPLICIT_LE.element(0x00100010, "PN", value) + EXPLICIT_LE.uids()
    assert describe(path, data).patient_name == patient_name


def test_longest_text_with_an_escape_sequence_for_each_character_is_whole(path):
    value = b"\x1b$B;3\x1b(B" * 1023
    data = EXPLICIT_LE.element(0x00080005, "CS", b"\\ISO 2022 IR 87")
    data += EXPLICIT_LE.element(0x00081030, "LO", value) + EXPLICIT_LE.uids()
    assert describe(path, data).study_description == "山" * 1023


@pytest.mark.parametrize(
    ("value", "number"), [(b"12", 12), (b"-1", -1), (b"", None), (b"1.5 ", None), (b"x", None)]
)
def test_series_number_is_an_integer_or_none(path, value, number):
    data = EXPLICIT_LE.uids() + EXPLICIT_LE.element(0x00200011, "IS", value)
    assert describe(path, data).series_number == number


def test_value_that_is_no_uid_is_empty(path):
    data = EXPLICIT_LE.ui(0x0020000D, b"1.2\x07") + EXPLICIT_LE.ui(0x0020000E, SERIES)
    description = describe(path, data)
    assert description.study_instance_uid == ""
    assert description.series_instance_uid == SERIES


values = st.binary(max_size=60) | st.lists(
    st.sampled_from([b"\x1b$B", b"\x1b(B", b"\x1b$)C", b"^", b"=", b"\\", b"\0", b" ", b"\xe9"])
).map(b"".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([0x00080005, 0x0008103E, 0x00100010, 0x00100020]), values))
def test_any_text_is_fit_for_the_report_and_leaves_no_log(path, caplog, elements):
    data = b"".join(EXPLICIT_LE.element(tag, "LO", elements[tag]) for tag in sorted(elements))
    description = describe(path, data + EXPLICIT_LE.uids())
    Series(
        SeriesInstanceUID=description.series_instance_uid,
        StudyInstanceUID=description.study_instance_uid,
        PatientName=description.patient_name,
        PatientID=description.patient_id,
        SeriesDescription=description.series_description,
        InstancesInSeries=1,
    )
    assert {record.msg for record in caplog.records} <= {
        "the instances of a series do not have these attributes: %s"
    }


# Files that cost nothing, and files that cannot be read


def peak_memory(path: Path) -> int:
    tracemalloc.start()
    try:
        read_series_description(path)
    except SeriesUnreadable:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def test_file_is_read_up_to_its_uids_only(path, monkeypatch):
    file = io.BytesIO(part10(full_data_set(EXPLICIT_LE)) + bytes(1_000_000))
    monkeypatch.setattr(file, "close", lambda: None)
    monkeypatch.setattr(Path, "open", lambda *_: file)
    assert read_series_description(path) == DESCRIPTION
    assert file.tell() < 100_000


def test_no_memory_is_taken_for_a_declared_length(path):
    path.write_bytes(part10(EXPLICIT_LE.header(0x00100020, "UN", 0x7FFFFFFF)))
    assert read_series_description(path) == SeriesDescription()
    assert peak_memory(path) < 500_000


def test_deflate_bomb_is_inflated_up_to_the_limit_only(path):
    value = EXPLICIT_LE.element(0x00091001, "OB", bytes(70_000_000))
    path.write_bytes(part10(deflate(value + EXPLICIT_LE.uids()), DEFLATED))
    with pytest.raises(SeriesUnreadable, match="longer than 67108864 bytes"):
        read_series_description(path)
    assert peak_memory(path) < 500_000


def test_deeply_nested_sequences_are_refused(path):
    level = EXPLICIT_LE.header(0x00081140, "SQ", UNDEFINED)
    level += EXPLICIT_LE.bare(0xFFFEE000, UNDEFINED)
    path.write_bytes(part10(level * 10_000 + full_data_set(EXPLICIT_LE)))
    with pytest.raises(SeriesUnreadable, match="nested more than 64 levels"):
        read_series_description(path)


@pytest.mark.parametrize("content", [b"", b"DICM", bytes(132), b"\xff" * 200])
def test_file_that_is_not_part_10_is_unreadable(path, content):
    path.write_bytes(content)
    with pytest.raises(SeriesUnreadable, match="its file is damaged"):
        read_series_description(path)


def test_missing_file_is_unreadable_and_its_path_not_told(path):
    with pytest.raises(SeriesUnreadable) as caught:
        read_series_description(path)
    assert str(caught.value) == "its file cannot be read: No such file or directory"
