"""A sender that is as fast as it gets: it runs ahead of the answers as far as it is allowed to.

It proposes an asynchronous operations window (PS3.7 D.3.3.3), and writes each C-STORE-RQ with its
data set in one piece.
"""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from bench.peers import AE_TITLE
from bench.programs import BenchmarkError

from seriesgate.requestor.dimse_requests import C_STORE_RSP, decode_response, encode_c_store_request
from seriesgate.upper_layer.codec import decode, encode
from seriesgate.upper_layer.pdu import (
    AAssociateAc,
    AAssociateRq,
    AReleaseRq,
    AsynchronousOperations,
    PDataTf,
    PduType,
    PresentationDataValue,
    ProposedContext,
    UserInformation,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seriesgate.modality.synthetic_series import SyntheticInstance

_TIMEOUT = 60.0
_CONTEXT_ID = 1
_WINDOW = 64
_MAX_PDU_LENGTH = 16384
_MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


class PipelinedAssociation:
    """An association with a receiver for small MR instances. Raises BenchmarkError."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=_TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")
        user = UserInformation(
            _MAX_PDU_LENGTH, "1.2.3", asynchronous_operations=AsynchronousOperations(_WINDOW, 1)
        )
        context = ProposedContext(_CONTEXT_ID, _MR_IMAGE_STORAGE, (_EXPLICIT_LITTLE_ENDIAN,))
        request = AAssociateRq(AE_TITLE.ljust(16).encode(), b"BENCH".ljust(16), (context,), user)
        self._socket.sendall(encode(request))
        kind, body = self._receive()
        accepted = decode(PduType(kind), body)
        if not isinstance(accepted, AAssociateAc):
            raise BenchmarkError("the receiver rejected the association")
        granted = accepted.user_information.asynchronous_operations
        self._window = granted.max_invoked if granted else 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendall(encode(AReleaseRq()))
        self._receive()
        self._stream.close()
        self._socket.close()

    def store(self, instances: Sequence[SyntheticInstance]) -> list[float]:
        """Send all, and return the monotonic time of each answer, in the order of sending."""
        free_places = threading.Semaphore(self._window)
        with ThreadPoolExecutor(1) as reader:
            answers = reader.submit(self._take_answers, len(instances), free_places)
            for number, instance in enumerate(instances):
                if not free_places.acquire(timeout=_TIMEOUT):
                    break
                self._socket.sendall(_message(number % 0x10000, instance))
            return answers.result()

    def _take_answers(self, count: int, free_places: threading.Semaphore) -> list[float]:
        times = []
        for _ in range(count):
            _, body = self._receive()
            times.append(time.monotonic())
            status = decode_response(body[6:], C_STORE_RSP).status
            if status != 0:
                raise BenchmarkError(f"an instance was refused with status {status:04X}")
            free_places.release()
        return times

    def _receive(self) -> tuple[int, bytes]:
        header = self._stream.read(6)
        if len(header) < 6:
            raise BenchmarkError("the receiver broke the association off")
        return header[0], self._stream.read(int.from_bytes(header[2:], "big"))


def _message(message_id: int, instance: SyntheticInstance) -> bytes:
    command = encode_c_store_request(
        message_id, instance.context.sop_class_uid, instance.sop_instance_uid
    )
    with instance.open() as data_set:
        data = data_set.read()
    return b"".join(
        encode(PDataTf((PresentationDataValue(_CONTEXT_ID, is_command, is_last=True, data=part),)))
        for is_command, part in ((True, command), (False, data))
    )
