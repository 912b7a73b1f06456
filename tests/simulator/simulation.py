"""One account, one queue, one topic, and as many Slipways as one likes."""

from __future__ import annotations

import asyncio
import contextvars
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from slipway.aws.adapters.retry import Tally
from slipway.core.requests.targets import DEFAULT, Home, Target, home_only
from slipway.core.requests.targets import TargetRules as Allowed
from slipway.settings.load import LONGEST_CALL_SECONDS
from slipway.worker.kernel.policy import OwnSender, WorkerPolicy
from slipway.worker.runtime.worker import Worker
from tests.simulator.bedrock import HOME as PLACE
from tests.simulator.bedrock import USUAL, Account, Rules, of_reaper
from tests.simulator.callbacks import CallbackClient, CallbackServer
from tests.simulator.callers import Callers
from tests.simulator.fair_queue_probe import watch_line
from tests.simulator.observer import Watching
from tests.simulator.sns import Notice, Publisher, Topic
from tests.simulator.sqs import OWN_ROLE, SOMEBODY, Letter, SqsQueue
from tests.simulator.versions import BEDROCK_OF, VersionedQueue, VersionOf, all_of_this_version
from tests.simulator.virtual_loop import VirtualLoop, in_process
from tests.simulator.wire_faults import Plan, Wire, no_faults

HOME = home_only(PLACE)
MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
OTHER_MODEL = MODEL[:-1] + "m"


@dataclass
class Replica:
    """One simulated process."""

    name: str
    slipway: Worker
    task: asyncio.Task[None]
    context: contextvars.Context
    calls: Mapping[str, Tally]
    """How its calls were answered, by target; those to SQS and SNS are with the default's."""


