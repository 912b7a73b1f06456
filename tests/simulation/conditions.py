"""Conditions that last: what is full, denied or broken for long, and what must go on meanwhile (I14, I15).

Each begins with the world, or within it, and is lifted before everything has to end. Before that, when nothing else fails any
more, one fresh process is to get through what the condition must not hold up. All of it is drawn by itself.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any, cast

from botocore.exceptions import NoCredentialsError

from slipway.core.lifecycle.tags import EXPIRES_TAG, RECEIVED_TAG, REQUEST_TAG
from slipway.core.requests.targets import DEFAULT
from slipway.core.sqs.continuations import MOST_DEATHS
from slipway.core.time_format import format_time
from tests.simulation.context import Scene
from tests.simulation.environment import COPIES, MODELS, WEST
from tests.simulation.kinds import (
    BROKEN_TARGET,
    CONTROL_QUEUE,
    DENIED_DEAD_LETTERS,
    DENIED_REPLIES,
    DENIED_TOPIC,
    FULL,
    KILLER,
    NO_CREDENTIALS,
    RAISING,
    RAISING_CALLS,
    REFUSED_EVENTS,
    TWO_VERSIONS,
    chance,
)
from tests.simulation.recorder import Asked, Life, origin
from tests.simulation.runner import Running
from tests.simulator.bedrock import StandInDeployment
from tests.simulator.simulation import Replica
from tests.simulator.sqs import Letter
from tests.simulator.versions import Version
from tests.simulator.virtual_loop import PROCESS
from tests.simulator.wire_faults import Fault, no_faults

CONTROL_SECONDS = 60.0
"""Within this, and one second for each message before it, a request that may free something is received."""
ACTION_SECONDS = 120.0
"""How long a delete takes, once it is received."""
LONG_AGO = "2025-01-01T00:00:00.000Z"
RAISING_CALLS_SHARE = 0.02
KILLER_SECONDS = 0.3
LATE_CREDENTIALS = 0.5
"""How many of the worlds without credentials have none from the beginning."""
ROUND_SECONDS = 600.0
"""How much longer than its creation a healthy request may take while others hold places for as long as they are tried."""


class Conditions:
    """The lasting conditions of one world."""

    def __init__(self, scene: Scene, running: Running) -> None:
        self._scene = scene
        self._running = running
        self._world = scene.world
        self._books = scene.monitor.books
        self._rng = random.Random(f"conditions {scene.seed}")
        self._length = scene.environment.chaos_seconds
        self._has = scene.environment.kinds.has
        self._killers: set[str] = set()
        self._no_credentials = (0.0, 0.0)
        """From when until when."""
        self._has_raising_calls = self._has(RAISING_CALLS)

    def begin(self) -> None:
        """Let everything begin that this world has."""
        if self._has(TWO_VERSIONS):
            self._world.version_of = self._version_of
        self._deny()
        self._let_fail()

    def _deny(self) -> None:
        """Let what is not permitted, or not taken, be so."""
        world, books = self._world, self._books
        if self._has(BROKEN_TARGET) and WEST in world.targets:
            world.wires[WEST].plan = lambda _operation, _number: Fault.DENIED
        if self._has(DENIED_DEAD_LETTERS):
            world.dead.is_denied, books.denied["dead letters"] = True, books.now
        if self._has(DENIED_REPLIES):
            world.askers.is_denied, books.denied["replies"] = True, books.now
        if self._has(DENIED_TOPIC):
            self._scene.loop.call_later(self._rng.uniform(0.0, self._length / 2), self._deny_topic)
        if self._has(REFUSED_EVENTS):
            books.has_refused_events = True
            books.refused_events = lambda request_id: chance(self._scene.seed, "refused", request_id) < 0.3
            world.topic.refuses = lambda one: books.refused_events(json.loads(one.body)["data"]["requestId"])

    def _let_fail(self) -> None:
        """Let what fails in the processes themselves do so."""
        rng, world, books = self._rng, self._world, self._books
        if self._has(RAISING):
            books.raising = {f"bot-{number}" for number in range(40) if chance(self._scene.seed, "raises", number) < 0.2}
            self._running.on_start = self._let_raise
        if self._has(KILLER):
            self._killers = {f"m-{rng.randint(1, 8):05d}", f"m-{rng.randint(1, 30):05d}"}
            self._scene.monitor.on_received = self._received
        if self._has(NO_CREDENTIALS):
            begins = books.now + (0.0 if rng.random() < LATE_CREDENTIALS else rng.uniform(0.0, self._length / 2))
            self._no_credentials = begins, begins + rng.uniform(60.0, 600.0)
            books.outages.append(self._no_credentials)
        if self._has_raising_calls or self._has(NO_CREDENTIALS):
            for target, wire in world.wires.items():
                wire.raises = lambda operation, number, target=target: self._raised(operation, number, target)  # type: ignore[misc]

    def lift(self) -> None:
        """End what lasts, so that everything can end."""
        world, books = self._world, self._books
        if not self._has(DENIED_DEAD_LETTERS) or chance(self._scene.seed, "lifted") < 0.5:
            world.dead.is_denied = False
            books.denied.pop("dead letters", None)
        if not self._has(DENIED_REPLIES) or chance(self._scene.seed, "lifted") < 0.5:
            world.askers.is_denied = False
            books.denied.pop("replies", None)
        world.topic.is_denied = False
        for name, account in world.accounts.items():
            world.wires[name].plan = no_faults
            world.wires[name].raises = lambda _operation, _number: None
            account.rule(max_total=1000)

    async def probe(self, life: Life, check: Callable[[], None]) -> None:
        """Send what must get through in spite of each condition, and see that it does; `check` raises for what is broken."""
        self._check_promises = check
        for kind, probe in {
            FULL: self._probe_full,
            BROKEN_TARGET: self._probe_broken_target,
            CONTROL_QUEUE: self._probe_control_queue,
            DENIED_DEAD_LETTERS: self._probe_dead_letters,
            DENIED_TOPIC: self._probe_topic,
            DENIED_REPLIES: self._probe_replies,
        }.items():
            if self._has(kind):
                self._books.note(f"probe    {kind}")
                await probe(life.replica)

    # Each condition.

    def _version_of(self, process: str) -> Version:
        """Draw the version of a process; the last one may be of any, as after an upgrade or a rollback."""
        return list(Version)[int(chance(self._scene.seed, TWO_VERSIONS, process) * len(Version))]

    def _deny_topic(self) -> None:
        self._world.topic.is_denied = True

    def _raised(self, operation: str, number: int, target: str) -> Exception | None:
        """Return what a call raises before it is sent."""
        since, until = self._no_credentials
        watching = self._world.wires[target].watching
        if since <= self._books.now < until:
            watching.fired(NO_CREDENTIALS, operation)
            return cast("Exception", NoCredentialsError())
        drawn = chance(self._scene.seed, RAISING_CALLS, target, operation, number)
        if not self._has_raising_calls or self._scene.is_quiet or drawn >= RAISING_CALLS_SHARE:
            return None
        watching.fired(RAISING_CALLS, operation)
        self._books.raised[PROCESS.get()] += 1
        self._books.calls_raised += 1
        return TypeError("an argument too many") if drawn < RAISING_CALLS_SHARE / 2 else AttributeError("no such attribute")

    def _let_raise(self, replica: Replica) -> None:
        """Let a process raise on some requests, each time."""
        for site in replica.slipway.runtimes.values():
            lives, live = site.actions, site.actions.run

            def raising(request: Any, *others: Any, live: Any = live) -> Any:
                if request.name in self._books.raising:
                    self._scene.done[RAISING] += 1
                    self._books.raised[replica.name] += 1
                    raise ZeroDivisionError
                return live(request, *others)

            lives.run = raising  # type: ignore[method-assign,assignment]  # a bug, put in on purpose

    def _received(self, letter: Letter, process: str | None) -> None:
        """End the process that has received some messages, at one of its first steps, and start another."""
        begun, _ = origin(letter)
        if begun not in self._killers or self._scene.is_quiet or process is None:
            return
        books, self._books.deaths[begun] = self._books, self._books.deaths[begun] + 1
        self._scene.done[KILLER] += 1
        if books.deaths[begun] > 2 * MOST_DEATHS + self._world.max_receive_count:
            books.breaks("I14", f"{begun} has ended {books.deaths[begun]} readers")

        def end() -> None:
            life = books.life_of(process)
            if life is not None and life.killed_at is None and not life.replica.task.done() and not self._scene.is_quiet:
                self._running.kill(life)
                self._running.start()

        self._scene.loop.call_later(chance(self._scene.seed, begun, books.deaths[begun]) * KILLER_SECONDS, end)

    # What must go on.

    async def _probe_full(self, replica: Replica) -> None:
        """With every place taken by deploys that wait: a delete, an update and a cancel get through, and expiry."""
        expiring = self._fill(150.0)
        self._wait_for_slots(2 * self._world.terms["max_held"])
        await asyncio.sleep(90.0)
        if replica.slipway.leases.places >= self._world.terms["max_held"] // 2:
            self._scene.done[FULL] += 1
        within = CONTROL_SECONDS + len(self._world.letters) + ACTION_SECONDS
        update = self._ask("old-1", {"action": "update", "modelArn": MODELS[0]})
        self._ask("wait-1", {"action": "cancel", "cancels": "wait-1", "timeout": 60.0})
        await self._ended(self._ask("old-0", {"action": "delete"}), within)
        await self._ended(update, within)
        expires = 150.0 + 2 * self._world.terms["reap_interval"] + ACTION_SECONDS
        await self._until(lambda: all(not one.exists(self._world.account.now()) for one in expiring), expires, "expiry")

    async def _probe_control_queue(self, _: Replica) -> None:
        """However many deploys wait in the first queue, what comes by the control queue gets through."""
        self._fill()
        self._wait_for_slots(60)
        await asyncio.sleep(30.0)
        asked = self._ask("old-0", {"action": "delete"}, to_control=self._world.has_control)
        await self._ended(asked, CONTROL_SECONDS + ACTION_SECONDS)

    async def _probe_broken_target(self, _: Replica) -> None:
        """The requests of a broken target, which all wait, leave the others their places."""
        self._world.account.rule(max_total=1000)
        if WEST not in self._world.targets:
            return
        for number in range(2 * self._world.terms["max_held"]):
            self._deploy(f"west-{number}", target=WEST)
            self._scene.done[BROKEN_TARGET] += 1
        await asyncio.sleep(120.0)
        await self._ended(self._deploy("healthy"), self._rounds())

    async def _probe_dead_letters(self, _: Replica) -> None:
        """Rejected messages that no dead-letter queue takes hold up nothing."""
        self._world.account.rule(max_total=1000)
        for _number in range(2 * self._world.terms["max_held"]):
            letter = self._world.sqs.put("{", None, "poison")
            assert letter is not None
            self._scene.lifetimes += 1
            self._scene.monitor.announced.poison.add(letter.message_id)
        await self._ended(self._deploy("healthy"), self._rounds())

    async def _probe_replies(self, _: Replica) -> None:
        """Replies that are denied hold up no delete, and the places of deploys for a bounded time."""
        self._world.account.rule(max_total=1000)
        more = {"replyTo": COPIES} if self._world.terms.get("reply_to") else {}
        for number in range(self._world.terms["max_held"]):
            self._deploy(f"reply-{number}", **more)
        await asyncio.sleep(self._scene.environment.creation + 120.0)
        within = CONTROL_SECONDS + len(self._world.letters) + ACTION_SECONDS
        await self._ended(self._ask("nothing", {"action": "delete"}), within)

    async def _probe_topic(self, _: Replica) -> None:
        """Requests whose outcome nobody takes leave others their places; for hours, then it is published."""
        self._deny_topic()
        self._world.account.rule(max_total=1000)
        self._deploy("healthy")
        await self._until(lambda: any(one.name == "healthy" for one in self._world.account.made), self._rounds(), "healthy")
        await asyncio.sleep(self._rng.uniform(600.0, 7200.0))

    def _rounds(self) -> float:
        """Return how long all requests that there are may take, a few at a time, and one more."""
        environment, terms = self._scene.environment, self._world.terms
        at_once = min(self._world.account.rules.max_creating, terms["max_held"], 3 if environment.is_fifo else 100)
        rounds = 1 + len(self._world.letters) // at_once
        return float(ROUND_SECONDS + rounds * (environment.creation * 1.2 + 3 * terms["sweep_interval"]))

    def _fill(self, expires_in: float | None = None) -> list[StandInDeployment]:
        """Take all room of the account by deployments of earlier requests; two of them are there for long, others expire."""
        account, expiring = self._world.account, list[StandInDeployment]()
        while len(account.existing()) < max(3, account.rules.max_total):
            number = len(expiring) + 2 if any(one.name == "old-1" for one in account.existing()) else 0
            for name in ("old-0", "old-1") if number == 0 else (f"old-{number}",):
                tags = {REQUEST_TAG: name, RECEIVED_TAG: LONG_AGO}
                if number and expires_in is not None:
                    tags[EXPIRES_TAG] = format_time(account.now() + expires_in)
                one = account.add(name, MODELS[0], tags)
                if number:
                    expiring.append(one)
        return expiring if expires_in is not None else []

    def _wait_for_slots(self, count: int) -> None:
        for number in range(count):
            self._deploy(f"wait-{number}")

    def _deploy(self, name: str, *, target: str = DEFAULT, **more: object) -> str:
        where: dict[str, object] = {} if target == DEFAULT else {"target": target}
        model = self._world.model_in(target, MODELS[0])
        body = {"modelDeploymentName": name, "modelArn": model, "requestId": name, "timeout": 21_600.0} | where | more
        return self._send(body, target=target)

    def _ask(self, name: str, body: dict[str, object], *, to_control: bool = False) -> str:
        about: dict[str, object] = {} if "cancels" in body else {"customModelDeploymentIdentifier": name}
        return self._send(body | about | {"requestId": f"{body['action']}-{name}"}, to_control=to_control)

    def _send(self, body: dict[str, object], *, target: str = DEFAULT, to_control: bool = False) -> str:
        """Send a request; return its id."""
        self._scene.lifetimes += 1
        letter = self._world.send(body, group=f"probe-{body['requestId']}", to_control=to_control)
        self._scene.monitor.ask(letter, body, float(str(body.get("timeout", self._world.terms["timeout"]))), target)
        return str(body["requestId"])

    async def _ended(self, request_id: str, within: float) -> None:
        """Wait until the outcome of a request is published, or, while the topic accepts nothing, until a process tries to.

        `within` holds in both cases: what is decided has freed what it is to free.
        """
        asked = [one for one in self._books.asked.values() if one.request_id == request_id]

        def has_ended(one: Asked) -> bool:
            is_decided = one.is_decided and self._world.topic.is_denied
            return is_decided or one.key in self._books.said or one.is_excused

        await self._until(lambda: any(has_ended(one) for one in asked), within, request_id)

    async def _until(self, fact: Callable[[], bool], within: float, what: str) -> None:
        began = self._books.now
        while not fact():
            self._check_promises()
            if self._books.now - began > within:
                self._books.breaks("I15", f"{what} is held up: not done within {within:.0f} s")
                self._check_promises()
            await asyncio.sleep(2.0)
