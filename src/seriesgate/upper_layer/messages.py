"""The DIMSE dialogue on an established association: fragments in, events and responses out.

What has one right answer is answered here: C-ECHO, requests for what was not agreed, requests that
no one could serve. A C-STORE that can be served is left to the driver. Answers go out in the order
of the requests, so that a requestor may run ahead (PS3.7 D.3.3.3).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from seriesgate.upper_layer.codec import encode_fragment
from seriesgate.upper_layer.dimse import (
    CommandDecoder,
    CommandField,
    CommandSet,
    StoreStatus,
    encode_response,
    first_uid,
    is_error_comment,
    is_failure,
    store_request,
)
from seriesgate.upper_layer.errors import LocalMisuse, PeerViolation
from seriesgate.upper_layer.events import (
    DataSetEnded,
    DataSetFragment,
    EchoAnswered,
    RequestRefused,
    StoreInterrupted,
    StoreRequested,
)
from seriesgate.upper_layer.items import invalid
from seriesgate.upper_layer.pdu import AbortReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from seriesgate.upper_layer.events import Event, StoreResponse
    from seriesgate.upper_layer.framing import Fragment
    from seriesgate.upper_layer.negotiation import AcceptedAssociation, AcceptedContext

MAX_COMMAND_SET_LENGTH = 64 * 1024
# Length field, context id and message control header of a PDV (PS3.8 9.3.5.1).
_PDV_OVERHEAD = 6
_WITHOUT_LIMIT = 2**31
_MAX_STATUS = 0xFFFF


class _Phase(Enum):
    BETWEEN_MESSAGES = auto()
    COMMAND = auto()
    DATA_SET = auto()
    # The last fragment has been told, its end has not.
    ENDING = auto()
    ANSWER_DUE = auto()


# Bound once: on Python 3.11 a member looked up in its Enum costs ten times as much as a global, and
# these are looked up some thirty times for each instance.
_BETWEEN_MESSAGES, _COMMAND, _DATA_SET, _ENDING, _ANSWER_DUE = _Phase
_C_STORE_RQ, _C_ECHO_RQ, _C_CANCEL_RQ = CommandField


class MessageExchange:
    """Follows the messages of one association. `tell` takes events, `send` takes PDUs."""

    __slots__ = (
        "_accepted",
        "_answer",
        "_command",
        "_commands",
        "_context_id",
        "_max_fragment",
        "_message_id",
        "_phase",
        "_rejected_ids",
        "_request",
        "_send",
        "_tell",
    )

    def __init__(
        self,
        association: AcceptedAssociation,
        tell: Callable[[Event], None],
        send: Callable[[bytes], None],
    ) -> None:
        self._accepted = {item.context_id: item for item in association.accepted_contexts}
        self._rejected_ids = association.rejected_context_ids
        self._max_fragment = _max_fragment(association.peer_max_pdu_length)
        self._tell = tell
        self._send = send
        self._phase = _BETWEEN_MESSAGES
        self._context_id = 0
        self._command = bytearray()
        self._commands = CommandDecoder()
        # The request that still has to be answered, and its message id.
        self._request: CommandSet | None = None
        self._message_id = 0
        # The answer that is already certain; None while it is the driver's to give.
        self._answer: StoreStatus | None = None

    @property
    def between_messages(self) -> bool:
        """Whether no message is under way."""
        return self._phase is _BETWEEN_MESSAGES

    @property
    def awaits_answer(self) -> bool:
        """Whether a data set is complete and nothing can go on before the driver answers."""
        return self._phase is _ANSWER_DUE

    @property
    def is_storing(self) -> bool:
        """Whether a C-STORE is under way that can be served."""
        return self._request is not None and self._answer is None

    def take(self, fragment: Fragment) -> None:
        """Take the next piece of a fragment. Raises PeerViolation."""
        context_id, is_command, is_last, data = fragment
        phase = self._phase
        if phase is not _BETWEEN_MESSAGES and context_id != self._context_id:
            # All fragments of a message use one context, and messages don't mix (PS3.8 E.1).
            raise _unexpected("fragments of two messages interleaved")
        if is_command:
            if phase is _DATA_SET:
                raise _unexpected("a new command inside an unfinished message")
            self._take_command(context_id, is_last, data)
        elif phase is not _DATA_SET:
            raise _unexpected("a data set fragment without a complete command")
        else:
            if self.is_storing and data:
                self._tell(DataSetFragment(data))
            if is_last:
                self._phase = _ENDING

    def go_on(self) -> bool:
        """Finish what the last fragment has ended; False when there is nothing of the kind.

        A step of its own, because the driver may answer with a failure after the last fragment.
        Raises LocalMisuse while an answer is due.
        """
        if self._phase is _ANSWER_DUE:
            raise LocalMisuse("send the StoreResponse before going on")
        if self._phase is not _ENDING:
            return False
        self._end_message()
        return True

    def respond(self, response: StoreResponse) -> None:
        """Answer the C-STORE under way. Raises LocalMisuse."""
        status, error_comment = response
        if not self.is_storing:
            raise LocalMisuse("no C-STORE request waits for an answer")
        if not 0 <= status <= _MAX_STATUS:
            raise LocalMisuse(f"status {status} does not fit in 16 bits")
        if error_comment is not None and not is_error_comment(error_comment):
            raise LocalMisuse("error comment is not 64 printable ASCII characters or less")
        if self._phase is not _ANSWER_DUE and not is_failure(status):
            raise LocalMisuse("only a failure may be sent before the data set has ended")
        self._send_response(status, error_comment)
        if self._phase is _ANSWER_DUE:
            self._phase = _BETWEEN_MESSAGES

    def interrupt(self) -> None:
        """Give up the message under way: there is no one to answer any more."""
        if self.is_storing:
            self._tell(StoreInterrupted())
        self._request = None
        self._phase = _BETWEEN_MESSAGES

    def fail(self) -> None:
        """Answer the request whose data set will never be complete, and give it up."""
        is_store_open = self.is_storing
        if self._answer is None:
            self._send_response(StoreStatus.CANNOT_UNDERSTAND, "Data set is incomplete")
        else:
            self._send_response(self._answer, None)
        if is_store_open:
            self._tell(StoreInterrupted())
        self._phase = _BETWEEN_MESSAGES

    def _take_command(self, context_id: int, is_last: bool, data: memoryview) -> None:
        if context_id not in self._accepted and context_id not in self._rejected_ids:
            raise invalid(f"presentation context {context_id} was never proposed")
        if len(self._command) + len(data) > MAX_COMMAND_SET_LENGTH:
            raise invalid(f"command set over {MAX_COMMAND_SET_LENGTH} bytes")
        self._context_id = context_id
        if is_last:
            command = bytes(self._command) + data
            self._command.clear()
            self._begin_message(self._commands.decode(command), self._accepted.get(context_id))
        else:
            self._command += data
            self._phase = _COMMAND

    def _begin_message(self, command: CommandSet, context: AcceptedContext | None) -> None:
        """Decide who answers: nobody, the driver, or `_end_message` with `_answer`."""
        self._phase = _DATA_SET
        if command.is_response or command.command_field == _C_CANCEL_RQ:
            # We ask nothing and nothing of ours can be cancelled. Neither has a response.
            self._request = None
        elif command.message_id is None:
            raise invalid("request without message id")
        else:
            self._request = command
            self._message_id = command.message_id
            self._answer = _certain_answer(command, context)
            if self._answer is None and context is not None:
                request = store_request(command, command.message_id)
                self._tell(
                    StoreRequested(
                        context.context_id,
                        context.transfer_syntax_uid,
                        request.affected_sop_class_uid,
                        request,
                    )
                )
        if not command.has_data_set:
            self._end_message()

    def _end_message(self) -> None:
        if self.is_storing:
            self._phase = _ANSWER_DUE
            self._tell(DataSetEnded())
            return
        self._phase = _BETWEEN_MESSAGES
        if self._request is None or self._answer is None:
            return
        if self._answer == StoreStatus.SUCCESS:
            self._tell(EchoAnswered())
        else:
            self._tell(RequestRefused(self._request.command_field, self._answer))
        self._send_response(self._answer, None)

    def _send_response(self, status: int, error_comment: str | None) -> None:
        """Send the response to the request under way, if there is one that has none yet."""
        if self._request is None:
            return
        command = encode_response(self._request, self._message_id, status, error_comment)
        self._request = None
        for start in range(0, len(command), self._max_fragment):
            end = start + self._max_fragment
            is_last = end >= len(command)
            part = command[start:end]
            self._send(
                encode_fragment(self._context_id, is_command=True, is_last=is_last, data=part)
            )


def _unexpected(detail: str) -> PeerViolation:
    return PeerViolation(AbortReason.UNEXPECTED_PDU_PARAMETER, detail)


def _max_fragment(peer_max_pdu_length: int) -> int:
    """Return how many bytes of a command set fit into one P-DATA-TF for this peer.

    Fragments have an even length (PS3.8 E.2). A peer that announces less than room for two bytes
    gets two bytes: there is no way to obey it.
    """
    if peer_max_pdu_length == 0:
        return _WITHOUT_LIMIT
    return max(2, (peer_max_pdu_length - _PDV_OVERHEAD) & ~1)


def _certain_answer(command: CommandSet, context: AcceptedContext | None) -> StoreStatus | None:
    """Return the status that leaves no choice; None for a C-STORE that can be served.

    The statuses are those which PS3.7 9.1.1.1.9 has for C-STORE, as defined in its Annex C.
    """
    if context is None:
        return StoreStatus.SOP_CLASS_NOT_SUPPORTED
    if command.command_field == _C_ECHO_RQ:
        return StoreStatus.SUCCESS
    if command.command_field != _C_STORE_RQ or not context.is_storage:
        return StoreStatus.UNRECOGNIZED_OPERATION
    return _certain_store_answer(command, context)


def _certain_store_answer(command: CommandSet, context: AcceptedContext) -> StoreStatus | None:
    sop_class = first_uid(command.affected_sop_class_uid)
    if sop_class != context.abstract_syntax and sop_class not in context.other_abstract_syntaxes:
        return StoreStatus.SOP_CLASS_NOT_SUPPORTED
    if not first_uid(command.affected_sop_instance_uid):
        return StoreStatus.INVALID_SOP_INSTANCE
    if not command.has_data_set:
        return StoreStatus.MISTYPED_ARGUMENT
    return None
