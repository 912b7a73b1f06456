"""The one retry layer: every call to AWS is rate-limited, bounded, translated, counted, and retried where that is safe.

botocore's own retries are off. A call waits for the rate limit and between attempts only through the `Wait` it is given, so
that its caller can be interrupted there. An attempt is never interrupted, and ends by its own timeout.

The calls of one operation start in order, no faster than the service accepts them: `core.scheduling.rate_limit` learns the
rate from the results. Each operation of a target has its own limiter, so that a throttled Create does not slow down List, SQS
and SNS.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from enum import Enum
from functools import partial
from typing import Final, Protocol, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt

from slipway.aws.adapters.error_translation import is_too_fast, translate
from slipway.core.call_errors import CallFailed, Throttled, UnknownResult
from slipway.core.scheduling.rate_limit import Paced, RateState, Unlimited

T = TypeVar("T")

TIMER_SECONDS: Final = 0.001
"""Seconds by which timers of an event loop may be early."""


HELD_BACK: Final = Throttled("the call waits for the rate limit", "AWS throttles the operation, or many of its calls are open")
"""The reason of a wait for the rate limit."""


class Wait(Protocol):
    """Await a future, or raise if the caller must stop. `failed` is the reason of the wait."""

    async def __call__(self, future: asyncio.Future[T], failed: CallFailed, /) -> T:
        """Return the future's result."""


async def wait_uninterrupted(future: asyncio.Future[T], _: CallFailed, /) -> T:
    """Await a future: a `Wait` that is never interrupted."""
    return await future


class RateFeedback(Enum):
    """Result of a call for the rate limit."""

    ACCEPTED = "accepted"
    THROTTLED = "throttled"
    NO_RESPONSE = "no response"
    """No response: no information."""


