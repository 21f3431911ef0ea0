"""PDU to bytes, and the body of a PDU to the PDU (PS3.8 9.3).

P-DATA-TF is encoded here but never decoded: `framing` streams it, whatever its length.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, TypeVar, assert_never

from seriesgate.upper_layer.items import (
    decode_items,
    encode_item,
    invalid,
    whole_items,
)
from seriesgate.upper_layer.pdu import (
    AAbort,
    AAssociateAc,
    AAssociateRj,
    AAssociateRq,
    AReleaseRp,
    AReleaseRq,
    ContextResult,
    PDataTf,
    Pdu,
    PduType,
    ProposedContext,
    UserInformation,
)
from seriesgate.upper_layer.text import decode_text, encode_text
from seriesgate.upper_layer.user_information import (
    decode_user_information,
    encode_user_information,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_APPLICATION_CONTEXT = 0x10
_PROPOSED_CONTEXT = 0x20
_CONTEXT_RESULT = 0x21
_ABSTRACT_SYNTAX = 0x30
_TRANSFER_SYNTAX = 0x40
_USER_INFORMATION = 0x50

_PDU_HEADER = Struct(">BxI")
_PDV_HEADER = Struct(">IBB")
_FRAGMENT_HEADER = Struct(">BxIIBB")
_P_DATA_TF = int(PduType.P_DATA_TF)
_ASSOCIATE_FIXED = Struct(">H2x16s16s32s")
_FOUR_BYTES = Struct(">BBBB")
_AE_TITLE_SIZE = 16

# Id, reserved, result or reserved, reserved.
_CONTEXT_HEADER_SIZE = 4

# All standard transfer syntaxes are about sixty, and of contexts there are 256 ids. These limits
# bound what a hostile megabyte becomes: what comes beyond them is not looked at.
MAX_TRANSFER_SYNTAXES = 128
MAX_CONTEXTS = 512

_Context = TypeVar("_Context", ProposedContext, ContextResult)


def encode(pdu: Pdu) -> bytes:
    """Return the PDU as it goes on the wire.

    Raises `struct.error` for a number that does not fit its field, UnicodeEncodeError for a UID or
    name beyond ASCII.
    """
    match pdu:
        case PDataTf():
            pdu_type, body = PduType.P_DATA_TF, _encode_p_data(pdu)
        case AAssociateRq():
            pdu_type, body = PduType.A_ASSOCIATE_RQ, _encode_request(pdu)
        case AAssociateAc():
            pdu_type, body = PduType.A_ASSOCIATE_AC, _encode_acceptance(pdu)
        case AAssociateRj(result, source, reason):
            pdu_type, body = PduType.A_ASSOCIATE_RJ, bytes((0, result, source, reason))
        case AReleaseRq():
            pdu_type, body = PduType.A_RELEASE_RQ, bytes(4)
        case AReleaseRp():
            pdu_type, body = PduType.A_RELEASE_RP, bytes(4)
        case AAbort(source, reason):
            pdu_type, body = PduType.A_ABORT, bytes((0, 0, source, reason))
        case _:
            assert_never(pdu)
    return _PDU_HEADER.pack(pdu_type, len(body)) + body


def encode_fragment(context_id: int, *, is_command: bool, is_last: bool, data: bytes) -> bytes:
    """Return a P-DATA-TF PDU that holds one fragment, in less time than `encode` needs."""
    control = is_command | is_last << 1
    size = len(data)
    return _FRAGMENT_HEADER.pack(_P_DATA_TF, size + 6, size + 2, context_id, control) + data


def _encode_p_data(pdu: PDataTf) -> bytes:
    parts: list[bytes] = []
    for value in pdu.values:
        # Message control header: bit 0 command, bit 1 last fragment (PS3.8 E.2).
        control = value.is_command | value.is_last << 1
        parts += (_PDV_HEADER.pack(len(value.data) + 2, value.context_id, control), value.data)
    return b"".join(parts)


def _encode_request(pdu: AAssociateRq) -> bytes:
    contexts = b"".join(
        encode_item(
            _PROPOSED_CONTEXT,
            bytes((context.context_id, 0, 0, 0))
            + encode_item(_ABSTRACT_SYNTAX, encode_text(context.abstract_syntax))
            + b"".join(
                encode_item(_TRANSFER_SYNTAX, encode_text(uid)) for uid in context.transfer_syntaxes
            ),
        )
        for context in pdu.presentation_contexts
    )
    return _encode_associate(pdu, contexts)


def _encode_acceptance(pdu: AAssociateAc) -> bytes:
    results = b"".join(
        encode_item(
            _CONTEXT_RESULT,
            bytes((result.context_id, 0, result.result, 0))
            + encode_item(_TRANSFER_SYNTAX, encode_text(result.transfer_syntax_uid)),
        )
        for result in pdu.context_results
    )
    return _encode_associate(pdu, results)


def _encode_associate(pdu: AAssociateRq | AAssociateAc, contexts: bytes) -> bytes:
    return (
        _ASSOCIATE_FIXED.pack(
            pdu.protocol_version,
            pdu.called_ae_title_field.ljust(_AE_TITLE_SIZE),
            pdu.calling_ae_title_field.ljust(_AE_TITLE_SIZE),
            pdu.reserved_field,
        )
        + encode_item(_APPLICATION_CONTEXT, encode_text(pdu.application_context_name))
        + contexts
        + encode_item(_USER_INFORMATION, encode_user_information(pdu.user_information))
    )


def decode(pdu_type: PduType, body: bytes) -> Pdu:
    """Return the PDU whose bytes after the six-byte header are `body`.

    Raises PeerViolation when the body breaks PS3.8, ValueError for P-DATA-TF.
    """
    match pdu_type:
        case PduType.A_ASSOCIATE_RQ:
            return _decode_request(body)
        case PduType.A_ASSOCIATE_AC:
            return _decode_acceptance(body)
        case PduType.A_ASSOCIATE_RJ:
            _, result, source, reason = _decode_four_bytes(body)
            return AAssociateRj(result, source, reason)
        case PduType.A_RELEASE_RQ:
            _decode_four_bytes(body)
            return AReleaseRq()
        case PduType.A_RELEASE_RP:
            _decode_four_bytes(body)
            return AReleaseRp()
        case PduType.A_ABORT:
            _, _, source, reason = _decode_four_bytes(body)
            return AAbort(source, reason)
        case PduType.P_DATA_TF:
            raise ValueError("P-DATA-TF is streamed by PduReader, not decoded as a whole")
        case _:
            assert_never(pdu_type)


def _decode_four_bytes(body: bytes) -> tuple[int, ...]:
    if len(body) != _FOUR_BYTES.size:
        raise invalid(f"PDU of {len(body)} bytes instead of 4")
    return _FOUR_BYTES.unpack(body)


def _decode_request(body: bytes) -> AAssociateRq:
    version, called, calling, reserved = _decode_fixed(body)
    name, contexts, info = _decode_variable(body, _PROPOSED_CONTEXT, _decode_proposed_context)
    return AAssociateRq(called, calling, contexts, info, name, version, reserved)


def _decode_acceptance(body: bytes) -> AAssociateAc:
    version, called, calling, reserved = _decode_fixed(body)
    name, results, info = _decode_variable(body, _CONTEXT_RESULT, _decode_context_result)
    return AAssociateAc(called, calling, results, info, name, version, reserved)


def _decode_fixed(body: bytes) -> tuple[int, bytes, bytes, bytes]:
    if len(body) < _ASSOCIATE_FIXED.size:
        raise invalid(f"association PDU of {len(body)} bytes, shorter than its fixed fields")
    version, called, calling, reserved = _ASSOCIATE_FIXED.unpack_from(body)
    return version, called, calling, reserved


def _decode_variable(
    body: bytes, context_item: int, decode_context: Callable[[bytes], _Context]
) -> tuple[str, tuple[_Context, ...], UserInformation]:
    """Read the items behind the fixed fields; those of an unknown type are skipped (PS3.8 9.3).

    Returns the application context name, the contexts and the user information; of the two that may
    come only once, the first. A missing name reads as an empty one: the negotiation rejects it with
    its own reason. A context without so much as an id cannot be answered, and is left out.
    """
    name: str | None = None
    contexts: list[_Context] = []
    info: UserInformation | None = None
    for item_type, item in decode_items(body[_ASSOCIATE_FIXED.size :]):
        if item_type == context_item:
            if len(item) >= _CONTEXT_HEADER_SIZE and len(contexts) < MAX_CONTEXTS:
                contexts.append(decode_context(item))
        elif item_type == _APPLICATION_CONTEXT and name is None:
            name = decode_text(item)
        elif item_type == _USER_INFORMATION and info is None:
            info = decode_user_information(item)
    return name or "", tuple(contexts), info or UserInformation()


def _decode_proposed_context(item: bytes) -> ProposedContext:
    abstract_syntaxes: set[str] = set()
    transfer_syntaxes: list[str] = []
    for item_type, body in whole_items(item[_CONTEXT_HEADER_SIZE:]):
        if item_type == _ABSTRACT_SYNTAX:
            abstract_syntaxes.add(decode_text(body))
        elif item_type == _TRANSFER_SYNTAX and len(transfer_syntaxes) < MAX_TRANSFER_SYNTAXES:
            transfer_syntaxes.append(decode_text(body))
    only = abstract_syntaxes.pop() if len(abstract_syntaxes) == 1 else ""
    return ProposedContext(item[0], only, tuple(transfer_syntaxes))


def _decode_context_result(item: bytes) -> ContextResult:
    syntaxes = (
        decode_text(body)
        for item_type, body in whole_items(item[_CONTEXT_HEADER_SIZE:])
        if item_type == _TRANSFER_SYNTAX
    )
    return ContextResult(item[0], item[2], next(syntaxes, ""))
