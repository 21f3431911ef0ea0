"""What every SeriesStore promises of accents: found however they are written, kept as they came."""

from __future__ import annotations

from asyncio import run
from typing import Literal
from unicodedata import normalize

import pytest
from tests.contract.test_series_store import ALL, store, stores
from tests.unit.server.examples import report

from seriesgate.server.registry.query import Attribute, OneOf, SeriesFilter, Wildcard
from seriesgate.server.registry.store import Outcome

__all__ = ["store", "stores"]

FORMS: list[Literal["NFC", "NFD"]] = ["NFC", "NFD"]
NAMES = ["Müller^Jörg", "Nguyễn^Thị", "Ångström^Åsa", "김^희중", "Ǆ^ǰ", "Ὀδυσσεύς^ᾳ"]
TEXTS = {
    Attribute.PATIENT_NAME: "PatientName",
    Attribute.PATIENT_ID: "PatientID",
    Attribute.ACCESSION_NUMBER: "AccessionNumber",
    Attribute.GATEWAY: "Gateway",
    Attribute.MODALITY: "Modality",
    Attribute.SERIES_DESCRIPTION: "SeriesDescription",
    Attribute.STUDY_DESCRIPTION: "StudyDescription",
    Attribute.BODY_PART: "BodyPartExamined",
    Attribute.MANUFACTURER: "Manufacturer",
}
in_both_forms = pytest.mark.parametrize(("kept", "asked"), [(f, g) for f in FORMS for g in FORMS])


def found(store, wanted):
    return [row.SeriesInstanceUID for row in run(store.page(wanted, limit=9)).series]


def with_name(store, name, **more):
    run(store.register(report(SeriesInstanceUID="1.9", PatientName="Other", PatientID="other")))
    run(store.register(report(**dict.fromkeys(TEXTS.values(), name), **more)))


@in_both_forms
@pytest.mark.parametrize("name", NAMES)
def test_text_is_found_in_either_form_in_any_case(store, name, kept, asked):
    with_name(store, normalize(kept, name))
    for text in (name, name.upper(), name.lower(), name.casefold()):
        assert found(store, SeriesFilter(text=normalize(asked, text))) == ["1.2"], text


@in_both_forms
@pytest.mark.parametrize("attribute", TEXTS)
def test_value_and_pattern_are_found_in_either_form(store, attribute, kept, asked):
    name = "Zoë Müller"
    with_name(store, normalize(kept, name))
    value = normalize(asked, name)
    assert found(store, SeriesFilter((OneOf(attribute, (value,)),))) == ["1.2"]
    assert found(store, SeriesFilter((OneOf(attribute, (value, "none")),))) == ["1.2"]
    for pattern in ("Zoë*", "*ë M*", "Zo? M?ller", "*üller"):
        wanted = SeriesFilter((Wildcard(attribute, normalize(asked, pattern)),))
        assert found(store, wanted) == ["1.2"], pattern
    for pattern in ("Zoe*", "Zo?? *", "*uller"):
        assert found(store, SeriesFilter((Wildcard(attribute, pattern),))) == [], pattern


@in_both_forms
def test_what_is_kept_stays_as_it_came(store, kept, asked):
    name = normalize(kept, "Müller^Jörg")
    with_name(store, name)
    row = run(store.get("1.2"))
    assert (row.PatientName, row.PatientID) == (name, name)
    wanted = SeriesFilter((OneOf(Attribute.PATIENT_ID, (normalize(asked, name),)),))
    (summary,) = run(store.patients(wanted, limit=9)).patients
    assert summary.PatientID == name


def test_patient_with_both_forms_is_one(store):
    for number, form in enumerate(FORMS):
        patient = normalize(form, "Zoë-7")
        uid = f"1.{number}"
        run(store.register(report(SeriesInstanceUID=uid, PatientID=patient)))
    assert run(store.totals()).Patients == 1
    (patient,) = run(store.patients(ALL, limit=9)).patients
    assert patient.NumberOfPatientRelatedSeries == 2
    assert run(store.delete_patient(normalize("NFC", "Zoë-7"))) == 2


def test_report_in_another_form_contradicts_nothing(store):
    for count, form in enumerate(FORMS, 1):
        sent = report(PatientID=normalize(form, "Zoë-7"), InstancesInSeries=count)
        assert run(store.register(sent)).outcome is not Outcome.UNCHANGED
