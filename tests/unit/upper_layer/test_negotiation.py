from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.upper_layer.strategies import requests

from seriesgate.upper_layer.codec import decode, encode
from seriesgate.upper_layer.negotiation import (
    AcceptedAssociation,
    AcceptedContext,
    AcceptorPolicy,
    negotiate,
)
from seriesgate.upper_layer.pdu import (
    AAssociateRj,
    AAssociateRq,
    AsynchronousOperations,
    CommonExtendedNegotiation,
    ContextResult,
    ExtendedNegotiation,
    PduType,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from seriesgate.upper_layer.syntaxes import (
    VERIFICATION,
    is_known_transfer_syntax,
    is_standard_storage,
    is_uid,
)

POLICY = AcceptorPolicy(
    ae_title="STORESCP",
    implementation_class_uid="1.2.276.9",
    implementation_version_name="SERIESGATE_1",
)
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
PRIVATE_CLASS = "1.2.840.113619.4.30"
FIND = "1.2.840.10008.5.1.4.1.2.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.70"
XML = "1.2.840.10008.1.2.6.2"
PRIVATE_SYNTAX = "2.16.840.1.113709.1.2.2"

REQUEST = AAssociateRq(
    called_ae_title_field=b"STORESCP        ",
    calling_ae_title_field=b" MODALITY\0\0\0\0\0\0\0",
    presentation_contexts=(ProposedContext(1, CT, (IMPLICIT,)),),
    user_information=UserInformation(16384, "1.2.276.1", "SENDER"),
    reserved_field=bytes(range(32)),
)


def accepted(
    request: AAssociateRq = REQUEST, policy: AcceptorPolicy = POLICY
) -> AcceptedAssociation:
    outcome = negotiate(request, policy)
    assert isinstance(outcome, AcceptedAssociation)
    return outcome


def result_of(
    abstract_syntax: str, *transfer_syntaxes: str, policy: AcceptorPolicy = POLICY
) -> ContextResult:
    contexts = (ProposedContext(1, abstract_syntax, transfer_syntaxes or (IMPLICIT,)),)
    outcome = accepted(replace(REQUEST, presentation_contexts=contexts), policy)
    (result,) = outcome.answer.context_results
    assert (result.result == 0) is bool(outcome.accepted_contexts)
    assert (result.result != 0) is bool(outcome.rejected_context_ids)
    return result


def answer_to(info: UserInformation, policy: AcceptorPolicy = POLICY) -> UserInformation:
    return accepted(replace(REQUEST, user_information=info), policy).answer.user_information


@pytest.mark.parametrize(
    ("changes", "source_and_reason"),
    [
        ({"protocol_version": 0}, (2, 2)),
        ({"protocol_version": 0xFFFE}, (2, 2)),
        ({"application_context_name": ""}, (1, 2)),
        ({"application_context_name": "1.2.840.10008.3.1.1.2"}, (1, 2)),
        ({"called_ae_title_field": b"OTHER           "}, (1, 7)),
        ({"called_ae_title_field": b"storescp        "}, (1, 7)),
        ({"called_ae_title_field": b"                "}, (1, 7)),
        ({"protocol_version": 0, "application_context_name": "1"}, (2, 2)),
    ],
)
def test_unacceptable_request_is_rejected_for_good(
    changes: dict[str, object], source_and_reason: tuple[int, int]
):
    outcome = negotiate(replace(REQUEST, **changes), POLICY)  # type: ignore[arg-type] # any field
    assert outcome == AAssociateRj(1, *source_and_reason)


@pytest.mark.parametrize("version", [1, 3, 0xFFFF])
def test_only_bit_0_of_the_protocol_version_is_tested(version: int):
    answer = accepted(replace(REQUEST, protocol_version=version)).answer
    assert answer.protocol_version == 1


@pytest.mark.parametrize("called", [b"STORESCP", b"   STORESCP     ", b"STORESCP\0\0\0\0\0\0\0\0"])
def test_called_ae_title_matches_without_padding(called: bytes):
    assert accepted(replace(REQUEST, called_ae_title_field=called)).called_ae_title == "STORESCP"


def test_any_called_ae_title_is_taken_when_the_policy_says_so():
    policy = replace(POLICY, accept_any_called_ae_title=True)
    request = replace(REQUEST, called_ae_title_field=b"ANYONE")
    assert accepted(request, policy).called_ae_title == "ANYONE"


@pytest.mark.parametrize("calling", ["", "STRANGER"])
def test_any_calling_ae_title_is_taken_without_a_list(calling: str):
    request = replace(REQUEST, calling_ae_title_field=calling.encode().ljust(16))
    assert accepted(request).calling_ae_title == calling


def test_calling_ae_title_must_be_in_the_list_if_there_is_one():
    policy = replace(POLICY, allowed_calling_ae_titles=frozenset({"MODALITY"}))
    assert accepted(policy=policy).calling_ae_title == "MODALITY"
    for stranger in (b"OTHER           ", b"                "):
        outcome = negotiate(replace(REQUEST, calling_ae_title_field=stranger), policy)
        assert outcome == AAssociateRj(1, 1, 3)


def test_answer_returns_ae_titles_and_reserved_bytes_as_received():
    answer = accepted().answer
    assert answer.called_ae_title_field == REQUEST.called_ae_title_field
    assert answer.calling_ae_title_field == REQUEST.calling_ae_title_field
    assert answer.reserved_field == REQUEST.reserved_field


def test_answer_has_one_result_for_each_context_in_the_order_proposed():
    contexts = (
        ProposedContext(5, CT, (EXPLICIT, IMPLICIT)),
        ProposedContext(1, FIND, (IMPLICIT,)),
        ProposedContext(255, CT, (XML,)),
        ProposedContext(3, VERIFICATION, (IMPLICIT,)),
    )
    outcome = accepted(replace(REQUEST, presentation_contexts=contexts))
    assert outcome.answer.context_results == (
        ContextResult(5, 0, EXPLICIT),
        ContextResult(1, 3, IMPLICIT),
        ContextResult(255, 4, IMPLICIT),
        ContextResult(3, 0, IMPLICIT),
    )
    assert outcome.accepted_contexts == (
        AcceptedContext(5, CT, EXPLICIT, is_storage=True),
        AcceptedContext(3, VERIFICATION, IMPLICIT, is_storage=False),
    )
    assert outcome.rejected_context_ids == {1, 255}


@pytest.mark.parametrize(
    ("odd", "result"),
    [
        (ProposedContext(3, "", (IMPLICIT,)), ContextResult(3, 3, IMPLICIT)),
        (ProposedContext(3, CT, ()), ContextResult(3, 4, IMPLICIT)),
        (ProposedContext(3, "", ()), ContextResult(3, 3, IMPLICIT)),
        (ProposedContext(2, CT, (EXPLICIT,)), ContextResult(2, 0, EXPLICIT)),
        (ProposedContext(0, CT, (EXPLICIT,)), ContextResult(0, 0, EXPLICIT)),
    ],
)
def test_odd_context_has_its_own_answer_and_costs_no_other(
    odd: ProposedContext, result: ContextResult
):
    good = ProposedContext(1, CT, (IMPLICIT,))
    outcome = accepted(replace(REQUEST, presentation_contexts=(odd, good)))
    assert outcome.answer.context_results == (result, ContextResult(1, 0, IMPLICIT))
    assert AcceptedContext(1, CT, IMPLICIT, is_storage=True) in outcome.accepted_contexts
    assert (odd.context_id in outcome.rejected_context_ids) is (result.result != 0)


@pytest.mark.parametrize(
    ("proposals", "result", "context"),
    [
        ([(CT, (EXPLICIT,)), (CT, (EXPLICIT,))], 0, (CT, EXPLICIT, {CT})),
        ([(CT, (EXPLICIT,)), (CT, (IMPLICIT,))], 0, (CT, EXPLICIT, {CT})),
        ([(CT, (EXPLICIT,)), (MR, (IMPLICIT, EXPLICIT))], 0, (CT, EXPLICIT, {CT, MR})),
        ([(CT, (EXPLICIT,)), (MR, (IMPLICIT,))], 0, (CT, EXPLICIT, {CT})),
        ([(CT, (EXPLICIT,)), (FIND, (EXPLICIT,))], 0, (CT, EXPLICIT, {CT})),
        ([(FIND, (IMPLICIT,)), (CT, (EXPLICIT,))], 0, (CT, EXPLICIT, {CT})),
        ([(VERIFICATION, (IMPLICIT,)), (CT, (EXPLICIT,))], 0, (CT, EXPLICIT, {CT})),
        ([(CT, ()), (CT, (EXPLICIT,))], 0, (CT, EXPLICIT, {CT})),
        ([(FIND, (IMPLICIT,)), (CT, (XML,))], 3, None),
        ([(CT, (XML,)), ("", (IMPLICIT,))], 4, None),
    ],
)
def test_id_used_twice_has_one_answer_and_takes_what_has_its_transfer_syntax(
    proposals: list[tuple[str, tuple[str, ...]]],
    result: int,
    context: tuple[str, str, set[str]] | None,
):
    twice = [ProposedContext(1, *proposed) for proposed in proposals]
    other = ProposedContext(3, CT, (IMPLICIT,))
    contexts = (twice[0], other, *twice[1:])
    outcome = accepted(replace(REQUEST, presentation_contexts=contexts))
    answered = IMPLICIT if context is None else context[1]
    assert outcome.answer.context_results == (
        ContextResult(1, result, answered),
        ContextResult(3, 0, IMPLICIT),
    )
    of_id = tuple(each for each in outcome.accepted_contexts if each.context_id == 1)
    if context is None:
        assert of_id == ()
    else:
        abstract_syntax, syntax, others = context
        assert of_id == (AcceptedContext(1, abstract_syntax, syntax, True, frozenset(others)),)
    assert outcome.rejected_context_ids == (set() if context else {1})


@pytest.mark.parametrize("abstract_syntax", [CT, PRIVATE_CLASS, VERIFICATION])
def test_storage_private_and_verification_classes_are_accepted(abstract_syntax: str):
    assert result_of(abstract_syntax).result == 0


@pytest.mark.parametrize(
    "abstract_syntax", [FIND, STORAGE_COMMITMENT, "", "not a uid", "1" * 65, r"1.2.\xe9"]
)
def test_other_classes_are_refused_by_their_abstract_syntax(abstract_syntax: str):
    assert result_of(abstract_syntax) == ContextResult(1, 3, IMPLICIT)


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        ((JPEG, EXPLICIT, IMPLICIT), JPEG),
        ((IMPLICIT, JPEG), IMPLICIT),
        ((PRIVATE_SYNTAX, EXPLICIT, IMPLICIT), EXPLICIT),
        ((PRIVATE_SYNTAX,), PRIVATE_SYNTAX),
        ((XML, PRIVATE_SYNTAX), PRIVATE_SYNTAX),
        (("1.2.840.113619.5.2", IMPLICIT), "1.2.840.113619.5.2"),
        (("", "junk", EXPLICIT), EXPLICIT),
    ],
)
def test_first_proposed_transfer_syntax_is_chosen_unknown_private_ones_last(
    proposed: tuple[str, ...], chosen: str
):
    assert result_of(CT, *proposed) == ContextResult(1, 0, chosen)


