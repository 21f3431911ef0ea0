"""Codec of the user information item 50H and its sub-items (PS3.8 Annex D, PS3.7 Annex D.3.3).

Sub-items of an unknown type are skipped, never a reason to refuse (PS3.8 D.2); so is one that is
damaged, for what it negotiates has a default, and what follows one that is too long.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, TypeVar

from seriesgate.upper_layer.items import (
    decode_counted,
    encode_counted,
    encode_item,
    whole_items,
)
from seriesgate.upper_layer.pdu import (
    AsynchronousOperations,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from seriesgate.upper_layer.text import decode_text, encode_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MAX_LENGTH = Struct(">I")
_WINDOW = Struct(">HH")

_ROLES_SIZE = 2
_IDENTITY_HEADER_SIZE = 2

_T = TypeVar("_T")


def encode_user_information(info: UserInformation) -> bytes:
    """Return the body of the user information item, sub-items in ascending order of their type."""
    return b"".join(encode_item(item_type, body) for item_type, body in _sub_items(info))


def _sub_items(info: UserInformation) -> Iterator[tuple[int, bytes]]:
    yield 0x51, _MAX_LENGTH.pack(info.max_pdu_length)
    yield 0x52, encode_text(info.implementation_class_uid)
    if info.asynchronous_operations is not None:
        window = info.asynchronous_operations
        yield 0x53, _WINDOW.pack(window.max_invoked, window.max_performed)
    for role in info.role_selections:
        roles = bytes((role.is_scu, role.is_scp))
        yield 0x54, encode_counted(encode_text(role.sop_class_uid)) + roles
    if info.implementation_version_name is not None:
        yield 0x55, encode_text(info.implementation_version_name)
    for extended in info.extended_negotiations:
        uid = encode_counted(encode_text(extended.sop_class_uid))
        yield 0x56, uid + extended.application_information
    for common in info.common_extended_negotiations:
        yield 0x57, _encode_common_extended(common)
    if info.user_identity is not None:
        yield 0x58, _encode_user_identity(info.user_identity)
    if info.user_identity_response is not None:
        yield 0x59, encode_counted(info.user_identity_response)


def _encode_common_extended(common: CommonExtendedNegotiation) -> bytes:
    related = b"".join(
        encode_counted(encode_text(uid)) for uid in common.related_general_sop_class_uids
    )
    return (
        encode_counted(encode_text(common.sop_class_uid))
        + encode_counted(encode_text(common.service_class_uid))
        + encode_counted(related)
    )


def _encode_user_identity(identity: UserIdentity) -> bytes:
    return (
        bytes((identity.identity_type, identity.positive_response_requested))
        + encode_counted(identity.primary_field)
        + encode_counted(identity.secondary_field)
    )


def decode_user_information(data: bytes) -> UserInformation:
    """Return what can be read of the body of a user information item.

    Of a sub-item that may come only once, the first that can be read counts.
    """
    bodies: defaultdict[int, list[bytes]] = defaultdict(list)
    for item_type, body in whole_items(data):
        bodies[item_type].append(body)
    return UserInformation(
        max_pdu_length=_first(bodies[0x51], _decode_max_length) or 0,
        implementation_class_uid=_first(bodies[0x52], decode_text) or "",
        asynchronous_operations=_first(bodies[0x53], _decode_window),
        role_selections=tuple(_readable(bodies[0x54], _decode_role_selection)),
        implementation_version_name=_first(bodies[0x55], decode_text),
        extended_negotiations=tuple(_readable(bodies[0x56], _decode_extended)),
        common_extended_negotiations=tuple(_readable(bodies[0x57], _decode_common_extended)),
        user_identity=_first(bodies[0x58], _decode_user_identity),
        user_identity_response=_first(bodies[0x59], _decode_user_identity_response),
    )


def _first(bodies: list[bytes], decode: Callable[[bytes], _T]) -> _T | None:
    return next(_readable(bodies, decode), None)


def _readable(bodies: list[bytes], decode: Callable[[bytes], _T]) -> Iterator[_T]:
    """Yield what each body says, without those for which `decode` raises ValueError."""
    for body in bodies:
        with suppress(ValueError):
            yield decode(body)


def _decode_max_length(body: bytes) -> int:
    # A shorter number is one all the same, and of a longer body the field comes first.
    return int.from_bytes(body[: _MAX_LENGTH.size])


def _decode_window(body: bytes) -> AsynchronousOperations:
    if len(body) < _WINDOW.size:
        raise ValueError("an asynchronous operations window has two numbers")
    return AsynchronousOperations(*_WINDOW.unpack_from(body))


def _decode_role_selection(body: bytes) -> RoleSelection:
    uid, end = decode_counted(body, 0)
    roles = body[end : end + _ROLES_SIZE]
    if len(roles) < _ROLES_SIZE:
        raise ValueError("a role selection has two roles")
    is_scu, is_scp = map(bool, roles)
    return RoleSelection(decode_text(uid), is_scu, is_scp)


def _decode_extended(body: bytes) -> ExtendedNegotiation:
    uid, end = decode_counted(body, 0)
    return ExtendedNegotiation(decode_text(uid), body[end:])


def _decode_common_extended(body: bytes) -> CommonExtendedNegotiation:
    sop_class_uid, end = decode_counted(body, 0)
    service_class_uid, end = decode_counted(body, end)
    # Bytes after the related classes are reserved for later versions (PS3.7 D.3.3.6.1).
    related, _ = decode_counted(body, end)
    uids: list[str] = []
    position = 0
    while position < len(related):
        uid, position = decode_counted(related, position)
        uids.append(decode_text(uid))
    return CommonExtendedNegotiation(
        decode_text(sop_class_uid), decode_text(service_class_uid), tuple(uids)
    )


def _decode_user_identity(body: bytes) -> UserIdentity:
    primary, end = decode_counted(body, _IDENTITY_HEADER_SIZE)
    secondary, _ = decode_counted(body, end)
    return UserIdentity(body[0], body[1] == 1, primary, secondary)


def _decode_user_identity_response(body: bytes) -> bytes:
    return decode_counted(body, 0)[0]
