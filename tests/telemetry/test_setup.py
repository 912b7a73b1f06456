"""Whether requests are traced, and what is imported where they are not: nothing of OpenTelemetry."""

from __future__ import annotations

import subprocess
import sys
from typing import cast

import pytest
from structlog.testing import capture_logs

from slipway.telemetry.setup import is_wanted, obstacle, tracing
from slipway.worker.runtime.worker import Worker

THERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


class Untouched:
    """A daemon that nobody is to trace."""

    def trace(self, tracer: object) -> None:
        raise AssertionError(tracer)


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_SERVICE_NAME": "slipway"}, False),
        (THERE, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        (THERE | {"OTEL_SDK_DISABLED": "True"}, False),
        (THERE | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (THERE | {"OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
    ids=str,
)
def test_opentelemetrys_own_variables_say_whether(environ: dict[str, str], *, wanted: bool) -> None:
    assert is_wanted(environ) == wanted


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        (THERE, None),
        (THERE | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, None),
        (THERE | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, None),
        (
            THERE | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' is not supported. Use http/protobuf",
        ),
        (THERE | {"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER: 'console' is not supported. Use otlp"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_with_its_remedy(environ: dict[str, str], why: str | None) -> None:
    found = obstacle(environ)
    assert found is None if why is None else found is not None and found.startswith(why)


async def test_without_the_extra_the_daemon_runs_on_and_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    for name in [
        each for each in sys.modules if each.startswith("opentelemetry.") or each == "slipway.telemetry.opentelemetry"
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("slipway.telemetry.opentelemetry", raising=False)
    with capture_logs() as entries:
        async with tracing(cast("Worker", Untouched()), THERE, queue="requests", version="0"):
            pass
    (entry,) = entries
    assert (entry["event"], entry["log_level"]) == ("tracing.off", "warning")
    assert entry["remedy"] == "pip install 'slipway-bedrock[otel]', or unset OTEL_…_ENDPOINT"


def test_nothing_of_opentelemetry_is_imported_by_a_daemon_that_does_not_trace() -> None:
    program = "import sys, slipway.daemon; print(*(name for name in sys.modules if name.startswith('opentelemetry')))"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout == "\n"
