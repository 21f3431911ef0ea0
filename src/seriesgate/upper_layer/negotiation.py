"""What an acceptor answers to A-ASSOCIATE-RQ: a pure function of the request and a policy."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seriesgate.upper_layer.pdu import (
    APPLICATION_CONTEXT_NAME,
    PROTOCOL_VERSION,
    AAssociateAc,
    AAssociateRj,
    AAssociateRq,
    AsynchronousOperations,
    ContextResult,
    ContextResultReason,
    ExtendedNegotiation,
    ProposedContext,
    RejectReason,
    RejectResult,
    RoleSelection,
    UserInformation,
)
from seriesgate.upper_layer.syntaxes import (
    IMPLICIT_VR_LITTLE_ENDIAN,
    VERIFICATION,
    is_known_transfer_syntax,
    is_storable_transfer_syntax,
    is_storage,
    is_uid,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_NAME = 16
_MAX_UID = 64
# PS3.4 defines six bytes; the limit keeps 128 answers within one item.
_MAX_STORAGE_NEGOTIATION = 64
_MAX_PDU_LENGTH_FIELD = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptorPolicy:
    """How an acceptor answers and how long it waits.

    `allowed_calling_ae_titles`: None allows all. `storage_classes` and `transfer_syntaxes` say of a
    UID whether it is taken; Verification always is. `max_pdu_length`: announced, in bytes, 0 is
    without limit. `max_operations`: how far a requestor that asks for an asynchronous operations
    window may run ahead. `storage_negotiation`: service class application information returned to
    storage SOP classes that propose extended negotiation (PS3.4 B.3.1); None returns none.
    Times are in seconds: `idle_timeout` is for silence, `store_timeout` for an association that is
    not silent and stores nothing. `min_progress` is in bytes per second, averaged over
    `progress_window`.
    ValueError for a value that can't be sent or makes no sense.
    """

    ae_title: str
    implementation_class_uid: str
    accept_any_called_ae_title: bool = False
    allowed_calling_ae_titles: frozenset[str] | None = None
    storage_classes: Callable[[str], bool] = is_storage
    transfer_syntaxes: Callable[[str], bool] = is_storable_transfer_syntax
    max_pdu_length: int = 131_072
    max_operations: int = 64
    storage_negotiation: bytes | None = None
    implementation_version_name: str | None = None
    artim_timeout: float = 30.0
    idle_timeout: float = 300.0
    store_timeout: float = 3600.0
    progress_window: float = 30.0
    min_progress: float = 1024.0

    def __post_init__(self) -> None:
        if not _is_name(self.ae_title):
            raise ValueError(f"AE title {self.ae_title!r} is not 1 to 16 ASCII characters")
        version = self.implementation_version_name
        if version is not None and not _is_name(version):
            raise ValueError(f"implementation version {version!r} is not 1 to 16 ASCII characters")
        if not is_uid(self.implementation_class_uid):
            raise ValueError(f"{self.implementation_class_uid!r} is not a UID")
        if len(self.storage_negotiation or b"") > _MAX_STORAGE_NEGOTIATION:
            raise ValueError("storage_negotiation is over 64 bytes")
        if not 0 <= self.max_pdu_length <= _MAX_PDU_LENGTH_FIELD:
            raise ValueError(f"max_pdu_length {self.max_pdu_length} is not a 32-bit number")
        if not 1 <= self.max_operations <= 0xFFFF:  # noqa: PLR2004 - a 16-bit field
            raise ValueError(f"max_operations {self.max_operations} is not in 1 to 65535")
        limits = (self.artim_timeout, self.idle_timeout, self.store_timeout, self.progress_window)
        if min(*limits, self.min_progress) <= 0:
            raise ValueError("time limits and min_progress must be greater than 0")


def _is_name(text: str) -> bool:
    return (
        0 < len(text) <= _MAX_NAME
        and text == text.strip()
        and text.isascii()
        and text.isprintable()
        and "\\" not in text
    )


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """A presentation context both sides may use. `is_storage` is False for Verification.

    `other_abstract_syntaxes`: those of storage that were proposed with the same id once more.
    """

    context_id: int
    abstract_syntax: str
    transfer_syntax_uid: str
    is_storage: bool
    other_abstract_syntaxes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AcceptedAssociation:
    """The outcome of a negotiation.

    The texts that come from the peer (AE titles, implementation) have no padding and are cut to
    their legal length, but may have control characters: show them with repr.
    `rejected_context_ids` are those proposed and not accepted. `peer_max_pdu_length`: 0 is without
    limit.
    """

    answer: AAssociateAc
    called_ae_title: str
    calling_ae_title: str
    accepted_contexts: tuple[AcceptedContext, ...]
    rejected_context_ids: frozenset[int]
    peer_max_pdu_length: int
    peer_implementation_class_uid: str
    peer_implementation_version_name: str


def negotiate(request: AAssociateRq, policy: AcceptorPolicy) -> AcceptedAssociation | AAssociateRj:
    """Return what the acceptor makes of the request: an association, or the PDU that rejects it.

    An association without one accepted context is accepted nevertheless: its A-ASSOCIATE-AC says
    for each context why not, which is more than a rejection could.
    """
    reason = _reason_to_reject(request, policy)
    if reason is not None:
        return AAssociateRj(RejectResult.PERMANENT, *reason.value)
    by_id: defaultdict[int, list[ProposedContext]] = defaultdict(list)
    for proposed in request.presentation_contexts:
        by_id[proposed.context_id].append(proposed)
    contexts: list[AcceptedContext] = []
    results: list[ContextResult] = []
    for proposals in by_id.values():
        context, result = _answer_id(proposals, policy)
        results.append(result)
        if context is not None:
            contexts.append(context)
    info = request.user_information
    return AcceptedAssociation(
        answer=AAssociateAc(
            called_ae_title_field=request.called_ae_title_field,
            calling_ae_title_field=request.calling_ae_title_field,
            context_results=tuple(results),
            user_information=_answer_user_information(info, contexts, policy),
            reserved_field=request.reserved_field,
        ),
        called_ae_title=request.called_ae_title,
        calling_ae_title=request.calling_ae_title,
        accepted_contexts=tuple(contexts),
        rejected_context_ids=frozenset(result.context_id for result in results if result.result),
        peer_max_pdu_length=info.max_pdu_length,
        peer_implementation_class_uid=info.implementation_class_uid[:_MAX_UID],
        peer_implementation_version_name=(info.implementation_version_name or "")[:_MAX_NAME],
    )


def _reason_to_reject(request: AAssociateRq, policy: AcceptorPolicy) -> RejectReason | None:
    # Only bit 0 of the protocol version is tested (PS3.8 9.3.2).
    if not request.protocol_version & PROTOCOL_VERSION:
        return RejectReason.PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context_name != APPLICATION_CONTEXT_NAME:
        return RejectReason.APPLICATION_CONTEXT_NOT_SUPPORTED
    if not policy.accept_any_called_ae_title and request.called_ae_title != policy.ae_title:
        return RejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED
    allowed = policy.allowed_calling_ae_titles
    if allowed is not None and request.calling_ae_title not in allowed:
        return RejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED
    return None


def _answer_id(
    proposals: list[ProposedContext], policy: AcceptorPolicy
) -> tuple[AcceptedContext | None, ContextResult]:
    """Return the context if it is accepted, and the one result for all proposals with its id.

    An id belongs to one proposal (PS3.8 9.3.2.2). Requestors with more than 128 contexts use some
    twice, and peers take what comes under such an id, of whichever proposal it is. So does this,
    as far as the transfer syntax is one for all: it says how the data set is read.
    """
    answers = [_answer_context(proposed, policy) for proposed in proposals]
    taken = [(context, result) for context, result in answers if context is not None]
    if len(proposals) == 1 or not taken:
        return answers[0]
    context, result = next((pair for pair in taken if pair[0].is_storage), taken[0])
    others = {
        proposed.abstract_syntax
        for proposed, (answer, _) in zip(proposals, answers, strict=True)
        if answer is not None
        and answer.is_storage
        and context.transfer_syntax_uid in proposed.transfer_syntaxes
    }
    return replace(context, other_abstract_syntaxes=frozenset(others)), result


def _answer_context(
    proposed: ProposedContext, policy: AcceptorPolicy
) -> tuple[AcceptedContext | None, ContextResult]:
    """Return the context if it is accepted, and the result for the requestor.

    A result always has a transfer syntax; where it rejects, it means nothing (PS3.8 9.3.3.2).
    """
    abstract_syntax = proposed.abstract_syntax
    is_storage_class = abstract_syntax != VERIFICATION
    if is_storage_class and not (
        is_uid(abstract_syntax) and policy.storage_classes(abstract_syntax)
    ):
        reason = ContextResultReason.ABSTRACT_SYNTAX_NOT_SUPPORTED
        return None, ContextResult(proposed.context_id, reason, IMPLICIT_VR_LITTLE_ENDIAN)
    chosen = _choose_transfer_syntax(proposed.transfer_syntaxes, policy)
    if chosen is None:
        reason = ContextResultReason.TRANSFER_SYNTAXES_NOT_SUPPORTED
        return None, ContextResult(proposed.context_id, reason, IMPLICIT_VR_LITTLE_ENDIAN)
    return (
        AcceptedContext(proposed.context_id, abstract_syntax, chosen, is_storage_class),
        ContextResult(proposed.context_id, ContextResultReason.ACCEPTANCE, chosen),
    )


def _choose_transfer_syntax(proposed: tuple[str, ...], policy: AcceptorPolicy) -> str | None:
    """Return the first one proposed that is accepted, an unknown private one only as a last resort.

    The order of the requestor is taken for its preference: it knows how it holds the object.
    """
    accepted = [uid for uid in proposed if is_uid(uid) and policy.transfer_syntaxes(uid)]
    known = [uid for uid in accepted if is_known_transfer_syntax(uid)]
    return next(iter(known or accepted), None)


def _answer_user_information(
    info: UserInformation, contexts: list[AcceptedContext], policy: AcceptorPolicy
) -> UserInformation:
    """Return our side of the user information.

    A user identity is neither checked nor confirmed: without 59H the requestor knows that it was
    not looked at (PS3.7 D.3.3.7).
    """
    accepted = {
        abstract_syntax: context.is_storage
        for context in contexts
        for abstract_syntax in (context.abstract_syntax, *context.other_abstract_syntaxes)
    }
    # A dict, because a second item for the same class would have to be answered once.
    roles = {
        role.sop_class_uid: RoleSelection(role.sop_class_uid, is_scu=role.is_scu, is_scp=False)
        for role in info.role_selections
        if role.sop_class_uid in accepted
    }
    extended = {
        item.sop_class_uid: ExtendedNegotiation(item.sop_class_uid, policy.storage_negotiation)
        for item in info.extended_negotiations
        if policy.storage_negotiation is not None and accepted.get(item.sop_class_uid)
    }
    return UserInformation(
        max_pdu_length=policy.max_pdu_length,
        implementation_class_uid=policy.implementation_class_uid,
        implementation_version_name=policy.implementation_version_name,
        asynchronous_operations=_answer_window(info.asynchronous_operations, policy),
        role_selections=tuple(roles.values()),
        extended_negotiations=tuple(extended.values()),
    )


def _answer_window(
    asked: AsynchronousOperations | None, policy: AcceptorPolicy
) -> AsynchronousOperations | None:
    """Return the window granted; None, hence one by one, when none was asked for.

    Both numbers keep the requestor's point of view: the first is how many operations it may invoke
    without waiting, the second how many it may perform for us. Either may be lowered, never raised,
    and 0 is without limit (PS3.7 D.3.3.3). We invoke nothing, so the second is always 1.
    """
    if asked is None:
        return None
    return AsynchronousOperations(min(asked.max_invoked or 0xFFFF, policy.max_operations), 1)
