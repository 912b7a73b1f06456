"""A call that fails leaves no frames in reference cycles, and so nothing of what it sent or received."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from slipway.core.call_errors import CallFailed, Refused, Throttled
from tests.aws.conftest import Open, make_bedrock, make_caller
from tests.aws.servers import Behaviour, answer, error, raw, serving
from tests.simulator.virtual_loop import run

FAILURES: dict[str, Callable[[], Exception]] = {
    "connection": lambda: ConnectionResetError(104, "Connection reset by peer"),
    "time-out": TimeoutError,
    "throttled": lambda: Throttled("Op", "ThrottlingException"),
    "refused": lambda: Refused("Op", "ValidationException"),
}


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def left_over(what: str) -> list[object]:
    """Return the objects of these types that only the collector can free."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    found = [each for each in gc.garbage if type(each).__name__ in what.split()]
    gc.garbage.clear()
    return found


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_failed_call_leaves_no_cycle(failure: Callable[[], Exception]) -> None:
    async def send() -> None:
        await asyncio.sleep(0.01)
        raise failure()

    async def main() -> list[object]:
        caller = make_caller(attempts=3)
        for _ in range(2):  # what the first call makes, and keeps, is not what is looked for
            gc.collect()
            with suppress(CallFailed):
                await caller.call("Op", send)
        return left_over("frame traceback coroutine Unknown Throttled Refused RetryCallState")

    assert run(main()) == []


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize(
    "behaviour",
    [raw(b"", then="reset"), answer(200, b"[1]"), error(400, "ValidationException")],
    ids=["reset", "list", "refused"],
)
async def test_a_failed_call_of_the_sdk_leaves_no_frames(clients_at: Open, behaviour: Behaviour) -> None:
    async with serving(behaviour) as server, clients_at(server.url) as clients:
        bedrock = make_bedrock(clients, make_caller(attempts=2))
        for _ in range(2):  # the first call imports and makes what stays
            gc.collect()
            with suppress(CallFailed):
                await bedrock.get("n")
        assert left_over("frame traceback") == []
