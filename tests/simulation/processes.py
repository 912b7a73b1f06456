r"""Real daemons killed, stopped and ended at random and at named moments; then the emulators' own records are balanced.

    python -m tests.simulation.processes --kills 300 --requests 1000 --replicas 2
    python -m tests.simulation.processes --rolling-restart 20 --minutes 10 --creation-seconds 180 --requests 30 \
        --max-receive-count 5

Signals fall while requests keep coming; then it is quiet, and everything must come to its end. What counts is what
Bedrock, the results queue, the request queue and its dead-letter queue hold, and never what the daemons say of themselves.
moto is kinder than SQS (`slipway.local.moto_queues` says where), above all to old receipt handles: the in-memory
worlds of this package are as strict as AWS, and this run is not instead of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aioboto3

from slipway.core.lifecycle.tags import REQUEST_TAG
from slipway.core.sqs.messages import CONTINUATION
from slipway.local.bedrock_account import StandInDeployment
from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from slipway.settings.fields import variable
from slipway.worker.kernel.interrupts import sleep_unless_set
from tests.e2e.daemons import MODEL, Daemon, Results, a_request, listening

T = TypeVar("T")

OTHER_MODEL = MODEL[:-1] + "z"
LONGEST_GOODBYE_SECONDS = 30.0
BLOWS = 20
"""How many signals are dealt at a time; shares are of these."""
LOOKS = 5
"""How often, a second apart, the queues must be seen empty."""
LOGGED = ("daemon.started", "request.accepted", "deployment.created", "request.finished", "request.continued")
MADE = "made, unanswered"
PUBLISHED = "published, not deleted"
STARTING = "while starting"
SOME_TIME = "some time"
POINTS = (*LOGGED, "middle of a batch", "daemon.stopping", MADE, PUBLISHED, STARTING, SOME_TIME, SOME_TIME)
NEVER = "what no model says"
AFTERWARDS: Mapping[int, tuple[str, Mapping[str, object]]] = {
    1: ("Updated", {"action": "update", "modelArn": OTHER_MODEL}),
    3: ("Deleted", {"action": "delete"}),
    5: ("Active", {"modelDeploymentName": "", "modelArn": OTHER_MODEL, "ifExists": "replace"}),
    7: (
        "RolledBack",
        {
            "action": "update",
            "modelArn": OTHER_MODEL,
            "rollback": True,
            "smokeTest": {"prompt": "Say ready.", "expect": NEVER},
        },
    ),
}
"""What is asked for about each tenth deployment, by its last digit, in a second storm; and how that is to end.

In a second one, as the first has ended by then for certain: a deploy that was announced, and whose process died before its
message was deleted, comes again, and says what is so by then.
"""
FAULTS = ("request.faulted", "settlement.faulted", "not json", "daemon.refused")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen. Seconds, where not said otherwise."""

    kills: int = 300
    requests: int = 1000
    replicas: int = 2
    seed: int = 1
    visibility_seconds: int = 10
    creation_seconds: tuple[float, float] = (2.0, 4.0)
    max_creating: int = 20
    max_held: int = 12
    """By each daemon: few, so that there is work in the queue for the next one, whose named points then come soon."""
    max_receive_count: int = 10
    term_share: float = 0.15
    stop_share: float = 0.05
    longest_life: float = 2.0
    """From when it has started; a named point is waited for twice as long, and is then some time."""
    stopped_seconds: tuple[float, float] = (1.0, 30.0)
    rolling_seconds: float = 0.0
    """Over zero: no kills, but a replica is restarted so often, one after the other."""
    minutes: float = 0.0
    """How long it rolls."""
    failing_every: int = 20
    """Each so-manyth deployment fails, and must be told so."""
    first_share: float = 0.7
    """How many of the kills fall while requests are sent to deploy; the rest, while those are updated, replaced and deleted."""
    storm_seconds: float = 7200.0
    """The storm ends by then, however few the kills: a busy machine is slow to start daemons."""
    quiet_seconds: float = 300.0
    """How long, after the last signal, everything may take to come to its end."""
    fifo: bool = False


