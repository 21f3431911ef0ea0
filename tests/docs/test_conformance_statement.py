"""The conformance statement claims what the code does, and all that it does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs.generators import conformance_statement
from docs.generators.conformance_tables import REJECTIONS, REQUIRED_ATTRIBUTES, STATUSES
from pydicom._uid_dict import UID_dictionary
from tests.data_sets import encode, mr_instance

import seriesgate
from seriesgate.adapters.data_set.header_scanner import HeaderScanner
from seriesgate.gateway.ports import HeaderUnreadable
from seriesgate.settings.gateway import GatewaySettings
from seriesgate.upper_layer.negotiation import AcceptedAssociation, negotiate
from seriesgate.upper_layer.pdu import (
    AAssociateRq,
    ContextResultReason,
    ProposedContext,
    UserInformation,
)
from seriesgate.wiring.gateway import acceptor_policy

PAGE = conformance_statement.render()
IMPLICIT_LE = "1.2.840.10008.1.2"
MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"


def used_members(enumeration: str) -> set[str]:
    """Return the members of an enumeration that the code names outside its definition."""
    (package,) = seriesgate.__path__
    code = "\n".join(path.read_text(encoding="utf-8") for path in Path(package).rglob("*.py"))
    return set(re.findall(rf"\b{enumeration}\.([A-Z_]+)", code))


def uids_between(start: str, end: str) -> list[str]:
    """Return the UIDs in the tables of a part of the page."""
    section = PAGE.partition(start)[2].partition(end)[0]
    return re.findall(r"^\| .+ \| `([0-9.]+)` \|$", section, re.MULTILINE)


def result_of(abstract_syntax: str, transfer_syntax: str = IMPLICIT_LE) -> int:
    """Return what the gateway as it is set by default answers to one presentation context."""
    outcome = negotiate(
        AAssociateRq(
            called_ae_title_field=b"STORESCP".ljust(16),
            calling_ae_title_field=b"MODALITY".ljust(16),
            presentation_contexts=(ProposedContext(1, abstract_syntax, (transfer_syntax,)),),
            user_information=UserInformation(),
        ),
        acceptor_policy(GatewaySettings()),
    )
    assert isinstance(outcome, AcceptedAssociation)
    return outcome.answer.context_results[0].result


def test_every_status_that_is_sent_is_explained_and_no_other():
    assert {status.name for status in STATUSES} == used_members("StoreStatus")


def test_every_rejection_is_explained_and_no_other():
    assert {reason.name for reason in REJECTIONS} == used_members("RejectReason")


def test_sop_classes_of_the_page_are_accepted_and_no_others_of_the_standard():
    listed = uids_between("### 7.5", "## 8")
    accepted = [
        uid
        for uid, entry in UID_dictionary.items()
        if entry[1] == "SOP Class" and result_of(uid) == ContextResultReason.ACCEPTANCE
    ]
    assert len(listed) > 200
    assert sorted([*listed, "1.2.840.10008.1.1"]) == sorted(accepted)


@pytest.mark.parametrize(
    "uid", ["1.2.840.10008.5.1.4.1.1.9999.1", "1.3.46.670589.5.0.2", "2.25.1234567890"]
)
def test_later_and_private_sop_classes_are_accepted(uid):
    assert result_of(uid) == ContextResultReason.ACCEPTANCE


@pytest.mark.parametrize(
    "keyword",
    [
        "StudyRootQueryRetrieveInformationModelFind",
        "StorageCommitmentPushModel",
        "ModalityWorklistInformationModelFind",
        "ModalityPerformedProcedureStep",
        "BasicFilmSession",
        "MediaStorageDirectoryStorage",
    ],
)
def test_services_that_the_page_denies_are_refused(keyword):
    (uid,) = (uid for uid, entry in UID_dictionary.items() if entry[4] == keyword)
    assert result_of(uid) == ContextResultReason.ABSTRACT_SYNTAX_NOT_SUPPORTED


def test_transfer_syntaxes_of_the_page_are_accepted_or_refused_as_it_says():
    accepted = uids_between("**Transfer syntaxes accepted**", "Not accepted")
    refused = uids_between("Not accepted, because", "**Other negotiation**")
    known = [uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"]
    assert set(known) <= {*accepted, *refused}
    for uid in accepted:
        assert result_of(MR_IMAGE_STORAGE, uid) == ContextResultReason.ACCEPTANCE
    for uid in refused:
        reason = ContextResultReason.TRANSFER_SYNTAXES_NOT_SUPPORTED
        assert result_of(MR_IMAGE_STORAGE, uid) == reason


def test_attributes_that_an_instance_needs_are_those_of_the_page():
    needed = []
    for element in mr_instance():
        lacking = mr_instance()
        del lacking[element.tag]
        try:
            scanner = HeaderScanner(IMPLICIT_LE)
            scanner.feed(encode(lacking, IMPLICIT_LE))
            scanner.finish()
        except HeaderUnreadable:
            needed.append(element.keyword)
    assert needed == list(REQUIRED_ATTRIBUTES)


def test_every_value_of_the_template_is_filled_in():
    assert not re.findall(r"\$\w+", PAGE)
