"""A network in memory: the real client's own HTTP, byte for byte, over connections that are objects on the event loop.

Everything of aiohttp and aiobotocore runs but the sockets: pools, parsers, time-outs, error mapping. What a connection
does to a request (answer it, break at some byte, stay silent) is a `NetworkBehaviour`, chosen by the other side.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler

from slipway.aws.sdk.transport import StrictHttpSession

LATENCY_SECONDS = 0.02


@dataclass(frozen=True)
class Asked:
    """A request as it came over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Call:
    """One call, before anything is sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    fate: str | None = None
    """What is to befall it: for the other side's own use."""


class Line:
    """One end of a connection: what the other side may do to it."""

    def __init__(self, protocol: ResponseHandler) -> None:
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self.is_open = True

    def say(self, data: bytes, after: float = LATENCY_SECONDS) -> None:
        """Let bytes arrive after a while."""
        self._loop.call_later(after, self._arrive, data)

    def end(self, after: float = LATENCY_SECONDS) -> None:
        """Close the connection in an orderly way."""
        self._loop.call_later(after, self._lose, None)

    def reset(self, after: float = LATENCY_SECONDS) -> None:
        """Break the connection."""
        self._loop.call_later(after, self._lose, ConnectionResetError(104, "Connection reset by peer"))

    def _arrive(self, data: bytes) -> None:
        if self.is_open:
            self._protocol.data_received(data)

    def _lose(self, why: Exception | None) -> None:
        if self.is_open:
            self.is_open = False
            self._protocol.connection_lost(why)


class NetworkBehaviour(Protocol):
    """The other side of every connection."""

    def refusal(self, call: Call) -> Exception | float | None:
        """Say why a connection for this call cannot be made: an error, or the seconds for which nothing happens."""

    def answer(self, asked: Asked, line: Line) -> None:
        """Do something about a request that has arrived."""


CALL: contextvars.ContextVar[Call] = contextvars.ContextVar("CALL")


class _Transport(asyncio.Transport):
    """What aiohttp writes to."""

    def __init__(self, line: Line, conduct: Callable[[], NetworkBehaviour]) -> None:
        super().__init__()
        self._line = line
        self._conduct = conduct
        self._sent = bytearray()

    def write(self, data: Any) -> None:
        self._sent += data
        head, found, rest = bytes(self._sent).partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        if len(rest) < int(headers.get("content-length", "0")):
            return
        self._sent.clear()
        method, path, _ = first.split(" ")
        asked = Asked(method, path, headers, rest)
        # In a context of its own: what comes of it is the other side's doing.
        contextvars.copy_context().run(self._conduct().answer, asked, self._line)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return not self._line.is_open

    def close(self) -> None:
        self._line.end(after=0.0)

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        """There is always room."""

    def resume_reading(self) -> None:
        """There is always room."""


class _Connector(aiohttp.BaseConnector):
    """Makes connections out of nothing."""

    def __init__(self, conduct: Callable[[], NetworkBehaviour], **how: Any) -> None:
        super().__init__(**how)
        self._conduct = conduct

    async def connect(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:  # noqa: ASYNC109  aiohttp's own
        why = self._conduct().refusal(CALL.get())
        if isinstance(why, float):
            async with asyncio.timeout(timeout.sock_connect):
                await asyncio.sleep(why)
        elif why is not None:
            await asyncio.sleep(LATENCY_SECONDS)
            raise aiohttp.ClientConnectorError(req.connection_key, OSError(111, str(why))) from why
        return await super().connect(req, traces, timeout)

    async def _create_connection(self, *_: Any) -> ResponseHandler:
        protocol: ResponseHandler = self._factory()
        protocol.connection_made(_Transport(Line(protocol), self._conduct))
        return protocol


class InMemory(StrictHttpSession):
    """Slipway's own HTTP session, but that its connections go nowhere. One network at a time."""

    conduct: ClassVar[NetworkBehaviour]

    def make_connector(self, **how: Any) -> Any:
        return _Connector(lambda: type(self).conduct, **how)

    async def send(self, request: Any) -> Any:
        """Tell the connector which call a connection is for."""
        data = request.body or b""
        body = data.encode() if isinstance(data, str) else bytes(data)
        headers = {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in request.headers.items()}
        CALL.set(Call(request.method, request.url, headers, body))
        return await super().send(request)
