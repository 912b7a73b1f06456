"""Bounded, whatever comes: three days in which nothing grows, a flood, a thousand requests for one name, a call that hangs.

All of it is the real flow in a world of its own, in virtual time. What the world itself keeps is taken away as it goes, so
that what is measured is what Slipway keeps.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import random
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.aws.connect import MOST_OPEN_BEDROCK, MOST_OPEN_LEASES, MOST_OPEN_TOPIC
from slipway.core.lifecycle.tags import RECEIVED_TAG, REQUEST_TAG
from slipway.core.requests.envelopes import LARGEST_BODY_BYTES
from slipway.core.sqs.messages import Message
from slipway.worker.kernel.lease import Lease
from slipway.worker.queue.intake import MOST_POLLS, POLL_SIZE
from slipway.worker.queue.leases import SMALLEST_BUDGET_BYTES, SMALLEST_PLACE_BYTES
from tests.simulation.kinds import chance
from tests.simulation.quiet_logs import quietly
from tests.simulator.bedrock import USUAL
from tests.simulator.simulation import Replica, World
from tests.simulator.virtual_loop import VirtualLoop, run
from tests.simulator.wire_faults import TIMEOUT_SECONDS, Fault, Wire

HOURS = 72
WARM_HOURS = 12
REQUEST_EVERY_SECONDS = 900.0
FAULTY = 0.03
FAULTS = tuple(fault for fault in Fault if fault is not Fault.PARTIAL)
MOST_BYTES_GROWN = 16 * 1024
"""What the code of Slipway may hold more at the end than after the warm-up: 240 requests later, each of which takes
8 KiB while it is held: two that stay are seen."""
MANY = 30_000
WAVE = 250
FAILING_SHARE = 0.02
FAILING = (Fault.THROTTLED, Fault.ERROR_BEFORE, Fault.RESPONSE_LOST, Fault.ERROR_AFTER)
MOST_BYTES_BY_FAILURES = 6 * 1024 * 1024
"""How much the memory may grow over the latter two thirds of `MANY` requests."""
FLOOD = 20_000
MAX_HELD = 200
LARGE = 1_000
OF_BYTES = "slipway.worker.queue.leases"
"""Where a bug may show in what is held of them."""
SAME_NAME = 1_000
MOST_OPEN = max(MOST_OPEN_BEDROCK, MOST_OPEN_LEASES, MOST_OPEN_TOPIC, MOST_POLLS)
HUNG = ("CreateCustomModelDeployment", "GetCustomModelDeployment", "ListTagsForResource", "ReceiveMessage", "PublishBatch",
        "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "ListCustomModelDeployments")  # fmt: skip
SWEEP_SECONDS = 15.0


@dataclass
class Report:
    """What came of one kind of day."""

    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def expect(self, is_so: bool, otherwise: str) -> None:  # noqa: FBT001  what is checked stands first, as in an assertion
        """Note a violation where it is not so."""
        if not is_so:
            self.violations.append(f"{self.name}: {otherwise}")


def soak(seed: int = 1, hours: int = HOURS) -> Report:
    """Let requests trickle in for days, with faults; memory and tasks are the same on the last evening as on the first."""
    report = Report(f"soak {seed} {hours}")

    def plan(operation: str, number: int) -> Fault | None:
        if chance(seed, operation, number) >= FAULTY:
            return None
        return FAULTS[int(chance(seed, "which", operation, number) * len(FAULTS))]

    async def main() -> None:
        world = World(seed=seed, plan=plan, rules=replace(USUAL, max_total=5), terms={"timeout": 86_400.0})
        replica = world.start()
        rng, asked = random.Random(seed), 0
        said: dict[str, set[tuple[str, str]]] = {}
        measured: list[tuple[int, int]] = []
        ends = _now() + 3600.0 * hours
        next_hour = _now() + 3600.0
        while _now() < ends:
            asked += 1
            world.ask(f"bot-{asked}", requestId=f"r-{asked}")
            await asyncio.sleep(rng.uniform(0.5, 1.5) * REQUEST_EVERY_SECONDS)
            _forget(world, said)
            if asked % 20 == 0:
                gc.collect()  # it is off in virtual time, where it would end what is dead at a time of its own
            if _now() >= next_hour:
                next_hour += 3600.0
                hour = round(hours - (ends - _now()) / 3600)
                if hour == min(WARM_HOURS, hours - 1) or _now() >= ends:
                    measured.append(_measure(replica))
        await world.all_answered()
        measured.append(_measure(replica))
        _forget(world, said)
        (bytes_then, tasks_then), (bytes_now, tasks_now) = measured[0], measured[-1]
        report.facts = {"hours": hours, "requests": asked, "calls": sum(world.wire.calls.values()), "said": _endings(said)}
        report.facts |= {"bytes": (bytes_then, bytes_now), "tasks": (tasks_then, tasks_now), "faults": dict(world.wire.fired)}
        report.expect(_endings(said) == {("Active",): asked}, f"{asked} requests ended as {_endings(said)}")
        grown = bytes_now - bytes_then
        report.expect(grown < MOST_BYTES_GROWN, f"{grown} bytes more at the end than after {WARM_HOURS} h")
        report.expect(tasks_now <= tasks_then + 3, f"{tasks_now} tasks at the end, {tasks_then} before")
        report.expect(replica.slipway.counters.faults == 0, f"{replica.slipway.counters.faults} exceptions nobody expected")
        await world.stop()

    _run_traced(main)
    return report


def _run_traced(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario in virtual time, with its allocations traced."""
    tracemalloc.start()
    try:
        with quietly():
            run(main())
    finally:
        tracemalloc.stop()