@dataclass(slots=True)
class Report:
    """What was done and what was found. Without `violations` the promise held."""

    seed: int
    signals: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    quiet_seconds: float = 0.0
    balance: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return self.signals["SIGKILL"]

    def document(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "seed": self.seed,
            "kills": self.kills,
            "signals": dict(self.signals),
            "points": dict(self.points),
            "seconds": round(self.seconds, 1),
            "quiet_seconds": round(self.quiet_seconds, 1),
            "balance": self.balance,
            "violations": self.violations,
        }

    def lines(self) -> Iterable[str]:
        """Return the report as text."""
        told = ", ".join(f"{count} {name}" for name, count in sorted(self.signals.items()))
        rate = self.kills / max(1.0, self.seconds)
        yield f"seed {self.seed}: {told or 'no signals'} in {self.seconds:.0f} s, {rate:.2f} kills/s"
        yield "at: " + ", ".join(f"{name} {count}" for name, count in sorted(self.points.items()))
        yield f"quiet after {self.quiet_seconds:.0f} s: " + ", ".join(f"{count} {name}" for name, count in self.balance.items())
        yield from (f"VIOLATION {violation}" for violation in self.violations)


class _Watched(list[StandInDeployment]):
    """An account's records, which tell of each deployment before its Create is answered."""

    def __init__(self, made: Iterable[StandInDeployment], report_progress: Callable[[], None]) -> None:
        super().__init__(made)
        self._tell = report_progress

    def append(self, made: StandInDeployment) -> None:
        super().append(made)
        self._tell()


