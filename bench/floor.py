"""The floor: a receiver that understands nothing but where a message ends.

It takes every presentation context, writes what comes into a file per message as it comes, and
answers each with the same C-STORE-RSP. No receiver in the same language can do less. With --durable
each message is also written to a file that has its size already, and is on the disk when that write
returns: no sync is cheaper.

    python -m bench.floor HOST PORT FOLDER [--durable]
"""

from __future__ import annotations

import io
import itertools
import os
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER = 512 * 1024
_MAX_PDU_LENGTH = 131_072
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_MESSAGE_ID = bytes.fromhex("0000 1001 02000000")
_RELEASE_RP = bytes.fromhex("06 00 00000004 00000000")
_IS_COMMAND = 1
_IS_LAST = 2
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_numbers = itertools.count()
_LOG_SIZE = 64 * 1024 * 1024
_LOG_PLACE = 1024 * 1024


class _Stream(io.RawIOBase):
    """The bytes of a connection; acknowledges each read at once."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = self._connection.recv_into(buffer)
        if _QUICKACK is not None:
            self._connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        return count


class _Log:
    """A file of a fixed size, each of whose writes is durable."""

    def __init__(self, path: Path) -> None:
        with path.open("wb") as file:
            file.writelines(bytes(_LOG_PLACE) for _ in range(_LOG_SIZE // _LOG_PLACE))
            file.flush()
            os.fsync(file.fileno())
        self._fd = os.open(path, os.O_WRONLY | os.O_DSYNC)
        self._places = itertools.cycle(range(0, _LOG_SIZE, _LOG_PLACE))

    def append(self, content: bytes) -> None:
        os.pwrite(self._fd, content, next(self._places))


def serve(connection: socket.socket, folder: str, log: _Log | None = None) -> None:
    """Take messages until the association is released or the connection ends."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = io.BufferedReader(_Stream(connection), _BUFFER)
    file = -1
    parts: list[memoryview] = []
    response = b""
    while header := stream.read(6):
        pdu_type, length = struct.unpack(">BxI", header)
        body = stream.read(length)
        if pdu_type == 0x01:
            connection.sendall(_associate_ac(body))
        elif pdu_type == 0x04:
            control = body[5]
            if control & _IS_COMMAND:
                response = _store_response(body)
                file = os.open(f"{folder}/{next(_numbers)}", _NEW_FILE, 0o600)
                continue
            part = memoryview(body)[6:]
            os.write(file, part)
            if log is not None:
                parts.append(part)
            if control & _IS_LAST:
                os.close(file)
                if log is not None:
                    log.append(b"".join(parts))
                    parts.clear()
                connection.sendall(response)
        else:
            connection.sendall(_RELEASE_RP)
            break
    connection.close()


def _associate_ac(request: bytes) -> bytes:
    """Accept every context in the first transfer syntax that is proposed (PS3.8 9.3.3)."""
    items = b""
    for item_type, item in _items(request[68:]):
        if item_type == 0x10:
            items += _item(0x10, item)
        elif item_type == 0x20:
            syntax = next(value for kind, value in _items(item[4:]) if kind == 0x40)
            items += _item(0x21, bytes((item[0], 0, 0, 0)) + _item(0x40, syntax))
    user = _item(0x51, struct.pack(">I", _MAX_PDU_LENGTH)) + _item(0x52, b"1.2.3")
    body = request[:68] + items + _item(0x50, user)
    return struct.pack(">BBI", 0x02, 0, len(body)) + body


def _items(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        item_type, length = struct.unpack_from(">BxH", data)
        found.append((item_type, data[4 : 4 + length]))
        data = data[4 + length :]
    return found


def _item(item_type: int, value: bytes) -> bytes:
    return struct.pack(">BBH", item_type, 0, len(value)) + value


def _store_response(command: bytes) -> bytes:
    """Return a C-STORE-RSP with Success (PS3.7 9.3.1.2) for the request's message ID."""
    at = command.index(_MESSAGE_ID) + len(_MESSAGE_ID)
    (message_id,) = struct.unpack_from("<H", command, at)
    values = ((0x0100, 0x8001), (0x0120, message_id), (0x0800, 0x0101), (0x0900, 0x0000))
    elements = b"".join(struct.pack("<HHIH", 0, number, 2, value) for number, value in values)
    elements = struct.pack("<HHII", 0, 0, 4, len(elements)) + elements
    pdv = struct.pack(">IBB", len(elements) + 2, command[4], _IS_COMMAND | _IS_LAST) + elements
    return struct.pack(">BBI", 0x04, 0, len(pdv)) + pdv


def main() -> None:
    host, port, folder, *options = sys.argv[1:]
    log = _Log(Path(f"{folder}.log")) if options == ["--durable"] else None
    with socket.create_server((host, int(port)), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, folder, log), daemon=True).start()


if __name__ == "__main__":
    main()
