"""Calls of Bedrock for custom model deployments. Every failure is a `CallFailed`."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from slipway.aws.adapters.clock import AwsClock
from slipway.aws.adapters.retry import ONLY_IF_NOT_APPLIED, Caller, Wait, wait_uninterrupted
from slipway.aws.adapters.serialization import Parsed, objects_of, text_of, unreadable
from slipway.core.bedrock import (
    Created,
    CustomizationJob,
    Deployment,
    JobStatus,
    ModelState,
    Page,
    Status,
    UpdateDetails,
    UpdateStatus,
)
from slipway.core.call_errors import Refused, ResourceMissing

CONVERSE_SECONDS: Final = 60.0
"""Timeout of a smoke test's answer, in seconds."""
PAGE_SIZE: Final = 1000
READ_AT_ONCE: Final = 200
"""Deployments parsed at once; then other tasks run."""
_ARN = re.compile(r"arn:aws[a-z-]*:bedrock:[a-z0-9-]+:\d{12}:custom-model-deployment/[a-z0-9]+")
_MODEL_STATES = {state.value.lower(): state for state in (ModelState.CREATING, ModelState.ACTIVE, ModelState.FAILED)}


class Bedrock:
    """Bedrock in one target. A call can be interrupted only in its `wait`, never during an attempt."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401  aioboto3 has no types
        caller: Caller,
        clock: AwsClock | None = None,
        open_client: Callable[[str], Awaitable[Any]] | None = None,
    ) -> None:
        self._client = client
        self._open_client = open_client
        self._call = caller.call
        self._clock = clock or AwsClock(time.time)

    async def create(
        self,
        *,
        name: str,
        model_arn: str,
        description: str | None,
        tags: Sequence[tuple[str, str]],
        token: str,
        wait: Wait = wait_uninterrupted,
    ) -> Created:
        """Create a deployment. Retried only if it was certainly not applied, with the same token.

        Raises `UnknownResult` also for a success without a valid ARN: observe before creating again.
        """
        operation = "CreateCustomModelDeployment"
        parameters: dict[str, Any] = {"modelDeploymentName": name, "modelArn": model_arn, "clientRequestToken": token}
        if description is not None:
            parameters["description"] = description
        if tags:
            parameters["tags"] = [{"key": key, "value": value} for key, value in tags]

        async def send() -> Created:
            began = asyncio.get_running_loop().time()
            answer = await self._clock.learn(self._client.create_custom_model_deployment(**parameters), self)
            arn = text_of(answer, "customModelDeploymentArn", operation)
            if not _ARN.fullmatch(arn):
                raise unreadable(operation, f"{arn[:100]!r} is not the ARN of a deployment")
            return Created(arn, self._clock.now() - (asyncio.get_running_loop().time() - began))

        return await self._call(operation, send, repeat=ONLY_IF_NOT_APPLIED, wait=wait)

    async def get(self, identifier: str, *, wait: Wait = wait_uninterrupted) -> Deployment | None:
        """Return a deployment by name or ARN; None if it does not exist."""
        operation = "GetCustomModelDeployment"

        async def send() -> Deployment:
            answer = await self._client.get_custom_model_deployment(customModelDeploymentIdentifier=identifier)
            return read_deployment(answer, "modelDeploymentName", operation)

        try:
            return await self._call(operation, send, wait=wait)
        except ResourceMissing:
            return None

    async def tags(self, arn: str, *, wait: Wait = wait_uninterrupted) -> dict[str, str] | None:
        """Return a deployment's tags; None if it does not exist."""
        operation = "ListTagsForResource"

        async def send() -> dict[str, str]:
            answer = await self._client.list_tags_for_resource(resourceARN=arn)
            pairs: list[tuple[Any, Any]] = [(tag.get("key"), tag.get("value")) for tag in objects_of(answer, "tags", operation)]
            if not all(isinstance(text, str) for pair in pairs for text in pair):
                raise unreadable(operation, "a tag that is not a text")
            return dict(pairs)

        try:
            return await self._call(operation, send, wait=wait)
        except ResourceMissing:
            return None

    async def delete(self, arn: str, *, wait: Wait = wait_uninterrupted) -> None:
        """Delete a deployment. It is gone only when Get no longer finds it. Safe to repeat.

        Raises `ResourceMissing` if it does not exist, and `Conflicting` while it is being created or updated.
        """

        async def send() -> None:
            await self._client.delete_custom_model_deployment(customModelDeploymentIdentifier=arn)

        operation = "DeleteCustomModelDeployment"
        await self._call(operation, send, wait=wait)

    async def update(self, arn: str, model_arn: str, *, wait: Wait = wait_uninterrupted) -> None:
        """Start the update of a deployment to another model. Safe to repeat.

        Raises `ResourceMissing` if the deployment or the model does not exist, and `Refused` also while it is being updated.
        """

        async def send() -> None:
            await self._client.update_custom_model_deployment(customModelDeploymentIdentifier=arn, modelArn=model_arn)

        operation = "UpdateCustomModelDeployment"
        await self._call(operation, send, wait=wait)

    async def tag(self, arn: str, tags: Mapping[str, str], *, wait: Wait = wait_uninterrupted) -> None:
        """Write tags, replacing those with the same keys. Safe to repeat."""
        said = [{"key": key, "value": value} for key, value in tags.items()]

        async def send() -> None:
            await self._client.tag_resource(resourceARN=arn, tags=said)

        operation = "TagResource"
        await self._call(operation, send, wait=wait)

    async def converse(self, arn: str, prompt: str, max_tokens: int, *, wait: Wait = wait_uninterrupted) -> str:
        """Send a prompt to a deployment and return its answer. The first call opens a client of its own.

        Raises `Conflicting` while the deployment is not ready.
        """
        operation = "Converse"
        if self._open_client is None:
            raise Refused(operation, "NoClient", "only the daemon asks deployments anything")
        client = await self._open_client("bedrock-runtime")

        async def send() -> str:
            answer = await client.converse(
                modelId=arn,
                messages=[{"role": "user", "content": [{"text": prompt}]}],
                inferenceConfig={"maxTokens": max_tokens, "temperature": 0.0},
            )
            output = answer.get("output")
            message = output.get("message") if isinstance(output, Mapping) else None
            if not isinstance(message, Mapping):
                raise unreadable(operation, "an answer without a message")
            texts = [part.get("text", "") for part in objects_of(message, "content", operation)]
            if not all(isinstance(text, str) for text in texts):
                raise unreadable(operation, "a message that is not a text")
            return "".join(texts)

        return await self._call(operation, send, repeat=ONLY_IF_NOT_APPLIED, wait=wait, call_timeout=CONVERSE_SECONDS)

    async def model_state(self, model_arn: str, *, wait: Wait = wait_uninterrupted) -> ModelState:
        """Return the state of a custom model. A model without a status, as older ones, is Active."""
        operation = "GetCustomModel"

        async def send() -> ModelState:
            answer = await self._client.get_custom_model(modelIdentifier=model_arn)
            text_of(answer, "modelArn", operation)
            word = answer.get("modelStatus")
            return ModelState.ACTIVE if word is None else _MODEL_STATES.get(str(word).lower(), ModelState.UNKNOWN)

        try:
            return await self._call(operation, send, wait=wait)
        except ResourceMissing:
            return ModelState.MISSING

    async def job(self, identifier: str, *, wait: Wait = wait_uninterrupted) -> CustomizationJob | None:
        """Return a customization job by ARN or name; None if it does not exist."""
        operation = "GetModelCustomizationJob"

        async def send() -> CustomizationJob:
            answer = await self._client.get_model_customization_job(jobIdentifier=identifier)
            arn, status = text_of(answer, "jobArn", operation), JobStatus.of(str(answer.get("status") or ""))
            model = text_of(answer, "outputModelArn", operation) if answer.get("outputModelArn") else None
            return CustomizationJob(arn, status, model, str(answer.get("failureMessage") or "") or None)

        try:
            return await self._call(operation, send, wait=wait)
        except ResourceMissing:
            return None

    def now(self) -> float:
        """Return the current time by AWS's clock, in seconds since the epoch, as estimated from its responses."""
        return self._clock.now()

    def earliest(self) -> float:
        """Return the earliest that the current time can be, in seconds since the epoch; -inf while nothing confirms it."""
        return self._clock.earliest()

    async def page(
        self, *, created_after: float | None, status: Status | None, token: str | None, size: int = PAGE_SIZE
    ) -> Page:
        """Return one page of deployments, oldest first, so that a deployment created meanwhile is on a later page.

        `created_after` is in seconds since the epoch. Pass a slightly earlier time than needed: AWS does not document whether
        the bound itself is included. `token` is the previous page's `next_token`, or None for the first page.
        """
        operation = "ListCustomModelDeployments"
        parameters: dict[str, Any] = {"maxResults": size, "sortBy": "CreationTime", "sortOrder": "Ascending"}
        if created_after is not None:
            parameters["createdAfter"] = datetime.fromtimestamp(created_after, UTC)
        if status is not None:
            parameters["statusEquals"] = status.value
        if token is not None:
            parameters["nextToken"] = token

        async def send() -> Page:
            answer = await self._clock.learn(self._client.list_custom_model_deployments(**parameters), self)
            summaries = objects_of(answer, "modelDeploymentSummaries", operation, may_lack=True)
            deployments: list[Deployment] = []
            for number, summary in enumerate(summaries, 1):
                deployments.append(read_deployment(summary, "customModelDeploymentName", operation))
                if number % READ_AT_ONCE == 0:
                    await asyncio.sleep(0)
            return Page(tuple(deployments), text_of(answer, "nextToken", operation) if answer.get("nextToken") else None)

        return await self._call(operation, send)


