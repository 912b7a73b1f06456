"""Liveness (would a restart help?), readiness (can the daemon work?) and severity (does it get on with its work?).

With what they are judged by: the calls to AWS of the last hour, and the message counts of the queues.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from slipway.core.call_errors import CallFailed, Denied, Throttled, UnknownResult
from slipway.core.diagnostics.severity import DaemonFacts, Problem, TargetFacts, assess
from slipway.core.diagnostics.status import Backlog
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.requests.models import Delete
from slipway.worker.runtime.target_runtime import TargetRuntime
from slipway.worker.runtime.worker import Worker

BEAT_SECONDS: Final = 0.05
"""A shorter stall may fall between two beats. Twenty beats a second take 0.05 % of a core."""
LONGEST_LAG_SECONDS: Final = 5.0
LONGEST_SILENCE_SECONDS: Final = 90.0
"""A long poll takes 20 s, and its timeout somewhat more: three in a row would have to hang."""
READINESS_SECONDS: Final = 15.0
"""How long the result of a readiness check is reused."""
CHECK_TIMEOUT_SECONDS: Final = 5.0

log = structlog.get_logger()

Check = Callable[[], Awaitable[object]]


class LoopLagMonitor:
    """Measures how late the event loop is."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + BEAT_SECONDS
        self.beside: dict[str, asyncio.Task[None]] = {}
        """Tasks that must run until the daemon ends, by name."""
        self.longest_stall = 0.0
        """The longest delay of the loop since the start, in seconds."""

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(max(0.0, self._due - self._loop.time()))
            self.longest_stall = max(self.longest_stall, self.lag())
            self._due = self._loop.time() + BEAT_SECONDS

    def lag(self) -> float:
        """Return how many seconds the next beat is overdue."""
        return max(0.0, self._loop.time() - self._due)


