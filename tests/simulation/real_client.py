"""The real client under virtual time: one request's whole life over aioboto3 itself, with every answer the wire may bring.

Signing, serialising, pools, parsing and error mapping are the SDK's own, over connections in memory (tests/simulator/network);
SQS, SNS and Bedrock are models that answer in AWS's words (tests/simulator/aws). A case is a scene, and the fate of one call
in it. However it goes, the request must end in one deployment and one outcome, with nothing left anywhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiobotocore.session import AioSession

from slipway.aws.adapters.queue import Queue
from slipway.aws.connect import assemble
from slipway.aws.sdk.clients import Clients, open_clients
from slipway.core.call_errors import CallFailed
from slipway.core.sqs.messages import QueueTraits
from slipway.local.behaviour import Behaviour
from slipway.worker.kernel import policy as terms
from slipway.worker.queue.intake import MOST_POLLS
from slipway.worker.runtime.worker import Worker
from tests.simulation.faults import FATES, Machine, Wire, fits, machine_time
from tests.simulation.quiet_logs import quietly
from tests.simulator.aws import QUEUE_URL, TOPIC_ARN, Aws
from tests.simulator.network import InMemory
from tests.simulator.simulation import HOME, MODEL
from tests.simulator.virtual_loop import run

LONGEST_SECONDS = 20_000.0
QUIET_SECONDS = 100.0
SHARE = 50
TIMEOUT_SECONDS = 10.0

SCENES: dict[str, dict[str, int]] = {
    "plain": {
        "GetQueueAttributes": 2,
        "ReceiveMessage": 4,
        "CreateCustomModelDeployment": 2,
        "ListCustomModelDeployments": 3,
        "ChangeMessageVisibilityBatch": 2,
        "PublishBatch": 2,
        "DeleteMessageBatch": 2,
    },
    "in doubt": {
        "CreateCustomModelDeployment": 2,
        "GetCustomModelDeployment": 2,
        "ListTagsForResource": 2,
        "DeleteMessageBatch": 1,
    },
    "redelivered": {
        "GetCustomModelDeployment": 2,
        "ListTagsForResource": 2,
        "ListCustomModelDeployments": 1,
        "DeleteMessageBatch": 1,
    },
    "model not active": {
        "GetCustomModel": 2,
        "GetCustomModelDeployment": 2,
        "CreateCustomModelDeployment": 1,
        "DeleteMessageBatch": 1,
    },
    "handed on": {"SendMessageBatch": 2, "DeleteMessageBatch": 1},
    "taken away": {
        "DeleteCustomModelDeployment": 2,
        "GetCustomModelDeployment": 3,
        "ListTagsForResource": 2,
        "PublishBatch": 1,
        "DeleteMessageBatch": 1,
    },
    "poison": {"PublishBatch": 1, "GetQueueAttributes": 3, "GetQueueUrl": 2, "SendMessage": 2, "DeleteMessageBatch": 1},
}
"""How often each scene may call what, at the least: a fate for each of these calls."""


@dataclass(frozen=True)
class WireFault:
    """What befalls one call."""

    kind: str
    operation: str
    number: int

    def __str__(self) -> str:
        return f"{self.kind} on {self.operation} #{self.number}"


@dataclass(frozen=True)
class Case:
    """One life: where it takes place, and what befalls its calls."""

    scene: str
    fates: tuple[WireFault, ...] = ()

    def __str__(self) -> str:
        return f"{self.scene}: {' and '.join(map(str, self.fates))}" if self.fates else self.scene


@dataclass
class Report:
    """What came of many lives."""

    lifetimes: int = 0
    calls: int = 0
    simulated_hours: float = 0.0
    fired: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Count what came of others in."""
        self.lifetimes += other.lifetimes
        self.calls += other.calls
        self.simulated_hours += other.simulated_hours
        self.fired.update(other.fired)
        self.violations += other.violations


def cases(scenes: Iterable[str] = tuple(SCENES)) -> Iterator[Case]:
    """Return every case: each fate at each call of each scene."""
    for scene in scenes:
        yield Case(scene)
        for operation, most in SCENES[scene].items():
            for number in range(1, most + 1):
                yield from (Case(scene, (WireFault(kind, operation, number),)) for kind in FATES if fits(kind, operation))


def strange(seed: int) -> Case:
    """Return a case in which two to six calls have a fate, at random: a function of its seed."""
    rng = random.Random(seed)
    scene = rng.choice(list(SCENES))
    operations_there = sorted(SCENES["plain"] | SCENES[scene])
    fates = {}
    for _ in range(rng.randint(2, 6)):
        operation, number = rng.choice(operations_there), rng.randint(1, 6)
        fates[operation, number] = WireFault(rng.choice([kind for kind in FATES if fits(kind, operation)]), operation, number)
    return Case(scene, tuple(fates.values()))


