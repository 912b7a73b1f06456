"""The calls of a probe, each recorded with its time, and the deletion of everything that the probe created.

Each deployment has the tag `slipway:probe` and a name that begins with `slipway-probe-`, so the next probe finds what a killed
probe left. Calls are never cancelled: `stop` ends a probe at its next pause or call, and called again it ends the clean-up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol

from slipway.core.bedrock import Created, Deployment, ModelState, Page, Status, deployment_pages
from slipway.core.call_errors import CallFailed, ResourceMissing
from slipway.core.diagnostics.probe import ProbeCall

PREFIX: Final = "slipway-probe-"
TAG: Final = "slipway:probe"
DESCRIPTION: Final = "Created by slipway probe, which deletes it."
POLL_SECONDS: Final = 5.0
"""Time between two observations of what takes minutes."""
DOUBT_SECONDS: Final = 120.0
"""How long the deployment of a create without an answer may remain unseen."""
MARGIN_SECONDS: Final = 60.0
"""How long before the probe a list begins: whether it includes its bound is one of the questions."""


class Target(Protocol):
    """The account that is probed."""

    async def create(
        self, *, name: str, model_arn: str, description: str | None, tags: Sequence[tuple[str, str]], token: str
    ) -> Created:
        """Create a deployment."""

    async def get(self, identifier: str) -> Deployment | None:
        """Get a deployment."""

    async def page(self, *, created_after: float | None, status: Status | None, token: str | None) -> Page:
        """List one page."""

    async def delete(self, arn: str) -> None:
        """Delete a deployment."""

    async def update(self, arn: str, model_arn: str) -> None:
        """Update a deployment to another model."""

    async def converse(self, arn: str, prompt: str, max_tokens: int) -> str:
        """Invoke a deployment once."""

    async def model_state(self, model_arn: str) -> ModelState:
        """Return whether a model can be deployed."""

    def now(self) -> float:
        """Return the present by AWS's clock."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a probe may create: deployments of `model_arn`, at most `slots` at once. Their names contain `run`.

    `patience` is the longest wait for one answer, in seconds.
    """

    model_arn: str
    slots: int
    patience: float
    run: str

    @property
    def most(self) -> int:
        """The most deployments in all: the last one is created after another one is deleted."""
        return self.slots + 1


class Stopped(Exception):
    """The operator stopped the probe, or the account does not permit the next step. The message says which."""


class ProbeClient:
    """Makes the calls of one probe. `report_progress` gets its progress in sentences for a person."""

    def __init__(self, target: Target, plan: Plan, report_progress: Callable[[str], None]) -> None:
        self.target = target
        self.plan = plan
        self.report_progress = report_progress
        self.arns: dict[str, None] = {}
        """Deployments that were created and may still exist."""
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._began_at_aws = target.now()
        self._doubt_until = 0.0
        self._numbers: Iterator[int] = count(1)
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()

    @property
    def is_stopped(self) -> bool:
        """Whether the operator stopped the probe."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Make no more calls, and clean up; called again, end the clean-up."""
        if self._stopping.is_set():
            self._hurried.set()
        self._stopping.set()

    def now(self) -> float:
        """Return how many seconds the probe has taken."""
        return self._loop.time() - self._began

    def name(self) -> str:
        """Return a name that was not used before."""
        return f"{PREFIX}{self.plan.run}-{next(self._numbers)}"

    def token(self) -> str:
        """Return a token that was not used before."""
        return self.name()

    async def pause(self, seconds: float) -> None:
        """Wait. Raises `Stopped`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        self._check_stopped()

    async def create(self, asked: str, name: str, token: str) -> ProbeCall:
        """Create a deployment, which is deleted at the end; the `said` of the call is its ARN."""
        operation = "CreateCustomModelDeployment"
        self._check_stopped()
        try:
            created = await self.target.create(
                name=name,
                model_arn=self.plan.model_arn,
                description=DESCRIPTION,
                tags=((TAG, self.plan.run),),
                token=token,
            )
        except CallFailed as failed:
            if failed.may_have_applied:
                self._doubt_until = self.now() + DOUBT_SECONDS
            return self.call(operation, asked, failed=failed)
        self.arns[created.arn] = None
        return self.call(operation, asked, created.arn)

    async def get(self, asked: str, identifier: str) -> tuple[Deployment | None, ProbeCall]:
        """Return a deployment and the call. It is None also if the call failed."""
        operation = "GetCustomModelDeployment"
        self._check_stopped()
        try:
            deployment = await self.target.get(identifier)
        except CallFailed as failed:
            return None, self.call(operation, asked, failed=failed)
        return deployment, self.call(operation, asked, deployment.status_text if deployment else "not found")

    async def delete(self, asked: str, arn: str) -> ProbeCall:
        """Delete a deployment."""
        call = await self.do("DeleteCustomModelDeployment", asked, lambda: self.target.delete(arn))
        if call.failed is None:
            self.arns.pop(arn, None)
        return call

    async def do(self, operation: str, asked: str, send: Callable[[], Awaitable[object]]) -> ProbeCall:
        """Make any other call."""
        self._check_stopped()
        try:
            await send()
        except CallFailed as failed:
            return self.call(operation, asked, failed=failed)
        return self.call(operation, asked)

    async def listed(self, *, everything: bool = False) -> list[Deployment]:
        """Return the deployments that List shows of those created since the probe began, or of all. Raises `CallFailed`."""
        found: dict[str, Deployment] = {}
        after = None if everything else self._began_at_aws - MARGIN_SECONDS
        async for page in deployment_pages(lambda token: self.target.page(created_after=after, status=None, token=token)):
            found |= {one.arn: one for one in page.deployments}
        return list(found.values())

    def call(self, operation: str, asked: str, said: str = "", failed: CallFailed | None = None) -> ProbeCall:
        """Return the record of a call that has just ended."""
        return ProbeCall(operation, asked, self.now(), said, failed)

    async def clean_up(self) -> list[str]:
        """Delete everything that was created, and wait while Bedrock does not permit it; return what is left.

        The deployment of a create without an answer is searched by its name for a while.
        """
        until, is_reported = self.now() + self.plan.patience, False
        while True:
            left, is_known = await self._delete_all()
            is_doubtful = not is_known or self.now() < self._doubt_until
            if not (left or is_doubtful):
                return []
            if self._hurried.is_set() or self.now() > until:
                return left or [f"{PREFIX}{self.plan.run}-1 (or a similar name, if one exists)"]
            if not is_reported:
                self.report_progress(
                    "deleting what was created, which Bedrock may not permit before its creation ends; Ctrl-C leaves it"
                )
                is_reported = True
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurried.wait(), POLL_SECONDS)

    async def _delete_all(self) -> tuple[list[str], bool]:
        """Return what is left, and whether List confirmed it."""
        wanted, is_known = dict(self.arns), True
        try:
            wanted |= {one.arn: None for one in await self.listed() if one.name.startswith(f"{PREFIX}{self.plan.run}-")}
        except CallFailed:
            is_known = False
        left = [arn for arn in wanted if not await self._is_gone(arn)]
        self.arns = dict.fromkeys(left)
        return left, is_known

    async def _is_gone(self, arn: str) -> bool:
        """Delete a deployment; return whether Get finds none afterwards."""
        try:
            await self.target.delete(arn)
        except ResourceMissing:
            return True
        except CallFailed:
            return False
        try:
            return await self.target.get(arn) is None
        except CallFailed:
            return False

    def _check_stopped(self) -> None:
        if self._stopping.is_set():
            raise Stopped("stopped; what was created is deleted")
