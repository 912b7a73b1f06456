"""A kill -9 before every step of a whole story, each in a world of its own: whoever comes next must end it as it was to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulator.simulation import World
from tests.simulator.virtual_loop import PROCESS, VirtualLoop, run


@dataclass(frozen=True)
class Story:
    """What is there, what is asked for, and what must be so when everything has ended."""

    begin: Callable[[], World]
    ask: Callable[[World], object]
    check: Callable[[World], None]
    seconds: float = 20_000.0

    def survives_every_kill(self, stride: int = 1) -> int:
        """Live it plainly, then with a kill before every so many steps; answer how many steps there were."""
        steps = run(self._live(None))
        for step in range(1, steps, stride):
            try:
                run(self._live(step))
            except AssertionError as wrong:
                wrong.add_note(f"killed before step {step} of {steps}")
                raise
        return steps

    async def _live(self, step: int | None) -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        world = self.begin()
        world.start("first")

        def kill() -> None:
            world.kill("first")
            world.start("second")

        def at_step() -> None:
            if loop.steps == step and PROCESS.get() == "first":
                world.wire.world.copy().run(kill)

        loop.before_step = at_step
        self.ask(world)
        if world.later is not None:
            await world.later
        await world.all_answered(self.seconds)
        steps = loop.steps
        self.check(world)
        await world.stop("second" if "second" in world.replicas else "first")
        return steps
