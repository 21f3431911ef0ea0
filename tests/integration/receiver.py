"""A real ModalityStoreSCP on loopback with a real spool, and a peer that writes bytes to it."""

from __future__ import annotations

import gc
import os
import socket
import struct
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from tests.data_sets import mr_data_set
from tests.unit.upper_layer import wire

from seriesgate.adapters.data_set.header_scanner import HeaderScanners
from seriesgate.adapters.spool.file_spool import Durability, FileSpool
from seriesgate.adapters.state_folder import StateFolder
from seriesgate.adapters.storage_scp import ModalityStoreSCP
from seriesgate.adapters.system_clock import SystemClock
from seriesgate.gateway.associations import AssociationRegister
from seriesgate.gateway.intake import Intake
from seriesgate.gateway.totals import GatewayTotals
from seriesgate.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from seriesgate.series.collector import SeriesCollector
from seriesgate.upper_layer.negotiation import AcceptorPolicy

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

PATIENCE = 10.0
MR_CONTEXT = 3


def policy(**options: Any) -> AcceptorPolicy:
    return AcceptorPolicy(
        ae_title="STORESCP",
        accept_any_called_ae_title=True,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        **options,
    )


@dataclass
class Receiver:
    """What a test needs of the receiving half of the gateway."""

    scp: ModalityStoreSCP
    intake: Intake
    spool: FileSpool
    totals: GatewayTotals
    associations: AssociationRegister
    host: str
    port: int
    folder: Path

    def connect(self, source: str = "") -> Peer:
        """Connect, from the address `source` if it is given."""
        return Peer(
            socket.create_connection(
                (self.host, self.port), timeout=PATIENCE, source_address=(source, 0)
            )
        )

    def associate(self, source: str = "", **request: Any) -> Peer:
        peer = self.connect(source)
        peer.send(wire.associate_rq(**request))
        assert peer.receive()[0] == 0x02
        return peer

    def files(self) -> list[Path]:
        return sorted((self.folder / "spool").rglob("*.dcm"))

    def incoming(self) -> list[str]:
        return os.listdir(self.folder / "incoming")

    def canary(self) -> None:
        """A well-behaved peer is served within a second."""
        began = monotonic()
        with closing(self.associate()) as peer:
            peer.send(wire.p_data(wire.pdv(1, wire.COMMAND | wire.LAST, wire.c_echo_rq())))
            assert peer.response_status() == 0x0000
            peer.send(wire.A_RELEASE_RQ)
            assert peer.receive()[0] == 0x06
        assert monotonic() - began < 1.0

    def wait_until_idle(self) -> None:
        """Wait until no thread of an association is left."""
        end = monotonic() + PATIENCE
        while threads := [t for t in threading.enumerate() if t.name == "association"]:
            if threads[0].ident is None:  # being started at this moment
                continue
            threads[0].join(max(0.0, end - monotonic()))
            assert monotonic() < end, f"{len(threads)} associations did not end"


@contextmanager
def running_receiver(
    folder: Path,
    *,
    max_associations: int = 8,
    max_associations_per_host: int | None = None,
    tls: ssl.SSLContext | None = None,
    durability: Durability = Durability.PROCESS,
    allowed_networks: tuple[Any, ...] = (),
    host: str = "127.0.0.1",
    quiet_period: float = 1000.0,
    **policy_options: Any,
) -> Iterator[Receiver]:
    with closing(StateFolder(folder)):
        scanner_for = HeaderScanners()
        spool = FileSpool(folder, durability, scanner_for)
        collector = SeriesCollector(quiet_period)
        totals = GatewayTotals()
        intake = Intake(spool, collector, scanner_for, SystemClock(), lambda: None, totals)
        scp = ModalityStoreSCP(
            intake,
            policy(**policy_options),
            associations := AssociationRegister(SystemClock()),
            host=host,
            port=0,
            max_associations=max_associations,
            # All peers of most tests are one host.
            max_associations_per_host=max_associations_per_host or max_associations,
            allowed_networks=allowed_networks,
            tls=tls,
        )
        port = int(scp.start().rpartition(":")[2])
        receiver = Receiver(scp, intake, spool, totals, associations, host, port, folder)
        try:
            yield receiver
        finally:
            scp.stop(PATIENCE)
            receiver.wait_until_idle()
            spool.close()


class Peer:
    """One connection of a requestor that may misbehave."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def receive(self) -> tuple[int, bytes]:
        """Return the type and body of the next PDU, or (0, b"") at the end of the connection."""
        try:
            head = self._exactly(6)
            if len(head) < 6:
                return 0, b""
            kind, _, length = struct.unpack(">BBI", head)
            return kind, self._exactly(length)
        except ConnectionError:
            return 0, b""

    def receive_all(self) -> bytes:
        """Return what comes until the receiver closes the connection."""
        data = b""
        while piece := self.socket.recv(65536):
            data += piece
        return data

    def abort_reason(self) -> tuple[int, int]:
        """Return source and reason of the A-ABORT that must come now."""
        kind, body = self.receive()
        assert kind == 0x07, kind
        return body[2], body[3]

    def response_status(self) -> int:
        """Return the status of the DIMSE response that must come now."""
        kind, body = self.receive()
        assert kind == 0x04, (kind, body)
        command = body[6:]
        position = 0
        while position < len(command):
            _, element, length = struct.unpack_from("<HHI", command, position)
            value = command[position + 8 : position + 8 + length]
            if element == 0x0900:
                return int.from_bytes(value, "little")
            position += 8 + length
        raise AssertionError("no status")

    def begin_store(self, sop: str = "1.2.3.4") -> None:
        command = wire.c_store_rq(instance=wire.even(sop.encode()))
        self.send(wire.p_data(wire.pdv(MR_CONTEXT, wire.COMMAND | wire.LAST, command)))

    def store(
        self, sop: str = "1.2.3.4", series: str = "1.2", data_set: bytes | None = None
    ) -> int:
        """Store one instance and return the status."""
        self.begin_store(sop)
        content = mr_data_set(sop=sop, series=series) if data_set is None else data_set
        self.send(wire.p_data(wire.pdv(MR_CONTEXT, wire.LAST, content)))
        return self.response_status()

    def end_sending(self) -> None:
        """Close the connection on this side alone (FIN): what comes can still be read."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break the connection off with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            piece = self.socket.recv(length - len(data))
            if not piece:
                break
            data += piece
        return data


def open_descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
