"""What a worker process of the server has from its parent, and shares with the other workers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from seriesgate.server.bulkheads import TaskBulkhead

#: Messages are a word and an address at most.
MAX_MESSAGE = 256


@dataclass(frozen=True, slots=True)
class WorkerSeat:
    """One worker's share: it is handed to the process when that is started.

    `listener` is the socket that all accept from, `link` one of datagrams: what a worker sends
    there its parent passes on to all others. `metrics` is the folder where all keep their counts.
    """

    listener: socket.socket
    link: socket.socket
    metrics: Path


class Neighbours:
    """The other workers, which are told what every one of them must know.

    A message is a word, or a word and what it is about. One that finds no room is lost: so only
    what gets right by itself after a while is told in this way.
    """

    def __init__(self, link: socket.socket, bulkhead: TaskBulkhead) -> None:
        self._link = link
        self._bulkhead = bulkhead
        self._link.setblocking(False)

    def tell(self, word: str, subject: str = "") -> None:
        """Send a message."""
        with suppress(OSError):
            self._link.send(f"{word} {subject}".encode()[:MAX_MESSAGE])

    def listen(self, hear: Mapping[str, Callable[[str], object]]) -> None:
        """From now on, on this event loop, call what `hear` has for a word with its subject."""
        asyncio.get_running_loop().add_reader(self._link, self._receive, hear)

    def _receive(self, hear: Mapping[str, Callable[[str], object]]) -> None:
        with suppress(OSError), self._bulkhead.unit(expected=(OSError,)):
            word, _, subject = self._link.recv(MAX_MESSAGE).decode().partition(" ")
            hear[word](subject)
