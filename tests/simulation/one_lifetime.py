"""One create lifetime, met by one misfortune at every point, and by two: a few hundred steps, each of them a world."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.simulation.monitor import Monitor
from tests.simulation.quiet_logs import quietly
from tests.simulation.recorder import Life
from tests.simulator.bedrock import Rules
from tests.simulator.callbacks import Waiting
from tests.simulator.simulation import World
from tests.simulator.virtual_loop import PROCESS, VirtualLoop, run
from tests.simulator.wire_faults import Fault

LONGEST_SECONDS = 20_000.0
FAULTS = tuple(Fault)
ENTRY_FAULTS = frozenset({"PublishBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessageBatch"})
BEDROCK_FAULTS = frozenset({Fault.EMPTY, Fault.DATELESS, Fault.OLD_DATE})
AT_STEPS = ("kill -9", "SIGTERM", "SIGSTOP", "duplicate")
STEP = "Qk3vX9aZ1b"
"""At which a pipeline waits for the answer."""


@dataclass(frozen=True)
class At:
    """A misfortune: of a process at one of its loop steps, or of a call."""

    kind: str
    step: int = 0
    operation: str = ""
    number: int = 0

    def __str__(self) -> str:
        return f"{self.kind} at step {self.step}" if self.step else f"{self.kind} on {self.operation} #{self.number}"


@dataclass
class ParsedEvent:
    """What became of one lifetime."""

    misfortunes: tuple[At, ...]
    broken: list[str]
    trace: list[str]
    steps: int
    calls: dict[str, int]

    def said(self) -> str:
        """Say what broke, and how."""
        return "\n".join([f"{' and '.join(map(str, self.misfortunes))}: {self.broken[0]}", *self.trace])


def live(*misfortunes: At) -> ParsedEvent:
    """Live one lifetime of one request, with these misfortunes, to its end."""
    with quietly():
        return run(_Lifetime(misfortunes).live())


class _Lifetime:
    def __init__(self, misfortunes: tuple[At, ...]) -> None:
        self.misfortunes = misfortunes
        self.at_step = {one.step: one.kind for one in misfortunes if one.step}
        self.on_call = {(one.operation, one.number): Fault(one.kind) for one in misfortunes if one.operation}
        self.number = 0
        self.steps = 0
        self.endings: list[asyncio.Task[None]] = []

    async def live(self) -> ParsedEvent:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.world = World(
            rules=Rules(creation_seconds=(100.0, 100.0), token_seconds=30.0, quota_first=True, max_total=1),
            max_receive_count=3,
            plan=lambda operation, number: self.on_call.get((operation, number)),
            terms={"max_held": 5, "sweep_interval": 15.0, "visibility_timeout": 60, "timeout": 10_800.0},
        )
        self.monitor = Monitor(self.world)
        self.books = self.monitor.books
        self.world.watch(self.monitor)
        loop.set_exception_handler(lambda *_: None)
        loop.before_step = self._at_step
        letter = self.world.ask("bot", requestId="r-1", callbackToken=STEP)
        asked = self.monitor.ask(letter, json.loads(letter.body), 10_800.0)
        assert asked is not None
        self.key = asked.key
        waiting = self.world.askers.steps[STEP] = Waiting()
        self.monitor.wait(letter, STEP, waiting)
        self._start()
        began = loop.time()
        while self.world.sqs.letters or any(len(life.replica.slipway.leases) for life in self.books.live()):
            if self.books.broken or loop.time() - began > LONGEST_SECONDS:
                break
            await asyncio.sleep(2.0)
        calls, steps = dict(self.world.wire.calls), loop.steps
        self.at_step.clear()
        for life in self.books.live():
            self._ask_to_stop(life)
        await asyncio.sleep(65.0)
        self._balance()
        return ParsedEvent(self.misfortunes, self.books.broken, list(self.books.trace), steps, calls)

    def _balance(self) -> None:
        said = self.books.said.get(self.key, {})
        if set(said) != {"Active"}:
            self.books.breaks("I1", f"it ended as {sorted(said)}, and not as Active")
        if len(self.world.account.made) != 1:
            self.books.breaks("I2", f"{len(self.world.account.made)} deployments were made of one request")
        # One that was handed on may be there too: a kill came between sending its continuation and deleting it.
        if self.world.dead.all and len(self.world.sqs.all) == 1:
            self.books.breaks("I9", "it is in the dead-letter queue")
        for life in self.books.live():
            if not life.is_halted:
                self.books.breaks("I9", f"{life.replica.name} has not ended a minute after SIGTERM")
        last = list(self.books.lives.values())[-1]
        self.monitor.check_end(last.replica)

    def _start(self) -> None:
        self.number += 1
        replica = self.world.start(f"p{self.number}")
        self.books.lives[replica.name] = Life(replica, self.loop.time())
        self.books.note(f"start    {replica.name}")

    def _at_step(self) -> None:
        kind = self.at_step.pop(self.loop.steps, None)
        life = self.books.lives.get(PROCESS.get() or "")
        if kind is not None and life is not None:
            self.world.wire.world.copy().run(self._befall, kind, life)

    def _befall(self, kind: str, life: Life) -> None:
        name = life.replica.name
        self.books.note(f"{kind} {name}")
        match kind:
            case "kill -9":
                life.killed_at = self.loop.time()
                self.loop.kill(name)
                self._start()
            case "SIGTERM":
                self._ask_to_stop(life)
                self._start()
            case "SIGSTOP":
                life.is_halted, life.halted_at = True, self.loop.time()
                self.loop.stop_process(name)
                self.loop.call_later(600.0, lambda: self._continue(life))
                self._start()
            case _:
                for letter in list(self.world.sqs.letters.values()):
                    self.world.sqs.lapse(letter)

    def _ask_to_stop(self, life: Life) -> None:
        def hear() -> None:
            life.has_heard = True
            life.replica.slipway.stop()

        self.loop.call_soon(hear, context=life.replica.context)

    def _continue(self, life: Life) -> None:
        life.is_halted, life.continued_at = False, self.loop.time()
        self.books.note(f"SIGCONT  {life.replica.name}")
        self.loop.continue_process(life.replica.name)


def singles(kinds: tuple[str, ...] = AT_STEPS) -> Iterator[tuple[At, ...]]:
    """Return every misfortune of one lifetime, alone: each kind before every step, each fault of every call."""
    plain = live()
    assert not plain.broken, plain.said()
    for step in range(1, plain.steps + 1):
        for kind in kinds:
            yield (At(kind, step=step),)
    for operation, number in sorted(_calls_with_room(plain.calls)):
        for fault in FAULTS:
            if _can_befall(fault, operation):
                yield (At(fault.value, operation=operation, number=number),)


def _can_befall(fault: Fault, operation: str) -> bool:
    if fault is Fault.PARTIAL:
        return operation in ENTRY_FAULTS
    return fault not in BEDROCK_FAULTS or operation.startswith(("Create", "Get", "List"))


def threes() -> Iterator[tuple[At, ...]]:
    """Return lifetimes whose message comes again, here, to its last receive, and whose process is then killed."""
    for step in range(8, 80, 4):
        for gap in (6, 12, 24):
            yield At("duplicate", step), At("duplicate", step + gap), At("kill -9", step + 3 * gap)


def pairs(part: int = 0, parts: int = 1, stride: int = 7) -> Iterator[tuple[At, ...]]:
    """Return pairs of misfortunes: a fault of a call and a kill before every so many steps, and faults of two calls."""
    every = [one for (one,) in singles()]
    calls = [one for one in every if one.operation]
    steps = [one for one in every if one.step and one.kind in {"kill -9", "SIGSTOP"}]
    made: list[tuple[At, ...]] = [(fault, step) for fault in calls for step in steps[:: stride * 2 + 1]]
    made += [(calls[first], calls[second]) for first in range(len(calls)) for second in range(first + 1, len(calls), stride)]
    yield from made[part::parts]


def _calls_with_room(calls: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Every call of the plain lifetime; one more of each, which a first fault may bring about; and those it never made."""
    more = dict.fromkeys(("GetCustomModelDeployment", "ListTagsForResource", "SendMessageBatch"), 0)
    for operation, count in (more | calls).items():
        for number in range(1, min(count, 6) + 2):
            yield operation, number


def first_broken(
    all_of_them: Iterator[tuple[At, ...]], each: Callable[[ParsedEvent], None] | None = None
) -> ParsedEvent | None:
    """Return the first lifetime that broke a promise; None where none did."""
    for misfortunes in all_of_them:
        told = live(*misfortunes)
        if each is not None:
            each(told)
        if told.broken:
            return told
    return None


def spoken(text: str) -> tuple[At, ...]:
    """Read misfortunes as `str` says them."""
    return tuple(_spoken(one) for one in text.split(" and "))


def _spoken(text: str) -> At:
    if " at step " in text:
        kind, step = text.split(" at step ")
        return At(kind, step=int(step))
    kind, call = text.rsplit(" on ", 1)
    operation, number = call.split(" #")
    return At(kind, operation=operation, number=int(number))