@pytest.mark.parametrize("proposed", [(XML,), ("",), ("1" * 65,), (FIND, "x")])
def test_context_without_usable_transfer_syntax_is_refused(proposed: tuple[str, ...]):
    assert result_of(CT, *proposed) == ContextResult(1, 4, IMPLICIT)


def test_policy_may_refuse_private_syntaxes():
    policy = replace(
        POLICY, storage_classes=is_standard_storage, transfer_syntaxes=is_known_transfer_syntax
    )
    assert result_of(PRIVATE_CLASS, policy=policy).result == 3
    assert result_of(CT, PRIVATE_SYNTAX, policy=policy).result == 4
    assert result_of(VERIFICATION, policy=policy).result == 0


def test_longest_possible_answer_can_be_encoded():
    uids = [f"1.2.{number}.{'9' * 56}"[:64] for number in range(128)]
    request = replace(
        REQUEST,
        presentation_contexts=tuple(
            ProposedContext(2 * number + 1, uid, (uid,)) for number, uid in enumerate(uids)
        ),
        user_information=UserInformation(
            role_selections=tuple(RoleSelection(uid, True, True) for uid in uids),
            extended_negotiations=tuple(ExtendedNegotiation(uid, b"") for uid in uids),
        ),
    )
    answer = accepted(request, replace(POLICY, storage_negotiation=bytes(64))).answer
    assert decode(PduType.A_ASSOCIATE_AC, encode(answer)[6:]) == answer


