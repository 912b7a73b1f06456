"""Traces, in virtual time: one for each request, over hand-overs, restarts and kills; honest times, and no made-up parents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jsonschema
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from structlog.testing import capture_logs

from slipway.core.events.schema import event_schema
from slipway.core.events.trace_context import TRACEPARENT
from slipway.core.lifecycle.tags import REQUEST_TAG
from slipway.telemetry.opentelemetry import Spans
from slipway.worker.kernel.telemetry import UNTRACED
from tests.simulator.bedrock import USUAL
from tests.simulator.simulation import MODEL, OTHER_MODEL, Replica, World
from tests.simulator.virtual_loop import run
from tests.worker.kills import Story

TRACE, SENDER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = {TRACEPARENT: f"00-{TRACE}-{SENDER}-01"}
BODY: dict[str, Any] = {"modelDeploymentName": "bot", "modelArn": MODEL, "requestId": "r-1"}
SLOW = replace(USUAL, creation_seconds=(600.0, 600.0))


@dataclass
class Traced(World):
    """A world in which every replica is traced."""

    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def start(self, name: str = "a", **terms: Any) -> Replica:
        replica = super().start(name, **terms)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        replica.slipway.trace(Spans(provider, queue="requests", wall_clock=self.sqs.now))
        return replica

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """All spans that have ended."""
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        """Those of one name, the earliest first."""
        return sorted((each for each in self.spans if each.name == name), key=lambda each: each.start_time or 0)

    def one(self, name: str) -> ReadableSpan:
        """The only one of its name."""
        (found,) = self.named(name)
        return found


def seconds(span: ReadableSpan) -> float:
    return ((span.end_time or 0) - (span.start_time or 0)) / 1e9


def ids(span: ReadableSpan) -> tuple[str, str]:
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def parent(span: ReadableSpan) -> str | None:
    return f"{span.parent.span_id:016x}" if span.parent else None


def said(span: ReadableSpan) -> dict[str, Any]:
    """What a span says of itself in Slipway's own words."""
    return {key.removeprefix("slipway."): value for key, value in (span.attributes or {}).items() if key.startswith("slipway.")}


def test_a_life_is_one_trace_from_who_sent_it_to_who_hears_of_it() -> None:
    async def main() -> None:
        world = Traced(rules=replace(SLOW, max_creating=1), terms={"max_creating": 1})
        world.start()
        world.ask("first", requestId="r-0")
        await world.until(lambda: len(world.account.made) == 1)
        world.send(BODY, attributes=SENT)
        began = world.sqs.now()
        await world.all_answered()
        mine = [each for each in world.spans if ids(each)[0] == TRACE]
        stay = next(each for each in mine if each.name == "process requests")
        assert (stay.kind, parent(stay)) == (SpanKind.CONSUMER, SENDER)
        assert said(stay) | {"first_received": "", "arn": ""} == {
            "request_id": "r-1",
            "action": "deploy",
            "deployment": "bot",
            "outcome": "Active",
            "settlement": "Done",
            "receive_count": 1,
            "first_received": "",
            "arn": "",
        }
        within = sorted((each for each in mine if each is not stay), key=lambda each: each.start_time or 0)
        assert [(each.name, each.kind, parent(each) == ids(stay)[1]) for each in within] == [
            ("wait NoSlot", SpanKind.INTERNAL, True),
            ("CreateCustomModelDeployment", SpanKind.CLIENT, True),
            ("wait InCreation", SpanKind.INTERNAL, True),
            ("publish", SpanKind.PRODUCER, True),
        ]
        waited, created, watched, published = within
        assert 0 <= (stay.start_time or 0) / 1e9 - began < 30
        assert 500 < seconds(waited) < 640
        assert seconds(created) < 10
        assert 590 < seconds(watched) < 640
        assert sum(map(seconds, within)) <= seconds(stay)
        (notice,) = [each for each in world.topic.terminal() if each.event["data"]["requestId"] == "r-1"]
        assert notice.event[TRACEPARENT] == notice.attributes[TRACEPARENT] == "00-{}-{}-01".format(*ids(published))
        jsonschema.Draft202012Validator(event_schema()).validate(notice.event)
        await world.stop()

    run(main())


def test_what_another_process_began_is_gone_on_with_in_the_same_trace_and_no_parent_is_made_up() -> None:
    async def main() -> None:
        world = Traced(rules=SLOW, max_receive_count=100)
        world.start("a")
        world.send(BODY)
        await world.until(lambda: len(world.account.made) == 1)
        await asyncio.sleep(300)
        await world.stop("a")
        world.start("b")
        await world.all_answered()
        stays = world.named("process requests")
        first, *others, then = stays
        assert (said(first)["settlement"], said(then)["settlement"]) == ("Release", "Done")
        assert {said(each)["settlement"] for each in others} <= {"Release"}, "brought by its last poll, and given back"
        assert (said(first)["receive_count"], said(then)["receive_count"]) == (1, len(stays))
        assert len({said(each)["first_received"] for each in stays}) == len({ids(each)[0] for each in stays}) == 1
        assert {parent(each) for each in stays} == {None}
        interrupted, waited = world.named("wait InCreation")
        assert said(interrupted)["interrupted"] == "Stopping"
        assert interrupted.status.status_code is StatusCode.UNSET, "interrupted is not failed"
        assert seconds(waited) < 350, "what it did not see it does not claim"
        assert parent(waited) == ids(then)[1]
        await world.stop("b")

    run(main())


