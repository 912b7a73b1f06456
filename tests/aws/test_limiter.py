"""The line before an operation, under virtual time."""

import asyncio
from itertools import pairwise
from typing import TypeVar

import pytest

from slipway.aws.adapters.retry import HELD_BACK, Limiter, RateFeedback
from slipway.core.call_errors import CallFailed
from tests.simulator.virtual_loop import run

T = TypeVar("T")


class Gone(Exception):
    """Whoever waited must not go on."""


class Waiting:
    """A `Wait` that can be ended."""

    def __init__(self) -> None:
        self.place: asyncio.Future[object] | None = None

    async def __call__(self, future: asyncio.Future[T], _: CallFailed, /) -> T:
        self.place = future  # type: ignore[assignment]  # only completed
        return await future

    def end(self) -> None:
        assert self.place is not None
        self.place.set_exception(Gone())


class TooLate:
    """A `Wait` that raises although the turn has come: both happened at once."""

    async def __call__(self, future: asyncio.Future[T], _: CallFailed, /) -> T:
        await future
        raise Gone


async def throttle(limiter: Limiter) -> None:
    limiter.done(await limiter.acquire(), RateFeedback.THROTTLED)


def test_it_begins_without_a_limit_but_with_few_open_calls() -> None:
    async def main() -> None:
        limiter = Limiter(most_open=64)
        waiters = [asyncio.ensure_future(limiter.acquire()) for _ in range(10)]
        await asyncio.sleep(1)
        assert sum(turn.done() for turn in waiters) == 4
        assert limiter.rate is None
        for _ in range(10):
            limiter.done(0.0, RateFeedback.ACCEPTED)
            await asyncio.sleep(0)
        assert all(turn.done() for turn in waiters)
        assert limiter.waiting == 0

    run(main())


def test_never_more_are_open_than_may_be() -> None:
    async def main() -> None:
        limiter = Limiter(most_open=2)
        is_open, most = 0, 0

        async def call() -> None:
            nonlocal is_open, most
            began = await limiter.acquire()
            is_open += 1
            most = max(most, is_open)
            await asyncio.sleep(0.1)
            is_open -= 1
            limiter.done(began, RateFeedback.ACCEPTED)

        await asyncio.gather(*(call() for _ in range(200)))
        assert most == 2

    run(main())


def test_once_throttled_calls_are_begun_evenly_and_in_order() -> None:
    async def main() -> None:
        limiter = Limiter(most_open=64)
        await throttle(limiter)
        begun: list[tuple[int, float]] = []

        async def call(number: int) -> None:
            began = await limiter.acquire()
            begun.append((number, began))
            limiter.done(began, RateFeedback.ACCEPTED)

        await asyncio.gather(*(call(number) for number in range(6)))
        assert [number for number, _ in begun] == list(range(6))
        gaps = [later - earlier for (_, earlier), (_, later) in pairwise(begun)]
        assert all(gap > 0.17 for gap in gaps), "2.8 a second, and growing"

    run(main())


def test_a_repeat_stands_at_the_front() -> None:
    async def main() -> None:
        limiter = Limiter(most_open=64)
        await throttle(limiter)
        order: list[str] = []

        async def call(name: str, *, again: bool) -> None:
            limiter.done(await limiter.acquire(after=HELD_BACK if again else None), RateFeedback.ACCEPTED)
            order.append(name)

        await asyncio.gather(
            call("a", again=False), call("b", again=False), call("repeat", again=True), call("repeat 2", again=True)
        )
        assert order == ["repeat", "repeat 2", "a", "b"]

    run(main())


@pytest.mark.parametrize("ended", [0, 1, 2])
def test_who_is_interrupted_leaves_the_line_and_no_turn_is_lost(ended: int) -> None:
    async def main() -> float:
        limiter = Limiter(most_open=64)
        await throttle(limiter)
        waits = [Waiting() for _ in range(3)]
        waiters = [asyncio.ensure_future(limiter.acquire(wait)) for wait in waits]
        await asyncio.sleep(0)
        waits[ended].end()
        with pytest.raises(Gone):
            await waiters[ended]
        assert limiter.waiting == 2
        await asyncio.gather(*(turn for place, turn in enumerate(waiters) if place != ended))
        return asyncio.get_running_loop().time()

    async def undisturbed() -> float:
        limiter = Limiter(most_open=64)
        await throttle(limiter)
        await asyncio.gather(limiter.acquire(), limiter.acquire())
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(run(undisturbed()))


def test_a_turn_that_comes_too_late_goes_to_the_next() -> None:
    async def main() -> float:
        limiter = Limiter(most_open=1)
        await throttle(limiter)
        gone = asyncio.ensure_future(limiter.acquire(TooLate()))
        await asyncio.sleep(0)
        next_one = asyncio.ensure_future(limiter.acquire())
        with pytest.raises(Gone):
            await gone
        at = asyncio.get_running_loop().time()
        assert await next_one == pytest.approx(at), "with the token, and the place, of who is gone"
        return at

    run(main())


def test_thousands_may_leave_at_once() -> None:
    async def main() -> None:
        limiter = Limiter(most_open=64)
        await throttle(limiter)
        waits = [Waiting() for _ in range(20_000)]
        waiters = [asyncio.ensure_future(limiter.acquire(wait)) for wait in waits]
        await asyncio.sleep(0)
        for wait in waits:
            wait.end()
        answers = await asyncio.gather(*waiters, return_exceptions=True)
        assert {type(answer) for answer in answers} == {Gone}
        assert limiter.waiting == 0
        await limiter.acquire()

    run(main())


def test_long_after_the_last_throttle_there_is_no_limit_again() -> None:
    async def main() -> None:
        limiter = Limiter(most_open=64)
        await throttle(limiter)
        assert limiter.rate is not None
        await asyncio.sleep(600)
        limiter.done(await limiter.acquire(), RateFeedback.ACCEPTED)
        assert limiter.rate is None

    run(main())
