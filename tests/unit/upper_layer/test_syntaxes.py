from __future__ import annotations

import pytest
from pydicom._uid_dict import UID_dictionary
from pynetdicom import sop_class

from seriesgate.upper_layer.syntaxes import (
    VERIFICATION,
    is_known_transfer_syntax,
    is_standard_storage,
    is_storable_transfer_syntax,
    is_storage,
    is_uid,
)

# Of the names in PS3.6 these have the word without being stored by C-STORE.
NOT_STORED = {
    "1.2.840.10008.1.3.10",  # Media Storage Directory
    "1.2.840.10008.1.20.1",  # Storage Commitment Push Model
    "1.2.840.10008.1.20.2",  # Storage Commitment Pull Model
}
# The dictionary has two retired classes under the storage root without a name.
NAMELESS = {"1.2.840.10008.5.1.4.1.1.12.77", "1.2.840.10008.5.1.4.1.1.40"}

SOP_CLASSES = {
    uid: name
    for uid, (name, kind, *_) in UID_dictionary.items()
    if kind in ("SOP Class", "Meta SOP Class") and uid not in NAMELESS
}
TRANSFER_SYNTAXES = {
    uid for uid, (_, kind, *_) in UID_dictionary.items() if kind == "Transfer Syntax"
}
NOT_A_DATA_SET = {
    "1.2.840.10008.1.2.6.1",
    "1.2.840.10008.1.2.6.2",
    "1.2.840.10008.1.2.7.1",
    "1.2.840.10008.1.2.7.2",
    "1.2.840.10008.1.2.7.3",
}


def test_exactly_the_standard_sop_classes_for_storage_are_storage():
    stored = {uid for uid, name in SOP_CLASSES.items() if "Storage" in name} - NOT_STORED
    assert {uid for uid in SOP_CLASSES if is_storage(uid)} == stored
    assert {uid for uid in SOP_CLASSES if is_standard_storage(uid)} == stored


@pytest.mark.parametrize(
    "group",
    [
        "_QR_CLASSES",
        "_BASIC_WORKLIST_CLASSES",
        "_PROCEDURE_STEP_CLASSES",
        "_STORAGE_COMMITMENT_CLASSES",
        "_PRINT_MANAGEMENT_CLASSES",
        "_UNIFIED_PROCEDURE_STEP_CLASSES",
        "_HANGING_PROTOCOL_CLASSES",
        "_INVENTORY_CLASSES",
        "_PROTOCOL_APPROVAL_CLASSES",
        "_MEDIA_STORAGE_CLASSES",
        "_VERIFICATION_CLASSES",
    ],
)
def test_no_class_of_another_service_is_storage(group: str):
    uids = getattr(sop_class, group).values()
    assert uids
    assert not [uid for uid in uids if is_storage(uid)]


@pytest.mark.parametrize("group", ["_STORAGE_CLASSES", "_NON_PATIENT_OBJECT_CLASSES"])
def test_every_class_of_the_storage_services_is_storage(group: str):
    uids = getattr(sop_class, group).values()
    assert uids
    assert not [uid for uid in uids if not is_storage(uid)]


def test_future_class_under_the_storage_root_is_storage():
    assert is_storage("1.2.840.10008.5.1.4.1.1.999.1")
    assert not is_storage("1.2.840.10008.5.1.4.99.1")


@pytest.mark.parametrize("uid", ["1.2.840.113619.4.30", "1.3.12.2.1107.5.9.1", "2.25.1"])
def test_private_class_is_storage_but_no_standard_one(uid: str):
    assert is_storage(uid)
    assert not is_standard_storage(uid)


def test_exactly_the_standard_transfer_syntaxes_of_data_sets_are_known():
    known = {uid for uid in TRANSFER_SYNTAXES if is_known_transfer_syntax(uid)}
    assert known == TRANSFER_SYNTAXES - NOT_A_DATA_SET
    assert {uid for uid in TRANSFER_SYNTAXES if is_storable_transfer_syntax(uid)} == known


def test_ge_private_transfer_syntax_is_known_another_private_one_storable():
    assert is_known_transfer_syntax("1.2.840.113619.5.2")
    assert not is_known_transfer_syntax("2.16.840.1.113709.1.2.2")
    assert is_storable_transfer_syntax("2.16.840.1.113709.1.2.2")


def test_standard_uid_that_is_no_transfer_syntax_is_not_storable():
    assert not is_storable_transfer_syntax("1.2.840.10008.5.1.4.1.1.2")
    assert not is_storable_transfer_syntax(VERIFICATION)


@pytest.mark.parametrize("text", ["1", "1.2.3", "0" * 64])
def test_digits_and_dots_could_be_a_uid(text: str):
    assert is_uid(text)


@pytest.mark.parametrize("text", ["", "1" * 65, "1.2\n", "1.2 ", "1.a", "../etc", "\u0661"])
def test_anything_else_could_not(text: str):
    assert not is_uid(text)