@dataclass
class World:
    """Everything outside of Slipway. Must be made within a running virtual loop."""

    seed: int = 1
    rules: Rules = USUAL
    fifo: bool = False
    max_receive_count: int = 5
    plan: Plan = no_faults
    terms: Mapping[str, Any] = field(default_factory=dict)
    targets: Mapping[str, Rules] = field(default_factory=dict)
    """Accounts beside the default one, by target: each with a wire of its own, and how it behaves."""
    has_control: bool = False
    """Whether there is a control queue."""

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        visibility = self.terms.get("visibility_timeout", 120)
        self.dead = SqsQueue(fifo=self.fifo)
        self.sqs = SqsQueue(
            fifo=self.fifo,
            visibility=visibility,
            dead_letters=self.dead,
            max_receive_count=self.max_receive_count,
        )
        self.control_dead = SqsQueue(name="k")
        self.control = SqsQueue(
            name="c", visibility=visibility, dead_letters=self.control_dead, max_receive_count=self.max_receive_count
        )
        self.account = Account(self.rng, self.rules)
        self.wire = Wire(self.rng, self.plan)
        self.accounts, self.wires = {DEFAULT: self.account}, {DEFAULT: self.wire}
        for number, (name, rules) in enumerate(self.targets.items()):
            rng = random.Random(f"{self.seed} {name}")
            self.accounts[name] = Account(rng, rules, Home("aws", str(210987654321 + number), "us-west-2"))
            self.wires[name] = Wire(rng)
        self.topic = Topic(self.wire, self.sqs.now, fifo=self.fifo)
        self.askers = CallbackServer(self.sqs.now)
        self.wall_clock_error = 0.0
        """How wrong the clocks of the machines are that Slipway runs on, in seconds."""
        self.version_of: VersionOf = all_of_this_version
        self.replicas: dict[str, Replica] = {}
        self.later: asyncio.Task[None] | None = None
        """What somebody is yet to do."""

    @property
    def letters(self) -> dict[str, Letter]:
        """The messages of the queue and of the control queue."""
        return {**self.sqs.letters, **self.control.letters} if self.has_control else self.sqs.letters

    @property
    def dead_letters(self) -> list[Letter]:
        """Everything that was ever sent to the dead-letter queues."""
        return [*self.dead.all, *self.control_dead.all]

    def watch(self, watching: Watching, **elsewhere: Watching) -> None:
        """Let somebody look on; at other targets somebody else, if they are named."""
        self.sqs.watching = self.control.watching = watching
        for name, account in self.accounts.items():
            account.watching = self.wires[name].watching = elsewhere.get(name, watching)

    def model_in(self, target: str, model: str = MODEL) -> str:
        """Return the ARN of a model, as it would be in a target's place."""
        home = self.accounts[target].home
        return model.replace(f"{PLACE.region}:{PLACE.account}", f"{home.region}:{home.account}")

    def start(self, name: str = "a", **terms: Any) -> Replica:
        """Start a Slipway in a process of its own, on these terms where they are not the world's."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        context = in_process(name)

        async def life() -> None:
            await replica.slipway.run()
            loop.kill(name)  # a process is at its end, whatever it has left

        def begin() -> Replica:
            rng = random.Random(f"{self.seed} {name}")
            wanted = self._terms(own=OwnSender(f"{OWN_ROLE}:{name}"), **terms)
            call_timeout = min(LONGEST_CALL_SECONDS, wanted.visibility_timeout / 3)
            callers = Callers(rng, call_timeout)
            version = self.version_of(name)
            queue = VersionedQueue(self.sqs, self.wire, callers, version, self.version_of)
            bedrocks, tallies = {}, {}
            for target, account in self.accounts.items():
                own = callers if target == DEFAULT else Callers(rng, call_timeout)
                bedrocks[target] = BEDROCK_OF[version](account, self.wires[target], own.deploying, self._wall_clock)
                tallies[target] = own.tally
            serving = partial(
                Worker,
                wanted,
                topic=Publisher(self.topic, callers),
                callback_targets=CallbackClient(self.askers, self.wire, callers),
                bedrocks=bedrocks,
                rng=rng,
            )
            slipway = serving(queue.traits(), source=queue, queue=queue)
            if self.has_control:
                controlling = Callers(rng, call_timeout)
                control = VersionedQueue(self.control, self.wire, controlling, version, self.version_of)
                serving(control.traits(), source=control, queue=control, primary=slipway)
            for target, site in slipway.runtimes.items():
                site._reaper._bedrock = of_reaper(bedrocks[target])  # noqa: SLF001  as in `watch_line`
                watch_line(site.slots, wanted.tenant_weights, lambda: self.wire.watching, f"{name} {target}")
            return Replica(name, slipway, None, context, tallies)  # type: ignore[arg-type]

        replica = context.run(begin)
        replica.task = loop.create_task(life(), context=context)
        self.replicas[name] = replica
        return replica

    def kill(self, name: str) -> None:
        """End a replica as SIGKILL does."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.kill(name)
        del self.replicas[name]

    async def stop(self, name: str = "a") -> None:
        """End a replica as SIGTERM does, and wait for it."""
        replica = self.replicas.pop(name)
        replica.slipway.stop()
        await replica.task

    def ask(self, name: str, model: str = MODEL, *, group: str = "g", **more: object) -> Letter:
        """Put a request on the queue."""
        return self.send({"modelDeploymentName": name, "modelArn": model} | more, group=group)

    def send(
        self,
        body: Mapping[str, object],
        *,
        group: str = "g",
        sender: str = SOMEBODY,
        attributes: Mapping[str, str] | None = None,
        to_control: bool = False,
    ) -> Letter:
        """Put a body on the queue, or on the control queue."""
        queue = self.control if to_control else self.sqs
        letter = queue.put(json.dumps(body), dict(attributes or {}), group, sender=sender)
        assert letter is not None
        return letter

    async def until(self, fact: Callable[[], bool], seconds: float = 86_400.0) -> float:
        """Wait for a fact; answer how long it took. A fact that never comes is a failure."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not fact():
            assert loop.time() - began < seconds, "it never happened"
            await asyncio.sleep(0.5)
        return loop.time() - began

    async def all_answered(self, seconds: float = 86_400.0) -> None:
        """Wait until the queue is empty and nothing is held."""
        await self.until(
            lambda: (
                not self.sqs.letters
                and not self.control.letters
                and not any(each.slipway.held_leases for each in self.replicas.values())
            ),
            seconds,
        )

    def outcomes(self) -> dict[str, str]:
        """Return how each request ended, by the name of its deployment; check that each event is said under one id."""
        ids: dict[str, set[str]] = {}
        said: dict[str, str] = {}
        for notice in self.topic.terminal():
            data = notice.event["data"]
            key = data.get("modelDeploymentName") or data["requestId"]
            said[key] = data["outcome"]
            ids.setdefault(key, set()).add(notice.event_id)
        assert all(len(each) == 1 for each in ids.values()), "one result, one id"
        return said

    def event(self, name: str) -> dict[str, Any]:
        """Return the data of the terminal event about a deployment."""
        found = [each for each in self.topic.terminal() if each.event["data"].get("modelDeploymentName") == name]
        assert found, f"no event about {name}"
        return dict(found[-1].event["data"])

    def outcome_of(self, request_id: str) -> dict[str, Any]:
        """Return the data of the terminal event of a request; check that it is said under one id, and in one way."""
        found = [each for each in self.topic.terminal() if each.event["data"]["requestId"] == request_id]
        assert found, f"no event of {request_id}"
        assert len({each.event_id for each in found}) == 1, "one result, one id"
        return dict(found[-1].event["data"])

    def progress(self, name: str) -> list[Notice]:
        """Return the progress events about a deployment."""
        ends = {id(notice) for notice in self.topic.terminal()}
        return [
            each
            for each in self.topic.notices
            if id(each) not in ends and each.event["data"].get("modelDeploymentName") == name
        ]

    def _wall_clock(self) -> float:
        return self.sqs.now() + self.wall_clock_error

    def _terms(self, **terms: Any) -> WorkerPolicy:
        usual: dict[str, Any] = {
            "max_held": 200,
            "sweep_interval": 15.0,
            "timeout": 7200.0,
            "visibility_timeout": 120,
            "progress_events": False,
            "allow_force": False,
            "is_topic_fifo": self.fifo,
        }
        wanted = usual | dict(self.terms) | terms
        quotas = {name: wanted.pop(name, 0) for name in ("max_creating", "max_total")}
        allowed = {DEFAULT: Allowed(**quotas)} | dict(wanted.pop("allowed", {}))
        targets = {name: Target(name, account.home, allowed.get(name, Allowed())) for name, account in self.accounts.items()}
        return WorkerPolicy(targets=targets, **wanted)
