"""The life of a request, whatever it asks for."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Protocol, assert_never

from service.core import continuations
from service.core.actions import AnyRequest, Cancel, Delete, Deploy, Update
from service.core.outcomes import Ending, Outcome, Release
from service.core.steps import HandOn
from service.flow import lifecycle, models, removing, updating
from service.flow.cancelling import Cancelling
from service.flow.history import History
from service.flow.hold import Hold
from service.flow.lifecycle import Lifecycle
from service.flow.looking import Tell
from service.flow.models import Models
from service.flow.removing import Removing
from service.flow.slots import Slots
from service.flow.tally import Tally
from service.flow.terms import Terms
from service.flow.updating import Updating
from service.flow.watcher import Watcher


class Bedrock(lifecycle.Bedrock, models.Makers, updating.Updates, removing.Deletes, Protocol):
    """What the lives of requests call of Bedrock."""


class Lives:
    """Brings each request to its outcome, by its deadline."""

    def __init__(
        self,
        bedrock: Bedrock,
        terms: Terms,
        slots: Slots,
        watcher: Watcher,
        *,
        held: Callable[[], Iterable[Hold]],
        rng: random.Random,
        tally: Tally,
    ) -> None:
        self._models = Models(bedrock, rng=rng)
        self._updating = Updating(bedrock, may_force=terms.allow_force, poll_seconds=terms.sweep_interval, rng=rng)
        self._lifecycle = Lifecycle(bedrock, slots, watcher, self._updating, rng=rng, tally=tally)
        self.history = History()
        self._cancelling = Cancelling(held, self.history, rng=rng)
        self._removing = Removing(bedrock, may_force=terms.allow_force, rng=rng)

    async def live(self, request: AnyRequest, hold: Hold, deadline: float, tell: Tell) -> Outcome | HandOn | Release:
        """Answer how the request ended, or what is to be handed on, or given back. `deadline` is by the event loop's clock.

        Raises `Interrupted`.
        """
        is_cancelled = continuations.carried(hold.message).cancelled is not None
        match request:
            case Deploy() if is_cancelled:
                return await self._lifecycle.deploy(request, hold, deadline, tell)
            case Update() | Delete() if is_cancelled:
                return Outcome(Ending.CANCELLED, message="what was begun in Bedrock goes on")
            case Deploy():
                ready = await self._models.ready(request, hold, deadline, tell)
                if isinstance(ready, Outcome):
                    return ready
                return await self._lifecycle.deploy(ready, hold, deadline, tell)
            case Update():
                return await self._updating.update(request, hold, deadline, tell)
            case Delete():
                return await self._removing.remove(request, hold, deadline, tell)
            case Cancel():
                return await self._cancelling.cancel(request, hold, deadline)
        assert_never(request)
