"""A server for exact bytes: reads real HTTP requests and answers each as it is told to, however wrong that is."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ssl import SSLContext

ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
DATE = "Mon, 23 Nov 2026 10:00:00 GMT"
DATE_SECONDS = 1795428000.0


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        read: dict[str, object] = json.loads(self.body)
        return read


Behaviour = Callable[[Seen, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """Answers the first request with the first behaviour, and so on; all further ones with the last."""

    behaviours: list[Behaviour]
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    connections: list[asyncio.StreamWriter] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the first request."""

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self.serve(reader, writer))
        self.tasks.add(task)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        try:
            while not writer.is_closing():
                request = await _read(reader)
                behaviour = self.behaviours[min(len(self.seen), len(self.behaviours) - 1)]
                self.seen.append(request)
                self.arrived.set()
                await behaviour(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*behaviours: Behaviour, tls: SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(list(behaviours))
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=tls)
    origin = "http://127.0.0.1" if tls is None else "https://localhost"
    server.url = f"{origin}:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for writer in server.connections:
            writer.transport.abort()
        await asyncio.gather(*server.tasks)
        await listener.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, path, headers, body)


def raw(data: bytes, *, then: str = "keep") -> Behaviour:
    """Answer with just these bytes; then keep the connection, end it, reset it, or go silent."""

    async def behave(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await {"keep": _keep, "end": _end, "reset": _reset, "silence": _silence}[then](writer)

    return behave


def answer(status: int, body: object, *, headers: dict[str, str] | None = None) -> Behaviour:
    """Answer properly; what is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return raw(head(status, len(content), headers) + content)


def head(status: int, length: int, headers: dict[str, str] | None = None) -> bytes:
    fields = {"Content-Type": "application/json", "Content-Length": str(length), "Date": DATE} | (headers or {})
    return "\r\n".join([f"HTTP/1.1 {status} X", *(f"{key}: {value}" for key, value in fields.items()), "", ""]).encode()


def error(status: int, code: str, message: str = "no") -> Behaviour:
    """Answer with an error document as Bedrock's."""
    return answer(status, {"message": message}, headers={"x-amzn-ErrorType": code})


def created() -> Behaviour:
    return answer(202, {"customModelDeploymentArn": ARN})


def trickle(first: bytes) -> Behaviour:
    """Answer with these bytes, then with a byte now and then, for ever."""

    async def behave(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.02)

    return behave


async def _keep(_: asyncio.StreamWriter) -> None:
    pass


async def _end(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _silence(writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        await writer.wait_closed()
