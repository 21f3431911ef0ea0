"""The short forms of values."""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.server.examples import EVERY_FIELD

from seriesgate.server.registry.keys import (
    after_prefix,
    composed,
    contained_texts,
    folded,
    indexed_text,
    key,
    same_text,
    search_text,
    searched_text,
)
from seriesgate.server.registry.query import Attribute, Between, OneOf, SeriesFilter, Wildcard

texts = st.text(max_size=4)


@given(texts, texts)
def test_what_starts_with_a_prefix_comes_before_its_end_and_nothing_else_does(prefix, other):
    end = after_prefix(prefix)
    is_between = prefix <= other and (end is None or other < end)
    assert is_between == other.startswith(prefix)


@pytest.mark.parametrize(
    ("prefix", "end"),
    [("ab", "ac"), ("a\U0010ffff", "b"), ("\ud7ff", "\ue000"), ("", None), ("\U0010ffff", None)],
)
def test_end_of_a_prefix(prefix, end):
    assert after_prefix(prefix) == end


@given(st.sampled_from(Attribute), st.text(max_size=300))
def test_key_fits_into_an_index_and_is_a_key_itself(attribute, value):
    if attribute in {Attribute.SERIES, Attribute.STUDY}:
        assert key(attribute, value) == value
        return
    short = key(attribute, value)
    assert len(short.encode()) <= 4 * 200
    assert key(attribute, value + " ") == short or len(value) >= 64


def test_search_looks_into_names_ids_and_descriptions():
    text = search_text(EVERY_FIELD)
    for found in ("doe^jane", "a/17", "acc-1", "brain", "t1_mprage sag"):
        assert found in text
    assert "modality" not in text


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (OneOf(Attribute.SERIES_DESCRIPTION, (" T1 ",)), "t1"),
        (OneOf(Attribute.SERIES_DESCRIPTION, ("T1", "T2")), ""),
        (Wildcard(Attribute.STUDY_DESCRIPTION, "A*Brain?x"), "brain"),
        (Wildcard(Attribute.STUDY_DESCRIPTION, "*"), ""),
        (OneOf(Attribute.BODY_PART, ("HEAD",)), ""),
        (Between(Attribute.STUDY_DATE, "1", "2"), ""),
    ],
)
def test_text_that_is_searched_for_a_condition(condition, text):
    assert searched_text(condition) == text
    assert text in search_text(EVERY_FIELD) or text == "t1"


def test_index_of_texts_has_signs_of_gateway_and_modality_and_they_are_no_other_text():
    conditions = (OneOf(Attribute.GATEWAY, (" ward-3 ",)), OneOf(Attribute.MODALITY, ("MR",)))
    entry = indexed_text(EVERY_FIELD)
    _, gateway, modality = contained_texts(SeriesFilter(conditions))
    assert {len(gateway), len(modality)} == {3}
    assert gateway in entry
    assert modality in entry
    assert gateway != modality
    assert gateway not in search_text(EVERY_FIELD)
    swapped = EVERY_FIELD | {"Gateway": "MR", "Modality": "ward-3"}
    assert gateway not in indexed_text(swapped)
    assert contained_texts(SeriesFilter((OneOf(Attribute.MODALITY, ("MR", "CT")),))) == [""]


@pytest.mark.parametrize(
    ("pattern", "prefix"), [("a*b?", "a"), ("?", ""), ("ab", "ab"), ("a?*", "a"), ("", "")]
)
def test_prefix_of_a_pattern(pattern, prefix):
    assert Wildcard(Attribute.MODALITY, pattern).prefix == prefix


@given(st.text())
def test_forms_that_are_canonically_equivalent_are_one(text):
    forms = {normalize(form, text) for form in ("NFC", "NFD")}
    assert len({folded(form) for form in forms} | {folded(text)}) == 1
    assert len({composed(form) for form in forms} | {composed(text)}) == 1
    assert all(same_text(form, f" {text} ") for form in forms)


@given(st.text())
def test_folding_once_is_enough_and_case_makes_no_difference(text):
    assert folded(folded(text)) == folded(text)
    assert folded(normalize("NFD", text).casefold()) == folded(text)


@given(st.text(), st.text())
def test_no_other_texts_are_the_same(one, other):
    decomposed = [normalize("NFD", each.strip(" ")) for each in (one, other)]
    assert same_text(one, other) == (decomposed[0] == decomposed[1])