def test_policy_is_asked_about_well_formed_uids_only():
    def check(uid: str) -> bool:
        assert is_uid(uid)
        return True

    policy = replace(POLICY, storage_classes=check, transfer_syntaxes=check)
    assert result_of("x" * 40_000, policy=policy).result == 3
    assert result_of(CT, "x" * 40_000, EXPLICIT, policy=policy) == ContextResult(1, 0, EXPLICIT)


def test_association_without_one_usable_context_is_accepted():
    assert accepted(replace(REQUEST, presentation_contexts=())).accepted_contexts == ()


def test_answer_says_who_we_are_and_what_we_take():
    assert answer_to(UserInformation()) == UserInformation(
        max_pdu_length=131_072,
        implementation_class_uid=POLICY.implementation_class_uid,
        implementation_version_name="SERIESGATE_1",
    )


def test_outcome_says_who_the_peer_is_and_what_it_takes():
    outcome = accepted()
    assert outcome.called_ae_title == "STORESCP"
    assert outcome.calling_ae_title == "MODALITY"
    assert outcome.peer_max_pdu_length == 16384
    assert outcome.peer_implementation_class_uid == "1.2.276.1"
    assert outcome.peer_implementation_version_name == "SENDER"


def test_names_of_the_peer_are_cut_to_their_legal_length():
    info = UserInformation(0, "1" * 60_000, "V" * 60_000)
    outcome = accepted(replace(REQUEST, user_information=info))
    assert outcome.peer_implementation_class_uid == "1" * 64
    assert outcome.peer_implementation_version_name == "V" * 16
    assert (
        accepted(
            replace(REQUEST, user_information=UserInformation())
        ).peer_implementation_version_name
        == ""
    )


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (None, None),
        ((1, 1), (1, 1)),
        ((8, 1), (8, 1)),
        ((64, 5), (64, 1)),
        ((65, 1), (64, 1)),
        ((0, 0), (64, 1)),
        ((0xFFFF, 0), (64, 1)),
    ],
)
def test_operations_window_is_granted_up_to_the_limit_when_asked_for(
    asked: tuple[int, int] | None, granted: tuple[int, int] | None
):
    window = None if asked is None else AsynchronousOperations(*asked)
    answer = answer_to(UserInformation(asynchronous_operations=window)).asynchronous_operations
    assert answer == (None if granted is None else AsynchronousOperations(*granted))