def failures(requests: int = MANY, seed: int = 1) -> Report:
    """Process many requests while 2 % of the calls fail, and collect no garbage: what failed calls leave behind must be little.

    Python's own collector would end reference cycles at some time; a failure that leaves none needs no collector.
    """
    report = Report(f"failures {requests}")

    def plan(operation: str, number: int) -> Fault | None:
        return FAILING[number % len(FAILING)] if chance(seed, "fails", operation, number) < FAILING_SHARE else None

    async def main() -> None:
        rules = replace(USUAL, max_creating=100, max_total=1000, creation_seconds=(20.0, 40.0))
        world = World(seed=seed, plan=plan, rules=rules, terms={"max_held": MAX_HELD, "timeout": 86_400.0})
        replica = world.start()
        said: dict[str, set[tuple[str, str]]] = {}
        asked, warm_bytes, warm_requests = 0, 0, 0
        while asked < requests:
            for _ in range(WAVE):
                asked += 1
                world.ask(f"bot-{asked}", requestId=f"r-{asked}")
            await world.all_answered()
            _forget(world, said)
            if not warm_requests and asked >= requests / 3:
                warm_bytes, warm_requests = _held_bytes(replica), asked
        grown = _held_bytes(replica) - warm_bytes
        most = MOST_BYTES_BY_FAILURES * (asked - warm_requests) // (MANY * 2 // 3) + MOST_BYTES_GROWN
        report.facts = {"requests": asked, "faults": world.wire.fired.total(), "bytes grown": grown, "said": _endings(said)}
        report.expect(_endings(said) == {("Active",): asked}, f"{asked} requests ended as {_endings(said)}")
        report.expect(grown < most, f"{grown} bytes more after {asked - warm_requests} requests, over {most}")
        report.expect(replica.slipway.counters.faults == 0, f"{replica.slipway.counters.faults} exceptions nobody expected")
        await world.stop()

    _run_traced(main)
    return report


def flood(messages: int = FLOOD) -> Report:
    """Let many messages arrive at once: no more is held than the setting says, and no more calls are open than the bounds."""
    report = Report(f"flood {messages}")

    async def main() -> None:
        rules = replace(USUAL, max_creating=100, max_total=100_000, creation_seconds=(20.0, 40.0))
        world = World(rules=rules, terms={"max_held": MAX_HELD})
        opened = _Open(world.wire)
        for number in range(messages):
            # Most are done with at once, so that the flood passes; the rest are real.
            body = {"modelDeploymentName": f"bot-{number}" if number % 10 == 0 else "", "modelArn": _MODEL}
            world.sqs.put(json.dumps(body))
        replica = world.start()
        most_held = most_tasks = 0
        while world.sqs.letters or len(replica.slipway.leases):
            most_held = max(most_held, len(replica.slipway.leases))
            most_tasks = max(most_tasks, _living_tasks())
            await asyncio.sleep(0.1)
        ends = Counter(notice.event["data"]["outcome"] for notice in world.topic.terminal())
        report.facts = {"messages": messages, "most held": most_held, "most tasks": most_tasks, "most open": dict(opened.most)}
        report.facts["said"] = dict(ends)
        real = (messages + 9) // 10
        report.expect(ends == {"Rejected": messages - real, "Active": real}, f"they ended as {dict(ends)}")
        report.expect(len(world.account.made) == real, f"{len(world.account.made)} deployments were made for {real} requests")
        report.expect(most_held <= MAX_HELD, f"{most_held} messages were held at once, over {MAX_HELD}")
        report.expect(max(opened.most.values()) <= MOST_OPEN, f"calls open at once: {dict(opened.most)}")
        report.expect(most_tasks <= 3 * MAX_HELD + 100, f"{most_tasks} tasks at once for {MAX_HELD} messages")
        await world.stop()

    with quietly():
        run(main())
    return report


