"""Smoke tests: send one prompt to an Active deployment, and record the result in its tags."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Protocol

import structlog

from slipway.core.call_errors import CallFailed, Refused, ResourceMissing
from slipway.core.lifecycle.outcomes import Reason, SmokeTestResult
from slipway.core.lifecycle.steps import Pause, judge
from slipway.core.lifecycle.tags import SmokeTestTag, update_key
from slipway.core.requests.models import Request, SmokeTest
from slipway.worker.kernel.interrupts import Wait
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import Observer, ObserverBedrock, ReportProgress

log = structlog.get_logger()


class SmokeTestBedrock(ObserverBedrock, Protocol):
    """The Bedrock calls of a smoke test. Every wait between attempts goes through `wait`."""

    async def converse(self, arn: str, prompt: str, max_tokens: int, *, wait: Wait) -> str:
        """Send a prompt to a deployment and return the text of its answer."""

    async def tag(self, arn: str, tags: Mapping[str, str], *, wait: Wait) -> None:
        """Write tags, replacing those of the same keys. Harmless when repeated."""


class SmokeTester:
    """Tests deployments until their requests' deadlines."""

    def __init__(self, bedrock: SmokeTestBedrock, rng: random.Random) -> None:
        self._bedrock = bedrock
        self._observer = Observer(bedrock, rng)

    async def test(
        self,
        request: Request,
        test: SmokeTest,
        arn: str,
        lease: Lease,
        report_progress: ReportProgress,
        *,
        is_written: bool = True,
    ) -> SmokeTestResult:
        """Return the result, after it was written to the tags if `is_written`. Raises `Interrupted`."""
        smoke_result = await self._ask(test, arn, lease, report_progress)
        log.info("deployment.tested", arn=arn, passed=smoke_result.passed)
        if is_written:
            mark = SmokeTestTag(update_key(request), smoke_result)
            await self._observer.until_answered(lambda: self._write(arn, mark, lease), lease)
        return smoke_result

    async def _ask(self, test: SmokeTest, arn: str, lease: Lease, report_progress: ReportProgress) -> SmokeTestResult:
        refusals = 0

        async def ask() -> SmokeTestResult | Pause:
            nonlocal refusals
            answer: str | CallFailed
            lease.check()
            try:
                with lease.waiting_for(Reason.SMOKE_TEST, "the deployment has not answered its smoke test"):
                    answer = await self._bedrock.converse(arn, test.prompt, test.max_tokens, wait=lease.wait_to_call)
            except CallFailed as failed:
                answer = failed.with_traceback(None)
                refusals += isinstance(failed, Refused | ResourceMissing)
            return judge(test, answer, refusals)

        return await self._observer.poll(ask, lease, report_progress)

    async def _write(self, arn: str, mark: SmokeTestTag, lease: Lease) -> None:
        try:
            await self._bedrock.tag(arn, mark.tags, wait=lease.wait_to_call)
        except ResourceMissing:
            log.info("deployment.vanished", arn=arn)  # the next observation shows that
