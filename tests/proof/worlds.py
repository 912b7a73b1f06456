"""A world from a seed: how AWS behaves, who asks for what, what breaks and when; then quiet, and everything must be done.

A world is a function of its seed alone, whatever the hash seed and whatever ran before: the digest of its trace says so.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from service.core.messages import CONTINUATION
from service.core.permissions import Rule
from service.core.targets import DEFAULT
from tests.poison import POISON, is_sendable
from tests.proof.elsewhere import Elsewhere
from tests.proof.monitor import KILLED_BEFORE_SECONDS, LEAVING_SECONDS, Life, Monitor
from tests.world.askers import Waiting
from tests.world.bedrock import Rules
from tests.world.loop import PROCESS, Deadlock, VirtualLoop, run
from tests.world.sqs import SOMEBODY, Letter
from tests.world.wire import Fault, Plan, no_faults
from tests.world.world import MODEL, World

WEST = "west"
"""A target beside the default, in some worlds."""
STRANGER = "AROASTRANGER:eve"
PERMITTED = Rule(name="somebody", senders=(SOMEBODY,), force_tags=(("by", "rule"),))
"""In the worlds that have permissions: everything for whoever asks honestly, and a tag that no request has by itself."""
MODELS = [MODEL[:-1] + letter for letter in "lmnop"]
SMALL_POISON = [body for _, body in POISON if is_sendable(body) and len(body) < 5000]
LOOP_START = 1000.0
PATIENCE_SECONDS = 3600.0
MOST_TURNS = 1_000_000
"""Of the loop in one world: the busiest goes round 75,000 times."""
_ANSWERS = (
    Fault.THROTTLED,
    Fault.DENIED,
    Fault.REQUEST_LOST,
    Fault.RESPONSE_LOST,
    Fault.ERROR_BEFORE,
    Fault.ERROR_AFTER,
    Fault.ZOMBIE,
    Fault.LATE,
    Fault.SLOW,
    Fault.EMPTY,
    Fault.DATELESS,
)
_OF_BEDROCK_ALONE = frozenset({Fault.EMPTY, Fault.DATELESS})
_OTHER_TERMS = {"max_held": 1, "sweep_interval": 40.0, "progress_events": True, "max_creating": 0}
"""Of a replica of a version before or after: as settings change from one to the next."""
_OF_BEDROCK = ("Create", "Get", "List")
_BATCHES = frozenset({"PublishBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessageBatch"})
_ONCE = frozenset({Fault.ZOMBIE})
MISCHIEF = {
    "kill -9": 5,
    "kill -9 at a step": 5,
    "SIGSTOP": 3,
    "SIGTERM": 4,
    "SIGTERM at a step": 2,
    "SIGTERM twice": 1,
    "credential outage": 1,
    "throttle storm": 1,
    "KMS disabled": 1,
    "duplicate delivery": 4,
    "in-flight limit": 1,
    "deleted by a person": 2,
    "quota lowered": 1,
    "quota raised": 1,
    "others come": 2,
    "others go": 2,
    "name held by others": 1,
    "wall clock": 1,
    "loop blocked": 2,
    "visibility lapse": 3,
    "lapses, then kill -9": 2,
    "message back after delete": 2,
    "unknown status": 2,
    "list lag": 1,
    "another replica": 1,
    "another version": 2,
}

LONG = "creation of over 12 hours"
HAPPENINGS = frozenset(
    {
        "poison",
        "quota full",
        "model not Active yet",
        "name taken by us",
        "name taken by others",
        "name still reserved after delete",
        "token remembered",
        "token forgotten",
        "Get 404 just after Create",
        "stale List page, missing item",
        "several pages",
        "unknown status value",
        "stale receipt handle",
        "published again",
        "deduplicated by the topic",
        "another target",
        "a stranger asks",
        "a forged continuation",
        "retry beyond the dedup window",
        "an asker was answered",
        "nobody waits any more",
        "tenants take turns",
        "a lower priority waits",
        LONG,
    }
)
"""What comes about by itself, and must have."""


@dataclass
class Report:
    """What became of a world."""

    seed: int
    broken: list[str]
    trace: list[str]
    digest: str
    lifetimes: int
    simulated_seconds: float
    kills: int
    faults: Counter[str] = field(default_factory=Counter)
    busiest: Counter[str] = field(default_factory=Counter)
    excused: int = 0

    def said(self) -> str:
        """Say what broke, and how to see it again."""
        return "\n".join(
            [f"seed {self.seed}: {self.broken[0]}", *self.trace, f"replay: python -m tests.proof replay {self.seed}"]
        )


def run_world(seed: int, lines: int = 50) -> Report:
    """Live through one world, to the end or to the first broken promise; keep the last lines of what happened."""
    chaos = _Chaos(seed, lines)
    with quietly(is_told=lines > 1000):
        try:
            return run(chaos.live())
        except Deadlock as stuck:
            chaos.monitor.breaks("harness", str(stuck))
            return chaos.report()


@contextmanager
def quietly(*, is_told: bool = False) -> Iterator[None]:
    """Without logs, and without a garbage collector that would close what the dead have left, at a time of its own."""
    before, was_collecting = structlog.get_config(), gc.isenabled()
    if not is_told:
        structlog.configure(processors=[_drop], wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.disable()
    try:
        yield
    finally:
        structlog.configure(**before)
        if was_collecting:
            gc.enable()


def _drop(*_: object) -> Any:
    raise structlog.DropEvent


def chance(*about: object) -> float:
    """Answer a number from 0 to 1 that is always the same for the same arguments."""
    digest = hashlib.blake2b(repr(about).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


class _Chaos:
    """One world in the making. Every choice is drawn from `self.rng`, in an order that nothing else disturbs."""

    def __init__(self, seed: int, lines: int = 50) -> None:
        self.seed = seed
        self.lines = lines
        self.rng = random.Random(f"world {seed}")
        self.windows: dict[str, float] = {}
        """Until when credentials are refused, calls are throttled, the key is disabled."""
        self.is_quiet = False
        self.number = 0
        self.at_steps: dict[int, str] = {}
        self.done: Counter[str] = Counter()
        self.lifetimes = 0
        self.kills = 0
        self.endings: set[asyncio.Task[None]] = set()

    async def live(self) -> Report:
        self._make()
        self.monitor = Monitor(self.world, self.lines, self._refused)
        elsewhere = {name: Elsewhere(self.monitor, name) for name in self.world.targets}
        self.loop.set_exception_handler(self._loop_complains)
        self.world.watch(self.monitor, **elsewhere)
        try:
            await self._days()
        except AssertionError as wrong:
            self.monitor.breaks("harness", repr(wrong))
        return self.report()

    def report(self) -> Report:
        """Answer what has become of it."""
        return Report(
            self.seed,
            self.monitor.broken,
            list(self.monitor.trace),
            self.monitor.digest,
            self.lifetimes,
            self.loop.time() - LOOP_START,
            self.kills,
            self.done + self.monitor.faults + Counter({LONG: len(self.world.account.made) if self.is_long else 0}),
            self.monitor.busiest,
            sum(one.is_excused for one in {id(each): each for each in self.monitor.asked.values()}.values()),
        )

    def _loop_complains(self, _: object, context: dict[str, Any]) -> None:
        """Nobody asks the dead for their exceptions; an exception in a callback is a bug."""
        if "never retrieved" not in context["message"] and "was destroyed" not in context["message"]:
            self.monitor.breaks("loop", f"{context['message']}: {context.get('exception')!r}")

    # The making.

    def _make(self) -> None:
        rng, loop = self.rng, asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        loop.turns_left = MOST_TURNS
        self.is_fifo = rng.random() < 0.3
        self.is_long = rng.random() < 0.005
        self.is_model_prompt = rng.random() < 0.3
        shortest = rng.choice([20.0, 120.0, 400.0])
        longest = shortest * rng.choice([1.0, 2.0, 5.0])
        if self.is_long:
            shortest = longest = 47_000.0
        self.creation = longest
        models: dict[str, str] = {MODELS[1]: "Creating", MODELS[2]: "Missing", MODELS[3]: "Failed"}
        readable = rng.random() < 0.8
        if not readable:
            del models[MODELS[3]]  # nobody could tell it from one that is not ready yet
        rules = Rules(
            max_creating=20 if self.is_long else rng.choice([1, 2, 2, 3, 5, 20]),
            max_total=rng.choice([3, 10, 10, 50]),
            failed_counts=rng.random() < 0.7,
            failed_holds_name=rng.random() < 0.7,
            creation_seconds=(shortest, longest),
            failing=rng.choice([0.0, 0.1, 0.4]),
            page_size=rng.choice([1, 2, 3, 1000, 1000]),
            list_lag_seconds=rng.choice([0.0, 0.0, 5.0, 90.0]),
            get_lag_seconds=rng.choice([0.0, 0.0, 2.0, 30.0]),
            token_seconds=rng.choice([0.0, 30.0, 600.0, 86_400.0]),
            token_answer=rng.choice(["same", "same", "any", "error"]),
            name_reserved_seconds=rng.choice([0.0, 0.0, 120.0]),
            taken_code=rng.choice(["ConflictException", "ValidationException"]),
            taken_text=rng.choice(["Deployment name already exists", "name is in use", "The name is reserved"]),
            quota_first=rng.random() < 0.4,
            model_shown="" if readable else "Baking",
            model_text="The provided model is not usable" if readable else "The model is not ready",
            invalid_names="^bot-3$" if rng.random() < 0.3 else "",
            models=models,
        )
        interval = 120.0 if self.is_long else rng.choice([5.0, 15.0, 15.0, 60.0])
        self.world = World(
            seed=self.seed,
            rules=rules,
            fifo=self.is_fifo,
            # Not 1: there SQS itself buries whatever is received twice, and the daemon warns at its start.
            max_receive_count=rng.choice([2, 2, 3, 5, 5, 6]),
            plan=self._plan(),
            terms={
                "visibility_timeout": rng.choice([30, 60, 120]),
                "max_held": 200 if self.is_long else rng.choice([1, 3, 10, 200, 200]),
                "sweep_interval": interval,
                "timeout": 172_800.0 if self.is_long else rng.choice([3600.0, 21_600.0, 21_600.0]),
                "progress_events": rng.random() < 0.3,
                "max_creating": rng.choice([0, 0, rules.max_creating]),
                "permissions": (PERMITTED,) if chance(self.seed, "permissions") < 0.25 else (),
                "tenant_weights": {"a": 3} if chance(self.seed, "weights") < 0.3 else {},
            },
            targets={WEST: rules} if chance(self.seed, "targets") < 0.25 and not self.is_long else {},
        )
        for name in self.world.targets:
            there = {self.world.model_in(name, arn): status for arn, status in models.items()}
            self.world.accounts[name].rule(models=there)
            self.world.wires[name].plan = self.world.wire.plan
        self.chaos_seconds = rng.choice([300.0, 900.0, 1800.0])
        self.last_deadline = 0.0

    def _plan(self) -> Plan:
        """What befalls a call is a function of the seed, the operation and its number; of the time only within a window."""
        rng = self.rng
        rate = {name: rng.choice([0.0, 0.02, 0.1, 0.25]) for name in ("Create", "Get", "List", "Receive", "Publish", "rest")}
        kinds = [kind for kind in _ANSWERS if rng.random() < 0.7] or [Fault.RESPONSE_LOST]
        seed = self.seed

        def plan(operation: str, number: int) -> Fault | None:
            if self.windows and (fault := self._weather(operation, number)):
                return fault
            likely = next((rate[name] for name in rate if operation.startswith(name)), rate["rest"])
            if not likely:
                return None
            drawn = chance(seed, operation, number)
            if drawn >= likely:
                return None
            choice = int(drawn / likely * 1e6)
            if operation in _BATCHES and choice % 3 == 0:
                return Fault.PARTIAL
            kind = kinds[choice % len(kinds)]
            is_other = kind in _OF_BEDROCK_ALONE and not operation.startswith(_OF_BEDROCK)
            return Fault.RESPONSE_LOST if is_other else kind

        return plan

    def _weather(self, operation: str, number: int) -> Fault | None:
        now = self.loop.time()
        if now < self.windows.get("credential outage", 0.0):
            return Fault.DENIED
        if now < self.windows.get("KMS disabled", 0.0) and operation == "PublishBatch":
            return Fault.DENIED
        if now < self.windows.get("throttle storm", 0.0) and chance(self.seed, "storm", operation, number) < 0.8:
            return Fault.THROTTLED
        return None

    # The days.

    async def _days(self) -> None:
        rng = self.rng
        began = self.loop.time()
        for _ in range(rng.choice([1, 1, 2, 3])):
            self._start()
        todo: list[tuple[float, int, Callable[[], object]]] = []
        todo += [
            (rng.choice([0.0, rng.uniform(0, self.chaos_seconds)]), number, self._an_asking(number))
            for number in range(rng.randint(5, 30))
        ]
        for number in range(rng.choice([0, 3, 8, 15])):
            kind = rng.choices(list(MISCHIEF), list(MISCHIEF.values()))[0]
            todo.append((rng.uniform(0.1, self.chaos_seconds), 1000 + number, lambda kind=kind: self._do(kind)))  # type: ignore[misc]
        # Much goes on just after things were asked for.
        for number in range(rng.choice([0, 2, 4])):
            kind = rng.choice(["kill -9", "SIGTERM", "SIGSTOP", "visibility lapse"])
            todo.append((rng.uniform(0.01, 5.0), 2000 + number, lambda kind=kind: self._do(kind)))  # type: ignore[misc]
        todo.append((rng.uniform(0, self.chaos_seconds), 3000, self._model_is_ready))
        self.loop.before_step = self._at_step
        for when, _, act in sorted(todo, key=lambda each: each[:2]):
            await self._until(began + when)
            act()
        await self._until(began + self.chaos_seconds)
        await self._quiet()

    async def _until(self, when: float) -> None:
        while self.loop.time() < when:
            self._check()
            await asyncio.sleep(min(10.0, when - self.loop.time()))

    def _check(self) -> None:
        if self.monitor.broken:
            raise AssertionError(self.monitor.broken[0])

    def _an_asking(self, number: int) -> Callable[[], None]:
        """Draw one request now, to be sent later."""
        rng = self.rng
        group = f"g-{rng.randrange(6)}"
        if rng.random() < 0.06:
            body = rng.choice(SMALL_POISON)
            return lambda: self._send_poison(body, group)
        name = f"bot-{rng.choice([number, number, number, rng.randrange(5)])}"
        model = MODELS[0] if rng.random() < 0.85 else rng.choice(MODELS)
        more: dict[str, object] = {}
        token = request_id = None
        draw = rng.random()
        if draw < 0.3:
            request_id = f"r-{number if rng.random() < 0.8 else rng.randrange(5)}"
            more["requestId"] = request_id
        elif draw < 0.45:
            token = f"own-{number if rng.random() < 0.7 else rng.randrange(3)}"
            more["clientRequestToken"] = token
        timeout = float(self.world.terms["timeout"])
        more |= self._where(number)
        target = str(more.get("target", DEFAULT))
        model = self.world.model_in(target, model)
        if rng.random() < 0.2:
            timeout = rng.choice([45.0, 300.0, 1200.0])
            more["timeout"] = timeout
        if rng.random() < 0.2:
            more["priority"] = rng.choice([-5, 5])
        if rng.random() < 0.2:
            more["description"], more["tags"] = "nightly", [{"key": "team", "value": "support"}]
        more |= self._for_whom(number)
        if self.world.terms["permissions"] and chance(self.seed, "stranger", number) < 0.2:
            return self._a_strangers({"modelDeploymentName": name, "modelArn": model} | more, group, number)
        waits = self._who_waits(number)
        more |= {key: token for key, token, _ in waits}

        def send() -> None:
            self.lifetimes += 1
            self.last_deadline = max(self.last_deadline, self.loop.time() + timeout)
            letter = self.world.ask(name, model, group=group, **more)
            self.monitor.ask(letter, (token or request_id, name, model), request_id or token, timeout, target)
            for _, at, waiting in waits:
                self.monitor.wait(letter, at, waiting)

        return send

    def _for_whom(self, number: int) -> dict[str, object]:
        """Draw the tenant; by itself, not from the stream of all the other draws."""
        drawn = chance(self.seed, "tenant", number)
        return {} if drawn >= 0.6 else {"tenant": "a" if drawn < 0.4 else "b"}

    def _a_strangers(self, body: dict[str, object], group: str, number: int) -> Callable[[], None]:
        """Draw what makes a good request somebody's who may not ask for it, and may say that it is another's."""
        claim = {"origin": "m-00001", "firstReceivedAt": self.world.sqs.now(), "hops": 1, "sender": SOMEBODY}
        is_forged = chance(self.seed, "forged", number) < 0.6
        attributes = {CONTINUATION: json.dumps(claim)} if is_forged else {}

        def send() -> None:
            self.done["a forged continuation" if is_forged else "a stranger asks"] += 1
            self._send_poison(json.dumps(body), group, attributes, STRANGER)

        return send

    def _where(self, number: int) -> dict[str, object]:
        """Draw the target, where there is another than the default."""
        if not self.world.targets or chance(self.seed, "target", number) >= 0.4:
            return {}
        self.done["another target"] += 1
        return {"target": WEST}

    def _who_waits(self, number: int) -> list[tuple[str, str, Waiting]]:
        """Draw who waits for an answer: key, token, and whether anybody is there; some leave before they are answered."""
        rng = random.Random(f"askers {self.seed} {number}")
        askers, drawn = self.world.askers, list[tuple[str, str, Waiting]]()
        for key, tokens, token in (
            ("taskToken", askers.tasks, f"t-{number}"),
            ("callbackToken", askers.steps, f"step{number:06}"),
        ):
            if rng.random() < 0.2:
                waiting = tokens[token] = Waiting(is_over=rng.random() < 0.1)
                drawn.append((key, token, waiting))
                if rng.random() < 0.2:
                    self.loop.call_later(rng.uniform(0, self.chaos_seconds), waiting.leave)
        return drawn

    def _send_poison(self, body: str, group: str, attributes: dict[str, str] | None = None, sender: str = SOMEBODY) -> None:
        self.lifetimes += 1
        letter = self.world.sqs.put(body, attributes, group, sender=sender)
        assert letter is not None
        self.monitor.poison.add(letter.message_id)
        self.done["poison"] += 1

    # What people and machines do.

    def _start(self, **terms: Any) -> Life:
        self.number += 1
        replica = self.world.start(f"p{self.number}", **terms)
        life = self.monitor.lives[replica.name] = Life(replica, self.loop.time())
        self.monitor.note(f"start    {replica.name}")
        return life

    def _start_later(self) -> None:
        def begin() -> None:
            if not self.is_quiet:
                self._start()

        self.loop.call_later(self.rng.choice([0.0, 1.0, 20.0, 100.0]), begin)

    def _kill(self, life: Life) -> None:
        self.kills += 1
        life.killed_at = self.loop.time()
        self.monitor.note(f"kill -9  {life.replica.name}")
        self.world.kill(life.replica.name)

    def _stop(self, life: Life, *, is_hurried: bool = False) -> None:
        if life.stopping_at is None:
            self.monitor.note(f"SIGTERM  {life.replica.name}")
            life.stopping_at = self.loop.time()
            self.endings.add(asyncio.get_running_loop().create_task(self._ending(life)))

        def hear() -> None:
            life.has_heard = True
            life.is_hurried = life.is_hurried or is_hurried
            (life.replica.slipway.hurry if is_hurried else life.replica.slipway.stop)()

        self.loop.call_soon(hear, context=life.replica.context)

    async def _ending(self, life: Life) -> None:
        """Hold a process that was told to stop to its word."""
        assert life.stopping_at is not None
        task = life.replica.task
        while not task.done() and life.killed_at is None:
            awake = max(life.stopping_at, life.continued_at)
            limit = LEAVING_SECONDS if self.is_quiet else 2 * LEAVING_SECONDS
            if not life.is_halted and self.loop.time() - awake > limit:
                self.monitor.breaks("I9", f"{life.replica.name} has not ended {limit:g} s after SIGTERM")
                return
            await asyncio.sleep(0.5)
        if task.done() and not task.cancelled() and task.exception() is not None:
            self.monitor.breaks("I9", f"{life.replica.name} ended with {task.exception()!r}")
        if task.done():
            self.monitor.left(life)

    def _at_step(self) -> None:
        if self.at_steps and (kind := self.at_steps.pop(self.loop.steps, None)) and not self.is_quiet:
            life = self.monitor.lives.get(PROCESS.get() or "")
            if life is None or life.killed_at is not None:
                return
            self.done[kind] += 1
            if kind == "kill -9 at a step":
                self.world.wire.world.copy().run(self._kill, life)
            else:
                self.world.wire.world.copy().run(self._stop, life)
            self.world.wire.world.copy().run(self._start_later)

    def _do(self, kind: str) -> None:
        lives = [life for life in self.monitor.live() if not life.is_halted]
        life = self.rng.choice(lives) if lives else None
        if self._befall(kind, life):
            self.done[kind] += 1

    def _befall(self, kind: str, life: Life | None) -> bool:  # noqa: C901, PLR0912, PLR0915  one arm for each kind
        rng, world, now = self.rng, self.world, self.loop.time()
        rules = world.account.rules
        self.monitor.note(f"mischief {kind}")
        match kind:
            case "kill -9" if life:
                self._kill(life)
                self._start_later()
            case "kill -9 at a step" | "SIGTERM at a step":
                self.at_steps[self.loop.steps + rng.randint(1, 400)] = kind
                return False
            case "SIGTERM" | "SIGTERM twice" if life:
                self._stop(life)
                if kind == "SIGTERM twice":
                    self.loop.call_later(rng.uniform(0, 3), lambda: self._again(life))
                self._start_later()
            case "SIGSTOP" if life:
                self._halt(life, rng.choice([10.0, 40.0, 130.0, 600.0, 1800.0]))
            case "credential outage" | "throttle storm" | "KMS disabled":
                until = now + rng.uniform(30, 400)
                self.windows[kind] = until
                self.monitor.outages.append((now, until))
            case "duplicate delivery":
                world.sqs.duplicate_next += 2
            case "in-flight limit":
                world.sqs.most_in_flight = rng.choice([0, 2, 5])
                self.loop.call_later(rng.uniform(30, 200), lambda: setattr(world.sqs, "most_in_flight", 120_000))
            case "deleted by a person":
                existing = [one for one in world.account.existing() if one.token is not None]
                if not existing:
                    return False
                self._delete(rng.choice(existing).name)
            case "quota lowered":
                world.account.rule(max_creating=max(1, rules.max_creating - 1), max_total=max(2, rules.max_total - 3))
            case "quota raised":
                world.account.rule(max_creating=rules.max_creating + 2, max_total=rules.max_total + 5)
            case "others come":
                world.account.add(f"theirs-{self.loop.steps}", MODELS[0], {"team": "other"})
            case "others go":
                theirs = [one for one in world.account.existing() if one.token is None]
                if not theirs:
                    return False
                self._delete(rng.choice(theirs).name)
            case "name held by others":
                name = f"bot-{rng.randrange(30)}"
                if any(one.name == name for one in world.account.existing()):
                    return False
                world.account.add(name, MODELS[0], {"team": "other"})
            case "wall clock":
                world.wall_clock_error = rng.choice([-2.0, 2.0]) * 86_400.0
            case "loop blocked":
                self.loop.block(5.0)
            case "visibility lapse":
                held = [one for one in world.sqs.letters.values() if one.receipt and one.visible_at > world.sqs.now()]
                if not held:
                    return False
                world.sqs.lapse(rng.choice(held))
            case "lapses, then kill -9" if life:
                held = [one for one in world.sqs.letters.values() if self.monitor.holder(one) == life.replica.name]
                if not held:
                    return False
                self._lapses(rng.choice(held), life)
            case "message back after delete":
                gone = [one for one in world.sqs.all if one.is_deleted]
                if not gone or self.is_fifo:
                    return False
                world.sqs.bring_back(rng.choice(gone))
            case "unknown status":
                world.account.rule(status_text="Polishing")
                self.loop.call_later(rng.uniform(10, 300), lambda: world.account.rule(status_text=""))
            case "list lag":
                world.account.rule(list_lag_seconds=rng.choice([30.0, 200.0]))
            case "another replica":
                self._start()
            case "another version":
                self._start(**_OTHER_TERMS)
            case _:
                return False
        return True

    def _lapses(self, letter: Letter, life: Life) -> None:
        """Let a message come again and again to whoever holds it, and end the holder when all its receives are spent."""

        def lapse() -> None:
            if not self.is_quiet and letter.visible_at > self.world.sqs.now():
                self.world.sqs.lapse(letter)

        def end() -> None:
            if not self.is_quiet and life.killed_at is None and not life.replica.task.done():
                self._kill(life)
                self._start_later()

        for number in range(self.world.max_receive_count):
            self.loop.call_later(2.0 * number, lapse)
        self.loop.call_later(2.0 * self.world.max_receive_count + KILLED_BEFORE_SECONDS, end)

    def _again(self, life: Life) -> None:
        if life.killed_at is None and not life.replica.task.done():
            self._stop(life, is_hurried=True)

    def _halt(self, life: Life, seconds: float) -> None:
        life.is_halted, life.halted_at = True, self.loop.time()
        self.loop.stop_process(life.replica.name)
        self.loop.call_later(seconds, lambda: self._continue(life))

    def _continue(self, life: Life) -> None:
        if life.is_halted and life.killed_at is None:
            self.monitor.note(f"SIGCONT  {life.replica.name}")
            life.is_halted, life.continued_at = False, self.loop.time()
            self.loop.continue_process(life.replica.name)

    def _delete(self, name: str) -> None:
        self.monitor.note(f"deletes  {name}")
        self.world.account.delete(name)
        for asked in self.monitor.asked.values():
            asked.is_stuck = asked.is_stuck or asked.name == name

    def _refused(self) -> None:
        """A model was not Active yet. In some worlds it is so just then: between the refusal and the question why."""
        if self.is_model_prompt and MODELS[1] in self.world.account.rules.models:
            self._model_is_ready()

    def _model_is_ready(self) -> None:
        for target, account in self.world.accounts.items():
            ready = self.world.model_in(target, MODELS[1])
            account.rule(models={arn: status for arn, status in account.rules.models.items() if arn != ready})
            self.monitor.model_changes[ready] = self.loop.time()

    # The end.

    async def _quiet(self) -> None:
        """Nothing breaks any more. One fresh process does what is left; nobody waits longer than there is reason to."""
        self.monitor.note("quiet")
        self.is_quiet = True
        self.windows.clear()
        self.world.sqs.most_in_flight, self.world.sqs.duplicate_next = 120_000, 0
        rules = self.world.account.rules
        for name, account in self.world.accounts.items():
            self.world.wires[name].plan = no_faults
            account.rule(max_total=1000, list_lag_seconds=min(account.rules.list_lag_seconds, 5.0), status_text="")
        for life in self.monitor.live():
            self._continue(life)
        await asyncio.sleep(15.0)
        for life in self.monitor.live():
            self._stop(life)
        while any(not task.done() for task in self.endings):
            self._check()
            await asyncio.sleep(1.0)
        last = self._start()
        began = self.loop.time()
        at_once = min(rules.max_creating, self.world.terms["max_held"], 3 if self.is_fifo else 100)
        rounds = 1 + self.lifetimes // at_once
        patience = PATIENCE_SECONDS + rounds * (self.creation * 1.2 + 3 * self.world.terms["sweep_interval"])
        while self.world.sqs.letters or len(last.replica.slipway.custody):
            self._check()
            waiting = self.monitor.unanswered()
            if any(one.is_stuck for one in waiting):
                began = self.loop.time()  # it may be waited for until its deadline, and others behind it
            late = self.loop.time() - began
            if late > patience and waiting:
                self.monitor.breaks("I6", f"{waiting[0].name} still waits after {late:.0f} s of quiet")
            if self.loop.time() > self.last_deadline + PATIENCE_SECONDS + patience:
                self.monitor.breaks("I1", f"the queue is not empty long after every deadline: {list(self.world.sqs.letters)}")
            await asyncio.sleep(10.0)
        await asyncio.sleep(2 * self.world.terms["sweep_interval"])
        self._stop(last)
        while not last.replica.task.done():
            self._check()
            await asyncio.sleep(0.5)
        self.monitor.check_end(last.replica)
        self._check()
