"""Simulated processes: started, killed, halted and told to stop; and held to their word when they were."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.simulation.context import Scene
from tests.simulation.recorder import Life
from tests.simulator.simulation import Replica
from tests.simulator.virtual_loop import PROCESS

LEAVING_SECONDS = 25.0


class Running:
    """All processes of a world."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._books = scene.monitor.books
        self._number = 0
        self.at_steps: dict[int, str] = {}
        """What is to befall whoever is about to make this step of the loop."""
        self.kills = 0
        self.on_start: Callable[[Replica], None] = lambda _: None
        """Called before a process has done anything."""
        self.endings: set[asyncio.Task[None]] = set()
        """The processes that were told to stop, and are watched until they have."""

    def start(self, **terms: Any) -> Life:
        """Start one, on the world's terms but for these."""
        self._number += 1
        replica = self._scene.world.start(f"p{self._number}", **terms)
        life = self._books.lives[replica.name] = Life(replica, self._books.now)
        self.on_start(replica)
        self._books.note(f"start    {replica.name}")
        return life

    def start_later(self) -> None:
        """Start one in a while, if it is not quiet by then."""

        def begin() -> None:
            if not self._scene.is_quiet:
                self.start()

        self._scene.loop.call_later(self._scene.rng.choice([0.0, 1.0, 20.0, 100.0]), begin)

    def kill(self, life: Life) -> None:
        """SIGKILL."""
        self.kills += 1
        life.killed_at = self._books.now
        self._books.note(f"kill -9  {life.replica.name}")
        self._scene.world.kill(life.replica.name)

    def stop(self, life: Life, *, is_hurried: bool = False) -> None:
        """SIGTERM."""
        if life.stopping_at is None:
            self._books.note(f"SIGTERM  {life.replica.name}")
            life.stopping_at = self._books.now
            self.endings.add(asyncio.get_running_loop().create_task(self._ending(life)))

        def hear() -> None:
            life.has_heard = True
            life.is_hurried = life.is_hurried or is_hurried
            (life.replica.slipway.shorten_shutdown if is_hurried else life.replica.slipway.stop)()

        self._scene.loop.call_soon(hear, context=life.replica.context)

    async def _ending(self, life: Life) -> None:
        """Hold a process that was told to stop to its word."""
        assert life.stopping_at is not None
        task, was_late = life.replica.task, False
        while not task.done() and life.killed_at is None:
            awake = max(life.stopping_at, life.continued_at)
            is_late = not life.is_halted and self._books.now - awake > LEAVING_SECONDS
            if is_late and was_late:  # looked at twice: when the loop was blocked, its own timer is due only now, too
                self._books.breaks("I9", f"{life.replica.name} has not ended {LEAVING_SECONDS:g} s after SIGTERM")
                return
            was_late = is_late
            await asyncio.sleep(0.5)
        if task.done() and not task.cancelled() and task.exception() is not None:
            self._books.breaks("I9", f"{life.replica.name} ended with {task.exception()!r}")
        if task.done():
            self._scene.monitor.left(life)

    def stop_again(self, life: Life) -> None:
        """SIGTERM once more."""
        if life.killed_at is None and not life.replica.task.done():
            self.stop(life, is_hurried=True)

    def halt(self, life: Life, seconds: float) -> None:
        """SIGSTOP, and SIGCONT so much later."""
        life.is_halted, life.halted_at = True, self._books.now
        self._scene.loop.stop_process(life.replica.name)
        self._scene.loop.call_later(seconds, lambda: self.go_on(life))

    def go_on(self, life: Life) -> None:
        """SIGCONT, if it is halted."""
        if life.is_halted and life.killed_at is None:
            self._books.note(f"SIGCONT  {life.replica.name}")
            life.is_halted, life.continued_at = False, self._books.now
            self._scene.loop.continue_process(life.replica.name)

    def at_step(self) -> None:
        """Before each step of the loop: strike, if it is time."""
        if self.at_steps and (kind := self.at_steps.pop(self._scene.loop.steps, None)) and not self._scene.is_quiet:
            life = self._books.life_of(PROCESS.get())
            if life is None or life.killed_at is not None:
                return
            self._scene.done[kind] += 1
            outside = self._scene.world.wire.world
            outside.copy().run(self.kill if kind == "kill -9 at a step" else self.stop, life)
            outside.copy().run(self.start_later)