@dataclass(slots=True)
class Readiness:
    """Checks whether the services answer, and reuses the result for a while.

    All `checks` must succeed, and one of the `targets`: a daemon that can deploy to one target is useful.
    """

    checks: Mapping[str, Check]
    targets: Mapping[str, Check]
    _asked_at: float | None = None
    _troubles: dict[str, str] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def known(self) -> Mapping[str, str]:
        """The failures at the last check."""
        return self._troubles

    async def failures(self) -> dict[str, str]:
        """Return what is not reachable and why, by name. Empty if everything is."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._asked_at is None or now - self._asked_at > READINESS_SECONDS:
                every = {**self.checks, **self.targets}
                results = await asyncio.gather(*(self._ask(check) for check in every.values()))
                self._troubles = {name: trouble for name, trouble in zip(every, results, strict=True) if trouble is not None}
                self._asked_at = asyncio.get_running_loop().time()
            return self._troubles

    def is_ready(self, failures: Container[str]) -> bool:
        """Return whether the daemon can work with these failures."""
        return not any(name in failures for name in self.checks) and any(name not in failures for name in self.targets)

    async def _ask(self, check: Check) -> str | None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                await check()
        except CallFailed as failed:
            return str(failed)
        except TimeoutError:
            return f"no answer within {CHECK_TIMEOUT_SECONDS:g} s"
        except Exception as bug:
            log.exception("readiness.faulted")
            return f"a programming error: {bug!r}"
        return None


def is_alive(slipway: Worker, pulse: LoopLagMonitor, started_at: float) -> tuple[bool, str]:
    """Return whether the daemon works, with a sentence. If it does not, a restart may help.

    A failed receive counts as an ended one: failures of AWS concern readiness and are no reason for a restart.
    """
    now = asyncio.get_running_loop().time()
    if (lag := pulse.lag()) > LONGEST_LAG_SECONDS:
        return False, f"the event loop is {lag:.1f} s late"
    beside = (name for name, task in pulse.beside.items() if task.done())
    if (dead := slipway.dead_task or next(beside, None)) is not None:
        return False, f"the task of {dead} has ended"
    for each in slipway.queues:
        silence = now - (each.intake.last_ended_at or started_at)
        if silence > LONGEST_SILENCE_SECONDS and each.intake.is_polling:
            return False, f"no receive has ended for {silence:.0f} s"
    return True, "receiving" if slipway.intake.needs_poll else "full: max_held requests are in progress"


BACKLOG_SECONDS: Final = 60.0
"""How long message counts are reused. They are asked for only when somebody reads them."""
FORGOTTEN_SECONDS: Final = 600.0
"""Message counts that are older are not reported: they are not known any more."""
DEAD_LETTERS: Final = "dead_letters"
"""The name of the dead-letter queue among the queues."""


class Backlogs:
    """The message counts of the queues, by the name of the queue."""

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[Backlog | None]]]) -> None:
        self._checks = checks
        self._counted: dict[str, tuple[float, Backlog]] = {}
        self._asked_at: float | None = None
        self._lock = asyncio.Lock()

    def known(self) -> dict[str, Backlog]:
        """Return the counts that are known."""
        oldest = asyncio.get_running_loop().time() - FORGOTTEN_SECONDS
        return {name: backlog for name, (at, backlog) in self._counted.items() if at >= oldest}

    async def refresh(self) -> None:
        """Ask for the counts, unless they were asked for lately. A queue that does not answer keeps its counts for a while."""
        async with self._lock:
            loop = asyncio.get_running_loop()
            if self._asked_at is not None and loop.time() - self._asked_at < BACKLOG_SECONDS:
                return
            self._asked_at = loop.time()
            await asyncio.gather(*(self._count(name, check) for name, check in self._checks.items()))

    async def _count(self, name: str, check: Callable[[], Awaitable[Backlog | None]]) -> None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                backlog = await check()
        except (CallFailed, TimeoutError):
            return  # not known is reported as not known; the checks of readiness name the failure
        except Exception:
            log.exception("readiness.faulted")
            return
        if backlog is not None:
            self._counted[name] = (asyncio.get_running_loop().time(), backlog)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the severity of a daemon is judged by."""

    slipway: Worker
    history: CallHistory
    readiness: Readiness
    backlogs: Backlogs

    def problems(self) -> tuple[Problem, ...]:
        """Return the current problems, the most severe first. The cost is linear in the requests in progress."""
        return assess(
            DaemonFacts(
                targets=_target_facts(self.slipway),
                denied_operations=self.history.denied(),
                dead_letters=self.dead_letters(),
                failures=self.readiness.known,
            )
        )

    def dead_letters(self) -> int | None:
        """Return the number of messages in the dead-letter queue; None if it is not known."""
        backlog = self.backlogs.known().get(DEAD_LETTERS)
        return None if backlog is None else backlog.visible + backlog.in_flight + backlog.delayed


def _target_facts(slipway: Worker) -> list[TargetFacts]:
    """Return the facts of each target, from one pass over the requests in progress."""
    waits: dict[str, Counter[Reason]] = {name: Counter() for name in slipway.runtimes}
    deletes: Counter[str] = Counter()
    denials: dict[str, str] = {}
    for lease in slipway.held_leases:
        name = slipway.runtime_of(lease).target.name
        if lease.why is not None:
            waits[name][lease.why] += 1
        if lease.why is Reason.ACCESS_DENIED:
            denials.setdefault(name, lease.wait_text)
        if isinstance(lease.request, Delete) and lease.why not in {Reason.PREDECESSOR, Reason.ACCESS_DENIED}:
            deletes[name] += 1
    return [_facts_of(runtime, waits[name], deletes[name], denials.get(name, "")) for name, runtime in slipway.runtimes.items()]


