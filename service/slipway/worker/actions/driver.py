"""The loop that deploy, update and delete share: ask `decide` for the next step and carry it out, until there is an outcome."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from slipway.core.call_errors import CallFailed
from slipway.core.lifecycle.outcomes import Outcome
from slipway.core.lifecycle.steps import Finish, Pause, SendContinuation
from slipway.core.requests.models import Request
from slipway.worker.kernel.interrupts import DeadlinePassed
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import Observer, ObserverBedrock, ReportProgress


class RequestFacts(Protocol):
    """What is known of a request, as far as the loop needs it."""

    @property
    def failures(self) -> int:
        """Waits in a row without progress."""

    def after_failure(self) -> Self:
        """Return the facts after a call that only reads has failed."""

    def after_pause(self) -> Self:
        """Return the facts after a pause."""


RequestT = TypeVar("RequestT", bound=Request)
FactsT = TypeVar("FactsT", bound=RequestFacts)
StepT = TypeVar("StepT")


@dataclass(frozen=True, slots=True)
class Run(Generic[RequestT]):
    """One request in this delivery, with all that its steps need."""

    request: RequestT
    lease: Lease
    deadline: float
    """By the event loop's clock."""
    report_progress: ReportProgress


class ActionDriver(ABC, Generic[RequestT, FactsT, StepT]):
    """Takes requests of one action to their outcomes. A subclass says how each step is carried out."""

    def __init__(
        self,
        decide: Callable[[RequestT, FactsT], StepT | Pause | Finish | SendContinuation],
        bedrock: ObserverBedrock,
        rng: random.Random,
    ) -> None:
        self.decide = decide
        self.observer = Observer(bedrock, rng)
        self.rng = rng

    async def run(self, run: Run[RequestT]) -> Outcome | SendContinuation:
        """Return the request's outcome, or the continuation to send. Raises `Interrupted`."""
        lease = run.lease
        facts = self.initial_facts(lease)
        try:
            with lease.until(run.deadline):
                lease.check()
                lease.has_begun = True
                while True:
                    step = self.decide(run.request, facts)
                    if isinstance(step, Finish):
                        return step.outcome
                    if isinstance(step, SendContinuation):
                        return step
                    if isinstance(step, Pause):
                        await self.observer.pause(step, facts.failures, lease, run.report_progress)
                        facts = facts.after_pause()
                        continue
                    try:
                        result = await self.act(step, facts, run)
                    except CallFailed as failed:
                        await self.observer.pause_after(failed, facts.failures, lease)
                        facts = facts.after_failure()
                        continue
                    if isinstance(result, Outcome | SendContinuation):
                        return result
                    facts = result
        except DeadlinePassed:
            return await self.at_deadline(facts, run)
        finally:
            self.leave(lease)

    @abstractmethod
    def initial_facts(self, lease: Lease) -> FactsT:
        """Return what is known before the first step."""

    @abstractmethod
    async def act(self, step: StepT, facts: FactsT, run: Run[RequestT]) -> FactsT | Outcome | SendContinuation:
        """Carry out a step; return what is known then, or how the run ends.

        Raises `Interrupted`; and `CallFailed` for a call that only reads, after which the loop pauses and decides again.
        """

    @abstractmethod
    async def at_deadline(self, facts: FactsT, run: Run[RequestT]) -> Outcome:
        """Return the outcome of a request whose deadline has passed. One last observation may show that it has ended."""

    def leave(self, lease: Lease) -> None:
        """Undo what the loop has begun for this lease, however it ended."""
