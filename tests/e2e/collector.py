"""An OpenTelemetry collector, as far as taking spans goes: OTLP over HTTP, on loopback."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """Takes spans, and keeps them."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        """Each with the name of the service that it is from."""
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes([web.post("/v1/traces", self._take)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/x-protobuf"
        told = ExportTraceServiceRequest.FromString(await request.read())
        for each in told.resource_spans:
            names = [pair.value.string_value for pair in each.resource.attributes if pair.key == "service.name"]
            self.spans += [(names[0], span) for scope in each.scope_spans for span in scope.spans]
        self._changed.set()
        return web.Response(body=ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf")
