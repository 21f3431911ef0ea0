"""A server on loopback that answers each request with the bytes that a test gives it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answer: TypeAlias = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpStub:
    answer: Answer
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read(reader):
                self.requests.append(request)
                await self.answer(request, writer)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def http_stub(answer: Answer) -> AsyncIterator[HttpStub]:
    stub = HttpStub(answer)
    server = await asyncio.start_server(stub._serve, "127.0.0.1", 0)
    stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield stub
    finally:
        server.close()


def respond(status: int, body: bytes = b"", phrase: str = "", **headers: str) -> Answer:
    """Answer with a whole response; underscores in header names stand for hyphens."""
    if status == HTTPStatus.NO_CONTENT:
        body = b""  # RFC 9110 15.3.5
    fields = {"Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in fields.items())]

    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    return answer


async def hang_up(_request: Request, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def talk_nonsense(_request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"Doe^Jane\r\n\r\n")


async def stop_half_way(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Break off in the middle of an answer that was to be longer."""
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"SeriesInstanceUID"')
    writer.close()


async def trickle(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Begin to answer, and never end."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\nx\r\n")
        await writer.drain()
        await asyncio.sleep(0.005)


async def say_nothing(_request: Request, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *rest = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in rest if line)
    body = await reader.readexactly(int(headers.get("Content-Length", "0")))
    return Request(method, path, headers, body)
