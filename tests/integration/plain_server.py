"""The server of the original plan, with nothing but the standard library.

It takes the five fields, keeps a row of each series, and knows of nothing else.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELDS = (
    "SeriesInstanceUID",
    "PatientName",
    "PatientID",
    "StudyInstanceUID",
    "InstancesInSeries",
)


class Handler(BaseHTTPRequestHandler):
    server: PlainServer

    def do_POST(self) -> None:
        report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.server.status if self.path == "/series" else 404
        if status == 200:
            row = [report[name] for name in FIELDS]
            with self.server.database:
                self.server.database.execute("REPLACE INTO series_data VALUES (?,?,?,?,?)", row)
        self.send_response(status)
        self.end_headers()
        self.server.answered.put(status)

    def log_message(self, *_arguments: object) -> None:
        pass


class PlainServer(ThreadingHTTPServer):
    """`status` is what it answers; each answer that it gave is in `answered`."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answered: Queue[int] = Queue()
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        columns = ", ".join(FIELDS)
        self.database.execute(f"CREATE TABLE series_data ({columns}, PRIMARY KEY ({FIELDS[0]}))")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def rows(self) -> list[tuple[object, ...]]:
        return self.database.execute("SELECT * FROM series_data").fetchall()


@contextmanager
def plain_server() -> Iterator[PlainServer]:
    with PlainServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.database.close()
