"""A world from a seed: how AWS behaves, who asks for what, what breaks and when; then quiet, and everything must be done.

A world is a function of its seed alone, whatever the hash seed and whatever ran before: the digest of its trace says so.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from slipway.core.lifecycle.tags import EXPIRES_TAG
from tests.simulation.chaos import MISCHIEF, Chaos
from tests.simulation.conditions import CONTROL_SECONDS, Conditions
from tests.simulation.context import Scene
from tests.simulation.environment import Environment
from tests.simulation.invariants.ownership import seconds
from tests.simulation.kinds import FAILING_LOG, HAPPENINGS, KINDS, LONG, Drawn
from tests.simulation.monitor import Monitor
from tests.simulation.other_targets import OtherTargets
from tests.simulation.quiet_logs import FailingLog, failing_log, quietly
from tests.simulation.recorder import origin
from tests.simulation.runner import Running
from tests.simulation.workload import Workload
from tests.simulator.bedrock import tag_of
from tests.simulator.virtual_loop import Deadlock, VirtualLoop, run
from tests.simulator.wire_faults import Fault, no_faults

LOOP_START = 1000.0
PATIENCE_SECONDS = 3600.0
SOON_SECONDS = 300.0
AIMED_TIMES = 8
"""How often what a world aims at is done to it."""


def wanted() -> set[str]:
    """Return every kind of fault and event that a run must have contained."""
    return {str(kind) for kind in (*MISCHIEF, *Fault, *HAPPENINGS, *KINDS)}


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
            [f"seed {self.seed}: {self.broken[0]}", *self.trace, f"replay: python -m tests.simulation replay {self.seed}"]
        )


def run_world(seed: int, lines: int = 50) -> Report:
    """Live through one world, to the end or to the first broken promise; keep the last lines of what happened."""
    chaos = _Chaos(seed, lines)
    with quietly(is_told=lines > 1000):
        try:
            return run(chaos.live())
        except Deadlock as stuck:
            chaos.books.breaks("harness", str(stuck))
            return chaos.report()


class _Chaos:
    """One world, from its making to its end."""

    def __init__(self, seed: int, lines: int) -> None:
        self._seed = seed
        self._lines = lines

    async def live(self) -> Report:
        loop, rng = asyncio.get_running_loop(), random.Random(f"world {self._seed}")
        assert isinstance(loop, VirtualLoop)
        environment = Environment(self._seed, rng, loop, Drawn(self._seed, MISCHIEF))
        monitor = Monitor(environment.world, self._lines, self._refused)
        self.scene = Scene(self._seed, rng, loop, environment, monitor)
        self.books = monitor.books
        self.running = Running(self.scene)
        self.conditions = Conditions(self.scene, self.running)
        elsewhere = {name: OtherTargets(monitor, name) for name in environment.world.targets}
        loop.set_exception_handler(self._loop_complains)
        environment.world.watch(monitor, **elsewhere)
        has_failing_log = environment.kinds.has(FAILING_LOG)
        try:
            with failing_log(self._seed) if has_failing_log else nullcontext() as log:
                await self._days()
            if isinstance(log, FailingLog):
                self.scene.done[FAILING_LOG] += log.raised
                if log.counted != log.raised:
                    self.books.breaks("log", f"{log.raised} lines could not be written, and {log.counted} are counted as lost")
        except AssertionError as wrong:
            self.books.breaks("harness", repr(wrong))
        return self.report()

    def report(self) -> Report:
        """Return what has become of it."""
        scene, books = self.scene, self.books
        return Report(
            self._seed,
            books.broken,
            list(books.trace),
            books.digest,
            scene.lifetimes,
            books.now - LOOP_START,
            self.running.kills,
            scene.done + books.faults + Counter({LONG: len(scene.world.account.made) if scene.environment.is_long else 0}),
            scene.monitor.busiest,
            sum(one.is_excused for one in {id(each): each for each in books.asked.values()}.values()),
        )

    def _loop_complains(self, _: object, context: dict[str, Any]) -> None:
        """Nobody asks the dead for their exceptions; an exception in a callback is a bug."""
        if "never retrieved" not in context["message"] and "was destroyed" not in context["message"]:
            self.books.breaks("loop", f"{context['message']}: {context.get('exception')!r}")

    def _refused(self) -> None:
        """A model was not Active yet. In some worlds it is so just then: between the refusal and the question why."""
        if self.scene.environment.is_model_prompt:
            self.scene.make_ready()

    async def _days(self) -> None:
        scene, rng, began = self.scene, self.scene.rng, self.books.now
        replicas = rng.choice([1, 1, 2, 3])
        self.conditions.begin()
        for _ in range(replicas):
            self.running.start()
        for when, _, act in sorted(self._drawn(), key=lambda each: each[:2]):
            await self._until(began + when)
            act()
        await self._until(began + scene.environment.chaos_seconds)
        await self._quiet()

    def _drawn(self) -> list[tuple[float, int, Callable[[], object]]]:
        """Draw what is to happen: when, and as the how-manyth of that moment."""
        scene, rng, length = self.scene, self.scene.rng, self.scene.environment.chaos_seconds
        workload, chaos, kinds = Workload(scene), Chaos(scene, self.running), scene.environment.kinds.chaos()
        todo: list[tuple[float, int, Callable[[], object]]] = []
        fewest, most = (20, 40) if scene.environment.kinds.aim else (5, 30)
        todo += [
            (0.0 if number in scene.first else rng.choice([0.0, rng.uniform(0, length)]), number, workload.draw(number))
            for number in range(rng.randint(fewest, most))
        ]
        for number in range(rng.choice([0, 3, 8, 15])):
            kind = rng.choices(kinds, [MISCHIEF[each] for each in kinds])[0]
            todo.append((rng.uniform(0.1, length), 1000 + number, lambda kind=kind: chaos.do(kind)))  # type: ignore[misc]
        # Much goes on just after things were asked for.
        for number in range(rng.choice([0, 2, 4])):
            kind = rng.choice(["kill -9", "SIGTERM", "SIGSTOP", "visibility lapse"])
            todo.append((rng.uniform(0.01, 5.0), 2000 + number, lambda kind=kind: chaos.do(kind)))  # type: ignore[misc]
        todo.append((rng.uniform(0, length), 3000, scene.make_ready))
        aimed = [kind for kind in MISCHIEF if kind in scene.environment.kinds.forced] * AIMED_TIMES
        for number, kind in enumerate(aimed):
            todo.append((rng.uniform(0.1, length / 2), 4000 + number, lambda kind=kind: chaos.do(kind)))  # type: ignore[misc]
        scene.loop.before_step = self.running.at_step
        return todo

    async def _until(self, when: float) -> None:
        while self.books.now < when:
            self._check()
            await asyncio.sleep(min(10.0, when - self.books.now))

    def _check(self) -> None:
        if self.books.broken:
            raise AssertionError(self.books.broken[0])

    async def _quiet(self) -> None:
        """Nothing breaks any more. One fresh process does what is left; nobody waits longer than there is reason to."""
        scene, books, world, running = self.scene, self.books, self.scene.world, self.running
        books.note("quiet")
        scene.is_quiet = True
        scene.environment.windows.clear()
        world.sqs.most_in_flight, world.sqs.duplicate_next = 120_000, 0
        for name, account in world.accounts.items():
            world.wires[name].plan = no_faults
            lag = min(account.rules.list_lag_seconds, 5.0)
            account.rule(list_lag_seconds=lag, status_text="", list_tokens="end")
        for life in books.live():
            running.go_on(life)
        await asyncio.sleep(15.0)
        for life in books.live():
            running.stop(life)
        while any(not task.done() for task in running.endings):
            self._check()
            await asyncio.sleep(1.0)
        last = running.start()
        await self.conditions.probe(last, self._check)
        self.conditions.lift()
        began, patience = books.now, self._patience()
        while last.replica.slipway.held_leases or self._is_work_left():
            self._check()
            waiting = books.unanswered()
            self._check_control(began)
            if self._is_any_stuck():
                began = books.now  # it may be waited for until its deadline, and others behind it
            late = books.now - began
            if late > patience and waiting:
                books.breaks("I6", f"{waiting[0].name} still waits after {late:.0f} s of quiet")
            if books.now > books.last_deadline + PATIENCE_SECONDS + patience:
                books.breaks("I1", f"the queue is not empty long after every deadline: {list(world.letters)}")
            await asyncio.sleep(10.0)
        await asyncio.sleep(2 * world.terms["sweep_interval"])
        running.stop(last)
        while not last.replica.task.done():
            self._check()
            await asyncio.sleep(0.5)
        scene.monitor.check_end(last.replica)
        self._check()

    def _check_control(self, began: float) -> None:
        """Check that no delete, update or cancel has been visible for longer than documented, in the quiet.

        On FIFO it may have to wait for its group.
        """
        world, sqs, books = self.scene.world, self.scene.world.sqs, self.books
        patience = CONTROL_SECONDS + len(sqs.letters)
        if sqs.is_fifo or books.now < began + patience:
            return
        for letter in world.letters.values():
            asked = books.asked.get(origin(letter)[0])
            if asked is not None and asked.action != "deploy" and max(letter.sent_at, letter.visible_at) < sqs.now() - patience:
                books.breaks("I15", f"{asked.action} {asked.name} is not received, whatever waits for a slot")

    def _is_any_stuck(self) -> bool:
        """Whether somebody waits for what was taken away: also a request that was answered, and whose message came again."""
        begun = {origin(letter)[0] for letter in self.scene.world.letters.values()}
        return any(asked.is_stuck for one, asked in self.books.asked.items() if one in begun)

    def _is_work_left(self) -> bool:
        """Whether something is to be received yet, or will expire soon, and then is to be deleted."""
        now = self.scene.world.sqs.now()
        there = (one for account in self.scene.world.accounts.values() for one in account.existing())
        expire = (seconds(expires) for one in there if (expires := tag_of(one, EXPIRES_TAG)) is not None)
        return bool(self.scene.world.letters) or any(at < now + SOON_SECONDS for at in expire)

    def _patience(self) -> float:
        """Return how long everybody together may wait, once nothing breaks any more."""
        environment, terms = self.scene.environment, self.scene.world.terms
        at_once = min(self.scene.world.account.rules.max_creating, terms["max_held"], 3 if environment.is_fifo else 100)
        rounds = 1 + self.scene.lifetimes // at_once
        return float(PATIENCE_SECONDS + rounds * (environment.creation * 1.2 + 3 * terms["sweep_interval"]))
