"""Questions that need no deployment of the probe: what an account shows as it is."""

from __future__ import annotations

import asyncio
from typing import Final

from slipway.cli.probe.client import PREFIX, Target
from slipway.core.bedrock import Deployment, Status, deployment_pages
from slipway.core.call_errors import CallFailed
from slipway.core.diagnostics import probe as findings
from slipway.core.diagnostics.probe import ProbeCall, ProbeFinding, Question

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
