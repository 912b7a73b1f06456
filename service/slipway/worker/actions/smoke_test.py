"""Asking a deployment that has become Active one question, patiently, and writing down what came of it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Protocol

import structlog

from slipway.core.bedrock.errors import CallFailed, Missing, Refused
from slipway.core.lifecycle.outcomes import Reason, Verdict
from slipway.core.lifecycle.smoke_test import judge
from slipway.core.lifecycle.tags import SmokeMark, update_key
from slipway.core.requests.models import Request, SmokeTest
from slipway.worker.kernel.interrupts import Wait
from slipway.worker.kernel.lease import Hold
from slipway.worker.kernel.observe import Gets, Looking, Tell

log = structlog.get_logger()


class Converses(Gets, Protocol):
    """What a smoke test calls of Bedrock. Every wait between attempts goes through `wait`."""

    async def converse(self, arn: str, prompt: str, max_tokens: int, *, wait: Wait) -> str:
        """Ask a deployment one thing, and answer its words."""

    async def tag(self, arn: str, tags: Mapping[str, str], *, wait: Wait) -> None:
        """Write tags over those of the same keys. Harmless when repeated."""


class Smoke:
    """Tests deployments, for as long as their requests have."""

    def __init__(self, bedrock: Converses, rng: random.Random) -> None:
        self._bedrock = bedrock
        self._looking = Looking(bedrock, rng)

    async def test(
        self, request: Request, test: SmokeTest, arn: str, hold: Hold, tell: Tell, *, is_written: bool = True
    ) -> Verdict:
        """Return what came of it, when that is written on the deployment, if it is to be. Raises `Interrupted`."""
        verdict = await self._ask(test, arn, hold, tell)
        log.info("deployment.tested", arn=arn, passed=verdict.passed)
        if is_written:
            mark = SmokeMark(update_key(request), verdict)
            await self._looking.insist(lambda: self._write(arn, mark, hold), hold)
        return verdict

    async def _ask(self, test: SmokeTest, arn: str, hold: Hold, tell: Tell) -> Verdict:
        troubles = refusals = 0
        answer: str | CallFailed
        while True:
            hold.check()
            try:
                with hold.because(Reason.SMOKE_TEST, "the deployment has not answered its smoke test"):
                    answer = await self._bedrock.converse(arn, test.prompt, test.max_tokens, wait=hold.wait_to_call)
            except CallFailed as failed:
                answer = failed
                refusals += isinstance(failed, Refused | Missing)
            step = judge(test, answer, refusals)
            if isinstance(step, Verdict):
                return step
            await self._looking.pause(step, troubles, hold, tell)
            troubles += 1

    async def _write(self, arn: str, mark: SmokeMark, hold: Hold) -> None:
        try:
            await self._bedrock.tag(arn, mark.tags, wait=hold.wait_to_call)
        except Missing:
            log.info("deployment.vanished", arn=arn)  # a look will find that out
