"""The requestor of one association: opens it, stores, echoes, releases.

pynetdicom negotiates. The messages go over a blocking socket here, because an association of
pynetdicom polls from two threads (2 ms for each message), keeps a whole data set in its queue and
waits without end for a peer that stops reading. Nothing is shared with the receiver's upper layer:
a mistake there must not be repeated by the sender that tries it out.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

from seriesgate.requestor.association_errors import (
    AssociationError,
    InstanceUnreadableError,
)
from seriesgate.requestor.association_negotiation import (
    VERIFICATION,
    Negotiated,
    decode_accept,
    decode_reject,
    encode_request,
)
from seriesgate.requestor.dimse_requests import (
    C_ECHO_RSP,
    C_STORE_RSP,
    Response,
    decode_response,
    encode_c_echo_request,
    encode_c_store_request,
)
from seriesgate.requestor.pdu_stream import (
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    P_DATA_TF,
    PduStream,
    control_pdu,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from typing import BinaryIO

    from seriesgate.requestor.outgoing_instance import OutgoingInstance, StorageContext
    from seriesgate.requestor.remote_ae import RemoteAE

# A P-DATA-TF with one PDV (PS3.8 9.3.5): PDU type and length; item length, context id, and the
# message control header of Annex E.2.
_P_DATA_HEADER = struct.Struct(">BxIIBB")
_PDU_HEADER_LENGTH = 6
_PDV_HEADER = struct.Struct(">IBB")
_COMMAND = 0x01
_LAST = 0x02

# So large that system calls do not count, so small that a hundred associations fit in memory.
_MAX_FRAGMENT_LENGTH = 256 * 1024
_MAX_COMMAND_SET_LENGTH = 64 * 1024
_MAX_MESSAGE_ID = 65535
_RELEASE_TIMEOUT = 5.0


class Stored(NamedTuple):
    """The answer to one C-STORE: its status, how many bytes of data set were sent, its comment."""

    status: int
    size: int
    comment: str


class AssociationRequestor:
    """An open association, for one thread at a time.

    It is closed (`is_open`) after `release`, `abort` and each AssociationError.
    """

    def __init__(
        self,
        destination: RemoteAE,
        contexts: Sequence[StorageContext],
        timeout: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Open the association, proposing each context (at most 128) by itself.

        `timeout` is in seconds, for each single wait for the peer. Raises PeerUnreachableError,
        AssociationRejectedError or another AssociationError.
        """
        self._timeout = timeout
        self._message_id = 0
        self._stream = PduStream(destination, timeout, tls)
        try:
            self._negotiated = self._negotiate(destination, contexts)
            self._fragment_length = self._choose_fragment_length()
        except BaseException:
            self._stream.abort()
            raise

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._stream.is_open

    def refusal(self, context: StorageContext) -> str | None:
        """Return why the peer refused a proposed context; None when it accepted it."""
        return self._negotiated.refusals.get(context)

    def store(self, instance: OutgoingInstance) -> Stored:
        """Send one instance, byte for byte, over the context it needs, which was accepted.

        Raises AssociationError when no answer came, or one to something else, and
        InstanceUnreadableError; when that happens in the middle of the message, the association is
        aborted.
        """
        context_id = self._negotiated.context_ids[instance.context]
        command = encode_c_store_request(
            self._next_message_id(), instance.context.sop_class_uid, instance.sop_instance_uid
        )
        try:
            data_set = instance.open()
        except OSError as error:
            raise _unreadable(error) from error
        with data_set:
            size = self._send(context_id, command, data_set)
        response = self._receive_response(C_STORE_RSP)
        if response.sop_instance_uid not in ("", instance.sop_instance_uid):
            raise self._wrong_response("it answers for another instance")
        return Stored(response.status, size, response.comment)

    def echo(self) -> int:
        """Send a C-ECHO and return its status. Raises AssociationError."""
        context_id = self._negotiated.context_ids[VERIFICATION]
        command = encode_c_echo_request(self._next_message_id(), VERIFICATION.sop_class_uid)
        self._stream.send(b"".join(self._command_pdus(context_id, command)))
        return self._receive_response(C_ECHO_RSP).status

    def release(self) -> None:
        """Release the association (PS3.8 7.2). What was stored stays so if the peer is silent."""
        if not self.is_open:
            return
        deadline = min(self._deadline(), time.monotonic() + _RELEASE_TIMEOUT)
        with contextlib.suppress(AssociationError):
            self._stream.send(control_pdu(A_RELEASE_RQ))
            while (pdu_type := self._stream.receive(deadline)[0]) != A_RELEASE_RP:
                if pdu_type == A_RELEASE_RQ:
                    # Both sides released at once: the requestor answers first (PS3.8 9.2.3, AR-9).
                    self._stream.send(control_pdu(A_RELEASE_RP))
        self._stream.close()

    def abort(self) -> None:
        """Abort the association."""
        self._stream.abort()

    def _negotiate(self, destination: RemoteAE, contexts: Sequence[StorageContext]) -> Negotiated:
        self._stream.send(encode_request(destination, contexts))
        pdu = self._stream.receive(self._deadline())
        if pdu[0] == A_ASSOCIATE_RJ:
            self._stream.close()
            raise decode_reject(pdu, destination.address)
        if pdu[0] != A_ASSOCIATE_AC:
            raise AssociationError(f"{destination.address} answered the request out of turn")
        return decode_accept(pdu, contexts, destination.address)

    def _choose_fragment_length(self) -> int:
        limit = self._negotiated.peer_max_pdu_length
        if not limit:
            return _MAX_FRAGMENT_LENGTH
        # Fragments have an even length (PS3.8 Annex E.2).
        length = min(limit - _PDV_HEADER.size, _MAX_FRAGMENT_LENGTH) & ~1
        if length <= 0:
            raise AssociationError(f"{self._stream.peer} takes PDUs of {limit} bytes at most")
        return length

    def _next_message_id(self) -> int:
        self._message_id = self._message_id % _MAX_MESSAGE_ID + 1
        return self._message_id

    def _send(self, context_id: int, command: bytes, data_set: BinaryIO) -> int:
        """Send a message and return the bytes of its data set."""
        start = data_set.tell()
        size = remaining = data_set.seek(0, os.SEEK_END) - start
        data_set.seek(start)
        # The command leaves with the first fragment: one write, and one segment if it fits.
        pending = b"".join(self._command_pdus(context_id, command))
        while True:
            fragment = self._read_fragment(data_set, min(remaining, self._fragment_length))
            remaining -= len(fragment)
            self._stream.send(pending + _p_data(context_id, 0 if remaining else _LAST, fragment))
            pending = b""
            if not remaining:
                return size

    def _read_fragment(self, data_set: BinaryIO, length: int) -> bytes:
        try:
            fragment = data_set.read(length)
        except OSError as error:
            self.abort()
            raise _unreadable(error) from error
        if len(fragment) < length:
            self.abort()
            raise InstanceUnreadableError("it became shorter while it was sent")
        return fragment

    def _command_pdus(self, context_id: int, command: bytes) -> list[bytes]:
        step = self._fragment_length
        return [
            _p_data(
                context_id,
                _COMMAND if position + step < len(command) else _COMMAND | _LAST,
                command[position : position + step],
            )
            for position in range(0, len(command), step)
        ]

    def _receive_response(self, command_field: int) -> Response:
        """Return the response to the message that was sent last, and to no other."""
        try:
            response = decode_response(self._receive_command_set(), command_field)
        except ValueError as error:
            raise self._wrong_response(str(error)) from error
        if response.message_id != self._message_id:
            raise self._wrong_response("it answers another message")
        return response

    def _receive_command_set(self) -> bytes:
        deadline = self._deadline()
        command_set = b""
        is_complete = False
        while not is_complete:
            fragments, is_complete = _command_fragments(self._stream.receive(deadline))
            command_set += fragments
            if len(command_set) > _MAX_COMMAND_SET_LENGTH:
                raise ValueError("its command set is too long")
        return command_set

    def _wrong_response(self, reason: str) -> AssociationError:
        self.abort()
        return AssociationError(f"{self._stream.peer} sent a wrong response: {reason}")

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout


