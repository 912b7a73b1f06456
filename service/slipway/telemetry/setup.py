"""Tracing, turned on by OpenTelemetry's own variables. Without them OpenTelemetry is not imported."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog

from slipway.worker.runtime.worker import Worker

log = structlog.get_logger()

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN = "http/protobuf"


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Return whether an endpoint is configured and tracing is not disabled."""
    is_off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not is_off and any(environ.get(name) for name in ENDPOINTS)


def obstacle(environ: Mapping[str, str]) -> str | None:
    """Return why spans cannot be exported, with the remedy; None if they can."""
    exporter = environ.get("OTEL_TRACES_EXPORTER", "otlp")
    if exporter != "otlp":
        return f"OTEL_TRACES_EXPORTER: {exporter!r} is not supported. Use otlp, or none to turn tracing off"
    name, protocol = next(((each, environ[each]) for each in PROTOCOLS if environ.get(each)), (PROTOCOLS[1], SPOKEN))
    if protocol != SPOKEN:
        return f"{name}: {protocol!r} is not supported. Use {SPOKEN}, with the collector's port for it (4318)"
    return None


@asynccontextmanager
async def tracing(slipway: Worker, environ: Mapping[str, str], *, queue: str, version: str) -> AsyncIterator[None]:
    """Trace received messages inside the context, if tracing is on; at its end send the remaining spans.

    If tracing is impossible, log one warning and continue without it.
    """
    if not is_wanted(environ):
        yield
        return
    if why := obstacle(environ):
        log.warning("tracing.off", message=why)
        yield
        return
    try:
        from slipway.telemetry import opentelemetry as spans  # noqa: PLC0415  a large, optional dependency
    except ImportError as missing:
        log.warning("tracing.off", message=str(missing), remedy="pip install 'slipway-bedrock[otel]', or unset OTEL_…_ENDPOINT")
        yield
        return
    exporting = spans.SpanExporter(version)
    slipway.trace(spans.Spans(exporting.provider, queue=queue))
    log.info("tracing.on")
    try:
        yield
    finally:
        await exporting.close()