def _facts_of(runtime: TargetRuntime, waits: Counter[Reason], deletes: int, denial: str) -> TargetFacts:
    slots, failure, target = runtime.slots, runtime.watcher.last_failure, runtime.target
    held_back = slots.waiting if slots.why()[0] is Reason.THROTTLED else 0
    return TargetFacts(
        name=target.name,
        where=f"{target.home.region} · {target.shown_account}",
        in_creation=waits[Reason.IN_CREATION],
        waiting=waits.total() - waits[Reason.IN_CREATION],
        waiting_for_slot=slots.waiting,
        counts=slots.known_counts(),
        limit_in_total=slots.quota.limit_in_total,
        deletes=deletes,
        denied=waits[Reason.ACCESS_DENIED],
        denial=denial,
        throttled=waits[Reason.THROTTLED] + held_back,
        sweep_failure=None if failure is None else str(failure),
    )


MINUTES: Final = 60
_MINUTE_SECONDS: Final = 60.0

ANSWERED: Final = "answered"
THROTTLED: Final = "throttled"
DENIED: Final = "denied"
FAILED: Final = "failed"
KINDS: Final = (ANSWERED, THROTTLED, DENIED, FAILED)
_KINDS_OF: Final = {Throttled.__name__: THROTTLED, Denied.__name__: DENIED, UnknownResult.__name__: FAILED}
RECENT_MINUTES: Final = 5


@dataclass(frozen=True, slots=True)
class LastHour:
    """Calls of the last hour, by kind: for each minute, the current one last, and for each operation."""

    minutes: tuple[Mapping[str, int], ...]
    operations: Mapping[str, Mapping[str, int]]

    def total(self, kind: str) -> int:
        """Return the number of calls of a kind."""
        return sum(minute.get(kind, 0) for minute in self.minutes)


class CallHistory:
    """Records the counts of each of the last sixty minutes.

    `counted` counts by operation and answer since the start of the process; `clock` is monotonic, in seconds.
    """

    def __init__(self, counted: Mapping[tuple[str, str], int], clock: Callable[[], float]) -> None:
        self._counted = counted
        self._clock = clock
        self._seen: dict[tuple[str, str], int] = {}
        self._kept: deque[tuple[int, Counter[tuple[str, str]]]] = deque(maxlen=MINUTES)
        """Minutes with calls: the minute's number, and the counts by operation and kind."""

    def note(self) -> None:
        """Assign the calls since the previous call of this method to the current minute. Call it several times a minute."""
        now = int(self._clock() // _MINUTE_SECONDS)
        fresh = Counter(
            {key: count - self._seen.get(key, 0) for key, count in self._counted.items() if count > self._seen.get(key, 0)}
        )
        if not fresh:
            return
        self._seen = dict(self._counted)
        if not self._kept or self._kept[-1][0] != now:
            self._kept.append((now, Counter()))
        minute = self._kept[-1][1]
        for (operation, answer), count in fresh.items():
            minute[operation, _kind(answer)] += count

    def hour(self) -> LastHour:
        """Return the last hour, up to now."""
        self.note()
        now = int(self._clock() // _MINUTE_SECONDS)
        minutes: list[Counter[str]] = [Counter() for _ in range(MINUTES)]
        operations: dict[str, Counter[str]] = {}
        for number, counts in self._kept:
            at = number - now + MINUTES - 1
            if at < 0:
                continue
            for (operation, kind), count in counts.items():
                minutes[at][kind] += count
                operations.setdefault(operation, Counter())[kind] += count
        return LastHour(tuple(minutes), operations)

    def denied(self) -> tuple[str, ...]:
        """Return the operations that were denied in the last minutes, and never answered otherwise in them."""
        self.note()
        oldest = int(self._clock() // _MINUTE_SECONDS) - RECENT_MINUTES
        kinds: dict[str, set[str]] = {}
        for number, counts in reversed(self._kept):
            if number <= oldest:
                break
            for operation, kind in counts:
                kinds.setdefault(operation, set()).add(kind)
        return tuple(sorted(name for name, answers in kinds.items() if DENIED in answers and ANSWERED not in answers))


def _kind(answer: str) -> str:
    """Return the kind of an answer, which is `Applied` or the class of a failure. A refusal is an answer too."""
    return _KINDS_OF.get(answer, ANSWERED)