def spoken(text: str) -> Case:
    """Read a case as `str` says it, or the seed of a strange one."""
    if text.isdecimal():
        return strange(int(text))
    scene, _, rest = text.partition(": ")
    return Case(scene, tuple(_spoken(one) for one in rest.split(" and ")) if rest else ())


def _spoken(text: str) -> WireFault:
    kind, call = text.rsplit(" on ", 1)
    operation, number = call.split(" #")
    return WireFault(kind, operation, int(number))


_LOADER = AioSession().get_component("data_loader")
"""Shared: reading the service models takes longer than a lifetime."""


def sdk() -> AioSession:
    """Return the SDK's session, with credentials of this place and none of the machine's."""
    session = AioSession()
    session.register_component("data_loader", _LOADER)
    session.set_credentials("AKIDEXAMPLE", "made-up", "made-up-session-token")
    return session


@contextmanager
def own_environment() -> Iterator[None]:
    """Within, nothing of the machine's AWS settings is seen."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


@asynccontextmanager
async def clients_in_memory(session: Callable[[], AioSession] = sdk) -> AsyncIterator[Clients]:
    """Open the daemon's own clients over connections in memory."""
    with own_environment():
        async with open_clients(
            queue_url=QUEUE_URL, topic_arn=TOPIC_ARN, version="0", most_polls=MOST_POLLS, sdk=session, transport=InMemory
        ) as clients:
            yield clients


def some(share: list[Case]) -> Report:
    """Live through some cases, one after another, over the same clients."""
    report = Report()

    async def main() -> None:
        async with clients_in_memory() as clients:
            for case in share:
                broken, wire, seconds = await _Life(case, clients).live()
                report.lifetimes += 1
                report.calls += sum(wire.calls.values())
                report.simulated_hours += seconds / 3600
                report.fired.update(wire.fired)
                if broken:
                    replay = f"python -m tests.simulation.real_client {json.dumps(str(case))}"
                    report.violations.append("\n".join([f"{case}: {broken[0]}", *list(wire.trace)[-50:], f"replay: {replay}"]))

    with quietly():
        run(main())
    return report