class Run:
    """One run of a plan. `await Run(plan).report()`."""

    def __init__(self, plan: Plan, say: Callable[[str], None] = lambda _: None) -> None:
        self.plan = plan
        self._say = say
        self._rng = random.Random(plan.seed)
        self._report = Report(plan.seed)
        terms, stops = round(plan.term_share * BLOWS), round(plan.stop_share * BLOWS)
        kinds = [signal.SIGTERM] * terms + [signal.SIGSTOP] * stops
        self._points = _dealt(POINTS, self._rng)
        self._kinds = _dealt([*kinds, *[signal.SIGKILL] * (BLOWS - len(kinds))], self._rng)
        self._is_quiet = asyncio.Event()
        self._storm_ends = 0.0
        self._kills_due = 0
        """After how many kills it is to be quiet."""
        self._sent: dict[str, str] = {}
        """How each deploy request is to end."""
        self._after: dict[str, str] = {}
        """How each of what was asked for afterwards is to end."""
        self._due = asyncio.Event()
        self._armed: dict[str, set[asyncio.Event]] = {MADE: set(), PUBLISHED: set()}
        self.box: LocalAws
        self._results: Results

    async def report(self) -> Report:
        """Do it all, and answer what came of it."""
        plan = self.plan
        about = plan.creation_seconds
        terms = Behaviour(
            max_creating=plan.max_creating, max_total=plan.requests * 3, creation_seconds=about, update_seconds=about
        )
        async with AsyncExitStack() as stack:
            self.box = await stack.enter_async_context(LocalAws(terms=terms, fifo=plan.fifo, seed=plan.seed))
            sqs = await stack.enter_async_context(_client(self.box))
            await _set_max_receive_count(sqs, self.box, plan.max_receive_count)
            self._results = await stack.enter_async_context(listening(self.box))
            account = self.box.bedrock.account()
            account.made = _Watched(account.made, lambda: self._happened(MADE))
            began = time.monotonic()
            self._storm_ends = began + plan.storm_seconds
            replicas = [_Replica(self, number) for number in range(plan.replicas)]
            self._kills_due = round(plan.kills * plan.first_share)
            async with asyncio.TaskGroup() as group:
                heard = group.create_task(self._tell_of_results())
                lives = [group.create_task(replica.live()) for replica in replicas]
                feeding = group.create_task(self._feed())
                await (self._roll(replicas) if plan.rolling_seconds else self._until_enough())
                self._report.seconds = time.monotonic() - began
                await feeding
                self._is_quiet.set()
                self._say("quiet")
                await self._settle(sqs, replicas)
                if not plan.rolling_seconds:
                    await self._storm_again(replicas)
                    await self._settle(sqs, replicas)
                for replica in replicas:
                    replica.over.set()
                await asyncio.gather(*lives)
                heard.cancel()
            await self._balance(sqs)
        return self._report

    def is_enough(self) -> bool:
        """Whether the storm is over."""
        return self._report.kills >= self._kills_due or time.monotonic() >= self._storm_ends

    def next_blow(self) -> tuple[str, signal.Signals]:
        """Return where to strike, and how: each its share of times, in an order of the seed's."""
        return next(self._points), next(self._kinds)

    async def _storm_again(self, replicas: Sequence[_Replica]) -> None:
        """Ask for more of what was deployed, while daemons are killed."""
        began, self._kills_due = time.monotonic(), self.plan.kills
        for replica in replicas:
            replica.again.set()
        for name in [name for name, outcome in self._sent.items() if outcome == "Active" and _number(name) % 10 in AFTERWARDS]:
            await self._ask_afterwards(name)
        await self._until_enough()
        self._report.seconds += time.monotonic() - began
        self._say("quiet again")

    async def _until_enough(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._storm_ends - time.monotonic()):
                while not self.is_enough():
                    self._due.clear()
                    await self._due.wait()
        self._due.set()

    def signalled(self, name: str, point: str) -> None:
        """A signal was sent."""
        self._report.signals[name] += 1
        self._report.points[point] += 1
        self._due.set()
        if self._report.signals.total() % 20 == 0:
            answered = len(self._results.outcomes())
            self._say(f"{dict(self._report.signals)}: {len(self._sent)} sent, {answered} answered")

    def violated(self, what: str) -> None:
        self._report.violations.append(what)
        self._say(f"VIOLATION {what}")

    @asynccontextmanager
    async def armed(self, point: str) -> AsyncIterator[asyncio.Event]:
        """Within, the event is set as soon as this happens anywhere."""
        event = asyncio.Event()
        self._armed[point].add(event)
        try:
            yield event
        finally:
            self._armed[point].discard(event)

    def _happened(self, point: str) -> None:
        for event in self._armed[point]:
            event.set()

    async def _tell_of_results(self) -> None:
        heard = 0
        while True:
            await self._results.until(lambda: len(self._results.events) > heard, 1e6)  # noqa: B023  asked within this turn
            heard = len(self._results.events)
            self._happened(PUBLISHED)

    async def _feed(self) -> None:
        """Send the requests: as many at a time as keeps work before the daemons until the last signal."""
        plan = self.plan
        ahead = max(5.0, 0.15 * plan.kills)
        while len(self._sent) < plan.requests:
            share = 1.0 if plan.rolling_seconds or self.is_enough() else (self._report.kills + ahead) / (plan.kills or 1)
            while len(self._sent) < min(plan.requests, share * plan.requests):
                await self._send()
            if len(self._sent) < plan.requests:
                self._due.clear()
                await self._due.wait()

    async def _send(self) -> None:
        number = len(self._sent)
        fails = number % self.plan.failing_every == self.plan.failing_every - 1
        name = f"{'fails' if fails else 'bot'}-{number}"
        self._sent[name] = "Failed" if fails else "Active"
        await self.box.send(a_request(name), group=f"group-{number % 50}" if self.plan.fifo else None)

    async def _ask_afterwards(self, name: str) -> None:
        self._after[after(name)], asked = AFTERWARDS[_number(name) % 10]
        key = "modelDeploymentName" if "modelDeploymentName" in asked else "customModelDeploymentIdentifier"
        body = {**asked, key: name, "requestId": after(name), "timeout": 3600}
        group = f"group-{_number(name) % 50}" if self.plan.fifo else None
        await self.box.send(json.dumps(body), group=group)

    async def _roll(self, replicas: list[_Replica]) -> None:
        ends = time.monotonic() + self.plan.minutes * 60
        turn = 0
        while (left := ends - time.monotonic()) > 0:
            await sleep_unless_set(min(left, self.plan.rolling_seconds), unless=self._is_quiet)
            replicas[turn % len(replicas)].restart.set()
            turn += 1

    async def _settle(self, sqs: Any, replicas: Sequence[_Replica]) -> None:
        """Wait until nothing is left in the queue, and all that was announced has been heard: then no more will come."""
        began = time.monotonic()
        queues = (self.box.queue_url, self.box.results_url)
        try:
            async with asyncio.timeout(self.plan.quiet_seconds):
                empty = 0
                while empty < LOOKS:  # what the dead have sent may yet arrive
                    empty = 0 if any([sum(await _counts(sqs, url)) for url in queues]) else empty + 1
                    await sleep_unless_set(1.0, unless=asyncio.Event())
        except TimeoutError:
            held = [await replica.daemon.ask("/requests") for replica in replicas if replica.daemon is not None]
            self.violated(f"liveness: quiet for {self.plan.quiet_seconds:.0f} s, and still not done: {held}")
        with suppress(TimeoutError):
            await self._results.until(lambda: len(self._results.outcomes()) >= len(self._sent | self._after), 5.0)
        self._report.quiet_seconds = time.monotonic() - began

    async def _balance(self, sqs: Any) -> None:
        made, now = list(self.box.bedrock.account().made), self.box.bedrock.now()
        outcomes, expected = self._results.outcomes(), self._sent | self._after
        replaced = {request for request in self._after if AFTERWARDS[_number(request) % 10][1].get("ifExists")}
        by_request: dict[str, list[StandInDeployment]] = {}
        for one in made:
            tags = [tag["value"] for tag in one.tags if tag["key"] == REQUEST_TAG]
            by_request.setdefault(tags[0] if len(tags) == 1 else f"untagged {one.name}", []).append(one)
        twins = {request: len(those) for request, those in by_request.items() if len(those) > 1}
        orphans = by_request.keys() - outcomes.keys()
        several = {request: said for request, said in outcomes.items() if len(said) > 1}
        untrue = [what for event in self._results.events if (what := _untruth(event["data"], by_request, expected)) is not None]
        untrue += [what for request in self._after if (what := _unlike(request, by_request, now)) is not None]
        left, dead = sum(await _counts(sqs, self.box.queue_url)), sum(await _counts(sqs, self.box.dead_letter_url))
        finals = [event for event in self._results.events if event["data"]["requestId"] in outcomes]
        self._report.balance = {
            "requests": len(expected),
            "deployments": len(made),
            "results": len(outcomes),
            "repeats of a result": len(finals) - sum(len(said) for said in outcomes.values()),
            "twins": len(twins),
            "orphans": len(orphans),
            "results of several ids or outcomes": len(several),
            "untruths": len(untrue),
            "left in the queue": left,
            "dead letters": dead,
        }
        if outcomes.keys() != expected.keys():
            self.violated(f"results of what nobody asked for, or missing: {sorted(outcomes.keys() ^ expected.keys())[:20]}")
        if by_request.keys() != self._sent.keys() | replaced:
            wrong = sorted(by_request.keys() ^ (self._sent.keys() | replaced))
            self.violated(f"deployments are not one for each deploy request: {wrong[:20]}")
        for name, found in {"twins": twins, "orphans": sorted(orphans), "several ids": several, "untruths": untrue}.items():
            if found:
                self.violated(f"{name}: {str(found)[:1000]}")
        if left or dead:
            self.violated(f"{left} messages left, {dead} dead letters: {await _letters(sqs, self.box.dead_letter_url)}")


