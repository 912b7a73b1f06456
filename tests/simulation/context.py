"""What all who act in a world share: the world itself, who looks on, and what has been done."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.environment import MODELS, Environment
from tests.simulation.kinds import FEW, FEW_NAMES
from tests.simulation.monitor import Monitor
from tests.simulator.simulation import World
from tests.simulator.virtual_loop import VirtualLoop


@dataclass
class Scene:
    """One world, as it goes on. Every choice is drawn from `rng`, in an order that nothing else disturbs."""

    seed: int
    rng: random.Random
    loop: VirtualLoop
    environment: Environment
    monitor: Monitor
    is_quiet: bool = False
    done: Counter[str] = field(default_factory=Counter)
    """What somebody did, by its name."""
    lifetimes: int = 0
    """How many messages were sent."""

    @property
    def world(self) -> World:
        return self.environment.world

    @property
    def first(self) -> range:
        """Return the numbers of the requests that are sent at once and that others are about, where that is aimed at."""
        return range(0 if self.environment.kinds.forced.isdisjoint({FEW_NAMES, "cancel"}) else FEW)

    def make_ready(self) -> None:
        """Let the model that is in the making become Active."""
        for target, account in self.world.accounts.items():
            ready = self.world.model_in(target, MODELS[1])
            account.rule(models={arn: status for arn, status in account.rules.models.items() if arn != ready})
            self.monitor.books.model_changes[ready] = self.loop.time()