class _Life:
    def __init__(self, case: Case, clients: Clients) -> None:
        self.case = case
        self.clients = clients
        self.loop = asyncio.get_running_loop()
        self.rng = random.Random(str(case))
        is_early = case.scene == "model not active"
        self.aws = Aws(
            max_receive_count=3 if case.scene == "handed on" else 5,
            terms=Behaviour(
                creation_seconds=(40.0, 40.0),
                token_seconds=30.0,
                max_creating=1,
                max_total=1,
                models={MODEL: "Creating"} if is_early else {},
            ),
        )
        if is_early:
            self.loop.call_later(60.0, self._model_is_ready)
        self.machine = Machine(self.aws)
        fates = {(one.operation, one.number): one.kind for one in case.fates}
        if case.scene == "in doubt":
            fates = {("CreateCustomModelDeployment", 1): "reset after apply"} | fates
        self.wire = Wire(self.aws, self.machine, fates)
        self.broken: list[str] = []

    def _model_is_ready(self) -> None:
        self.aws.account.terms = self.aws.account.terms.changed({"models": {}})

    async def live(self) -> tuple[list[str], Wire, float]:
        """Live to the end; answer what broke."""
        InMemory.conduct = self.wire
        began = self.loop.time()
        with machine_time(self.machine.now):
            self._ask()
            slipway = await self._begin()
            task = self.loop.create_task(slipway.run())
            await self._until_done(slipway, task, began)
            await asyncio.sleep(QUIET_SECONDS)  # requests given up long ago may yet be applied
            await self._until_done(slipway, task, began)
            slipway.stop()
            await asyncio.wait([task], timeout=60.0)
            self._balance(slipway, task)
        return self.broken, self.wire, self.loop.time() - began

    def _ask(self) -> None:
        body: dict[str, Any] = {"modelDeploymentName": "bot", "modelArn": MODEL, "requestId": "r-1", "timeout": 10_800}
        scene, aws = self.case.scene, self.aws
        if scene == "poison":
            body["modelDeploymentname"] = body.pop("modelDeploymentName")
        if scene == "taken away":
            body = {"action": "delete", "customModelDeploymentIdentifier": "bot", "requestId": "d-1", "timeout": 10_800}
        letter = aws.sqs.put(json.dumps(body))
        assert letter is not None
        if scene in {"redelivered", "taken away"}:  # somebody made it, and died or is long done
            tags = [{"key": "slipway:request", "value": "r-1"}]
            aws.account.create(aws.now() - (3600 if scene == "taken away" else 0), "bot", MODEL, None, tags, "another")
        if scene in {"redelivered", "handed on"}:
            letter.receive_count, letter.first_received = 1, aws.now()

    async def _begin(self) -> Worker:
        aws = assemble(
            self.clients,
            queue_url=QUEUE_URL,
            topic_arn=TOPIC_ARN,
            visibility_seconds=60,
            call_timeout=TIMEOUT_SECONDS,
            most_polls=MOST_POLLS,
            rng=self.rng,
            machine=self.machine.now,
        )
        traits = await _traits(aws.queue)
        usual = terms.WorkerPolicy(
            targets=HOME, max_held=5, sweep_interval=15.0, timeout=7200.0, visibility_timeout=60,
            progress_events=False, allow_force=False, is_topic_fifo=False,
        )  # fmt: skip
        return Worker(
            usual,
            traits,
            source=aws.queue,
            queue=aws.queue,
            topic=aws.topic,
            bedrocks=aws.bedrocks,
            callback_targets=aws.replies,
            rng=self.rng,
        )

    async def _until_done(self, slipway: Worker, task: asyncio.Task[None], began: float) -> None:
        while (self.aws.sqs.letters or len(slipway.leases)) and not task.done():
            if self.loop.time() - began > LONGEST_SECONDS:
                self.broken.append("I1: it has not ended")
                return
            await asyncio.sleep(2.0)

    def _balance(self, slipway: Worker, task: asyncio.Task[None]) -> None:
        broken = self.broken
        if not task.done():
            broken.append("I9: it has not ended a minute after it was told to")
        elif task.exception() is not None:
            broken.append(f"I11: it fell with {task.exception()!r}")
        if slipway.counters.faults:
            broken.append(f"I11: {slipway.counters.faults} exceptions nobody expected")
        if self.aws.deleted_unsaid and self.case.scene != "handed on":
            broken.append(f"I1: deleted before anything was published: {self.aws.deleted_unsaid}")
        said = {(one["data"]["outcome"], one["id"]) for one in self.aws.notices}
        is_poison = self.case.scene == "poison"
        wanted = {"poison": "Rejected", "taken away": "Deleted"}.get(self.case.scene, "Active")
        if len(said) != 1 or {outcome for outcome, _ in said} != {wanted}:
            broken.append(
                f"I4: it ended as {sorted(said) or 'nothing'}: {[one['data'].get('message') for one in self.aws.notices]}"
            )
        if len(self.aws.account.made) != (not is_poison):
            broken.append(f"I2: {len(self.aws.account.made)} deployments were made")
        if wanted == "Deleted" and any(one.exists(self.aws.now()) for one in self.aws.account.made):
            broken.append("I5: it was said to be deleted, and is there")
        buried = [letter for letter in self.aws.dead.all if "SlipwayReason" in letter.attributes]
        if len(self.aws.dead.all) != len(buried) or bool(buried) != is_poison:
            broken.append(f"I9: {len(self.aws.dead.all)} in the dead-letter queue, {len(buried)} of them buried")
        left = {"held": len(slipway.leases), "watched": slipway.watcher.in_flight, "queued": len(self.aws.sqs.letters)}
        if any(left.values()):
            broken.append(f"I7: something is left: {left}")


async def _traits(queue: Queue) -> QueueTraits:
    """Ask the queue what it is, until it answers, as the daemon does."""
    while True:
        try:
            return await queue.traits()
        except CallFailed:
            await asyncio.sleep(15.0)


def prove(minutes: float, first_seed: int = 0) -> Report:
    """Live through every case, then through strange ones for as long as is given. Each violation says how to replay it."""
    ends, total = time.monotonic() + minutes * 60, some(list(cases()))
    seed = first_seed
    while time.monotonic() < ends:
        total.add(some([strange(each) for each in range(seed, seed + SHARE)]))
        seed += SHARE
    return total


def main(arguments: list[str]) -> int:
    """Live through the cases that are named, or the strange ones of these seeds, or all; say what broke."""
    began = time.monotonic()
    report = some([spoken(each) for each in arguments] or list(cases()))
    sys.stdout.write("\n\n".join([*report.violations, ""]))
    sys.stdout.write(
        f"{report.lifetimes} lifetimes, {report.calls} calls, {report.simulated_hours:.0f} h simulated in "
        f"{time.monotonic() - began:.1f} s, {len(report.violations)} broken\n"
    )
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
