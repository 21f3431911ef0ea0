"""Command sets of DIMSE messages (PS3.7): what a Storage SCP must read and what it answers.

A command set is always implicit VR little endian (PS3.7 6.3.1). Real ones have wrong group lengths,
padded UIDs and doubled elements; what can be understood is taken, the first value counts.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from seriesgate.upper_layer.items import invalid
from seriesgate.upper_layer.text import decode_text

_TAG_AND_LENGTH = Struct("<II")
_GROUP_LENGTH = Struct("<III")
# Four elements in their order: command field, message id responded to, data set type, status.
_FIXED_ELEMENTS = Struct("<IIHIIHIIHIIH")

# Tags as one little-endian number has them: the element in the upper, group 0000 in the lower half.
_AFFECTED_SOP_CLASS_UID = 0x0002 << 16
_COMMAND_FIELD = 0x0100 << 16
_MESSAGE_ID = 0x0110 << 16
_MESSAGE_ID_RESPONDED_TO = 0x0120 << 16
_DATA_SET_TYPE = 0x0800 << 16
_STATUS = 0x0900 << 16
_ERROR_COMMENT = 0x0902 << 16
_AFFECTED_SOP_INSTANCE_UID = 0x1000 << 16
_MOVE_ORIGINATOR_AE_TITLE = 0x1030 << 16
_KNOWN_TAGS = frozenset(
    {
        _AFFECTED_SOP_CLASS_UID,
        _COMMAND_FIELD,
        _MESSAGE_ID,
        _DATA_SET_TYPE,
        _AFFECTED_SOP_INSTANCE_UID,
        _MOVE_ORIGINATOR_AE_TITLE,
    }
)

NO_DATA_SET = 0x0101
_RESPONSE_BIT = 0x8000
_MAX_ERROR_COMMENT = 64


class CommandField(IntEnum):
    """Requests that have an answer of their own (PS3.7 Annex E.1)."""

    C_STORE_RQ = 0x0001
    C_ECHO_RQ = 0x0030
    C_CANCEL_RQ = 0x0FFF


class StoreStatus(IntEnum):
    """Statuses of a C-STORE response (PS3.7 9.1.1.1.9 and Annex C, PS3.4 Table B.2-1)."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    INVALID_SOP_INSTANCE = 0x0117
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NOT_AUTHORIZED = 0x0124
    DUPLICATE_INVOCATION = 0x0210
    UNRECOGNIZED_OPERATION = 0x0211
    MISTYPED_ARGUMENT = 0x0212
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    DATA_SET_MISMATCH_WARNING = 0xB007
    CANNOT_UNDERSTAND = 0xC000


class CommandSet(NamedTuple):
    """The elements of a request that matter here. None, or empty, stands for an absent one.

    The UIDs are the raw bytes of the peer: some peers compare the ones they get back with padding.
    """

    command_field: int
    message_id: int | None
    has_data_set: bool
    affected_sop_class_uid: bytes
    affected_sop_instance_uid: bytes
    move_originator_ae_title: bytes

    @property
    def is_response(self) -> bool:
        """Whether this answers a request, instead of being one."""
        return self.command_field & _RESPONSE_BIT != 0


class CStoreRequest(NamedTuple):
    """What a C-STORE-RQ says about the data set that follows (PS3.7 9.3.1.1).

    The UIDs have no padding and are not checked otherwise: never build a path of them.
    `move_originator_ae_title` is empty unless the store comes from a C-MOVE.
    """

    message_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    move_originator_ae_title: str


def is_failure(status: int) -> bool:
    """Whether a status means that the operation was not performed (PS3.7 Annex C).

    Success, the warnings 0001, 0107, 0116 and Bxxx, cancel FE00 and pending FFxx are not failures.
    """
    if status in (0x0000, 0x0001, 0x0107, 0x0116):
        return False
    return not (0xB000 <= status <= 0xBFFF or 0xFE00 <= status <= 0xFFFF)  # noqa: PLR2004 - ranges


# The UIDs of a request are asked for more than once, and the class of the next one is the same.
@lru_cache(maxsize=16)
def first_uid(raw: bytes) -> str:
    r"""Return the UID of a UI element: without padding, of several (VM > 1) the first."""
    return decode_text(raw.partition(b"\\")[0])


def decode_command_set(data: bytes) -> CommandSet:
    """Return what matters of a command set.

    Raises PeerViolation when elements overlap its end, or when it doesn't say what the command is
    and whether a data set follows.
    """
    return _command_set(data, _find_elements(data))


def _find_elements(data: bytes) -> dict[int, slice]:
    """Return where the values of the known elements are."""
    places: dict[int, slice] = {}
    position = 0
    end = len(data)
    while position < end:
        start = position + _TAG_AND_LENGTH.size
        if start > end:
            raise invalid("command set ends inside an element")
        tag, length = _TAG_AND_LENGTH.unpack_from(data, position)
        position = start + length
        if position > end:
            raise invalid(f"command set: an element of {length} bytes is longer than what is left")
        if tag in _KNOWN_TAGS and tag not in places:
            places[tag] = slice(start, position)
    return places


