"""Bedrock on the event loop: accounts with quotas, creation that takes its time, lists that lag."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.core.calls import CallFailed, Conflicting, Missing, QuotaFull, Refused
from service.core.deployments import Created, Deployment, ModelState, Page, Status
from service.flow.waits import Wait
from tests.world.loop import PROCESS
from tests.world.sqs import EPOCH
from tests.world.watching import Watching
from tests.world.wire import Wire


@dataclass
class Rules:
    """How this account behaves; may be changed while it runs."""

    max_creating: int = 2
    max_total: int = 10
    creation_seconds: tuple[float, float] = (300.0, 900.0)
    failing: float = 0.0
    page_size: int = 1000
    list_lag_seconds: float = 0.0
    get_lag_seconds: float = 0.0
    token_memory_seconds: float = 600.0
    name_reserved_seconds: float = 0.0
    taken_is_conflict: bool = False
    taken_text: str = "Deployment name already exists"
    token_answer_is_conflict: bool = False
    """Whether a repeated token is answered as a conflict, instead of with the deployment that it made."""
    is_quota_first: bool = False
    """Whether a full account says so before it looks at the name."""
    is_model_readable: bool = True
    early_text: str = "The provided model is not usable"
    invalid_names: frozenset[str] = frozenset()
    """Names whose requests the account refuses, for reasons of its own."""
    models: dict[str, ModelState] = field(default_factory=dict)


@dataclass
class Made:
    """A deployment as the account keeps it."""

    arn: str
    name: str
    model_arn: str
    tags: dict[str, str]
    created: float
    ends: float
    fails: bool
    text: str | None = None
    """A status of the service's own, instead of those that it documents."""
    deleted: float | None = None
    is_ours: bool = False
    """Made by a create call, and not by others."""


