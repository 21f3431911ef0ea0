"""Commands that ask a program of ours and are answered by another: one line, no traceback."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from seriesgate.cli import app, json_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREIGN = {
    "nested": b"[" * 100_000,
    "nested object": b'{"a":' * 100_000,
    "digits": b'{"series":' + b"9" * 5000 + b"}",
    "web page": b"<!doctype html><html></html>",
    "list": b"[[1,2]]",
    "text": b'"series"',
    "nothing": b"",
    "UTF-16": '{"series": []}'.encode("utf-16"),
    "NaN": b'{"series": NaN}',
    "longer than any": b" " * 2000 + b"{}",
}
# Ours in form, not in what they hold.
ODD_ERRORS = [
    b'{"detail":"no","errors":7}',
    b'{"errors":[7,null,{"x":1}]}',
    b'{"errors":{"a":"b"}}',
]


@contextlib.contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[int]:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield http.server_port
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize(
    "command", ["series list --server-url=http://127.0.0.1:{}", "status --admin-port={}"]
)
def test_what_is_no_answer_of_ours_is_said_in_one_line(tmp_path, monkeypatch, name, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(json_answer, "_LONGEST", 1000 if name == "longer than any" else 2**20)
    with answering(FOREIGN[name]) as port:
        done = CliRunner().invoke(app, command.format(port).split())
    assert done.exit_code == 1, done.output
    [line] = done.output.splitlines()
    assert "is not one of seriesgate: its answer can't be read" in line


@pytest.mark.parametrize("body", ODD_ERRORS)
def test_refusal_in_a_form_that_is_not_ours_is_one_line(tmp_path, monkeypatch, body):
    monkeypatch.chdir(tmp_path)
    with answering(body, status=422) as port:
        done = CliRunner().invoke(app, ["series", "list", f"--server-url=http://127.0.0.1:{port}"])
    assert done.exit_code == 1, done.output
    assert "answered 422" in done.output
    assert len(done.output.splitlines()) == 1


@pytest.mark.parametrize(
    "since", ["9" * 100_000, "2026-01-01T00:00:00." + "0" * 5000, "yesterday", ""]
)
def test_time_that_is_none_is_refused(tmp_path, monkeypatch, since):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["series", "list", "--since", since])
    assert done.exit_code == 2
    assert "must be like 2026-01-01" in done.output
