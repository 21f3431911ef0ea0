"""QIDO-RS requests and the DICOM JSON model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.server.examples import EVERY_FIELD, START

from seriesgate.server.dicomweb.attributes import ATTRIBUTES, ResourceLevel
from seriesgate.server.dicomweb.json_model import series_object, study_object
from seriesgate.server.dicomweb.qido import BadQuery, QidoQuery, read_query
from seriesgate.server.registry.query import Attribute, Between, Level, OneOf, Wildcard
from seriesgate.server.registry.store import StoredSeries, StudySummary

A = Attribute
STUDY = StudySummary(
    StudyInstanceUID="1.3",
    PatientID="A/17",
    PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう",
    StudyDate="20260101",
    StudyDescription="Brain",
    AccessionNumber="",
    ModalitiesInStudy=["MR", "SR"],
    NumberOfStudyRelatedSeries=2,
    NumberOfStudyRelatedInstances=20,
    ReceivedAt=START,
)
SERIES = StoredSeries(**EVERY_FIELD, ReceivedAt=START, UpdatedAt=START)


def search(*parameters: tuple[str, str], level: ResourceLevel = ResourceLevel.SERIES) -> QidoQuery:
    return read_query(parameters, level)


@pytest.mark.parametrize(
    ("name", "value", "condition"),
    [
        ("PatientID", "A/17", OneOf(A.PATIENT_ID, ("A/17",))),
        ("00100020", "A/17", OneOf(A.PATIENT_ID, ("A/17",))),
        ("0020000d", "1.2,1.3", OneOf(A.STUDY, ("1.2", "1.3"))),
        ("StudyInstanceUID", "1.2\\1.3", OneOf(A.STUDY, ("1.2", "1.3"))),
        ("PatientName", "Doe*", Wildcard(A.PATIENT_NAME, "Doe*")),
        ("PatientName", "D?e", Wildcard(A.PATIENT_NAME, "D?e")),
        ("StudyDate", "20260101", OneOf(A.STUDY_DATE, ("20260101",))),
        ("StudyDate", "20260101-20260131", Between(A.STUDY_DATE, "20260101", "20260131")),
        ("StudyDate", "20260101-", Between(A.STUDY_DATE, "20260101", "")),
        ("StudyDate", "-20260131", Between(A.STUDY_DATE, "0", "20260131")),
        ("SeriesNumber", "007", OneOf(A.SERIES_NUMBER, ("7",))),
        ("ModalitiesInStudy", "MR", OneOf(A.MODALITIES_IN_STUDY, ("MR",))),
        ("StudyInstanceUID", "1.2*", OneOf(A.STUDY, ("1.2*",))),
    ],
)
def test_conditions(name, value, condition):
    assert search((name, value)).wanted.conditions == (condition,)


@pytest.mark.parametrize("value", ["", " ", "*"])
@pytest.mark.parametrize("name", ["PatientName", "StudyDate", "StudyTime", "PatientSex"])
def test_universal_matching_is_no_condition(name, value):
    assert search((name, value)).wanted.conditions == ()


@pytest.mark.parametrize(
    ("name", "value", "parameter"),
    [
        ("limit", "0", "limit"),
        ("limit", "-1", "limit"),
        ("limit", "ten", "limit"),
        ("limit", "9" * 5000, "limit"),
        ("limit", "\u0663", "limit"),
        ("offset", "1000001", "offset"),
        ("offset", "", "offset"),
        ("fuzzymatching", "yes", "fuzzymatching"),
        ("emptyvaluematching", "true", "emptyvaluematching"),
        ("includefield", "../x", "includefield"),
        ("includefield", "", "includefield"),
        ("StudyDate", "2026", "StudyDate"),
        ("StudyDate", "-", "StudyDate"),
        ("StudyDate", "20260101-20260102-", "StudyDate"),
        ("StudyTime", "1200", "StudyTime"),
        ("NumberOfStudyRelatedSeries", "2", "NumberOfStudyRelatedSeries"),
        ("SeriesNumber", "1.5", "SeriesNumber"),
        ("SeriesInstanceUID", "1.2,,1.3", "SeriesInstanceUID"),
        ("SeriesInstanceUID", ",".join(["1.2"] * 101), "SeriesInstanceUID"),
        ("PatientName", "a\x00b", "PatientName"),
        ("PatientName", "x" * 1025, "PatientName"),
        ("PatientAge", "017Y", ""),
        ("00400275.00400009", "x", ""),
        ("", "", ""),
    ],
)
def test_what_cannot_be_answered_is_refused(name, value, parameter):
    with pytest.raises(BadQuery) as caught:
        search((name, value))
    assert caught.value.parameter == parameter


def test_condition_on_series_is_refused_in_a_search_for_studies():
    with pytest.raises(BadQuery):
        search(("Modality", "MR"), level=ResourceLevel.STUDY)
    assert search(level=ResourceLevel.STUDY).wanted.level is Level.STUDY


def test_parameter_that_is_given_twice_is_refused():
    for second in ("PatientID", "00100020"):
        with pytest.raises(BadQuery):
            search(("PatientID", "a"), (second, "b"))


def test_limit_is_bounded_and_has_a_default():
    assert (search().limit, search(("limit", "5000")).limit, search(("limit", "7")).limit) == (
        100,
        1000,
        7,
    )


def test_included_attributes():
    query = search(("includefield", "Manufacturer,00081030"), ("includefield", "Rows,0008103e"))
    assert query.included == {"Manufacturer", "StudyDescription", "SeriesDescription"}
    assert len(search(("includefield", "all")).included) == len(ATTRIBUTES)


names = st.sampled_from(["limit", "offset", "includefield", *(each.tag for each in ATTRIBUTES)])


@given(st.lists(st.tuples(names | st.text(), st.text()), max_size=3))
def test_any_parameters_are_read_or_refused(parameters):
    try:
        query = read_query(parameters, ResourceLevel.SERIES)
    except BadQuery:
        return
    assert 1 <= query.limit <= 1000


def test_study_in_json():
    study = study_object(STUDY)
    assert study["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert study["00080020"] == {"vr": "DA", "Value": ["20260101"]}
    assert study["00080030"] == {"vr": "TM"}
    assert study["00080050"] == {"vr": "SH"}
    assert study["00080056"] == {"vr": "CS", "Value": ["UNAVAILABLE"]}
    assert study["00080061"] == {"vr": "CS", "Value": ["MR", "SR"]}
    assert study["00100010"] == {
        "vr": "PN",
        "Value": [
            {
                "Alphabetic": "Yamada^Tarou",
                "Ideographic": "山田^太郎",
                "Phonetic": "やまだ^たろう",
            }
        ],
    }
    assert study["00201208"] == {"vr": "IS", "Value": [20]}
    assert "00081030" not in study
    assert study_object(STUDY, ["StudyDescription"])["00081030"]["Value"] == ["Brain"]
    assert list(study) == sorted(study)


def test_series_in_json():
    series = series_object(SERIES, STUDY, with_study=False)
    assert series["00200011"] == {"vr": "IS", "Value": [-4]}
    assert series["00201209"] == {"vr": "IS", "Value": [10]}
    assert series["0020000D"]["Value"] == ["1.3"]
    assert "00100010" not in series
    whole = series_object(SERIES, STUDY, ["Manufacturer"], with_study=True)
    assert whole["00080070"]["Value"] == ["ACME"]
    assert whole["00201206"]["Value"] == [2]
    assert whole["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]


@pytest.mark.parametrize("name", ["", "=", "=山田"])
def test_names_without_all_groups(name):
    value: dict[str, Any] = study_object(STUDY.model_copy(update={"PatientName": name}))["00100010"]
    expected = {"Value": [{"Ideographic": "山田"}]} if name == "=山田" else {}
    assert value == {"vr": "PN"} | expected


def test_date_that_is_none_is_left_out():
    study = study_object(STUDY.model_copy(update={"StudyDate": "2026-01-01", "PatientName": "A"}))
    assert study["00080020"] == {"vr": "DA"}
    assert "00080005" not in study


def test_answers_are_what_pydicom_reads():
    from pydicom import Dataset

    text = json.dumps(series_object(SERIES, STUDY, ["all"], with_study=True))
    data_set = Dataset.from_json(text)
    assert data_set.PatientName == "Doe^Jane"
    assert (data_set.SeriesNumber, data_set.ModalitiesInStudy) == (-4, ["MR", "SR"])


def test_attributes_are_those_of_the_data_dictionary():
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    for attribute in ATTRIBUTES:
        assert tag_for_keyword(attribute.keyword) == int(attribute.tag, 16)
        assert dictionary_VR(int(attribute.tag, 16)) == attribute.vr
