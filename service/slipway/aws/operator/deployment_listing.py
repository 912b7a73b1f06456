"""Listing of an account's deployments for an operator's commands, by every filter of List, with tags."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slipway.aws.adapters.bedrock import Bedrock, read_deployment
from slipway.aws.adapters.retry import Caller
from slipway.aws.adapters.serialization import objects_of, text_of
from slipway.core.bedrock import Deployment, Page, Status, deployment_pages
from slipway.core.call_errors import ResourceMissing
from slipway.core.diagnostics.explain import ExistingDeployment
from slipway.core.lifecycle.tags import DeploymentTags

LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Filters and order of a listing. Times are seconds since the epoch."""

    name_contains: str | None = None
    status: Status | None = None
    model_arn: str | None = None
    created_before: float | None = None
    created_after: float | None = None
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class Details:
    """All details of one deployment."""

    deployment: Deployment
    description: str | None
    tags: dict[str, str]

    @property
    def slipway_tags(self) -> DeploymentTags:
        """Return its Slipway tags."""
        return DeploymentTags.of(self.tags)


class DeploymentListing:
    """The deployments of one account and Region. Every failure is a `CallFailed`."""

    def __init__(self, client: Any, caller: Caller) -> None:  # noqa: ANN401  aioboto3 has no types
        self._client = client
        self._call = caller.call
        self._bedrock = Bedrock(client, caller)

    async def page(self, filters: Filters, *, token: str | None = None, size: int = LARGEST_PAGE) -> Page:
        """Return one page. `token` is the previous page's `next_token`, or None for the first page."""
        operation = "ListCustomModelDeployments"
        parameters: dict[str, Any] = {
            "maxResults": size,
            "sortBy": "CreationTime",
            "sortOrder": "Ascending" if filters.oldest_first else "Descending",
            "nameContains": filters.name_contains,
            "statusEquals": filters.status and filters.status.value,
            "modelArnEquals": filters.model_arn,
            "createdBefore": _date(filters.created_before),
            "createdAfter": _date(filters.created_after),
            "nextToken": token,
        }
        given = {name: value for name, value in parameters.items() if value is not None}

        async def send() -> Page:
            answer = await self._client.list_custom_model_deployments(**given)
            summaries = objects_of(answer, "modelDeploymentSummaries", operation, may_lack=True)
            deployments = tuple([read_deployment(summary, "customModelDeploymentName", operation) for summary in summaries])
            return Page(deployments, text_of(answer, "nextToken", operation) if answer.get("nextToken") else None)

        return await self._call(operation, send)

    async def all(self, filters: Filters | None = None) -> list[Deployment]:
        """Return all deployments that match the filters, each once, even if pages shift meanwhile."""
        found: dict[str, Deployment] = {}
        wanted = filters or Filters(oldest_first=True)
        async for page in deployment_pages(lambda token: self.page(wanted, token=token)):
            found |= {deployment.arn: deployment for deployment in page.deployments}
        return list(found.values())

    async def with_tags(self, deployments: Iterable[Deployment]) -> list[ExistingDeployment]:
        """Return the deployments with their tags, by one call each; without those deleted meanwhile."""
        listed = list(deployments)
        tags = await asyncio.gather(*(self._bedrock.tags(deployment.arn) for deployment in listed))
        pairs = zip(listed, tags, strict=True)
        return [ExistingDeployment(deployment, DeploymentTags.of(found)) for deployment, found in pairs if found is not None]

    async def details(self, identifier: str) -> Details | None:
        """Return the details of a deployment by name or ARN; None if it does not exist."""
        operation = "GetCustomModelDeployment"

        async def send() -> tuple[Deployment, str | None]:
            answer = await self._client.get_custom_model_deployment(customModelDeploymentIdentifier=identifier)
            return read_deployment(answer, "modelDeploymentName", operation), answer.get("description")

        try:
            deployment, description = await self._call(operation, send)
        except ResourceMissing:
            return None
        tags = await self._bedrock.tags(deployment.arn)
        return None if tags is None else Details(deployment, description, tags)


def _date(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
