"""The questions of a probe.

Some are answered by what an account shows as it is. The others need deployments: the probe creates them, observes them, and
always deletes them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from slipway.cli.probe.client import POLL_SECONDS, PREFIX, ProbeClient, Stopped, Target
from slipway.core.bedrock import Deployment, Status, UpdateStatus, deployment_pages
from slipway.core.call_errors import CallFailed, Conflicting, QuotaFull, Refused
from slipway.core.diagnostics import probe as findings
from slipway.core.diagnostics.probe import ProbeCall, ProbeFinding, Question, of_span, span_of

OBSERVE_SECONDS: Final = 1.0
"""Time between two observations of what takes seconds."""
SHARE: Final = 0.05
"""Precision of a measured time, as a share of it."""
LONGEST_LAG_SECONDS: Final = 120.0
"""How long a deployment that must exist is looked for."""
PROMPT: Final = "Reply with the word ready."
MOST_TOKENS: Final = 8


@dataclass(frozen=True, slots=True)
class ProbeDeployment:
    """A deployment that the probe created, with the call that created it."""

    name: str
    token: str
    call: ProbeCall

    @property
    def arn(self) -> str:
        """The deployment's ARN."""
        return self.call.said

    @property
    def at(self) -> float:
        """When it was created, in seconds since the probe began."""
        return self.call.at