class _Replica:
    """One place where a daemon runs, again and again."""

    def __init__(self, run: Run, number: int) -> None:
        self._run = run
        self._plan = run.plan
        self._number = number
        self._rng = random.Random(f"{self._plan.seed} {number}")
        self.restart = asyncio.Event()
        self.over = asyncio.Event()
        self.again = asyncio.Event()
        """There are to be blows again, after a quiet time."""
        self.daemon: Daemon | None = None

    async def live(self) -> None:
        """Start daemons and end them, until it is over; each is started as soon as the last has ended."""
        while not self.over.is_set():
            settings = {"visibility_timeout": self._plan.visibility_seconds, "max_held": self._plan.max_held}
            daemon = self.daemon = Daemon(self._run.box, {variable(name): str(value) for name, value in settings.items()})
            await daemon.start()
            try:
                await self._one_life(daemon)
            finally:
                await daemon.end(signal.SIGKILL)
            for event in FAULTS:
                for entry in daemon.lines(event):
                    self._run.violated(f"replica {self._number} logged {json.dumps(entry)[:1500]}")

    async def _one_life(self, daemon: Daemon) -> None:
        if self._plan.rolling_seconds:
            await _first_of(self.restart.wait(), self.over.wait(), daemon.process.wait())
            self.restart.clear()
            return await self._end_gently(daemon, SOME_TIME)
        while not (self._run.is_enough() or self.over.is_set()):
            point, kind = self._run.next_blow()
            point = await self._reach(point, daemon)
            if self._has_ended(daemon) or self._run.is_enough():
                break
            if kind is signal.SIGTERM:
                return await self._end_gently(daemon, point)
            if kind is signal.SIGKILL:
                self._send(daemon, kind, point)
                return None
            self._send(daemon, kind, point)
            await sleep_unless_set(self._rng.uniform(*self._plan.stopped_seconds), unless=self.over)
            daemon.process.send_signal(signal.SIGCONT)
        await _first_of(self.over.wait(), self.again.wait(), daemon.process.wait())
        if self._has_ended(daemon):
            return None
        if self.again.is_set() and not self.over.is_set():
            self.again.clear()
            return await self._one_life(daemon)
        return await self._end_gently(daemon, "the end")

    async def _reach(self, point: str, daemon: Daemon) -> str:
        """Wait for a point of this daemon's life; answer it, or that the time was up before."""
        if point == STARTING:
            await sleep_unless_set(self._rng.uniform(0.0, self._plan.longest_life), unless=self.over)
            return point
        await _first_of(daemon.until(lambda: bool(daemon.lines("daemon.started"))), daemon.process.wait())
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * self._plan.longest_life):
                match point:
                    case "some time":
                        await sleep_unless_set(self._rng.uniform(0.0, self._plan.longest_life), unless=self.over)
                    case "middle of a batch":
                        count = self._rng.randrange(2, 30)
                        await daemon.until(lambda: len(daemon.entries) >= count)
                    case "daemon.stopping":
                        self._send(daemon, signal.SIGTERM, "daemon.started")
                        await daemon.until(lambda: bool(daemon.lines(point)))
                    case "made, unanswered" | "published, not deleted":
                        async with self._run.armed(point) as happened:
                            await happened.wait()
                    case logged:
                        count = self._rng.randrange(1, 4)
                        await daemon.until(lambda: len(daemon.lines(logged)) >= count)
                return point
        return SOME_TIME

    def _has_ended(self, daemon: Daemon) -> bool:
        """Whether it runs no more, and of its own will: which only one that was told to may."""
        code = daemon.process.returncode
        if code is not None and not (code == 0 and daemon.lines("signal.received")):
            self._run.violated(f"replica {self._number} died by itself with {code}: {daemon.entries[-3:]}")
        return code is not None

    async def _end_gently(self, daemon: Daemon, point: str) -> None:
        if daemon.process.returncode is not None:
            self._has_ended(daemon)
            return
        was_up = bool(daemon.lines("daemon.started"))
        if point != "the end":
            self._send(daemon, signal.SIGTERM, point)
        code, took = await daemon.end(signal.SIGTERM)
        # Before its handlers are there, SIGTERM ends a Python process as it ends any.
        if took > LONGEST_GOODBYE_SECONDS or (code != 0 and was_up):
            self._run.violated(f"replica {self._number} ended with {code} after {took:.1f} s: {daemon.entries[-3:]}")

    def _send(self, daemon: Daemon, number: signal.Signals, point: str) -> None:
        if daemon.process.returncode is None:
            daemon.process.send_signal(number)
            self._run.signalled(number.name, point)


