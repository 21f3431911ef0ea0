"""Storage SCPs to send to: DCMTK's, pynetdicom's, and one that does just what a test scripts."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.transport import ThreadedAssociationServer
from tests.data_sets import EXPLICIT_LE, MR_IMAGE_STORAGE, encode, mr_instance
from tests.e2e.processes import free_port

from seriesgate.requestor.outgoing_instance import StorageContext
from seriesgate.requestor.remote_ae import RemoteAE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any, BinaryIO

    from pydicom import Dataset
    from pynetdicom.events import Event

START_TIMEOUT = 10.0


@dataclass(frozen=True)
class EncodedInstance:
    """An instance that a test made: its data set is in memory."""

    context: StorageContext
    sop_instance_uid: str
    data_set: bytes

    def __str__(self) -> str:
        return f"{self.sop_instance_uid}.dcm"

    def open(self) -> BinaryIO:
        return BytesIO(self.data_set)


def mr(sop: str, transfer_syntax_uid: str = EXPLICIT_LE, *, pixels: int = 64) -> EncodedInstance:
    return encoded(mr_instance(sop, pixels=pixels), transfer_syntax_uid)


def encoded(dataset: Dataset, transfer_syntax_uid: str = EXPLICIT_LE) -> EncodedInstance:
    context = StorageContext(dataset.SOPClassUID, transfer_syntax_uid)
    return EncodedInstance(context, dataset.SOPInstanceUID, encode(dataset, transfer_syntax_uid))


def encapsulated_jpeg(sop: str) -> EncodedInstance:
    """Return an instance with compressed pixel data (PS3.5 A.4): fragments of made-up bytes."""
    dataset = mr_instance(sop)
    del dataset.PixelData
    fragments = [b"", b"\xff\xd8" + bytes(range(256)) * 20, b"\xff\xd9"]
    items = b"".join(
        struct.pack("<HHI", 0xFFFE, 0xE000, len(fragment)) + fragment for fragment in fragments
    )
    pixel_data = struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF) + items
    data_set = encode(dataset) + pixel_data + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    context = StorageContext(MR_IMAGE_STORAGE, "1.2.840.10008.1.2.4.50")
    return EncodedInstance(context, sop, data_set)


@contextlib.contextmanager
def storescp(folder: Path, *options: str) -> Iterator[RemoteAE]:
    """Run DCMTK's storescp, which keeps data sets bit for bit in `folder`."""
    destination = RemoteAE("127.0.0.1", free_port())
    command = ["storescp", "--bit-preserving", "--promiscuous", "--accept-all", *options]
    command += ["--output-directory", str(folder), str(destination.port)]
    # Without it DCMTK leaves Nagle's algorithm on.
    with subprocess.Popen(command, env={**os.environ, "TCP_NODELAY": "1"}) as process:
        try:
            _wait_until_listening(destination.port)
            yield destination
        finally:
            process.terminate()


