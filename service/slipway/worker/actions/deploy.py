"""One deploy request from its first look to its outcome: ask `decide`, do what it says, tell it what came of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Protocol, assert_never

import structlog

from slipway.core.bedrock.deployments import Created, ModelState
from slipway.core.bedrock.errors import CallFailed
from slipway.core.events.publish import Progress
from slipway.core.lifecycle.deploy import Create, Facts, UpdateExisting, Void, Watch, decide
from slipway.core.lifecycle.outcomes import Ending, Outcome, Reason
from slipway.core.lifecycle.steps import Absent, AskModel, Ended, HandOn, Look, Pause, Remove, Seen, TryOut, reason_for
from slipway.core.lifecycle.tags import Marks, wanted_tags
from slipway.core.parsing.parse import client_token
from slipway.core.requests.models import Deploy, Update
from slipway.core.sqs import continuations
from slipway.worker.actions.delete import Deletes, remove
from slipway.worker.actions.smoke_test import Converses, Smoke
from slipway.worker.actions.update import Updating
from slipway.worker.kernel.counters import Tally
from slipway.worker.kernel.interrupts import DeadlinePassed, Wait
from slipway.worker.kernel.lease import LONG_SECONDS, Hold
from slipway.worker.kernel.observe import Looking, Tell, in_silence, timed_out
from slipway.worker.kernel.tracing import CREATE
from slipway.worker.scheduling.slots import Slots
from slipway.worker.scheduling.watcher import Watcher

log = structlog.get_logger()

_SWEPT: Final = frozenset({Reason.IN_CREATION, Reason.NO_SLOT})


class Bedrock(Deletes, Converses, Protocol):
    """What a lifecycle calls of Bedrock. Every wait between attempts goes through `wait`."""

    async def create(
        self,
        *,
        name: str,
        model_arn: str,
        description: str | None,
        tags: Sequence[tuple[str, str]],
        token: str,
        wait: Wait,
    ) -> Created:
        """Begin a deployment."""

    async def model_state(self, model_arn: str, *, wait: Wait) -> ModelState:
        """Answer whether the model can be deployed."""


class Lifecycle:
    """Brings requests to their outcome, by their deadline."""

    def __init__(
        self, bedrock: Bedrock, slots: Slots, watcher: Watcher, updating: Updating, *, rng: random.Random, tally: Tally
    ) -> None:
        self._bedrock = bedrock
        self._updating = updating
        self._smoke = Smoke(bedrock, rng)
        self._slots = slots
        self._watcher = watcher
        self._looking = Looking(bedrock, rng)
        self._tally = tally

    async def deploy(self, request: Deploy, hold: Hold, deadline: float, tell: Tell) -> Outcome | HandOn:
        """Answer how the request ended, or what is to be handed on. `deadline` is by the event loop's clock.

        Raises `Interrupted`.
        """
        # Whoever had the message before, or handed the request on, may have made the deployment already.
        facts = Facts(
            in_doubt=hold.is_in_doubt,
            received=continuations.first_received_at(hold.message),
            is_receipt_proved=continuations.is_receipt_proved(hold.message),
            carried=continuations.carried(hold.message),
        )
        try:
            with hold.until(deadline):
                hold.check()
                hold.has_begun = True
                while True:
                    step = decide(request, facts)
                    if isinstance(step, Ended):
                        return step.outcome
                    if isinstance(step, HandOn):
                        return step
                    if isinstance(step, Void):
                        log.warning("token.void", voids=facts.voids + 1)
                        facts = facts.after_void()
                        continue
                    if isinstance(step, UpdateExisting):
                        updated = await self._update(request, hold, deadline, tell)
                        if updated is not None:
                            return updated
                        facts = facts.after_pause()
                        continue
                    facts = await self._take(step, request, facts, hold, tell)
        except DeadlinePassed:
            return await self._at_deadline(request, facts, hold)
        finally:
            # Not what was merely looked at: another request may be waiting for the same deployment.
            if hold.watched is not None:
                self._watcher.forget(hold.watched)

    def _take(
        self,
        step: Look | AskModel | Create | Watch | TryOut | Remove | Pause,
        request: Deploy,
        facts: Facts,
        hold: Hold,
        tell: Tell,
    ) -> Awaitable[Facts]:
        """Begin what the step says; answer what will tell what is known then.

        No coroutine: one more would take 0.3 KB for each request that is watched.
        """
        match step:
            case Create():
                return self._create(request, facts, hold, tell)
            case TryOut():
                return self._try_out(step, request, facts, hold, tell)
            case Remove(arn=arn):
                return self._remove(arn, facts, hold)
            case Watch(arn=arn, created_at=created_at):
                return self._watch(arn, created_at, facts, hold)
            case Look():
                return self._looking.ask(self._look(request, facts, hold), facts.after_look, facts, hold)
            case AskModel():
                asked = self._bedrock.model_state(request.model_arn, wait=hold.wait_to_call)
                return self._looking.ask(asked, facts.after_model, facts, hold)
            case Pause():
                return self._pause(step, facts, hold, tell)
        assert_never(step)

    async def _look(self, request: Deploy, facts: Facts, hold: Hold) -> Seen | Absent:
        sight = await self._looking.look(request.name, hold)
        if isinstance(sight, Absent) and facts.lost is not None:
            return await self._looking.look(facts.lost, hold)
        return sight

    async def _try_out(self, step: TryOut, request: Deploy, facts: Facts, hold: Hold, tell: Tell) -> Facts:
        test = request.smoke_test
        if test is None:
            return facts
        return facts.after_test(await self._smoke.test(request, test, step.arn, hold, tell, is_written=step.is_written))

    async def _remove(self, arn: str, facts: Facts, hold: Hold) -> Facts:
        return facts.after_removal(await remove(self._bedrock, arn, hold))

    async def _pause(self, step: Pause, facts: Facts, hold: Hold, tell: Tell) -> Facts:
        await self._looking.pause(step, facts.troubles, hold, tell)
        return facts.after_pause()

    async def _create(self, request: Deploy, facts: Facts, hold: Hold, tell: Tell) -> Facts:
        must_wait = not self._slots.has_room()
        answer: Created | CallFailed
        grant = await self._slots.grant(hold, request, tell)
        if grant is None:
            return facts.after_listing()
        with grant:
            if must_wait and facts.in_doubt and (more := await self._look_again(request, facts, hold)):
                return more
            hold.check()
            try:
                with hold.trace.span(CREATE), HeldBack(hold, tell):
                    answer = await self._bedrock.create(
                        name=request.name,
                        model_arn=request.model_arn,
                        description=request.description,
                        tags=wanted_tags(request, facts.received, facts.carried.attempt),
                        token=client_token(request, facts.carried.attempt - 1, facts.voids),
                        wait=hold.wait_to_call,
                    )
            except CallFailed as failed:
                answer = failed
            else:
                hold.arn = hold.watched = answer.arn
                self._watcher.expect(answer.arn, answer.at)
            grant.answer = answer
        if isinstance(answer, Created):
            log.info("deployment.created", arn=answer.arn)
            tell(Progress.CREATING, None, None)
        elif answer.may_have_applied:
            self._tally.unknown_answers += 1
            log.warning("create.unknown", code=answer.code, error=str(answer))
        return facts.after_create(answer)

    async def _update(self, request: Deploy, hold: Hold, deadline: float, tell: Tell) -> Outcome | None:
        """Let what has the name serve this request's model: that is Active. None where it has gone meanwhile."""
        wanted = Update(
            identity=request.identity,
            request_id=request.request_id,
            name=request.name,
            timeout=request.timeout,
            target=request.target,
            owner=request.owner,
            model_arn=request.model_arn,
            smoke_test=request.smoke_test,
        )
        outcome = await self._updating.update(wanted, hold, deadline, tell)
        if outcome.reason is Reason.DEPLOYMENT_NOT_FOUND:
            return None
        return replace(outcome, ending=Ending.ACTIVE, adopted=True) if outcome.ending is Ending.UPDATED else outcome

    async def _look_again(self, request: Deploy, facts: Facts, hold: Hold) -> Facts | None:
        """Answer what is known after a wait in line, when that is more than before it; None while still nothing is seen."""
        try:
            sight = await self._looking.look(request.name, hold)
        except CallFailed:
            return facts.after_pause()
        return facts.after_look(sight) if isinstance(sight, Seen) else None

    async def _watch(self, arn: str, created_at: float, facts: Facts, hold: Hold) -> Facts:
        hold.arn = hold.watched = arn
        with hold.because(Reason.IN_CREATION, "its deployment is in creation"):  # one text for all: 0.14 KB each
            is_seen = isinstance(facts.sight, Seen)
            deployment = await hold.wait(self._watcher.ended(arn, created_at, is_seen=is_seen))
        if deployment is None:
            self._watcher.forget(arn)
            hold.watched = None
            return facts.after_missing(arn)
        marks = facts.sight.marks if isinstance(facts.sight, Seen) else Marks()
        ended_at = deployment.updated_at or hold.now()
        self._tally.creation_seconds.add(max(0.0, ended_at - deployment.created_at))
        return facts.after_watch(deployment, marks)

    async def _at_deadline(self, request: Deploy, facts: Facts, hold: Hold) -> Outcome:
        """The deadline has come: say so, unless a last look shows that Bedrock has already decided."""
        reason, text = self._slots.why() if hold.why is Reason.NO_SLOT else hold.cause()
        if facts.in_doubt or facts.is_mine or isinstance(facts.sight, Seen):
            sight = await self._looking.last_look(request.name, hold)
            if isinstance(sight, str):
                text += sight
            else:
                facts = facts.after_look(sight)
        last = decide(request, facts)
        if isinstance(last, Ended | HandOn):
            return last.outcome if isinstance(last, Ended) else last.otherwise
        if reason in _SWEPT and (trouble := self._watcher.trouble) is not None:
            reason, text = reason_for(trouble), f"{text}; the last sweep failed: {trouble}"
        elif reason is Reason.IN_CREATION and hold.arn is not None and isinstance(facts.sight, Absent):
            reason, text = Reason.DEPLOYMENT_MISSING, f"{hold.arn} was created, and is no longer found"
        return timed_out(request.timeout, reason, text, facts.sight.deployment if isinstance(facts.sight, Seen) else None)


class HeldBack:
    """Within, a create is made; where its turn is long in coming, it is announced that it waits for the rate of calls."""

    __slots__ = ("_hold", "_tell", "_timer")

    def __init__(self, hold: Hold, tell: Tell) -> None:
        self._hold = hold
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        if self._tell is not in_silence:
            self._timer = asyncio.get_running_loop().call_later(LONG_SECONDS, self._say)

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _say(self) -> None:
        if self._hold.why is Reason.THROTTLED:
            self._tell(Progress.WAITING, Reason.THROTTLED, self._hold.why_text)