def _p_data(context_id: int, control: int, fragment: bytes) -> bytes:
    length = len(fragment) + 2
    return _P_DATA_HEADER.pack(P_DATA_TF, length + 4, length, context_id, control) + fragment


def _command_fragments(pdu: bytes) -> tuple[bytes, bool]:
    """Return the command fragments of a P-DATA-TF, and whether the last one is among them.

    Raises ValueError. A response to C-STORE or C-ECHO has no data set.
    """
    if pdu[0] != P_DATA_TF:
        raise ValueError("it is no P-DATA-TF")
    fragments = b""
    is_complete = False
    position = _PDU_HEADER_LENGTH
    while position < len(pdu):
        if is_complete:
            raise ValueError("it goes on behind its end")
        if position + _PDV_HEADER.size > len(pdu):
            raise ValueError("it ends inside a PDV")
        length, _, control = _PDV_HEADER.unpack_from(pdu, position)
        end = position + 4 + length
        if length < 2 or end > len(pdu):  # noqa: PLR2004 - context id and message control header
            raise ValueError("the length of a PDV is wrong")
        if not control & _COMMAND:
            raise ValueError("it has a data set")
        fragments += pdu[position + _PDV_HEADER.size : end]
        is_complete = bool(control & _LAST)
        position = end
    return fragments, is_complete


def _unreadable(error: OSError) -> InstanceUnreadableError:
    return InstanceUnreadableError((error.strerror or type(error).__name__).lower())