def _dealt(these: Sequence[T], rng: random.Random) -> Iterator[T]:
    """Return all of these in some order, then all again in another, for ever."""
    while True:
        yield from rng.sample(these, len(these))


async def _first_of(*these: Any) -> None:
    tasks = [asyncio.ensure_future(this) for this in these]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def after(name: str) -> str:
    """Return the id of what is asked for about a deployment once it is there."""
    return f"after-{name}"


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


def _untruth(data: Mapping[str, Any], made: Mapping[str, list[StandInDeployment]], expected: Mapping[str, str]) -> str | None:
    """Return what is wrong about an event; None for the truth."""
    request, outcome = data["requestId"], data["outcome"]
    if outcome != expected.get(request):
        return f"{request} is said to be {outcome}, and not {expected.get(request)}: {data.get('message')}"
    if data.get("alreadyGone"):
        return None  # whoever deleted it was killed before that was said
    arns = {one.arn for one in made.get(request, made.get(request.removeprefix("after-"), ()))}
    return None if {data.get("customModelDeploymentArn")} == arns else f"{request} has not the ARN {arns}: {data}"


def _unlike(request: str, made: Mapping[str, list[StandInDeployment]], now: float) -> str | None:
    """Return what is wrong about a deployment, after what was asked for about it; None where it is as it should be."""
    (first, *_) = made[request.removeprefix("after-")]
    outcome = AFTERWARDS[_number(request) % 10][0]
    last = made[request][0] if request in made else first
    wanted = {"Deleted": None, "RolledBack": MODEL}.get(outcome, OTHER_MODEL)
    found = last.model_arn(now) if last.exists(now) else None
    if found != wanted or (last is not first and first.exists(now)):
        return f"{request} ended {outcome}, and its deployment has {found}"
    return None


