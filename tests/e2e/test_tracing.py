"""A trace from end to end: a sender's context in the message, the daemon as a process, spans at a collector, and the event."""

from __future__ import annotations

import signal

from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.collector import Collector
from tests.e2e.daemons import a_request, daemon, listening
from tests.e2e.senders import send

TRACE, SENDER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def test_spans_arrive_at_a_collector_and_the_last_ones_when_the_daemon_ends() -> None:
    quick = Behaviour(max_creating=5, max_total=100, creation_seconds=(0.1, 0.3))
    async with Collector() as collector, LocalAws(terms=quick) as box:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
        async with daemon(box, **settings) as process, listening(box) as results:
            send(box, "local", a_request("bot"), traceparent=f"00-{TRACE}-{SENDER}-01")
            await results.until(lambda: bool(results.outcomes()))
            process.process.send_signal(signal.SIGTERM)
            await process.until(lambda: bool(process.lines("daemon.stopping")))
            code, _ = await process.end(signal.SIGTERM)  # the second one hurries: its long poll is not waited for
            assert code == 0
            assert process.lines("tracing.on")
        spans = {span.name: span for _, span in collector.spans if span.trace_id.hex() == TRACE}
        assert set(spans) == {"process slipway-requests", "CreateCustomModelDeployment", "wait InCreation", "publish"}
        stay = spans.pop("process slipway-requests")
        assert stay.parent_span_id.hex() == SENDER
        assert {each.parent_span_id for each in spans.values()} == {stay.span_id}
        assert {name for name, _ in collector.spans} == {"slipway"}
        (event,) = results.events
        assert event["traceparent"] == f"00-{TRACE}-{spans['publish'].span_id.hex()}-01"
