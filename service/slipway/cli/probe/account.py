"""The questions that cost something: deployments are made, looked at, and taken away again, whatever comes between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from slipway.cli.probe.client import POLL_SECONDS, ProbeClient, Stopped
from slipway.core.bedrock.deployments import Deployment, Status, UpdateStatus
from slipway.core.bedrock.errors import CallFailed, Conflicting, QuotaFull, Refused
from slipway.core.diagnostics import probe as findings
from slipway.core.diagnostics.probe import ProbeCall, ProbeFinding, Question, of_span, span_of

LOOK_SECONDS: Final = 1.0
"""Between two looks at what takes seconds, if anything."""
SHARE: Final = 0.05
"""How exactly it is known how long something took."""
LONGEST_LAG_SECONDS: Final = 120.0
"""How long something is looked for that must be there."""
PROMPT: Final = "Reply with the word ready."
MOST_TOKENS: Final = 8


@dataclass(frozen=True, slots=True)
class ProbeDeployment:
    """A deployment of ours, by the call that made it."""

    name: str
    token: str
    call: ProbeCall

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.call.said

    @property
    def at(self) -> float:
        """When it was made, in seconds since the probe began."""
        return self.call.at


@dataclass
class ProbeRun:
    """One run of it. What it finds is in `found`, also when it is stopped; what it could not take away, in `left`."""

    hands: ProbeClient
    found: dict[Question, ProbeFinding] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Ask everything, and clean up in any case."""
        try:
            await self._ask()
        except (Stopped, CallFailed) as ended:
            self.hands.report_progress(str(ended))
        finally:
            self.left = await self.hands.clean_up()

    async def _ask(self) -> None:
        made = await self._begin()
        await self._until_seen(made)
        taken = await self.hands.create("its name, a new token", made.name, self.hands.token())
        self._note(findings.of_taken(taken))
        await self._repeat(made, taken)
        refused, full = await self._fill(made)
        alive = await self._delete_while_busy(made, taken)
        ended = await self._ended(alive)
        if ended is not None and ended.status is Status.ACTIVE:
            self._note(ProbeFinding(Question.FAILED_NAME, None, why="none of these Failed"))
            await self._ready(alive, ended)
            await self._update(alive)
        elif ended is not None and ended.status is Status.FAILED:
            again = await self.hands.create("the name of what Failed", alive.name, self.hands.token())
            self._note(findings.of_failed_name(again))
            if again.failed is None:
                self._note(
                    ProbeFinding(Question.RESERVED, None, why="another has the name: the one that Failed did not hold it")
                )
        await self._learn_quota(refused, full)
        if Question.GONE not in self.found:
            deleted = await self._gone(alive)
            if Question.RESERVED not in self.found:
                await self._name_again(alive, deleted, taken)

    async def _begin(self) -> ProbeDeployment:
        hands = self.hands
        state = await hands.target.model_state(hands.plan.model_arn)
        name, token = hands.name(), hands.token()
        call = await hands.create("a new name, a new token", name, token)
        self._note(findings.of_model(call, state))
        if call.failed is not None:
            raise Stopped(f"nothing could be made, so that no more can be asked: {call.failed}")
        hands.report_progress(f"made {name}")
        return ProbeDeployment(name, token, call)

    async def _until_seen(self, made: ProbeDeployment) -> None:
        """Look by Get and by List, until both show it."""
        unseen: dict[Question, list[ProbeCall]] = {Question.GET_LAG: [], Question.LIST_LAG: []}
        while unseen and self.hands.now() - made.at < LONGEST_LAG_SECONDS:
            for question in list(unseen):
                call, is_seen = await (self._is_got(made) if question is Question.GET_LAG else self._is_listed(made))
                if is_seen:
                    earlier, term = unseen.pop(question), f"{question.name.lower()}_seconds"
                    span = span_of(earlier, made.at, call)
                    self._note(of_span(question, span, (made.call, *earlier, call), term))
                else:
                    unseen[question].append(call)
            if unseen:
                await self._a_while(made.at)
        for question, calls in unseen.items():
            why = f"it was not seen within {LONGEST_LAG_SECONDS:.0f} s"
            self._note(of_span(question, None, (made.call, *calls), why=why))

    async def _is_got(self, made: ProbeDeployment) -> tuple[ProbeCall, bool]:
        deployment, call = await self.hands.get("by name", made.name)
        return call, deployment is not None

    async def _is_listed(self, made: ProbeDeployment) -> tuple[ProbeCall, bool]:
        is_seen = made.arn in {one.arn for one in await self.hands.listed()}
        said = "it is there" if is_seen else "it is not there"
        return self.hands.call("ListCustomModelDeployments", "what is new", said), is_seen

    async def _repeat(self, made: ProbeDeployment, taken: ProbeCall) -> None:
        again = await self.hands.create("its name, its token", made.name, made.token)
        other = await self.hands.create("another name, its token", self.hands.name(), made.token)
        self._note(findings.of_token(taken, again, other, made.arn))

    async def _fill(self, made: ProbeDeployment) -> tuple[ProbeCall | None, tuple[int, int]]:
        """Make as many at once as may be; answer the create that was refused, and how full the account was then."""
        hands, refused = self.hands, None
        while refused is None and len(hands.arns) < hands.plan.slots:
            call = await hands.create("one more", hands.name(), hands.token())
            refused = call if call.failed is not None else None
        if refused is None or not isinstance(refused.failed, QuotaFull):
            self._note(findings.of_quota(None, len(hands.arns), 0, 0, None), findings.of_quota_first(None))
            return None, (0, 0)
        full = await hands.create("its name, a new token, on a full account", made.name, hands.token())
        self._note(findings.of_quota_first(full))
        is_creating = {one.arn: one.status is Status.CREATING for one in await hands.listed(everything=True)}
        is_creating |= dict.fromkeys(hands.arns, True)
        return refused, (sum(is_creating.values()), len(is_creating))

    async def _learn_quota(self, refused: ProbeCall | None, full: tuple[int, int]) -> None:
        """Try once more when one has ended, which tells one quota from the other."""
        if refused is not None:
            later = await self.hands.create("one more, when one had ended", self.hands.name(), self.hands.token())
            self._note(findings.of_quota(refused, len(self.hands.arns), *full, later))

    async def _delete_while_busy(self, made: ProbeDeployment, taken: ProbeCall) -> ProbeDeployment:
        """Delete what is in creation; answer it, or what was made in its place if it was deleted."""
        deployment, _ = await self.hands.get("by ARN", made.arn)
        if deployment is not None and deployment.status.is_terminal:
            self._note(ProbeFinding(Question.DELETE_BUSY, None, why="it had been created before it could be tried"))
            return made
        call = await self.hands.delete("in creation", made.arn)
        self._note(findings.of_busy_delete(call))
        if call.failed is not None:
            return made
        await self._until_gone(made, call)
        return await self._name_again(made, call, taken)

    async def _ended(self, made: ProbeDeployment) -> Deployment | None:
        self.hands.report_progress(f"waiting until {made.name} has been created, which takes minutes")
        deployment, call = await self.hands.get("by ARN", made.arn)
        while deployment is None or not deployment.status.is_terminal:
            if self.hands.now() - made.at > self.hands.plan.patience:
                why = f"it has not ended within --patience {self.hands.plan.patience:.0f}"
                self._note(ProbeFinding(Question.CREATION, None, (made.call, call), why=why))
                return None
            await self.hands.pause(POLL_SECONDS)
            deployment, call = await self.hands.get("by ARN", made.arn)
        ended_at = deployment.updated_at or deployment.created_at + call.at - made.at
        self._note(findings.of_creations([ended_at - deployment.created_at], (made.call, call)))
        return deployment

    async def _ready(self, made: ProbeDeployment, ended: Deployment) -> None:
        """Ask it one thing, until it answers; how long that took counts from when it was Active, not from when it was seen."""
        hands, unready = self.hands, list[ProbeCall]()
        begun = hands.now() - max(0.0, hands.target.now() - (ended.updated_at or hands.target.now()))

        async def ask() -> ProbeCall:
            return await hands.do("Converse", "one prompt", lambda: hands.target.converse(made.arn, PROMPT, MOST_TOKENS))

        call = await ask()
        while isinstance(call.failed, Conflicting) and hands.now() - begun < hands.plan.patience:
            unready.append(call)
            await self._a_while(begun)
            call = await ask()
        span = None if call.failed else span_of(unready, begun, call)
        self._note(of_span(Question.READY, span, (*unready, call), "unready_seconds", why="it did not answer, or none may ask"))

    async def _update(self, made: ProbeDeployment) -> None:
        """Update it to the model that it has, which shows as much as another would."""
        begun = await self._update_once(made, "to its own model")
        if begun.failed is not None:
            for question in (Question.UPDATE, Question.DETAILS, Question.UPDATE_BUSY):
                self._note(ProbeFinding(question, None, (begun,), why=f"its own model was refused: {begun.failed.code}"))
            return
        self.hands.report_progress(f"updating {made.name} to its own model, which takes a while too")
        unshown, busy = list[ProbeCall](), list[ProbeCall]()
        while self.hands.now() - begun.at < self.hands.plan.patience:
            deployment, call = await self.hands.get("by ARN", made.arn)
            details = deployment.update if deployment else None
            if details is None:
                unshown.append(call)
            elif Question.DETAILS not in self.found:
                span = span_of(unshown, begun.at, call)
                self._note(of_span(Question.DETAILS, span, (begun, *unshown, call), "details_lag_seconds"))
            if details is not None and details.status in {UpdateStatus.COMPLETED, UpdateStatus.FAILED}:
                span = span_of([*unshown, *busy], begun.at, call)
                took = {"update_seconds": [span.likely, span.likely]}
                self._note(ProbeFinding(Question.UPDATE, f"{details.status.value} {span.text}", (begun, call), took))
                return
            if details is not None:
                busy.append(call)
            if len(busy) == 1 and Question.UPDATE_BUSY not in self.found:
                self._note(findings.of_busy_update(await self._update_once(made, "while one is under way")))
            await self._a_while(begun.at)
        self._note(ProbeFinding(Question.UPDATE, None, (begun,), why=f"not within --patience {self.hands.plan.patience:.0f}"))

    async def _update_once(self, made: ProbeDeployment, asked: str) -> ProbeCall:
        target, model = self.hands.target, self.hands.plan.model_arn
        return await self.hands.do("UpdateCustomModelDeployment", asked, lambda: target.update(made.arn, model))

    async def _gone(self, made: ProbeDeployment) -> ProbeCall:
        """Delete it when it can be deleted, and look until it is gone; answer the delete."""
        begun = self.hands.now()
        call = await self.hands.delete("ended", made.arn)
        while isinstance(call.failed, Conflicting | Refused) and self.hands.now() - begun < self.hands.plan.patience:
            await self.hands.pause(POLL_SECONDS)
            call = await self.hands.delete("ended", made.arn)
        if call.failed is not None:
            raise Stopped(f"{made.name} could not be deleted, so that no more can be asked: {call.failed}")
        await self._until_gone(made, call)
        return call

    async def _until_gone(self, made: ProbeDeployment, deleted: ProbeCall) -> None:
        there = list[ProbeCall]()
        deployment, call = await self.hands.get("deleted", made.arn)
        while deployment is not None or call.failed is not None:
            there.append(call)
            if self.hands.now() - deleted.at > LONGEST_LAG_SECONDS:
                self._note(
                    ProbeFinding(Question.GONE, f"for more than {LONGEST_LAG_SECONDS:.0f} s", tuple(there[-1:]), is_odd=True)
                )
                return
            await self.hands.pause(LOOK_SECONDS)
            deployment, call = await self.hands.get("deleted", made.arn)
        self._note(of_span(Question.GONE, span_of(there, deleted.at, call), (deleted, *there, call)))

    async def _name_again(self, made: ProbeDeployment, deleted: ProbeCall, taken: ProbeCall) -> ProbeDeployment:
        """Make another under the name of what was deleted, as soon as Bedrock lets one; first with its old token."""
        hands, reserved, is_full = self.hands, list[ProbeCall](), False
        call = await hands.create("a deleted name, its token", made.name, made.token)
        self._note(findings.of_token_age(self.found[Question.TOKEN], call, taken, made.call))
        if call.failed is None and call.said != made.arn:
            self._note_reserved(deleted, [], call)
            return ProbeDeployment(made.name, made.token, call)
        while hands.now() - deleted.at < hands.plan.patience:
            token = hands.token()
            call = await hands.create("a deleted name, a new token", made.name, token)
            if call.failed is None:
                self._note_reserved(deleted, reserved, call, is_known=not is_full)
                return ProbeDeployment(made.name, token, call)
            if isinstance(call.failed, Conflicting | Refused):
                reserved.append(call)
            else:
                is_full = True
            await self._a_while(deleted.at)
        self._note(ProbeFinding(Question.RESERVED, None, (call,), why=f"for longer than --patience {hands.plan.patience:.0f}"))
        raise Stopped(f"{made.name} is not free again")

    def _note_reserved(self, deleted: ProbeCall, reserved: list[ProbeCall], call: ProbeCall, *, is_known: bool = True) -> None:
        span = span_of(reserved, deleted.at, call)
        terms = ["name_reserved_seconds"] if reserved or is_known else []
        self._note(of_span(Question.RESERVED, span, (deleted, *reserved, call), *terms))

    async def _a_while(self, since: float) -> None:
        """Pause, the longer the longer it has been: what takes minutes need not be known to the second."""
        await self.hands.pause(max(LOOK_SECONDS, SHARE * (self.hands.now() - since)))

    def _note(self, *found: ProbeFinding) -> None:
        self.found |= {finding.question: finding for finding in found}
