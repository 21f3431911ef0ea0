"""The codec against an independent one: what either side encodes, the other must understand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynetdicom import build_context, pdu_primitives
from pynetdicom import pdu as theirs
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from tests.unit.upper_layer import strategies

from seriesgate.upper_layer import pdu as ours
from seriesgate.upper_layer.codec import decode, encode
from seriesgate.upper_layer.dimse import decode_command_set, encode_response, store_request
from seriesgate.upper_layer.framing import Fragment, PduReader, WholePdu

THEIR_CLASSES: dict[type, type[Any]] = {
    ours.AAssociateRq: theirs.A_ASSOCIATE_RQ,
    ours.AAssociateAc: theirs.A_ASSOCIATE_AC,
    ours.AAssociateRj: theirs.A_ASSOCIATE_RJ,
    ours.PDataTf: theirs.P_DATA_TF,
    ours.AReleaseRq: theirs.A_RELEASE_RQ,
    ours.AReleaseRp: theirs.A_RELEASE_RP,
    ours.AAbort: theirs.A_ABORT_RQ,
}
ae_titles = st.text("ABCDEFGHIJ_0123456789", min_size=1, max_size=16).map(
    lambda text: text.encode().ljust(16)
)
# pynetdicom neither keeps the reserved bytes nor an AE title padded on the left.
PLAIN: dict[str, Any] = {
    "called_ae_title_field": ae_titles,
    "calling_ae_title_field": ae_titles,
    "user_information": strategies.user_informations.filter(
        lambda info: info.user_identity is None or info.user_identity.primary_field != b""
    ),
    "application_context_name": st.just(ours.APPLICATION_CONTEXT_NAME),
    "protocol_version": st.just(1),
    "reserved_field": st.just(bytes(32)),
}
requests = st.builds(
    ours.AAssociateRq,
    presentation_contexts=st.lists(
        strategies.proposed_contexts,
        min_size=1,
        max_size=5,
        unique_by=lambda context: context.context_id,
    ).map(tuple),
    **PLAIN,
)
acceptances = st.builds(
    ours.AAssociateAc,
    context_results=st.lists(
        strategies.context_results,
        min_size=1,
        max_size=5,
        unique_by=lambda result: result.context_id,
    ).map(tuple),
    **PLAIN,
)
rejections = st.sampled_from(
    [
        ours.AAssociateRj(result, *reason.value)
        for result in ours.RejectResult
        for reason in ours.RejectReason
    ]
)
aborts = st.sampled_from(
    [ours.AAbort(ours.AbortSource.SERVICE_PROVIDER, reason) for reason in ours.AbortReason]
    + [ours.AAbort(ours.AbortSource.SERVICE_USER, 0)]
)
all_pdus = st.one_of(
    requests,
    acceptances,
    rejections,
    aborts,
    strategies.p_data_tfs,
    st.just(ours.AReleaseRq()),
    st.just(ours.AReleaseRp()),
)


def read(data: bytes) -> ours.Pdu:
    """Return the only PDU in `data`."""
    reader = PduReader(0)
    reader.feed(data)
    part = reader.next_part()
    assert isinstance(part, WholePdu)
    assert reader.next_part() is None
    return decode(part.pdu_type, part.body)


def read_values(data: bytes) -> list[ours.PresentationDataValue]:
    """Return the values of the P-DATA-TF in `data`, which has each fragment in one piece."""
    reader = PduReader(0)
    reader.feed(data)
    values = []
    while (part := reader.next_part()) is not None:
        assert isinstance(part, Fragment)
        values.append(ours.PresentationDataValue(*part[:3], data=bytes(part.data)))
    return values


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(all_pdus)
def test_pynetdicom_reads_our_pdu_and_writes_the_same_bytes(pdu: ours.Pdu):
    data = encode(pdu)
    their_pdu = THEIR_CLASSES[type(pdu)]()
    their_pdu.decode(data)
    assert their_pdu.encode() == data
    if isinstance(pdu, ours.PDataTf):
        assert read_values(their_pdu.encode()) == list(pdu.values)
    else:
        assert read(their_pdu.encode()) == pdu


@settings(max_examples=50, deadline=None)
@given(requests)
def test_pynetdicom_understands_our_request_as_we_mean_it(request: ours.AAssociateRq):
    their_pdu = theirs.A_ASSOCIATE_RQ()
    their_pdu.decode(encode(request))
    assert their_pdu.called_ae_title == request.called_ae_title
    assert their_pdu.calling_ae_title == request.calling_ae_title
    assert their_pdu.application_context_name == request.application_context_name
    contexts = [
        (item.context_id, str(item.abstract_syntax), tuple(map(str, item.transfer_syntax)))
        for item in their_pdu.presentation_context
    ]
    assert contexts == [
        (context.context_id, context.abstract_syntax, context.transfer_syntaxes)
        for context in request.presentation_contexts
    ]
    assert their_pdu.user_information is not None
    assert their_pdu.user_information.maximum_length == request.user_information.max_pdu_length


def their_user_information() -> list[Any]:
    """Return every sub-item pynetdicom can propose."""
    max_length = pdu_primitives.MaximumLengthNotification()
    max_length.maximum_length_received = 16382
    class_uid = pdu_primitives.ImplementationClassUIDNotification()
    class_uid.implementation_class_uid = "1.2.826.0.1"
    version = pdu_primitives.ImplementationVersionNameNotification()
    version.implementation_version_name = "PYNETDICOM_304"
    window = pdu_primitives.AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 5
    window.maximum_number_operations_performed = 2
    role = pdu_primitives.SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid = "1.2.840.10008.5.1.4.1.1.2"
    role.scu_role, role.scp_role = True, False
    extended = pdu_primitives.SOPClassExtendedNegotiation()
    extended.sop_class_uid = "1.2.840.10008.5.1.4.1.1.4"
    extended.service_class_application_information = b"\x02\x00\x03\x00\x01\x00"
    common = pdu_primitives.SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = "1.2.840.10008.5.1.4.1.1.88.22"
    common.service_class_uid = "1.2.840.10008.4.2"
    common.related_general_sop_class_identification = ["1.2.840.10008.5.1.4.1.1.88.11"]
    identity = pdu_primitives.UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.positive_response_requested = True
    identity.primary_field = b"user"
    identity.secondary_field = b"passcode"
    return [max_length, class_uid, window, role, version, extended, common, identity]


def their_associate() -> Any:
    primitive = pdu_primitives.A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.called_ae_title = "STORESCP"
    primitive.calling_ae_title = "MODALITY"
    contexts = [
        build_context("1.2.840.10008.1.1", "1.2.840.10008.1.2"),
        build_context(
            "1.2.840.10008.5.1.4.1.1.2", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"]
        ),
    ]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
        context.result = 0
    primitive.presentation_context_definition_list = contexts
    primitive.presentation_context_definition_results_list = [
        build_context("1.2.840.10008.1.1", "1.2.840.10008.1.2")
    ]
    primitive.presentation_context_definition_results_list[0].context_id = 1
    primitive.presentation_context_definition_results_list[0].result = 0
    primitive.result = 0
    primitive.user_information = their_user_information()
    return primitive


def test_request_of_pynetdicom_with_every_sub_item_is_understood():
    data = theirs.A_ASSOCIATE_RQ(their_associate()).encode()
    request = read(data)
    assert request == ours.AAssociateRq(
        called_ae_title_field=b"STORESCP        ",
        calling_ae_title_field=b"MODALITY        ",
        presentation_contexts=(
            ours.ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),
            ours.ProposedContext(
                3,
                "1.2.840.10008.5.1.4.1.1.2",
                ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"),
            ),
        ),
        user_information=ours.UserInformation(
            max_pdu_length=16382,
            implementation_class_uid="1.2.826.0.1",
            implementation_version_name="PYNETDICOM_304",
            asynchronous_operations=ours.AsynchronousOperations(5, 2),
            role_selections=(
                ours.RoleSelection("1.2.840.10008.5.1.4.1.1.2", is_scu=True, is_scp=False),
            ),
            extended_negotiations=(
                ours.ExtendedNegotiation("1.2.840.10008.5.1.4.1.1.4", b"\x02\x00\x03\x00\x01\x00"),
            ),
            common_extended_negotiations=(
                ours.CommonExtendedNegotiation(
                    "1.2.840.10008.5.1.4.1.1.88.22",
                    "1.2.840.10008.4.2",
                    ("1.2.840.10008.5.1.4.1.1.88.11",),
                ),
            ),
            user_identity=ours.UserIdentity(2, True, b"user", b"passcode"),
        ),
    )


def test_answer_of_pynetdicom_is_understood():
    primitive = their_associate()
    response = pdu_primitives.UserIdentityNegotiation()
    response.server_response = b"ticket"
    primitive.user_information = [*primitive.user_information[:-2], response]
    data = theirs.A_ASSOCIATE_AC(primitive).encode()
    answer = read(data)
    assert isinstance(answer, ours.AAssociateAc)
    assert answer.context_results == (ours.ContextResult(1, 0, "1.2.840.10008.1.2"),)
    assert answer.user_information.user_identity_response == b"ticket"
    assert encode(answer) == data


def their_command(message: Any, primitive: Any) -> bytes:
    """Return the command set pynetdicom encodes for the primitive."""
    message.primitive_to_message(primitive)
    (pdu,) = list(message.encode_msg(1, 16382))[:1]
    ((_, fragment),) = pdu.presentation_data_value_list
    assert fragment[0] == 0x03, "a whole command in one fragment"
    return bytes(fragment[1:])


def c_store() -> Any:
    primitive = C_STORE()
    primitive.MessageID = 7
    primitive.AffectedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    primitive.AffectedSOPInstanceUID = "1.2.3.4"
    primitive.Priority = 2
    primitive.MoveOriginatorApplicationEntityTitle = "MOVER"
    primitive.MoveOriginatorMessageID = 3
    return primitive


def test_c_store_request_of_pynetdicom_is_understood():
    primitive = c_store()
    primitive.DataSet = None
    command = decode_command_set(their_command(C_STORE_RQ(), primitive))
    assert (command.command_field, command.message_id) == (0x0001, 7)
    request = store_request(command, 7)
    assert request.affected_sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"
    assert request.affected_sop_instance_uid == "1.2.3.4"
    assert request.move_originator_ae_title == "MOVER"


def test_c_echo_request_of_pynetdicom_is_understood():
    primitive = C_ECHO()
    primitive.MessageID = 9
    primitive.AffectedSOPClassUID = "1.2.840.10008.1.1"
    command = decode_command_set(their_command(C_ECHO_RQ(), primitive))
    assert (command.command_field, command.message_id) == (0x0030, 9)
    assert not command.has_data_set


@pytest.mark.parametrize(
    ("status", "comment"), [(0x0000, None), (0xA700, "disk full"), (0xC000, "x")]
)
def test_our_c_store_response_is_that_of_pynetdicom(status: int, comment: str | None):
    command = decode_command_set(their_command(C_STORE_RQ(), c_store()))
    response: Any = C_STORE()
    response.MessageIDBeingRespondedTo = 7
    response.AffectedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    response.AffectedSOPInstanceUID = "1.2.3.4"
    response.Status = status
    if comment is not None:
        response.ErrorComment = comment
    assert encode_response(command, 7, status, comment) == their_command(C_STORE_RSP(), response)