@pytest.mark.parametrize(
    ("proposed", "answered"),
    [
        ((True, False), (True, False)),
        ((True, True), (True, False)),
        ((False, True), (False, False)),
        ((False, False), (False, False)),
    ],
)
def test_role_selection_accepts_the_scu_role_and_never_more_than_was_proposed(
    proposed: tuple[bool, bool], answered: tuple[bool, bool]
):
    info = UserInformation(role_selections=(RoleSelection(CT, *proposed),))
    assert answer_to(info).role_selections == (RoleSelection(CT, *answered),)


def test_role_selection_for_a_class_that_is_not_accepted_is_not_answered():
    info = UserInformation(
        role_selections=(
            RoleSelection(FIND, is_scu=True, is_scp=False),
            RoleSelection(CT, is_scu=True, is_scp=True),
            RoleSelection(CT, is_scu=False, is_scp=True),
        )
    )
    assert answer_to(info).role_selections == (RoleSelection(CT, is_scu=False, is_scp=False),)


def test_extended_negotiation_is_answered_only_by_policy_and_only_for_storage():
    info = UserInformation(
        extended_negotiations=(ExtendedNegotiation(CT, b"\3"), ExtendedNegotiation(FIND, b"\1"))
    )
    assert answer_to(info).extended_negotiations == ()
    level_2 = bytes.fromhex("020003000000")
    policy = replace(POLICY, storage_negotiation=level_2)
    assert answer_to(info, policy).extended_negotiations == (ExtendedNegotiation(CT, level_2),)
    assert answer_to(UserInformation(), policy).extended_negotiations == ()


def test_common_extended_negotiation_and_user_identity_are_not_answered():
    info = UserInformation(
        common_extended_negotiations=(CommonExtendedNegotiation(CT, "1.2.840.10008.4.2"),),
        user_identity=UserIdentity(2, True, b"user", b"passcode"),
    )
    answer = answer_to(info)
    assert answer.common_extended_negotiations == ()
    assert answer.user_identity is None
    assert answer.user_identity_response is None


@given(requests, st.lists(st.integers(0, 255), min_size=5, max_size=5))
def test_each_id_has_one_answer_in_the_order_of_its_first_proposal(
    request: AAssociateRq, ids: list[int]
):
    contexts = tuple(
        replace(context, context_id=number)
        for context, number in zip(request.presentation_contexts, ids, strict=False)
    )
    usable = replace(REQUEST, presentation_contexts=contexts)
    answer = accepted(usable).answer
    assert [result.context_id for result in answer.context_results] == [
        *dict.fromkeys(context.context_id for context in contexts)
    ]


@given(requests)
def test_every_answer_can_be_encoded_and_matches_its_request(request: AAssociateRq):
    policy = replace(POLICY, accept_any_called_ae_title=True)
    usable = replace(request, protocol_version=1, application_context_name="1.2.840.10008.3.1.1.1")
    answer = accepted(usable, policy).answer
    assert decode(PduType.A_ASSOCIATE_AC, encode(answer)[6:]) == answer
    assert [result.context_id for result in answer.context_results] == [
        context.context_id for context in request.presentation_contexts
    ]
