"""A receiver of webhooks on a real socket, which answers as a test wants."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.e2e.processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator


class WebhookReceiver:
    """Keeps what it gets. `answers` are the next statuses, 204 when there is none."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hook?secret=path"
        self.answers: queue.SimpleQueue[tuple[int, dict[str, str], bytes]] = queue.SimpleQueue()
        self.got: queue.SimpleQueue[tuple[dict[str, str], bytes]] = queue.SimpleQueue()
        self.open = threading.Event()
        self.open.set()

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.answers.put((status, headers, body))

    def next(self) -> tuple[dict[str, str], bytes]:
        return self.got.get(timeout=PATIENCE)

    def next_data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.next()[1])["data"]
        return data


@contextlib.contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.open.wait(PATIENCE)
            receiver.got.put(({key.lower(): value for key, value in self.headers.items()}, body))
            try:
                status, headers, answer = receiver.answers.get_nowait()
            except queue.Empty:
                status, headers, answer = 204, {}, b""
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver = WebhookReceiver(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.open.set()
            server.shutdown()
            thread.join()