def large(messages: int = LARGE) -> Report:
    """Let messages of 256 KiB arrive, a third of which nothing compresses: the bytes held are bounded, and a delete passes."""
    report = Report(f"large {messages}")

    async def main() -> None:
        rng = random.Random(1)
        rules = replace(USUAL, max_creating=2, max_total=2, creation_seconds=(0.0, 0.0))
        world = World(rules=rules, terms={"max_held": messages})
        for name in ("old-0", "old-1"):
            world.account.add(name, _MODEL, {REQUEST_TAG: name, RECEIVED_TAG: "2025-01-01T00:00:00.000Z"})
        sent = set[str]()
        for number in range(messages):
            body = json.dumps({"modelDeploymentName": f"bot-{number}", "modelArn": _MODEL, "requestId": f"r-{number}"})
            if number % 3 == 0:
                random_text = base64.b85encode(rng.randbytes((LARGEST_BODY_BYTES - 1024) // 5 * 4)).decode()
                body = json.dumps({"Type": "Notification", "Message": body, "Signature": random_text})
            body = body.ljust(LARGEST_BODY_BYTES)
            sent.add(body)
            world.sqs.put(body)
        replica = world.start()
        most_held = most_bytes = 0

        def look() -> None:
            nonlocal most_held, most_bytes
            held = list(replica.slipway.leases)
            most_held, most_bytes = max(most_held, len(held)), max(most_bytes, sum(lease.message.held_bytes for lease in held))

        for _ in range(60):
            await asyncio.sleep(1.0)
            look()
        world.send({"action": "delete", "customModelDeploymentIdentifier": "old-0", "requestId": "d-1"})
        deleted, ends = False, _now() + 120.0
        while not deleted and _now() < ends:
            await asyncio.sleep(1.0)
            look()
            deleted = any(notice.event["data"]["requestId"] == "d-1" for notice in world.topic.terminal())
        budget = max(SMALLEST_BUDGET_BYTES, messages * SMALLEST_PLACE_BYTES)
        most = budget + MOST_POLLS * POLL_SIZE * LARGEST_BODY_BYTES // 4
        report.facts = {"messages": messages, "most held": most_held, "most bytes": most_bytes, "budget": budget}
        report.expect(most_held > messages / 4, f"only {most_held} are held at once")
        report.expect(most_bytes < most, f"{most_bytes} bytes are held at once, over {most}")
        report.expect(deleted, "a delete did not get through in two minutes")
        changed = [letter for letter in world.sqs.all if letter.body not in sent and len(letter.body) > 1024]
        report.expect(not changed, f"{len(changed)} bodies are not as they came")
        await world.stop()

    with quietly():
        run(main())
    return report


def same_name(requests: int = SAME_NAME) -> Report:
    """Ask so often for one name: one deployment, an answer for each, the first in order, and work in proportion.

    Nearly: the more there are, the more often one is sent back because an earlier one is away, which goes first. From 2,000 to
    4,000 requests the steps for each grow from 46 to 75. Longer delays make it worse: then the earliest are away for longer.
    """
    report = Report(f"same-name {requests}")

    async def ask(count: int) -> tuple[int, int]:
        came: dict[str, float] = {}
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        world = World(rules=replace(USUAL, creation_seconds=(60.0, 60.0)), terms={"max_held": MAX_HELD})
        for number in range(count):
            world.ask("bot", requestId=f"r-{number}")
        leases = world.start().slipway.leases
        take = leases.take

        def noted(message: Message) -> Lease | None:
            came.setdefault(json.loads(message.body)["requestId"], message.first_received_at)  # those sent away come again
            return take(message)

        leases.take = noted  # type: ignore[method-assign]  # the order is that of first receipt: a standard queue keeps no other
        before = loop.steps
        await world.all_answered()
        notices = world.topic.terminal()
        order = [notice.event["data"]["requestId"] for notice in notices]
        report.expect(len(world.account.made) == 1, f"{len(world.account.made)} deployments were made of one name")
        wanted = sorted(came, key=lambda request: came[request])
        report.expect(sorted(order) == sorted(wanted) and len(order) == count, f"{count} were not answered one each")
        # Those that found all places taken are sent away, and come back when their delays are over.
        report.expect(order[:_KEPT] == wanted[:_KEPT], f"the first of {count} were not answered in order")
        ends = {notice.event["data"]["outcome"] for notice in notices}
        report.facts[f"said of {count}"] = sorted(ends)
        await world.stop()
        return loop.steps - before, sum(world.wire.calls.values())

    with quietly():
        few_steps, few_calls = run(ask(requests // 2))
        steps, calls = run(ask(requests))
    report.facts |= {"steps": (few_steps, steps), "calls": (few_calls, calls)}
    report.expect(steps < 3 * few_steps, f"{steps} steps for {requests} requests, {few_steps} for half of them")
    report.expect(calls < 3 * few_calls, f"{calls} calls for {requests} requests, {few_calls} for half of them")
    return report


def hung_call() -> Report:
    """Let one call of each operation never be answered: whoever did not make it is done when they would have been."""
    report = Report("hung-call")

    async def live(hung: str | None) -> tuple[dict[str, float], dict[str, float], bool]:
        """Return when each deployment was made, and each outcome said; and whether a call hung."""
        rules = replace(USUAL, max_creating=50, max_total=50, creation_seconds=(100.0, 100.0))
        world = World(rules=rules, terms={"sweep_interval": SWEEP_SECONDS})
        world.wire.plan = lambda operation, number: Fault.REQUEST_LOST if operation == hung and number == 2 else None
        for number in range(12):
            letter = world.ask(f"bot-{number}", requestId=f"r-{number}")
            letter.receive_count = number % 2  # every other one is looked for first
            if number % 4 == 1:  # and every other one of those is found
                world.account.add(f"bot-{number}", _MODEL, {REQUEST_TAG: f"r-{number}"})
        world.start()
        await world.all_answered()
        made = {one.name: one.created - world.account.now() + _now() for one in world.account.made}
        said = {notice.event["data"]["modelDeploymentName"]: notice.at for notice in world.topic.terminal()}
        report.expect(set(world.outcomes().values()) == {"Active"}, f"with a hung {hung} it ended as {world.outcomes()}")
        has_hung = bool(world.wire.fired[Fault.REQUEST_LOST])
        await world.stop()
        return made, said, has_hung

    with quietly():
        plain_made, plain_said, _ = run(live(None))
        for operation in HUNG:
            made, said, has_hung = run(live(operation))
            report.expect(has_hung, f"{operation} never hung")
            late = [name for name in plain_made if made[name] - plain_made[name] > 1.0]
            later = [name for name in plain_said if said[name] - plain_said[name] > 1.2 * SWEEP_SECONDS]
            report.facts[operation] = {"made late": len(late), "said late": len(later)}
            # A poll brings up to ten, a batch takes up to ten: those are its own. A sweep is everybody's.
            # A message that was continued keeps its new one waiting until it is deleted.
            batches = {"PublishBatch": 10, "DeleteMessageBatch": 10}
            own = ({"ReceiveMessage": 12, "ListCustomModelDeployments": 12} | batches).get(operation, 1)
            report.expect(len(late) <= own, f"a hung {operation} let {late} be created late")
            report.expect(len(later) <= own, f"a hung {operation} let {later} be answered late")
            slowest = max(said[name] - plain_said[name] for name in plain_said)
            most = TIMEOUT_SECONDS + 3 * SWEEP_SECONDS + 20.0
            report.expect(slowest < most, f"a hung {operation} delayed an answer by {slowest:.0f} s")
    return report


class _Open:
    """Counts the calls of each operation that are open at once."""

    def __init__(self, wire: Wire) -> None:
        self.most: Counter[str] = Counter()
        self._now: Counter[str] = Counter()
        self._call: Callable[..., Awaitable[Any]] = wire.call
        wire.call = self._counted  # type: ignore[method-assign]  # between the adapters and the wire

    async def _counted(self, operation: str, *given: Any, **how: Any) -> Any:
        self._now[operation] += 1
        self.most[operation] = max(self.most[operation], self._now[operation])
        try:
            return await self._call(operation, *given, **how)
        finally:
            self._now[operation] -= 1


_MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
_KEPT = 3 * MAX_HELD // 4
"""Deploys leave a quarter of the places free, ten at most."""
_OF_SLIPWAY = tracemalloc.Filter(inclusive=True, filename_pattern="*/slipway/*")
_OF_WORLD = tracemalloc.Filter(inclusive=False, filename_pattern="*/service/slipway/local/*")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _measure(replica: Replica) -> tuple[int, int]:
    """Return the bytes that the code of Slipway holds, and the tasks that it has."""
    gc.collect()
    return _held_bytes(replica), len(replica.slipway._tasks)  # noqa: SLF001  what is left over is the point


def _held_bytes(replica: Replica) -> int:
    """Return the bytes that the code of Slipway holds, garbage that was not collected among them."""
    bedrock: Any = replica.slipway.watcher._bedrock  # noqa: SLF001  the world's, which remembers whose creates it was sent
    bedrock._fake.holds.clear()  # noqa: SLF001  as above
    history = replica.slipway.history
    for ring in (history._entries, history._active_seconds):  # noqa: SLF001  full at the most
        ring.clear()
    snapshot = tracemalloc.take_snapshot().filter_traces([_OF_SLIPWAY, _OF_WORLD])
    return sum(one.size for one in snapshot.statistics("filename"))


def _endings(said: dict[str, set[tuple[str, str]]]) -> dict[tuple[str, ...], int]:
    """Return how many requests ended how; one that was announced under two ids, or ended twice, has two words."""
    return dict(Counter(tuple(outcome for outcome, _ in each) for each in said.values()))


def _forget(world: World, said: dict[str, set[tuple[str, str]]]) -> None:
    """Take out of the world what has ended, and note how it ended."""
    for notice in world.topic.terminal():
        said.setdefault(notice.event["data"]["requestId"], set()).add((notice.event["data"]["outcome"], notice.event_id))
    for notice in world.topic.terminal():
        world.account.delete(notice.event["data"]["modelDeploymentName"])
    world.topic.notices.clear()
    world.sqs.all[:] = [letter for letter in world.sqs.all if letter.message_id in world.sqs.letters]
    _living_tasks()
    model = world.account.model
    if model.made and not world.account.existing():
        for kept in (model.made, model._by_name, model._by_arn, model._tokens):  # noqa: SLF001  no account forgets
            kept.clear()


def _living_tasks() -> int:
    """Let the loop forget the tasks that have ended, which it keeps to the end; answer how many have not."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop._tasks[:] = [task for task in loop._tasks if not task.done()]  # noqa: SLF001  as it says
    return len(loop._tasks)  # noqa: SLF001  as above


def prove(seed: int = 1) -> list[Report]:
    """Live through all of it."""
    return [soak(seed), failures(seed=seed), flood(), large(), same_name(), hung_call()]


def main(arguments: list[str]) -> int:
    """`soak SEED HOURS`, `failures`, `flood`, `same-name`, `hung-call`, or all of them; say what came of it."""
    began = time.monotonic()
    match arguments:
        case ["soak", *numbers]:
            reports = [soak(*map(int, numbers))]
        case ["failures", *numbers]:
            reports = [failures(*map(int, numbers))]
        case ["flood", *numbers]:
            reports = [flood(*map(int, numbers))]
        case ["same-name", *numbers]:
            reports = [same_name(*map(int, numbers))]
        case ["hung-call"]:
            reports = [hung_call()]
        case _:
            reports = prove()
    for report in reports:
        replay = f"replay: python -m tests.simulation.soak {report.name}" if report.violations else ""
        sys.stdout.write("\n".join([f"{report.name}: {report.facts}", *report.violations, replay, ""]))
    sys.stdout.write(f"in {time.monotonic() - began:.1f} s\n")
    return 1 if any(report.violations for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