class Account:
    """One account and Region."""

    def __init__(self, rng: random.Random, rules: Rules) -> None:
        self.rules = rules
        self.made: list[Made] = []
        self.most_creating = 0
        self.most_total = 0
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._tokens: dict[str, tuple[float, str]] = {}
        self.watching = Watching()
        self._ids = itertools.count(1)

    def now(self) -> float:
        """Answer the account's own clock."""
        return EPOCH + self._loop.time()

    def existing(self) -> list[Made]:
        """Answer what there is now."""
        return [one for one in self.made if one.deleted is None]

    def status(self, one: Made, at: float | None = None) -> Status:
        """Answer a deployment's status at a time."""
        if (self.now() if at is None else at) < one.ends:
            return Status.CREATING
        return Status.FAILED if one.fails else Status.ACTIVE

    def create(self, name: str, model_arn: str, tags: Mapping[str, str], token: str, process: str | None = None) -> Created:
        """Begin a deployment, or refuse to."""
        operation, now = "CreateCustomModelDeployment", self.now()
        remembered = self._tokens.get(token)
        if remembered is not None and now - remembered[0] < self.rules.token_memory_seconds:
            if self.rules.token_answer_is_conflict:
                raise Conflicting(operation, "ConflictException", "a request with this token is already known")
            return Created(remembered[1], now)
        if name in self.rules.invalid_names:
            raise Refused(operation, "ValidationException", "1 validation error detected")
        if self.rules.is_quota_first:
            self._refuse_if_full(operation)
        if self._is_taken(name, now):
            kind = Conflicting if self.rules.taken_is_conflict else Refused
            raise kind(operation, "ConflictException" if kind is Conflicting else "ValidationException", self.rules.taken_text)
        match self.rules.models.get(model_arn, ModelState.ACTIVE):
            case ModelState.MISSING:
                raise Missing(operation, "ResourceNotFoundException", "model not found")
            case ModelState.CREATING | ModelState.FAILED:
                raise Refused(operation, "ValidationException", self.rules.early_text)
        self._refuse_if_full(operation)
        one = self.add(name, model_arn, tags)
        one.is_ours = True
        self.watching.created(one, token, process)
        self._tokens[token] = (now, one.arn)
        return Created(one.arn, now)

    def add(self, name: str, model_arn: str, tags: Mapping[str, str]) -> Made:
        """Make a deployment, whatever the quotas say: for what others did before."""
        now = self.now()
        arn = f"arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/{next(self._ids):012d}"
        fails = self._rng.random() < self.rules.failing
        one = Made(arn, name, model_arn, dict(tags), now, now + self._rng.uniform(*self.rules.creation_seconds), fails)
        self.made.append(one)
        existing = self.existing()
        self.most_total = max(self.most_total, len(existing))
        self.most_creating = max(self.most_creating, sum(self.status(each) is Status.CREATING for each in existing))
        return one

    def delete(self, name: str) -> None:
        """Delete what has this name."""
        for one in self.existing():
            if one.name == name:
                one.deleted = self.now()

    def get(self, identifier: str) -> Deployment | None:
        """Answer one by name or ARN."""
        for one in self.existing():
            if identifier in {one.name, one.arn} and self.now() - one.created >= self.rules.get_lag_seconds:
                return self._shown(one, self.now())
        return None

    def page(self, created_after: float | None, status: Status | None, token: str | None) -> Page:
        """Answer a page of what List shows, which may be behind the truth."""
        at = self.now() - self.rules.list_lag_seconds
        shown = [self._shown(one, at) for one in self.existing() if one.created <= at]
        wanted = [
            one for one in shown if (created_after is None or one.created_at > created_after) and status in {None, one.status}
        ]
        begin = int(token or 0)
        end = begin + self.rules.page_size
        return Page(tuple(wanted[begin:end]), str(end) if end < len(wanted) else None)

    def model_state(self, model_arn: str) -> ModelState:
        """Answer what GetCustomModel says."""
        return self.rules.models.get(model_arn, ModelState.ACTIVE) if self.rules.is_model_readable else ModelState.UNKNOWN

    def _refuse_if_full(self, operation: str) -> None:
        existing = self.existing()
        creating = sum(self.status(one) is Status.CREATING for one in existing)
        if creating >= self.rules.max_creating or len(existing) >= self.rules.max_total:
            raise QuotaFull(operation, "ServiceQuotaExceededException", "limit reached")

    def _is_taken(self, name: str, now: float) -> bool:
        return any(
            one.name == name and (one.deleted is None or now - one.deleted < self.rules.name_reserved_seconds)
            for one in self.made
        )

    def _shown(self, one: Made, at: float) -> Deployment:
        status = self.status(one, at)
        failure = "The model could not be loaded" if status is Status.FAILED else None
        updated = one.ends if status.is_end else one.created
        if one.text is not None:
            return Deployment(one.arn, one.name, one.model_arn, Status.of(one.text), one.text, one.created, updated, failure)
        return Deployment(one.arn, one.name, one.model_arn, status, status.value, one.created, updated, failure)


class Bedrock:
    """The account as Slipway sees it."""

    def __init__(self, account: Account, wire: Wire) -> None:
        self._account = account
        self._wire = wire

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
        del description
        wire, process = self._wire, PROCESS.get()
        wire.watching.creating(name, token, wait, process)
        try:
            answer = await wire.call(
                "CreateCustomModelDeployment",
                lambda: self._account.create(name, model_arn, dict(tags), token, wire.sender),
            )
        except CallFailed as failed:
            wire.watching.create_answered(name, failed, wait, process)
            raise
        wire.watching.create_answered(name, None, wait, process)
        return answer

    async def get(self, identifier: str, *, wait: Wait | None = None) -> Deployment | None:
        """Get by name or ARN."""
        del wait
        self._wire.watching.looking(identifier, PROCESS.get())
        return await self._wire.call("GetCustomModelDeployment", lambda: self._account.get(identifier))

    async def tags(self, arn: str, *, wait: Wait) -> Mapping[str, str] | None:
        """List tags."""
        del wait
        account = self._account

        def apply() -> Mapping[str, str] | None:
            return next((one.tags for one in account.existing() if one.arn == arn), None)

        return await self._wire.call("ListTagsForResource", apply)

    async def model_state(self, model_arn: str, *, wait: Wait) -> ModelState:
        """Get the model."""
        del wait
        return await self._wire.call("GetCustomModel", lambda: self._account.model_state(model_arn))

    async def page(self, *, created_after: float | None, status: Status | None, token: str | None) -> Page:
        """List."""
        return await self._wire.call("ListCustomModelDeployments", lambda: self._account.page(created_after, status, token))
