"""Hypothesis strategies for PDUs that can be encoded."""

from __future__ import annotations

from hypothesis import strategies as st

from seriesgate.upper_layer import pdu

uids = st.lists(st.integers(0, 99_999), min_size=2, max_size=6).map(
    lambda numbers: ".".join(map(str, numbers))
)
names = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789", min_size=1, max_size=16)
ae_title_fields = st.binary(min_size=16, max_size=16)
bytes_ = st.integers(0, 0xFF)
shorts = st.integers(0, 0xFFFF)
odd_ids = st.integers(0, 127).map(lambda number: 2 * number + 1)

roles = st.builds(pdu.RoleSelection, uids, st.booleans(), st.booleans())
extended = st.builds(pdu.ExtendedNegotiation, uids, st.binary(max_size=12))
common = st.builds(pdu.CommonExtendedNegotiation, uids, uids, st.lists(uids, max_size=3).map(tuple))
identities = st.builds(
    pdu.UserIdentity, bytes_, st.booleans(), st.binary(max_size=20), st.binary(max_size=20)
)
user_informations = st.builds(
    pdu.UserInformation,
    max_pdu_length=st.integers(0, 2**32 - 1),
    implementation_class_uid=uids,
    implementation_version_name=st.none() | names,
    asynchronous_operations=st.none() | st.builds(pdu.AsynchronousOperations, shorts, shorts),
    role_selections=st.lists(roles, max_size=3).map(tuple),
    extended_negotiations=st.lists(extended, max_size=3).map(tuple),
    common_extended_negotiations=st.lists(common, max_size=3).map(tuple),
    user_identity=st.none() | identities,
    user_identity_response=st.none() | st.binary(max_size=20),
)
proposed_contexts = st.builds(
    pdu.ProposedContext, odd_ids, uids, st.lists(uids, min_size=1, max_size=4).map(tuple)
)
context_results = st.builds(pdu.ContextResult, odd_ids, st.integers(0, 4), uids)
requests = st.builds(
    pdu.AAssociateRq,
    ae_title_fields,
    ae_title_fields,
    st.lists(proposed_contexts, max_size=5, unique_by=lambda item: item.context_id).map(tuple),
    user_informations,
    uids,
    shorts,
    st.binary(min_size=32, max_size=32),
)
acceptances = st.builds(
    pdu.AAssociateAc,
    ae_title_fields,
    ae_title_fields,
    st.lists(context_results, max_size=5, unique_by=lambda item: item.context_id).map(tuple),
    user_informations,
    uids,
    shorts,
    st.binary(min_size=32, max_size=32),
)
rejections = st.builds(pdu.AAssociateRj, bytes_, bytes_, bytes_)
aborts = st.builds(pdu.AAbort, bytes_, bytes_)
whole_pdus = st.one_of(
    requests,
    acceptances,
    rejections,
    aborts,
    st.just(pdu.AReleaseRq()),
    st.just(pdu.AReleaseRp()),
)
values = st.builds(
    pdu.PresentationDataValue, odd_ids, st.booleans(), st.booleans(), st.binary(max_size=64)
)
p_data_tfs = st.builds(pdu.PDataTf, st.lists(values, min_size=1, max_size=4).map(tuple))
