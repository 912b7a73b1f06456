"""The one retry layer, under virtual time."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from structlog.testing import capture_logs

from slipway.aws.adapters.retry import NEVER, ONLY_IF_NOT_APPLIED, SAFE_TO_REPEAT
from slipway.core.call_errors import CallFailed, Denied, QuotaFull, Refused, ResourceMissing, Throttled, UnknownResult
from tests.aws.conftest import make_caller
from tests.simulator.virtual_loop import run

T = TypeVar("T")


class Service:
    """Answers one after the other with what it is given: an exception, or a number."""

    def __init__(self, *answers: Exception | int) -> None:
        self._answers = list(answers)
        self.calls: list[float] = []

    async def __call__(self) -> int:
        self.calls.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.05)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


THROTTLED = Throttled("Op", "ThrottlingException")
UNKNOWN = UnknownResult("Op", "Timeout")


def test_the_answer_comes_through() -> None:
    caller = make_caller()
    assert run(caller.call("Op", Service(7))) == 7
    assert dict(caller._tally) == {("Op", "Applied"): 1}  # noqa: SLF001


def test_a_safe_call_is_repeated_until_it_is_applied() -> None:
    caller = make_caller()
    service = Service(UNKNOWN, THROTTLED, ConnectionResetError(), 7)
    with capture_logs() as logs:
        assert run(caller.call("Op", service, repeat=SAFE_TO_REPEAT)) == 7
    assert [(line["event"], line["operation"], line["reason"], line["attempt"]) for line in logs] == [
        ("retry.scheduled", "Op", "Timeout", 1),
        ("retry.scheduled", "Op", "ThrottlingException", 2),
        ("retry.scheduled", "Op", "ConnectionResetError", 3),
    ]
    assert dict(caller._tally) == {("Op", "UnknownResult"): 2, ("Op", "Throttled"): 1, ("Op", "Applied"): 1}  # noqa: SLF001


def test_the_last_real_failure_comes_out_with_its_cause() -> None:
    cause = ConnectionResetError("last")
    service = Service(THROTTLED, UNKNOWN, cause)
    with pytest.raises(UnknownResult, match="ConnectionResetError: last") as failed:
        run(make_caller(attempts=3).call("Op", service))
    assert failed.value.__cause__ is cause
    assert len(service.calls) == 3


def test_a_programming_error_comes_out_as_it_is_counted_and_not_repeated() -> None:
    bug = TypeError("_make_api_call() missing 1 required positional argument")
    service, caller = Service(bug, 7), make_caller()
    with pytest.raises(TypeError) as raised:
        run(caller.call("Op", service))
    assert raised.value is bug
    assert len(service.calls) == 1
    assert dict(caller._tally) == {("Op", "Fault"): 1}  # noqa: SLF001


@pytest.mark.parametrize("kind", [Denied, QuotaFull, ResourceMissing, Refused])
def test_what_would_be_answered_the_same_is_not_repeated(kind: type[Exception]) -> None:
    service = Service(kind("Op", "code"), 7)
    with pytest.raises(kind):
        run(make_caller().call("Op", service))
    assert len(service.calls) == 1


def test_what_may_have_been_applied_is_repeated_only_where_that_is_safe() -> None:
    service = Service(THROTTLED, UNKNOWN, 7)
    with pytest.raises(UnknownResult):
        run(make_caller().call("Op", service, repeat=ONLY_IF_NOT_APPLIED))
    assert len(service.calls) == 2


def test_some_calls_are_never_repeated() -> None:
    service = Service(THROTTLED, 7)
    with pytest.raises(Throttled):
        run(make_caller().call("Op", service, repeat=NEVER))
    assert len(service.calls) == 1


def test_an_attempt_ends_by_its_own_time_out() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    async def main() -> float:
        with pytest.raises(UnknownResult, match="Timeout"):
            await make_caller(attempts=1).call("Op", hang, call_timeout=3.0)
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(1003.0)


class Gone(Exception):
    """Whoever waited must not go on."""


def kind(when: Callable[[], bool]) -> Callable[[asyncio.Future[T], CallFailed], object]:
    async def wait(future: asyncio.Future[T], _: CallFailed, /) -> T:
        if when():
            raise Gone
        return await future

    return wait


def test_it_can_be_interrupted_between_attempts_and_not_within() -> None:
    service = Service(UNKNOWN, 7)
    caller = make_caller()

    async def wait(future: asyncio.Future[T], _: CallFailed, /) -> T:
        assert len(service.calls) == 1, "the first attempt is over"
        raise Gone

    async def main() -> None:
        with pytest.raises(Gone):
            await caller.call("Op", service, wait=wait)
        assert len(service.calls) == 1
        assert await caller.call("Op", service) == 7

    run(main())


def test_it_can_be_interrupted_in_line() -> None:
    service = Service(THROTTLED, 7)
    caller = make_caller(attempts=1)

    async def wait(future: asyncio.Future[T], _: CallFailed, /) -> T:
        raise Gone

    async def main() -> None:
        with pytest.raises(Throttled):
            await caller.call("Op", service)
        with pytest.raises(Gone):
            await caller.call("Op", service, wait=wait)
        assert len(service.calls) == 1
        assert caller.limiters["Op"].waiting == 0
        assert await caller.call("Op", service) == 7

    run(main())


def test_one_throttled_operation_leaves_the_others_alone() -> None:
    caller = make_caller(attempts=1)

    async def main() -> list[float]:
        for _ in range(3):
            with pytest.raises(Throttled):
                await caller.call("Create", Service(THROTTLED))
        began = asyncio.get_running_loop().time()
        lists = [Service(7) for _ in range(4)]
        await asyncio.gather(*(caller.call("List", service) for service in lists))
        return [service.calls[0] - began for service in lists]

    assert run(main()) == [0.0] * 4


class Bucket:
    """A service that lets in so many calls a second."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = rate
        self._filled_at = asyncio.get_running_loop().time()
        self.accepted = 0
        self.throttled = 0

    async def __call__(self) -> None:
        await asyncio.sleep(0.015)
        now = asyncio.get_running_loop().time()
        self._tokens = min(self._rate, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            self.throttled += 1
            raise THROTTLED
        self._tokens -= 1
        self.accepted += 1
        await asyncio.sleep(0.015)


@pytest.mark.parametrize("rate", [5.0, 10.0, 20.0, 100.0])
def test_it_uses_what_the_service_allows_without_being_told(rate: float) -> None:
    async def main() -> tuple[float, float]:
        bucket = Bucket(rate)
        caller = make_caller(attempts=20)
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(caller.call("Create", bucket) for _ in range(int(60 * rate))))
        seconds = asyncio.get_running_loop().time() - began
        return bucket.accepted / (rate * seconds), bucket.throttled / (bucket.accepted + bucket.throttled)

    use, throttled = run(main())
    assert use >= 0.95
    assert throttled < 0.05
