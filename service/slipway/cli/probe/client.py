"""What a probe does to an account, written down as it does it; and how all of it is taken away again.

Each deployment is tagged `slipway:probe`, and its name begins with `slipway-probe-`: what a probe that was killed has left, the
next one sees. Nothing is cancelled: `stop` ends a probe at its next pause or call, and a second one the cleaning up too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol

from slipway.core.bedrock.deployments import Created, Deployment, ModelState, Page, Status
from slipway.core.bedrock.errors import CallFailed, ResourceMissing
from slipway.core.bedrock.pager import deployment_pages
from slipway.core.diagnostics.probe import ProbeCall

PREFIX: Final = "slipway-probe-"
TAG: Final = "slipway:probe"
DESCRIPTION: Final = "Made by slipway probe, which takes it away again."
POLL_SECONDS: Final = 5.0
"""Between two looks at what takes minutes."""
DOUBT_SECONDS: Final = 120.0
"""How long a create whose answer was lost may yet come to light."""
MARGIN_SECONDS: Final = 60.0
"""A list begins so long before the probe: whether the bound itself is included is one of the questions."""


class Target(Protocol):
    """The account that is asked."""

    async def create(
        self, *, name: str, model_arn: str, description: str | None, tags: Sequence[tuple[str, str]], token: str
    ) -> Created:
        """Begin a deployment."""

    async def get(self, identifier: str) -> Deployment | None:
        """Look at a deployment."""

    async def page(self, *, created_after: float | None, status: Status | None, token: str | None) -> Page:
        """List one page."""

    async def delete(self, arn: str) -> None:
        """Delete a deployment."""

    async def update(self, arn: str, model_arn: str) -> None:
        """Let a deployment serve another model."""

    async def converse(self, arn: str, prompt: str, max_tokens: int) -> str:
        """Ask a deployment one thing."""

    async def model_state(self, model_arn: str) -> ModelState:
        """Answer whether a model can be deployed."""

    def now(self) -> float:
        """Answer the present by AWS's clock."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What may be made: deployments of `model_arn`, not more than `slots` at once. `run` is in the names of all of them.

    `patience`, in seconds, is how long any one thing is waited for.
    """

    model_arn: str
    slots: int
    patience: float
    run: str

    @property
    def most(self) -> int:
        """How many are made in all, if Bedrock refuses what it should refuse: the last one when another is gone."""
        return self.slots + 1


class Stopped(Exception):
    """Somebody has had enough, or the account does not let it go on. The message says which."""


class ProbeClient:
    """Makes the calls of one probe. `report_progress` is told how far it is, in sentences for a person."""

    def __init__(self, target: Target, plan: Plan, report_progress: Callable[[str], None]) -> None:
        self.target = target
        self.plan = plan
        self.report_progress = report_progress
        self.arns: dict[str, None] = {}
        """What was made and, for all that is known, is there yet."""
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._began_there = target.now()
        self._doubt_until = 0.0
        self._numbers: Iterator[int] = count(1)
        self._stopping = asyncio.Event()
        self._hurrying = asyncio.Event()

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has ended it before its end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Ask no more, and clean up; said again, leave what cannot be taken away at once."""
        if self._stopping.is_set():
            self._hurrying.set()
        self._stopping.set()

    def now(self) -> float:
        """Answer how many seconds it has been at it."""
        return self._loop.time() - self._began

    def name(self) -> str:
        """Answer a name that nothing has."""
        return f"{PREFIX}{self.plan.run}-{next(self._numbers)}"

    def token(self) -> str:
        """Answer a token that nothing was made with."""
        return self.name()

    async def pause(self, seconds: float) -> None:
        """Let time pass. Raises `Stopped`."""
        await _rest(seconds, unless=self._stopping)
        self._go_on()

    async def create(self, asked: str, name: str, token: str) -> ProbeCall:
        """Create; the call's `said` is the ARN. Whatever was made is taken away in the end."""
        operation = "CreateCustomModelDeployment"
        self._go_on()
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
        """Look at a deployment, and answer also the call: of a failure no more is known than that."""
        operation = "GetCustomModelDeployment"
        self._go_on()
        try:
            deployment = await self.target.get(identifier)
        except CallFailed as failed:
            return None, self.call(operation, asked, failed=failed)
        return deployment, self.call(operation, asked, deployment.status_text if deployment else "not there")

    async def delete(self, asked: str, arn: str) -> ProbeCall:
        """Delete a deployment."""
        call = await self.do("DeleteCustomModelDeployment", asked, lambda: self.target.delete(arn))
        if call.failed is None:
            self.arns.pop(arn, None)
        return call

    async def do(self, operation: str, asked: str, send: Callable[[], Awaitable[object]]) -> ProbeCall:
        """Make any other call."""
        self._go_on()
        try:
            await send()
        except CallFailed as failed:
            return self.call(operation, asked, failed=failed)
        return self.call(operation, asked)

    async def listed(self, *, everything: bool = False) -> list[Deployment]:
        """Answer what List shows of what was made since the probe began, or of everything. Raises `CallFailed`."""
        found: dict[str, Deployment] = {}
        after = None if everything else self._began_there - MARGIN_SECONDS
        async for page in deployment_pages(lambda token: self.target.page(created_after=after, status=None, token=token)):
            found |= {one.arn: one for one in page.deployments}
        return list(found.values())

    def call(self, operation: str, asked: str, said: str = "", failed: CallFailed | None = None) -> ProbeCall:
        """Answer a call that has just been answered."""
        return ProbeCall(operation, asked, self.now(), said, failed)

    async def clean_up(self) -> list[str]:
        """Take all away that was made, and wait where Bedrock does not allow it yet; answer what is left.

        Also what no answer told of: a create whose answer was lost is looked for by its name, for a while.
        """
        until, told = self.now() + self.plan.patience, False
        while True:
            left, is_known = await self._take_away()
            in_doubt = not is_known or self.now() < self._doubt_until
            if not (left or in_doubt):
                return []
            if self._hurrying.is_set() or self.now() > until:
                return left or [f"{PREFIX}{self.plan.run}-1 (or of such a name, if there is any)"]
            if not told:
                self.report_progress(
                    "taking away what was made, which Bedrock may not allow before it is ready; Ctrl-C leaves it there"
                )
                told = True
            await _rest(POLL_SECONDS, unless=self._hurrying)

    async def _take_away(self) -> tuple[list[str], bool]:
        """Answer what is left, and whether that is all that may be."""
        wanted, is_known = dict(self.arns), True
        try:
            wanted |= {one.arn: None for one in await self.listed() if one.name.startswith(f"{PREFIX}{self.plan.run}-")}
        except CallFailed:
            is_known = False
        left = [arn for arn in wanted if not await self._is_gone(arn)]
        self.arns = dict.fromkeys(left)
        return left, is_known

    async def _is_gone(self, arn: str) -> bool:
        """Delete it; only a look that finds nothing means that it is gone."""
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

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise Stopped("stopped; what was made is taken away")


async def _rest(seconds: float, unless: asyncio.Event) -> None:
    """Wait, or return as soon as the event is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(unless.wait(), seconds)