def read_deployment(answer: Parsed, name: str, operation: str) -> Deployment:
    """Return the deployment in a response of Get, or of List, where its name has another key.

    Raises `UnknownResult` if a required field is absent or invalid: the SDK passes any JSON on, and a model that is not a text
    would be another model than the request's.
    """
    status = text_of(answer, "status", operation)
    failure = answer.get("failureMessage")
    update = answer.get("updateDetails")
    return Deployment(
        arn=text_of(answer, "customModelDeploymentArn", operation),
        name=text_of(answer, name, operation),
        model_arn=text_of(answer, "modelArn", operation),
        status=Status.of(status),
        status_text=status,
        created_at=_seconds(answer, "createdAt", operation),
        updated_at=None if answer.get("lastUpdatedAt") is None else _seconds(answer, "lastUpdatedAt", operation),
        failure_message=failure if failure and isinstance(failure, str) else None,
        update=None if update is None else _update(update, operation),
    )


def _update(details: object, operation: str) -> UpdateDetails:
    if not isinstance(details, Mapping):
        raise unreadable(operation, "an update without details")
    model, status = text_of(details, "modelArn", operation), text_of(details, "updateStatus", operation)
    return UpdateDetails(model, UpdateStatus.of(status))


def _seconds(answer: Parsed, key: str, operation: str) -> float:
    time = answer.get(key)
    if not isinstance(time, datetime):
        raise unreadable(operation, f"an answer without {key}")
    return time.timestamp()