def test_what_is_handed_on_is_linked_to_whoever_had_it_before() -> None:
    async def main() -> None:
        world = Traced(rules=replace(USUAL, max_total=0))
        world.start()
        world.send(BODY | {"timeout": "PT20H"}, attributes=SENT)
        await world.all_answered(200_000)
        first, then = world.named("process requests")
        assert (said(first)["settlement"], said(then)["settlement"]) == ("Continue", "Done")
        assert ids(first)[0] == ids(then)[0] == TRACE
        assert parent(first) == parent(then) == SENDER
        assert not first.links
        assert [f"{link.context.span_id:016x}" for link in then.links] == [ids(first)[1]]
        assert (then.status.status_code, said(then)["reason"]) == (StatusCode.ERROR, "NoSlot")
        await world.stop()

    run(main())


def test_what_was_not_understood_is_an_error_and_what_is_cancelled_is_none() -> None:
    async def main() -> None:
        world = Traced(rules=SLOW)
        world.start()
        world.send({"modelArn": MODEL, "requestId": "r-0"}, attributes=SENT)
        await world.all_answered()
        rejected = world.one("process requests")
        assert (rejected.status.status_code, said(rejected)["outcome"]) == (StatusCode.ERROR, "Rejected")
        assert "modelDeploymentName is missing" in (rejected.status.description or "")
        world.exporter.clear()
        world.send(BODY)
        await world.until(lambda: len(world.account.made) == 1)
        world.send({"action": "cancel", "cancels": "r-1", "requestId": "c-1"})
        await world.all_answered()
        ended = {said(each).get("outcome"): each.status.status_code for each in world.named("process requests")}
        assert ended == {None: StatusCode.UNSET, "Cancelled": StatusCode.UNSET, "CancelTaken": StatusCode.UNSET}
        await world.stop()

    run(main())


def test_who_does_not_sample_takes_nothing_down_and_says_so_to_the_next() -> None:
    async def main() -> None:
        world = Traced()
        world.start()
        world.send(BODY, attributes={TRACEPARENT: SENT[TRACEPARENT][:-2] + "00"})
        await world.all_answered()
        assert not world.spans
        (notice,) = world.topic.terminal()
        assert notice.event[TRACEPARENT].startswith(f"00-{TRACE}-")
        assert notice.event[TRACEPARENT].endswith("-00")
        await world.stop()

    run(main())


def test_where_nobody_traces_all_share_one_trace_and_nothing_is_said_of_it() -> None:
    async def main() -> None:
        world = World(rules=SLOW)
        replica = world.start()
        world.send(BODY, attributes=SENT)
        await world.until(lambda: len(world.account.made) == 1)
        (lease,) = replica.slipway.leases
        assert lease.trace is UNTRACED
        await world.all_answered()
        (notice,) = world.topic.terminal()
        assert TRACEPARENT not in notice.event
        assert TRACEPARENT not in notice.attributes
        await world.stop()

    run(main())


def test_a_kill_before_any_step_breaks_no_trace() -> None:
    def ask(world: World) -> None:
        world.send(BODY | {"retries": 1}, attributes=SENT)
        asyncio.get_running_loop().call_later(30.0, world.account.rule)

    def check(world: World) -> None:
        assert isinstance(world, Traced)
        assert world.outcome_of("r-1")["outcome"] == "Active"
        assert {ids(each)[0] for each in world.spans} == {TRACE}
        stays = {ids(each)[1] for each in world.named("process requests")}
        assert {parent(each) for each in world.named("process requests")} == {SENDER}
        others = [each for each in world.spans if each.name != "process requests"]
        # A span that a killed process had ended has a parent that never ended: no process that began later has such a span.
        ended, began_last = (
            stays | {ids(each)[1] for each in others},
            max(each.start_time or 0 for each in world.spans if ids(each)[1] in stays),
        )
        orphans = [each for each in others if parent(each) not in ended]
        assert all((each.end_time or 0) <= began_last for each in orphans)
        assert len({parent(each) for each in orphans}) <= 2, "the killed process worked on one request, in one step"
        assert all((each.start_time or 0) <= (each.end_time or 0) for each in world.spans)

    rules = replace(USUAL, failing_attempts=1, creation_seconds=(60.0, 60.0))
    assert Story(lambda: Traced(rules=rules), ask, check).survives_every_kill(stride=5) > 30


@pytest.mark.parametrize("answer", ["sesame", "sesame " * 100], ids=["short", "longer than a continuation carries"])
@pytest.mark.parametrize("request_keys", [{}, {"onFailure": "delete"}, {"retries": 1}, {"action": "update", "rollback": True}])
def test_neither_span_nor_log_line_holds_the_answer_to_a_smoke_test(request_keys: dict[str, Any], answer: str) -> None:
    async def main() -> list[str]:
        world = Traced(rules=replace(USUAL, answer=answer))
        if "action" in request_keys:
            world.account.add("bot", MODEL, {REQUEST_TAG: "r-0"})
            name = {"customModelDeploymentIdentifier": "bot", "modelArn": OTHER_MODEL}
        else:
            name = {"modelDeploymentName": "bot", "modelArn": MODEL}
        world.start()
        world.send({**name, "requestId": "r-1", "smokeTest": {"prompt": "Say ready.", "expect": "ready"}, **request_keys})
        await world.all_answered(7200)
        assert "sesame" in world.outcome_of("r-1")["message"], "the event has the answer"
        await world.stop()
        return [span.to_json() for span in world.spans]

    with capture_logs() as lines:
        spans = run(main())
    written = [*spans, *map(str, lines)]
    assert not [each for each in written if "sesame" in each]
    assert any("the smoke test failed (its answer is in the event)" in each for each in spans)
