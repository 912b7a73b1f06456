"""Scenarios in which every request must end although nothing can be done about it: I14. Each raises if one does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from slipway.core.requests.targets import DEFAULT
from slipway.core.sqs.continuations import MOST_COPIES, MOST_DEATHS, MOST_FAULTS
from slipway.core.sqs.messages import AnyAttribute
from tests.simulator.bedrock import Rules
from tests.simulator.observer import Watching
from tests.simulator.simulation import Replica, World
from tests.simulator.sqs import Letter
from tests.simulator.virtual_loop import run
from tests.simulator.wire_faults import Fault

MOST_RECEIVES = 10
SOON_SECONDS = 3600.0


@dataclass(frozen=True)
class Scenario:
    """One of them; it has the method of `Story` by which it is run."""

    live: Callable[[], Coroutine[Any, Any, None]]

    def survives_every_kill(self, stride: int = 1) -> int:
        """Live it once: its kills are its own."""
        run(self.live())
        return stride


class Killer(Watching):
    """Ends each process so many seconds after it has received a message, of one deployment or any, and starts another one."""

    def __init__(self, world: World, seconds: float, name: str = "") -> None:
        self._world = world
        self._seconds = seconds
        self._name = name
        self.kills = 0
        self.most_there = 0

    def received(self, letter: Letter, process: str | None) -> None:
        if self._name in letter.body:
            asyncio.get_running_loop().call_later(self._seconds, self._kill, process)

    def put(self, letter: Letter | None, body: str, attributes: dict[str, AnyAttribute]) -> None:
        self.most_there = max(self.most_there, len(self._world.sqs.letters))

    def _kill(self, process: str | None) -> None:
        if process in self._world.replicas:
            self._world.kill(process)
            self.kills += 1
            self._world.start(f"p{self.kills}")


def raising(replica: Replica, name: str) -> list[str]:
    """Let a process raise on a request, each time; return what it has raised on."""
    lives, raised = replica.slipway.runtimes[DEFAULT].actions, list[str]()
    live = lives.run

    def fault(request: Any, *others: Any) -> Any:
        if request.name == name:
            raised.append(name)
            raise ZeroDivisionError
        return live(request, *others)

    lives.run = fault  # type: ignore[method-assign,assignment]  # a bug, put in on purpose
    return raised


async def _raises_in_each_process() -> None:
    world, raised = World(max_receive_count=2), 0
    world.ask("bad", requestId="r-1")
    for number in range(20):
        mine = raising(world.start(f"p{number}"), "bad")
        await world.until(lambda mine=mine: bool(mine) or bool(world.dead.all), 300)  # type: ignore[misc]
        await world.stop(f"p{number}")
        raised += len(mine)
        if world.dead.all:
            break
    assert raised <= 2 * MOST_FAULTS, raised
    assert world.outcome_of("r-1")["reason"] == "InternalError"


async def _kills_its_reader(seconds: float) -> None:
    world = World(max_receive_count=MOST_RECEIVES)
    killer = world.sqs.watching = Killer(world, seconds)
    world.start("p0")
    world.ask("killer", requestId="r-1")
    await world.until(lambda: not world.sqs.letters)
    assert killer.most_there <= MOST_COPIES, killer.most_there
    assert killer.kills <= 2 * MOST_DEATHS + MOST_RECEIVES, killer.kills
    assert world.dead.all or world.topic.terminal()


async def _healthy_beside_a_killer() -> None:
    """Received in the same batches as a message that ends its reader, requests must not be given up with it."""
    rules = Rules(max_creating=20, max_total=50, creation_seconds=(60.0, 90.0))
    world = World(max_receive_count=10, rules=rules)
    world.sqs.watching = killer = Killer(world, 0.1, "killer")
    names = {f"bot-{number}" for number in range(8)}
    for name in ("killer", *sorted(names)):
        world.ask(name)
    world.start("p0")
    await world.until(lambda: not world.sqs.letters, 100_000)
    assert {name for name in names if world.outcomes().get(name) == "Active"} == names, world.outcomes()
    await world.stop(f"p{killer.kills}")


async def _denied_replies_hold_no_place() -> None:
    """Requests whose reply is denied, for which it is tried for 15 minutes, let go sooner of their places if all are taken."""
    copies = "https://sqs.us-east-1.amazonaws.com/123456789012/copies"
    rules = Rules(max_creating=20, max_total=50, creation_seconds=(5.0, 5.0))
    world = World(rules=rules, terms={"max_held": 6, "reply_to": (copies,), "sweep_interval": 5.0})
    world.askers.is_denied = True
    for number in range(12):
        world.ask(f"bot-{number}", replyTo=copies)
    world.start()
    await asyncio.sleep(60.0)
    for number in range(6):
        world.ask(f"cat-{number}")
    await world.until(lambda: sum(name.startswith("cat") for name in world.outcomes()) == 6, 1600)
    await world.stop()


async def _event_is_refused() -> None:
    world = World()
    world.topic.refuses = lambda _: True
    world.start()
    world.ask("bot", requestId="r-1")
    await world.all_answered(SOON_SECONDS)
    assert [letter.attributes["SlipwayCode"] for letter in world.dead.all] == ["Unpublishable"]
    await world.stop()


async def _dead_letter_is_refused() -> None:
    world = World()
    world.wire.plan = lambda operation, _: Fault.DENIED if operation == "SendMessage" else None
    world.start()
    world.sqs.put("{")
    await world.all_answered(SOON_SECONDS)
    assert [notice.event["data"]["outcome"] for notice in world.topic.terminal()] == ["Rejected"]
    await world.stop()


SCENARIOS = {
    "a request that raises in each process": Scenario(_raises_in_each_process),
    "a message that kills its reader before it is understood": Scenario(lambda: _kills_its_reader(0.05)),
    "a message that kills its reader": Scenario(lambda: _kills_its_reader(0.1)),
    "healthy requests beside a message that kills its reader": Scenario(_healthy_beside_a_killer),
    "replies that are denied": Scenario(_denied_replies_hold_no_place),
    "an event that is refused": Scenario(_event_is_refused),
    "a dead letter that is refused": Scenario(_dead_letter_is_refused),
}