def _client(box: LocalAws) -> Any:
    environment = box.environment()
    return aioboto3.Session().client(
        "sqs",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


async def _counts(sqs: Any, queue_url: str) -> tuple[int, int]:
    """Return how many messages can be received, and how many are in flight."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    got = await sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
    visible, hidden = (int(got["Attributes"][name]) for name in names)
    return visible, hidden


async def _letters(sqs: Any, queue_url: str) -> list[str]:
    """Return the requests of some dead letters, each with its receive count and what it continues, if anything."""
    asked = {"MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"], "AttributeNames": ["ApproximateReceiveCount"]}
    got = await sqs.receive_message(QueueUrl=queue_url, **asked)
    return [
        f"{message['Body'][:60]} {message['Attributes']} {message.get('MessageAttributes', {}).get(CONTINUATION)}"
        for message in got.get("Messages", [])
    ]


async def _set_max_receive_count(sqs: Any, box: LocalAws, most: int) -> None:
    got = await sqs.get_queue_attributes(QueueUrl=box.queue_url, AttributeNames=["RedrivePolicy"])
    policy = json.loads(got["Attributes"]["RedrivePolicy"]) | {"maxReceiveCount": most}
    await sqs.set_queue_attributes(QueueUrl=box.queue_url, Attributes={"RedrivePolicy": json.dumps(policy)})


def _plan(arguments: list[str] | None = None) -> Plan:
    usual = Plan()
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.processes", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--kills", type=int, default=usual.kills)
    parser.add_argument("--requests", type=int, default=usual.requests)
    parser.add_argument("--replicas", type=int, default=usual.replicas)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--rolling-restart", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--creation-seconds", type=float, default=3.0)
    parser.add_argument("--max-creating", type=int, default=usual.max_creating)
    parser.add_argument("--max-receive-count", type=int, default=usual.max_receive_count)
    parser.add_argument("--visibility", type=int, default=usual.visibility_seconds)
    parser.add_argument("--fifo", action="store_true")
    given = parser.parse_args(arguments)
    about = given.creation_seconds
    return Plan(
        kills=given.kills,
        requests=given.requests,
        replicas=given.replicas,
        seed=given.seed,
        visibility_seconds=given.visibility,
        creation_seconds=(about * 0.7, about * 1.3) if not given.rolling_restart else (about, about),
        max_creating=given.max_creating,
        max_held=200 if given.rolling_restart else usual.max_held,
        max_receive_count=given.max_receive_count,
        rolling_seconds=given.rolling_restart,
        minutes=given.minutes,
        quiet_seconds=300.0 + 2 * about * max(1, -(-given.requests // given.max_creating)) * bool(given.rolling_restart),
        fifo=given.fifo,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run a plan from the command line; answer 0 when every promise held, and 1 otherwise."""
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:7.1f} s  {text}\n")
        sys.stderr.flush()

    async def run(plan: Plan) -> Report:
        return await Run(plan, say).report()

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `timeout` too lets no daemon be left behind
    report = asyncio.run(run(_plan(arguments)))
    sys.stdout.write("".join(f"{line}\n" for line in report.lines()))
    sys.stdout.write(json.dumps(report.document()) + "\n")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
