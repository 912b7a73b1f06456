"""Whether requests are traced: OpenTelemetry's own variables say so. Nothing of OpenTelemetry is imported where they do not."""

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
    """Whether there is somewhere to send spans to, and nothing turns them off."""
    is_off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not is_off and any(environ.get(name) for name in ENDPOINTS)


def obstacle(environ: Mapping[str, str]) -> str | None:
    """Answer why spans that are wanted cannot be sent, with the remedy; None where they can."""
    exporter = environ.get("OTEL_TRACES_EXPORTER", "otlp")
    if exporter != "otlp":
        return f"OTEL_TRACES_EXPORTER is {exporter!r}, and Slipway has otlp only; set that, or none to turn tracing off"
    name, protocol = next(((each, environ[each]) for each in PROTOCOLS if environ.get(each)), (PROTOCOLS[1], SPOKEN))
    if protocol != SPOKEN:
        return f"{name} is {protocol!r}, and Slipway speaks {SPOKEN} only; set that, with the collector's port for it (4318)"
    return None


@asynccontextmanager
async def tracing(slipway: Worker, environ: Mapping[str, str], *, queue: str, version: str) -> AsyncIterator[None]:
    """Within, what is received is traced, if that is wanted and can be; at the end what is left is sent, or given up soon.

    What cannot be is said once, as a warning: no request ends otherwise because nobody can look on.
    """
    if not is_wanted(environ):
        yield
        return
    if why := obstacle(environ):
        log.warning("tracing.off", error=why)
        yield
        return
    try:
        from slipway.telemetry import opentelemetry as spans  # noqa: PLC0415  only where it is wanted: it is an extra, and large
    except ImportError as missing:
        log.warning("tracing.off", error=str(missing), remedy="pip install 'slipway-bedrock[otel]', or unset OTEL_…_ENDPOINT")
        yield
        return
    exporting = spans.Exporting(version)
    slipway.trace(spans.Spans(exporting.provider, queue=queue))
    log.info("tracing.on")
    try:
        yield
    finally:
        await exporting.close()
