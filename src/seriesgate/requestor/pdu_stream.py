"""The TCP connection of an association requestor: whole PDUs (PS3.8 9.3) out and in, in time."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from typing import TYPE_CHECKING

from seriesgate.requestor.association_errors import AssociationError, PeerUnreachableError
from seriesgate.requestor.association_negotiation import decode_abort

if TYPE_CHECKING:
    import ssl

    from seriesgate.requestor.remote_ae import RemoteAE

A_ASSOCIATE_AC = 0x02
A_ASSOCIATE_RJ = 0x03
P_DATA_TF = 0x04
A_RELEASE_RQ = 0x05
A_RELEASE_RP = 0x06
A_ABORT = 0x07

_PDU_TYPES = range(0x01, A_ABORT + 1)
_HEADER = struct.Struct(">BxI")
# No A-ASSOCIATE-AC and no response of a real peer comes near.
_MAX_PDU_LENGTH = 128 * 1024
_RECEIVE_SIZE = 16 * 1024
# What had come in time is still taken when this program itself was late, by so many seconds; not
# for ever, or a peer that goes on sending would never be given up.
_GRACE = 1.0


class PduStream:
    """A connection over which PDUs go. Every AssociationError closes it, as do `abort` and `close`.

    `timeout`, in seconds, is for the connect and for each send. `tls` secures the connection, if it
    is given.
    """

    def __init__(
        self, destination: RemoteAE, timeout: float, tls: ssl.SSLContext | None = None
    ) -> None:
        """Connect. Raises PeerUnreachableError."""
        self.peer = destination.address
        self.is_open = True
        self._timeout = timeout
        self._received = bytearray()
        self._socket = _connect(destination, timeout)
        if tls is not None:
            self._socket = _secured(self._socket, self.peer, tls)

    def send(self, pdus: bytes) -> None:
        """Send whole PDUs. Raises AssociationError."""
        try:
            self._socket.sendall(pdus)
        except TimeoutError as error:
            raise self._failed(f"{self.peer} took no data for {self._timeout:g} s") from error
        except OSError as error:
            raise self._explain(error) from error

    def receive(self, deadline: float) -> bytes:
        """Return the next PDU, header and all, if it is complete at `deadline` (monotonic).

        Raises AssociationError, also for an A-ABORT.
        """
        while (pdu := self._take_pdu()) is None:
            left = deadline - time.monotonic()
            if left < -_GRACE:
                raise self._failed(f"{self.peer} did not answer in time")
            try:
                self._socket.settimeout(max(left, 0))
                data = self._socket.recv(_RECEIVE_SIZE)
            except (TimeoutError, BlockingIOError) as error:
                raise self._failed(f"{self.peer} did not answer in time") from error
            except OSError as error:
                raise self._failed(_broken(self.peer, error)) from error
            if not data:
                raise self._failed(f"{self.peer} closed the connection")
            self._received += data
        self._socket.settimeout(self._timeout)
        if pdu[0] == A_ABORT:
            self.close()
            raise decode_abort(pdu, self.peer)
        return pdu

    def abort(self) -> None:
        """Abort as service user (PS3.8 9.3.8), without waiting, and close."""
        if self.is_open:
            with contextlib.suppress(OSError):
                self._socket.setblocking(False)
                self._socket.send(control_pdu(A_ABORT))
            self.close()

    def close(self) -> None:
        """Close the connection."""
        self.is_open = False
        self._socket.close()

    def _take_pdu(self) -> bytes | None:
        """Return the next PDU when all of it has been received."""
        if len(self._received) < _HEADER.size:
            return None
        pdu_type, length = _HEADER.unpack_from(self._received)
        if pdu_type not in _PDU_TYPES:
            raise self._failed(f"{self.peer} does not speak DICOM")
        if length > _MAX_PDU_LENGTH:
            raise self._failed(f"{self.peer} announced a PDU of {length} bytes: too long")
        end = _HEADER.size + length
        if len(self._received) < end:
            return None
        pdu = bytes(self._received[:end])
        del self._received[:end]
        return pdu

    def _explain(self, error: OSError) -> AssociationError:
        """Return why sending failed: an A-ABORT that waits to be read says it best."""
        with contextlib.suppress(OSError):
            self._socket.setblocking(False)
            self._received += self._socket.recv(_RECEIVE_SIZE)
        while (pdu := self._take_pdu()) is not None:
            if pdu[0] == A_ABORT:
                self.close()
                return decode_abort(pdu, self.peer)
        return self._failed(_broken(self.peer, error))

    def _failed(self, text: str) -> AssociationError:
        self.abort()
        return AssociationError(text)


def control_pdu(pdu_type: int) -> bytes:
    """Return an A-RELEASE-RQ, A-RELEASE-RP or A-ABORT: four bytes of zero behind the header."""
    return _HEADER.pack(pdu_type, 4) + bytes(4)


def _connect(destination: RemoteAE, timeout: float) -> socket.socket:
    peer = destination.address
    try:
        connection = socket.create_connection((destination.host, destination.port), timeout)
    except TimeoutError as error:
        raise PeerUnreachableError(f"nothing answers at {peer} for {timeout:g} s") from error
    except ConnectionRefusedError as error:
        raise PeerUnreachableError(f"nothing answers at {peer}: connection refused") from error
    # A name that cannot be looked up: the resolver says no, or it is no name at all.
    except (socket.gaierror, UnicodeError) as error:
        raise PeerUnreachableError(f"there is no host named {destination.host!r}") from error
    except OSError as error:
        raise PeerUnreachableError(f"cannot connect to {peer}: {_reason(error)}") from error
    # Nagle's algorithm would hold the last segment of a message back until the one before is
    # acknowledged: 40 ms for each instance with a receiver that delays its ACK.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _secured(connection: socket.socket, peer: str, tls: ssl.SSLContext) -> socket.socket:
    try:
        return tls.wrap_socket(connection)
    except OSError as error:
        connection.close()
        # An SSLError is an OSError too, and says what is wrong with the certificate.
        why = getattr(error, "verify_message", "") or _reason(error)
        raise AssociationError(f"no TLS with {peer}: {why}") from error


def _broken(peer: str, error: OSError) -> str:
    return f"the connection to {peer} broke: {_reason(error)}"


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__
