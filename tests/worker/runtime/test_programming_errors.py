"""A programming error within a call (of what wraps the SDK, say) is a fault, and never network trouble."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.simulator.simulation import World
from tests.simulator.virtual_loop import run

OPERATIONS = (
    "ReceiveMessage",
    "CreateCustomModelDeployment",
    "GetCustomModelDeployment",
    "ListTagsForResource",
    "ListCustomModelDeployments",
    "ChangeMessageVisibilityBatch",
    "PublishBatch",
    "DeleteMessageBatch",
)


def wrap(world: World, operation: str, times: int, *, after: bool) -> Counter[str]:
    """Let the first calls of an operation fail in what wraps them: before they are made, or after."""
    raised: Counter[str] = Counter()
    call = world.wire.call

    async def wrapped(name: str, *args: Any, **how: Any) -> Any:
        is_broken = name == operation and raised[name] < times
        if is_broken:
            raised[name] += 1
        answer = None if is_broken and not after else await call(name, *args, **how)
        if is_broken:
            raise TypeError("_make_api_call() takes 3 positional arguments but 4 were given")
        return answer

    wire: Any = world.wire
    wire.call = wrapped  # as an APM does
    return raised


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_is_counted_and_logged_as_what_it_is_and_the_request_is_done_all_the_same(operation: str, *, after: bool) -> None:
    # What was applied is found, or gone, when it is looked at again: there is no second call.
    times = 1 if after and operation in {"CreateCustomModelDeployment", "DeleteMessageBatch"} else 2

    async def main() -> None:
        world = World(max_receive_count=10, terms={"visibility_timeout": 60})
        raised = wrap(world, operation, 2, after=after)
        world.start("a")
        world.ask("bot")
        if operation in {"GetCustomModelDeployment", "ListTagsForResource"}:  # of what a successor looks at
            await world.until(lambda: len(world.account.made) == 1)
            world.kill("a")
            world.start("b")
        await world.all_answered(7200)
        assert raised == {operation: times}
        slipway = world.replicas["b" if "b" in world.replicas else "a"].slipway
        assert slipway.counters.faults >= times
        assert [made.name for made in world.account.made] == ["bot"], "made once, whatever the fault left unknown"
        assert world.outcomes() == {"bot": "Active"}
        assert not world.dead.all

    with capture_logs() as logs:
        run(main())
    faulted = [entry for entry in logs if entry["event"].endswith(".faulted")]
    assert len(faulted) >= times
    assert all(entry["log_level"] == "error" for entry in faulted)
    assert not [entry for entry in logs if "network" in str(entry).lower() or entry.get("code") == "TypeError"]


def test_a_daemon_whose_every_call_is_broken_stays_calm_and_says_so() -> None:
    async def main() -> None:
        world = World()
        raised = wrap(world, "ReceiveMessage", 10**9, after=False)
        replica = world.start("a")
        await world.until(lambda: replica.slipway.counters.faults >= 5)
        assert replica.slipway.counters.faults == raised["ReceiveMessage"]
        await asyncio.sleep(600)
        assert raised.total() < 60, "pauses grow"

    run(main())