class Limiter:
    """The rate limiter of one operation. After `acquire`, the caller must call `done` when the call has ended."""

    def __init__(self, most_open: int) -> None:
        self._most_open = most_open
        self._open = 0
        self._pace: RateState = Unlimited()
        self._repeats: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def rate(self) -> float | None:
        """Return the current limit in calls per second; None without a limit."""
        return self._pace.rate if isinstance(self._pace, Paced) else None

    @property
    def waiting(self) -> int:
        """Return the number of waiting calls."""
        return len(self._waiting) + len(self._repeats)

    async def acquire(self, wait: Wait = wait_uninterrupted, *, after: CallFailed | None = None) -> float:
        """Wait until a call may start, and return the time by the loop's clock. With `after`, a retry goes first.

        Exceptions of `wait` are raised; the call then leaves the queue, and the next one may start.
        """
        loop = asyncio.get_running_loop()
        if not self.waiting and self._has_room() and self._pace.ready_at(now := loop.time()) <= now:
            return self._begin(now, waited=False)
        queue = self._waiting if after is None else self._repeats
        waiter: asyncio.Future[None] = loop.create_future()
        queue[waiter] = None
        self._admit()
        try:
            await wait(waiter, after or HELD_BACK)
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._open -= 1
                self._pace = self._pace.after_unused()
            queue.pop(waiter, None)
            waiter.cancel()
            self._admit()
            raise
        return loop.time()

    def done(self, began: float, answer: RateFeedback) -> None:
        """Record the result of a call that started at `began`."""
        self._open -= 1
        if answer is RateFeedback.ACCEPTED:
            self._pace = self._pace.after_accepted(asyncio.get_running_loop().time())
        elif answer is RateFeedback.THROTTLED:
            self._pace = self._pace.after_throttled(asyncio.get_running_loop().time(), began)
        if self.waiting:
            self._admit()

    def _has_room(self) -> bool:
        return self._open < min(self._most_open, int(self._pace.most_open(self._most_open)))

    def _begin(self, now: float, *, waited: bool) -> float:
        self._open += 1
        self._pace = self._pace.after_begin(now, waited=waited)
        return now

    def _admit(self) -> None:
        loop = asyncio.get_running_loop()
        while (waiter := self._first()) is not None and self._has_room():
            now = loop.time()
            ready_at = self._pace.ready_at(now)
            if ready_at > now + TIMER_SECONDS:
                self._admit_at(ready_at)
                return
            (self._repeats if waiter in self._repeats else self._waiting).pop(waiter)
            self._begin(now, waited=True)
            waiter.set_result(None)

    def _first(self) -> asyncio.Future[None] | None:
        """Return the next waiting call that was not interrupted."""
        for queue in (self._repeats, self._waiting):
            while queue:
                waiter = next(iter(queue))
                if not waiter.done():
                    return waiter
                del queue[waiter]
        return None

    def _admit_at(self, time: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(time, self._admit)


ATTEMPTS: Final = 5
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0

Repeat = tuple[type[CallFailed], ...]
"""Failures after which a call is retried."""
SAFE_TO_REPEAT: Final[Repeat] = (Throttled, UnknownResult)
"""For reads and idempotent calls."""
ONLY_IF_NOT_APPLIED: Final[Repeat] = (Throttled,)
"""For calls after whose lost response the caller must observe first."""
NEVER: Final[Repeat] = ()
"""For calls that their caller retries."""

APPLIED: Final = "Applied"
FAULT: Final = "Fault"
"""A programming error in the call, which is passed on and not retried."""
Tally = Counter[tuple[str, str]]
"""Number of calls by operation and result: `Applied`, the name of the `CallFailed`, or `Fault`."""

log = structlog.get_logger()


class Caller:
    """Makes the calls of one client. `most_open` bounds the open calls of one operation.

    `call_timeout` is in seconds and bounds an attempt from its start to its last byte: aiobotocore itself has no
    time-out for a body that trickles, nor for a connection from the pool.
    """

    def __init__(
        self,
        *,
        most_open: int,
        call_timeout: float,
        rng: random.Random,
        tally: Tally,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._most_open = most_open
        self._call_timeout = call_timeout
        self._rng = rng
        self._tally = tally
        self._stop = stop_after_attempt(attempts)
        self.limiters: dict[str, Limiter] = {}

    async def call(
        self,
        operation: str,
        send: Callable[[], Awaitable[T]],
        *,
        repeat: Repeat = SAFE_TO_REPEAT,
        wait: Wait = wait_uninterrupted,
        call_timeout: float | None = None,
    ) -> T:
        """Return the result of `send`, which makes one attempt and reads the response. Can be interrupted through `wait`.

        Raises `CallFailed`, the last real one. What `wait` raises goes through, when no attempt is under way; so does an
        exception that is a programming error, after which the call may have been applied.
        """
        limiter = self.limiters.get(operation)
        if limiter is None:
            limiter = self.limiters[operation] = Limiter(self._most_open)
        attempt = _Attempt(operation, limiter, wait, call_timeout or self._call_timeout, self._tally)
        answer = await attempt.make(send)
        if isinstance(answer, repeat):
            answer = await self._repeat(answer, attempt, send, repeat, wait)
        if not isinstance(answer, CallFailed):
            return answer
        try:
            raise answer
        finally:
            del answer, attempt  # its traceback holds this frame, and the attempt holds it

    async def _repeat(
        self,
        failed: CallFailed,
        attempt: _Attempt,
        send: Callable[[], Awaitable[T]],
        repeat: Repeat,
        wait: Wait,
    ) -> T | CallFailed:
        """Retry a failed call; return the last result.

        tenacity is set up only after a failure, because setting it up costs more than most calls. It gets failures as results:
        exceptions that pass through it stay in reference cycles with all frames of the call.
        """
        first: list[CallFailed] = [failed]

        async def make() -> T | CallFailed:
            return first.pop() if first else await attempt.make(send)

        retrying = AsyncRetrying(
            sleep=partial(_pause, wait, attempt),
            stop=self._stop,
            wait=self._full_jitter,
            retry=retry_if_result(lambda answer: isinstance(answer, repeat)),
            before_sleep=attempt.log_retry,
            retry_error_callback=_last_result,
        )
        try:
            answer: T | CallFailed = await retrying(make)
        finally:
            attempt.failed = None  # tenacity's object is in a reference cycle, and refers to the attempt
        return answer

    def _full_jitter(self, state: RetryCallState) -> float:
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (state.attempt_number - 1))
        return self._rng.uniform(0.0, longest)


class _Attempt:
    """The state that the attempts of one call share."""

    __slots__ = ("_limiter", "_operation", "_tally", "_timeout", "_wait", "failed")

    def __init__(self, operation: str, limiter: Limiter, wait: Wait, call_timeout: float, tally: Tally) -> None:
        self._operation = operation
        self._limiter = limiter
        self._wait = wait
        self._timeout = call_timeout
        self._tally = tally
        self.failed: CallFailed | None = None
        """The failure of the last attempt."""

    async def make(self, send: Callable[[], Awaitable[T]]) -> T | CallFailed:
        """Attempt the call once, and return its result or its failure. Nothing is awaited between `acquire` and sending."""
        began = await self._limiter.acquire(self._wait, after=self.failed)
        outcome = RateFeedback.NO_RESPONSE
        try:
            async with asyncio.timeout(self._timeout):
                answer = await send()
            outcome = RateFeedback.ACCEPTED
        except Exception as exc:
            failed = translate(self._operation, exc)
            if failed is None:
                self._tally[self._operation, FAULT] += 1
                raise
            self.failed = failed
            if is_too_fast(failed):
                outcome = RateFeedback.THROTTLED
            elif not failed.may_have_applied:
                outcome = RateFeedback.ACCEPTED
            self._tally[self._operation, type(failed).__name__] += 1
            if failed is not exc:
                failed.__cause__ = exc
            _let_frames_go(failed)
            return failed
        finally:
            self._limiter.done(began, outcome)
        self._tally[self._operation, APPLIED] += 1
        return answer

    def log_retry(self, state: RetryCallState) -> None:
        """Log the retry and its cause."""
        failed = state.outcome.result() if state.outcome else None
        log.info(
            "retry.scheduled",
            operation=self._operation,
            reason=getattr(failed, "code", None),
            attempt=state.attempt_number,
            sleep_seconds=round(state.upcoming_sleep, 3),
        )


def _let_frames_go(failed: BaseException) -> None:
    """Drop the tracebacks of a failure and its causes: their frames hold each other, the exceptions, and what was sent."""
    link: BaseException | None = failed
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__


def _last_result(state: RetryCallState) -> object:
    return state.outcome.result() if state.outcome else None


async def _pause(wait: Wait, attempt: _Attempt, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, _complete, future)
    try:
        await wait(future, attempt.failed or HELD_BACK)
    finally:
        timer.cancel()


def _complete(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