def _wait_until_listening(port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
        else:
            return


@dataclass
class Received:
    """What a pynetdicom SCP received."""

    data_sets: dict[str, bytes] = field(default_factory=dict)
    stores: int = 0
    associations: int = 0
    most_at_once: int = 0
    calling_ae_titles: set[str] = field(default_factory=set)


@contextlib.contextmanager
def pynetdicom_scp(
    *contexts: StorageContext,
    answer: Callable[[Event, Received], int] = lambda _event, _received: 0,
    max_pdu: int = 16384,
    called_ae_title: str | None = None,
    max_associations: int = 10,
    on_rejected: Callable[[], None] = lambda: None,
) -> Iterator[tuple[RemoteAE, Received]]:
    """Run a pynetdicom SCP that takes `contexts`, and answers each C-STORE as `answer` says."""
    received = Received()
    # An answer that aborts comes back in `closed`.
    lock = threading.RLock()
    open_associations: set[object] = set()

    def opened(event: Event) -> None:
        with lock:
            open_associations.add(event.assoc)
            received.associations += 1
            received.most_at_once = max(received.most_at_once, len(open_associations))
            received.calling_ae_titles.add(event.assoc.requestor.ae_title)

    def closed(event: Event) -> None:
        with lock:
            open_associations.discard(event.assoc)

    def store(event: Event) -> int:
        with lock:
            received.stores += 1
            status = answer(event, received)
            if status == 0 or 0xB000 <= status < 0xC000:
                request = event.request
                assert isinstance(request, C_STORE)
                assert request.DataSet is not None
                received.data_sets[str(request.AffectedSOPInstanceUID)] = request.DataSet.getvalue()
            return status

    ae = AE(called_ae_title or "STORESCP")
    ae.maximum_pdu_size = max_pdu
    ae.maximum_associations = max_associations
    ae.require_called_aet = called_ae_title is not None
    for context in contexts:
        ae.add_supported_context(context.sop_class_uid, context.transfer_syntax_uid)
    ae.add_supported_context("1.2.840.10008.1.1")
    handlers: list[Any] = [
        (evt.EVT_ESTABLISHED, opened),
        (evt.EVT_RELEASED, closed),
        (evt.EVT_ABORTED, closed),
        (evt.EVT_CONN_CLOSE, closed),
        (evt.EVT_REJECTED, lambda _event: on_rejected()),
        (evt.EVT_C_STORE, store),
    ]
    # As `start_server` does; but its server looks only twice a second whether it is to end.
    server = ae.make_server(
        ("127.0.0.1", 0), evt_handlers=handlers, server_class=ThreadedAssociationServer
    )
    assert server.socket is not None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    ae._servers.append(server)
    try:
        yield RemoteAE("127.0.0.1", server.socket.getsockname()[1]), received
    finally:
        # Shutdown aborts what is still there, and must not do so to what is just closing.
        for association in ae.active_associations:
            association.join(START_TIMEOUT)
        ae.shutdown()
        thread.join()


@contextlib.contextmanager
def scripted_scp(
    *scripts: Callable[[socket.socket], None],
) -> Iterator[RemoteAE]:
    """Run an acceptor that treats each connection as the next of `scripts` does, then closes it.

    A failure of a script fails the test.
    """
    failures: list[BaseException] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(START_TIMEOUT)

    def run() -> None:
        try:
            for script in scripts:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(START_TIMEOUT)
                    script(connection)
        except BaseException as failure:  # noqa: BLE001 - the test raises it
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield RemoteAE("127.0.0.1", listener.getsockname()[1])
    finally:
        thread.join()
        listener.close()
    if failures:
        raise failures[0]


def receive_pdu(connection: socket.socket) -> bytes:
    """Return one whole PDU; nothing when the peer has closed."""
    header = _receive(connection, 6)
    if len(header) < 6:
        return b""
    return header + _receive(connection, int.from_bytes(header[2:], "big"))


def _receive(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length and (piece := connection.recv(length - len(data))):
        data += piece
    return data


def read_to_the_end(connection: socket.socket) -> None:
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass


def pdu(pdu_type: int, body: bytes) -> bytes:
    return struct.pack(">BxI", pdu_type, len(body)) + body


def accept(connection: socket.socket, *, max_pdu: int = 16384, result: int = 0) -> None:
    """Take an A-ASSOCIATE-RQ, and answer each of its contexts with `result`."""
    request = A_ASSOCIATE_RQ()
    request.decode(receive_pdu(connection))
    body = struct.pack(">HH16s16s32x", 1, 0, b"STORESCP", b"SERIESGATE")
    body += item(0x10, b"1.2.840.10008.3.1.1.1")
    for context in request.presentation_context:
        assert context.context_id is not None
        transfer_syntax = item(0x40, str(context.transfer_syntax[0]).encode())
        head = struct.pack(">BxBx", context.context_id, result)
        body += item(0x21, head + transfer_syntax)
    body += item(0x50, item(0x51, struct.pack(">I", max_pdu)))
    connection.sendall(struct.pack(">BxI", 2, len(body)) + body)


def item(item_type: int, body: bytes) -> bytes:
    return struct.pack(">BxH", item_type, len(body)) + body


def receive_message(connection: socket.socket) -> tuple[bytes, bytes, list[int]]:
    """Take one C-STORE-RQ; return command set, data set and the lengths of its P-DATA-TFs."""
    command, data_set, lengths = b"", b"", []
    while True:
        pdu = receive_pdu(connection)
        assert pdu[0] == 4
        length, _, control = struct.unpack_from(">IBB", pdu, 6)
        assert length == len(pdu) - 10
        lengths.append(len(pdu) - 6)
        if control & 1:
            command += pdu[12:]
        else:
            data_set += pdu[12:]
        if control == 2:
            return command, data_set, lengths


def response(
    message_id: int = 1,
    status: int = 0,
    *texts: tuple[int, bytes],
    command_field: int = 0x8001,
    context_id: int = 1,
) -> bytes:
    """Return the P-DATA-TF of a C-STORE-RSP, with more elements at its end."""
    commands = command_set(message_id, status, command_field, *texts)
    return p_data(commands, context_id=context_id)


def command_set(
    message_id: int = 1, status: int = 0, command_field: int = 0x8001, *texts: tuple[int, bytes]
) -> bytes:
    elements = ((0x0100, command_field), (0x0120, message_id), (0x0800, 0x0101), (0x0900, status))
    body = b"".join(struct.pack("<HHIH", 0, element, 2, value) for element, value in elements)
    body += b"".join(struct.pack("<HHI", 0, each, len(text)) + text for each, text in texts)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def p_data(fragment: bytes, control: int = 3, *, context_id: int = 1) -> bytes:
    pdv = struct.pack(">IBB", len(fragment) + 2, context_id, control) + fragment
    return struct.pack(">BxI", 4, len(pdv)) + pdv


def release(connection: socket.socket) -> None:
    """Take an A-RELEASE-RQ and answer it."""
    assert receive_pdu(connection)[0] == 5
    connection.sendall(bytes([6, 0, 0, 0, 0, 4, 0, 0, 0, 0]))


A_ABORT_BY_PROVIDER = bytes([7, 0, 0, 0, 0, 4, 0, 0, 2, 2])