def _command_set(data: bytes, places: dict[int, slice]) -> CommandSet:
    values = {tag: data[place] for tag, place in places.items()}
    command_field = _number(values.get(_COMMAND_FIELD))
    data_set_type = _number(values.get(_DATA_SET_TYPE))
    if command_field is None or data_set_type is None:
        raise invalid("command set without command field or data set type")
    return CommandSet(
        command_field,
        _number(values.get(_MESSAGE_ID)),
        data_set_type != NO_DATA_SET,
        values.get(_AFFECTED_SOP_CLASS_UID, b""),
        values.get(_AFFECTED_SOP_INSTANCE_UID, b""),
        values.get(_MOVE_ORIGINATOR_AE_TITLE, b""),
    )


class CommandDecoder:
    """Decodes the command sets of one association, as `decode_command_set` does.

    Those of a series differ in the values of the message id and the SOP instance UID alone. So what
    is around these two in one command set is compared with the next one, in three steps.
    """

    __slots__ = ("_after", "_before", "_between", "_command", "_message_id", "_size", "_uid")

    def __init__(self) -> None:
        self._command: CommandSet | None = None
        self._size = 0
        # The bytes around the two values, and where these are.
        self._before = self._between = self._after = b""
        self._message_id = self._uid = slice(0)

    def decode(self, data: bytes) -> CommandSet:
        """Return what matters of a command set. Raises PeerViolation."""
        command = self._command
        if (
            command is not None
            and len(data) == self._size
            and data.startswith(self._before)
            and data.startswith(self._between, self._message_id.stop)
            and data.startswith(self._after, self._uid.stop)
        ):
            return CommandSet(
                command.command_field,
                int.from_bytes(data[self._message_id], "little"),
                command.has_data_set,
                command.affected_sop_class_uid,
                data[self._uid],
                command.move_originator_ae_title,
            )
        places = _find_elements(data)
        command = _command_set(data, places)
        self._remember(data, places, command)
        return command

    def _remember(self, data: bytes, places: dict[int, slice], command: CommandSet) -> None:
        message_id = places.get(_MESSAGE_ID)
        uid = places.get(_AFFECTED_SOP_INSTANCE_UID)
        self._command = None
        if message_id is not None and uid is not None and command.message_id is not None:
            self._command = command
            self._size = len(data)
            self._message_id = slice(message_id.start, message_id.start + 2)
            self._uid = uid
            self._before = data[: message_id.start]
            self._between = data[self._message_id.stop : uid.start]
            self._after = data[uid.stop :]


def _number(value: bytes | None) -> int | None:
    """Return the first value of a US element; None when there is none."""
    return int.from_bytes(value[:2], "little") if value and len(value) > 1 else None


def store_request(command: CommandSet, message_id: int) -> CStoreRequest:
    """Return what a driver needs to know of a C-STORE-RQ."""
    return CStoreRequest(
        message_id,
        first_uid(command.affected_sop_class_uid),
        first_uid(command.affected_sop_instance_uid),
        decode_text(command.move_originator_ae_title),
    )


def encode_response(
    request: CommandSet, message_id: int, status: int, error_comment: str | None = None
) -> bytes:
    """Return the command set of the response to `request`, which has no data set.

    The affected UIDs go back byte for byte as received (some peers need their padding), and are
    left out when the request had none. `error_comment` (0000,0902) must pass `is_error_comment`.
    """
    parts = []
    if request.affected_sop_class_uid:
        parts.append(_element(_AFFECTED_SOP_CLASS_UID, request.affected_sop_class_uid))
    parts.append(
        _FIXED_ELEMENTS.pack(
            *(_COMMAND_FIELD, 2, request.command_field | _RESPONSE_BIT),
            *(_MESSAGE_ID_RESPONDED_TO, 2, message_id),
            *(_DATA_SET_TYPE, 2, NO_DATA_SET),
            *(_STATUS, 2, status),
        )
    )
    if error_comment:
        text = error_comment.encode("ascii")
        parts.append(_element(_ERROR_COMMENT, text + b" " * (len(text) % 2)))
    if request.affected_sop_instance_uid:
        parts.append(_element(_AFFECTED_SOP_INSTANCE_UID, request.affected_sop_instance_uid))
    elements = b"".join(parts)
    return _GROUP_LENGTH.pack(0x0000, 4, len(elements)) + elements


def _element(tag: int, value: bytes) -> bytes:
    return _TAG_AND_LENGTH.pack(tag, len(value)) + value


def is_error_comment(text: str) -> bool:
    """Whether `text` is fit for LO in the default repertoire: 64 printable ASCII, no backslash."""
    return (
        len(text) <= _MAX_ERROR_COMMENT
        and text.isascii()
        and text.isprintable()
        and "\\" not in text
    )