@dataclass
class ProbeRun:
    """One probe. Its findings are in `found`, also if it is stopped; what it could not delete is in `left`."""

    client: ProbeClient
    found: dict[Question, ProbeFinding] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Answer all questions, and clean up in any case."""
        try:
            await self._answer_questions()
        except (Stopped, CallFailed) as ended:
            self.client.report_progress(str(ended))
        finally:
            self.left = await self.client.clean_up()

    async def _answer_questions(self) -> None:
        made = await self._begin()
        await self._until_shown(made)
        taken = await self.client.create("its name, a new token", made.name, self.client.token())
        self._note(findings.of_taken(taken))
        await self._repeat_token(made, taken)
        refused, full = await self._fill(made)
        alive = await self._delete_while_busy(made, taken)
        ended = await self._wait_for_end(alive)
        if ended is not None and ended.status is Status.ACTIVE:
            self._note(ProbeFinding(Question.FAILED_NAME, None, why="no deployment of the probe Failed"))
            await self._ready(alive, ended)
            await self._update(alive)
        elif ended is not None and ended.status is Status.FAILED:
            again = await self.client.create("the name of a Failed deployment", alive.name, self.client.token())
            self._note(findings.of_failed_name(again))
            if again.failed is None:
                self._note(
                    ProbeFinding(
                        Question.RESERVED, None, why="another deployment has the name, since the Failed one did not keep it"
                    )
                )
        await self._learn_quota(refused, full)
        if Question.GONE not in self.found:
            deleted = await self._delete_ended(alive)
            if Question.RESERVED not in self.found:
                await self._reuse_name(alive, deleted, taken)

    async def _begin(self) -> ProbeDeployment:
        client = self.client
        state = await client.target.model_state(client.plan.model_arn)
        name, token = client.name(), client.token()
        call = await client.create("a new name, a new token", name, token)
        self._note(findings.of_model(call, state))
        if call.failed is not None:
            raise Stopped(f"no deployment could be created, so the probe ends: {call.failed}")
        client.report_progress(f"created {name}")
        return ProbeDeployment(name, token, call)

    async def _until_shown(self, made: ProbeDeployment) -> None:
        """Observe by Get and by List until both show the deployment."""
        unshown_calls: dict[Question, list[ProbeCall]] = {Question.GET_LAG: [], Question.LIST_LAG: []}
        while unshown_calls and self.client.now() - made.at < LONGEST_LAG_SECONDS:
            for question in list(unshown_calls):
                call, is_shown = await (self._get_shows(made) if question is Question.GET_LAG else self._list_shows(made))
                if is_shown:
                    earlier, term = unshown_calls.pop(question), f"{question.name.lower()}_seconds"
                    span = span_of(earlier, made.at, call)
                    self._note(of_span(question, span, (made.call, *earlier, call), term))
                else:
                    unshown_calls[question].append(call)
            if unshown_calls:
                await self._pause(made.at)
        for question, calls in unshown_calls.items():
            why = f"it was not shown within {LONGEST_LAG_SECONDS:.0f} s"
            self._note(of_span(question, None, (made.call, *calls), why=why))

    async def _get_shows(self, made: ProbeDeployment) -> tuple[ProbeCall, bool]:
        deployment, call = await self.client.get("by name", made.name)
        return call, deployment is not None

    async def _list_shows(self, made: ProbeDeployment) -> tuple[ProbeCall, bool]:
        is_shown = made.arn in {one.arn for one in await self.client.listed()}
        said = "shown" if is_shown else "not shown"
        return self.client.call("ListCustomModelDeployments", "new deployments", said), is_shown

    async def _repeat_token(self, made: ProbeDeployment, taken: ProbeCall) -> None:
        again = await self.client.create("its name, its token", made.name, made.token)
        other = await self.client.create("another name, its token", self.client.name(), made.token)
        self._note(findings.of_token(taken, again, other, made.arn))

    async def _fill(self, made: ProbeDeployment) -> tuple[ProbeCall | None, tuple[int, int]]:
        """Create as many as the plan permits; return the refused create, and how full the account was then."""
        client, refused = self.client, None
        while refused is None and len(client.arns) < client.plan.slots:
            call = await client.create("one more", client.name(), client.token())
            refused = call if call.failed is not None else None
        if refused is None or not isinstance(refused.failed, QuotaFull):
            self._note(findings.of_quota(None, len(client.arns), 0, 0, None), findings.of_quota_first(None))
            return None, (0, 0)
        full = await client.create("its name, a new token, on a full account", made.name, client.token())
        self._note(findings.of_quota_first(full))
        is_creating = {one.arn: one.status is Status.CREATING for one in await client.listed(everything=True)}
        is_creating |= dict.fromkeys(client.arns, True)
        return refused, (sum(is_creating.values()), len(is_creating))

    async def _learn_quota(self, refused: ProbeCall | None, full: tuple[int, int]) -> None:
        """Create once more after a creation has ended, which tells one quota from the other."""
        if refused is not None:
            later = await self.client.create("one more, after a creation had ended", self.client.name(), self.client.token())
            self._note(findings.of_quota(refused, len(self.client.arns), *full, later))

    async def _delete_while_busy(self, made: ProbeDeployment, taken: ProbeCall) -> ProbeDeployment:
        """Delete a deployment in creation; return it, or its successor if it was deleted."""
        deployment, _ = await self.client.get("by ARN", made.arn)
        if deployment is not None and deployment.status.is_terminal:
            self._note(ProbeFinding(Question.DELETE_BUSY, None, why="its creation ended before the delete"))
            return made
        call = await self.client.delete("in creation", made.arn)
        self._note(findings.of_busy_delete(call))
        if call.failed is not None:
            return made
        await self._until_gone(made, call)
        return await self._reuse_name(made, call, taken)

    async def _wait_for_end(self, made: ProbeDeployment) -> Deployment | None:
        self.client.report_progress(f"waiting for the creation of {made.name}, which takes minutes")
        deployment, call = await self.client.get("by ARN", made.arn)
        while deployment is None or not deployment.status.is_terminal:
            if self.client.now() - made.at > self.client.plan.patience:
                why = f"the creation did not end within --patience {self.client.plan.patience:.0f}"
                self._note(ProbeFinding(Question.CREATION, None, (made.call, call), why=why))
                return None
            await self.client.pause(POLL_SECONDS)
            deployment, call = await self.client.get("by ARN", made.arn)
        ended_at = deployment.updated_at or deployment.created_at + call.at - made.at
        self._note(findings.of_creations([ended_at - deployment.created_at], (made.call, call)))
        return deployment

    async def _ready(self, made: ProbeDeployment, ended: Deployment) -> None:
        """Invoke the deployment until it answers; the time counts from when it became Active, not from its observation."""
        client, unready = self.client, list[ProbeCall]()
        begun = client.now() - max(0.0, client.target.now() - (ended.updated_at or client.target.now()))

        async def ask() -> ProbeCall:
            return await client.do("Converse", "one prompt", lambda: client.target.converse(made.arn, PROMPT, MOST_TOKENS))

        call = await ask()
        while isinstance(call.failed, Conflicting) and client.now() - begun < client.plan.patience:
            unready.append(call)
            await self._pause(begun)
            call = await ask()
        span = None if call.failed else span_of(unready, begun, call)
        self._note(
            of_span(
                Question.READY,
                span,
                (*unready, call),
                "unready_seconds",
                why="it did not answer, or invoking it is not allowed",
            )
        )

    async def _update(self, made: ProbeDeployment) -> None:
        """Update the deployment to its own model, which shows as much as another model would."""
        begun = await self._update_once(made, "to its own model")
        if begun.failed is not None:
            for question in (Question.UPDATE, Question.DETAILS, Question.UPDATE_BUSY):
                self._note(ProbeFinding(question, None, (begun,), why=f"Bedrock refused its own model: {begun.failed.code}"))
            return
        self.client.report_progress(f"updating {made.name} to its own model, which takes minutes")
        unshown, busy = list[ProbeCall](), list[ProbeCall]()
        while self.client.now() - begun.at < self.client.plan.patience:
            deployment, call = await self.client.get("by ARN", made.arn)
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
                self._note(findings.of_busy_update(await self._update_once(made, "during an update")))
            await self._pause(begun.at)
        self._note(ProbeFinding(Question.UPDATE, None, (begun,), why=f"not within --patience {self.client.plan.patience:.0f}"))

    async def _update_once(self, made: ProbeDeployment, asked: str) -> ProbeCall:
        target, model = self.client.target, self.client.plan.model_arn
        return await self.client.do("UpdateCustomModelDeployment", asked, lambda: target.update(made.arn, model))

    async def _delete_ended(self, made: ProbeDeployment) -> ProbeCall:
        """Delete the deployment when Bedrock permits it, and observe until it is gone; return the delete."""
        begun = self.client.now()
        call = await self.client.delete("ended", made.arn)
        while isinstance(call.failed, Conflicting | Refused) and self.client.now() - begun < self.client.plan.patience:
            await self.client.pause(POLL_SECONDS)
            call = await self.client.delete("ended", made.arn)
        if call.failed is not None:
            raise Stopped(f"{made.name} could not be deleted, so the probe ends: {call.failed}")
        await self._until_gone(made, call)
        return call

    async def _until_gone(self, made: ProbeDeployment, deleted: ProbeCall) -> None:
        there = list[ProbeCall]()
        deployment, call = await self.client.get("deleted", made.arn)
        while deployment is not None or call.failed is not None:
            there.append(call)
            if self.client.now() - deleted.at > LONGEST_LAG_SECONDS:
                self._note(
                    ProbeFinding(Question.GONE, f"for more than {LONGEST_LAG_SECONDS:.0f} s", tuple(there[-1:]), is_odd=True)
                )
                return
            await self.client.pause(OBSERVE_SECONDS)
            deployment, call = await self.client.get("deleted", made.arn)
        self._note(of_span(Question.GONE, span_of(there, deleted.at, call), (deleted, *there, call)))

    async def _reuse_name(self, made: ProbeDeployment, deleted: ProbeCall, taken: ProbeCall) -> ProbeDeployment:
        """Create another deployment under a deleted name as soon as Bedrock permits it; first with the old token."""
        client, reserved, is_full = self.client, list[ProbeCall](), False
        call = await client.create("a deleted name, its token", made.name, made.token)
        self._note(findings.of_token_age(self.found[Question.TOKEN], call, taken, made.call))
        if call.failed is None and call.said != made.arn:
            self._note_reserved(deleted, [], call)
            return ProbeDeployment(made.name, made.token, call)
        while client.now() - deleted.at < client.plan.patience:
            token = client.token()
            call = await client.create("a deleted name, a new token", made.name, token)
            if call.failed is None:
                self._note_reserved(deleted, reserved, call, is_known=not is_full)
                return ProbeDeployment(made.name, token, call)
            if isinstance(call.failed, Conflicting | Refused):
                reserved.append(call)
            else:
                is_full = True
            await self._pause(deleted.at)
        self._note(ProbeFinding(Question.RESERVED, None, (call,), why=f"for longer than --patience {client.plan.patience:.0f}"))
        raise Stopped(f"the name {made.name} is still reserved")

    def _note_reserved(self, deleted: ProbeCall, reserved: list[ProbeCall], call: ProbeCall, *, is_known: bool = True) -> None:
        span = span_of(reserved, deleted.at, call)
        terms = ["name_reserved_seconds"] if reserved or is_known else []
        self._note(of_span(Question.RESERVED, span, (deleted, *reserved, call), *terms))

    async def _pause(self, since: float) -> None:
        """Pause for a share of the time that has passed, since what takes minutes is not measured to the second."""
        await self.client.pause(max(OBSERVE_SECONDS, SHARE * (self.client.now() - since)))

    def _note(self, *found: ProbeFinding) -> None:
        self.found |= {finding.question: finding for finding in found}


LARGEST_PAGE: Final = 1000
ABSENT_NAME: Final = f"{PREFIX}nobody"


async def read_account(target: Target) -> tuple[list[ProbeFinding], list[Deployment]]:
    """Return the findings and all deployments of the account. Raises `CallFailed` if they cannot be listed."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    def call(operation: str, asked: str, said: str, failed: CallFailed | None = None) -> ProbeCall:
        return ProbeCall(operation, asked, loop.time() - began, said, failed)

    existing: list[Deployment] = []
    sizes: list[int] = []
    pages: list[ProbeCall] = []
    async for page in deployment_pages(lambda token: target.page(created_after=None, status=None, token=token)):
        existing += page.deployments
        sizes.append(len(page.deployments))
        said = f"{sizes[-1]}{' and a token' if page.next_token else ''}"
        pages.append(call("ListCustomModelDeployments", f"page {len(sizes)}", said))
    try:
        absent = await target.get(ABSENT_NAME)
        got, is_found = call("GetCustomModelDeployment", ABSENT_NAME, "found" if absent else "not found"), absent is not None
    except CallFailed as failed:
        got, is_found = call("GetCustomModelDeployment", ABSENT_NAME, "", failed), False
    took = [one.updated_at - one.created_at for one in existing if one.status is Status.ACTIVE and one.updated_at is not None]
    found = [
        findings.of_leftovers([one.name for one in existing if one.name.startswith(PREFIX)]),
        findings.of_nobody(got, is_found=is_found),
        findings.of_pages(LARGEST_PAGE, sizes, pages[:2]),
        findings.of_words(existing, pages[:1]),
        await _bound(target, existing, call("ListCustomModelDeployments", "createdAfter its createdAt", "")),
        findings.of_creations(took, pages[:1]),
    ]
    return found, existing


async def _bound(target: Target, existing: list[Deployment], call: ProbeCall) -> ProbeFinding:
    """Find out whether a list includes its bound, by listing from the creation of the newest deployment."""
    if not existing:
        return ProbeFinding(Question.BOUND, None, why="there is no deployment")
    newest = max(existing, key=lambda one: one.created_at)
    page = await target.page(created_after=newest.created_at, status=None, token=None)
    is_included = newest.arn in {one.arn for one in page.deployments}
    return ProbeFinding(Question.BOUND, "yes, to the millisecond" if is_included else "no", (call,))
