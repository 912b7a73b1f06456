"""Queues, the topic and the account, as a person looks at them: what they say of themselves. Nothing is changed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from service.aws.answers import AwsClock, text_of
from service.aws.calling import NEVER, Caller
from service.core.audit import Backlog
from service.core.calls import CallFailed, Denied
from service.core.targets import Home

_IMPOSSIBLE_NAME = "slipway--doctor"
"""No deployment can have it, by Bedrock's own pattern: a call about it is refused, if not denied, and does nothing."""


class Inspector:
    """Asks SQS, SNS, STS and Bedrock about themselves. Every failure is a `CallFailed`."""

    def __init__(self, clients: Mapping[str, Any], caller: Caller) -> None:
        self._clients = clients
        self._sqs = clients["sqs"]
        self._sns = clients["sns"]
        self._call = caller.call
        self._clock = AwsClock(time.time)

    async def queue(self, url: str) -> dict[str, str]:
        """Answer all attributes of a queue."""
        return (await self.queue_and_skew(url))[0]

    async def queue_and_skew(self, url: str) -> tuple[dict[str, str], float]:
        """Answer all attributes of a queue, and how many seconds this machine's clock is ahead of AWS's."""
        operation = "GetQueueAttributes"

        async def send() -> tuple[dict[str, str], float]:
            answer = await self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            return dict(answer["Attributes"]), time.time() - self._clock.read(answer)

        return await self._call(operation, send)

    async def backlog(self, url: str) -> Backlog:
        """Answer how many messages a queue has, as far as SQS knows."""
        return backlog_of(await self.queue(url))

    async def queue_url(self, arn: str) -> str:
        """Answer the URL of the queue with this ARN. Raises `Missing` where there is none."""
        operation = "GetQueueUrl"
        account, name = arn.split(":")[-2:]

        async def send() -> str:
            answer = await self._sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
            return text_of(answer, "QueueUrl", operation)

        return await self._call(operation, send)

    async def subscribers(self, topic_arn: str) -> int:
        """Answer how many confirmed subscriptions the topic has; of more than a hundred, only that there are some."""
        operation = "ListSubscriptionsByTopic"

        async def send() -> int:
            answer = await self._sns.list_subscriptions_by_topic(TopicArn=topic_arn)
            return sum(one["SubscriptionArn"].startswith("arn:") for one in answer["Subscriptions"])

        return await self._call(operation, send)

    async def account(self) -> str:
        """Answer the account that the credentials belong to."""
        operation = "GetCallerIdentity"

        async def send() -> str:
            async with self._clients["sts"]() as sts:
                return text_of(await sts.get_caller_identity(), "Account", operation)

        return await self._call(operation, send)

    async def denials(self, home: Home, queue_url: str, topic_arn: str) -> list[Denied]:
        """Answer what the credentials may not do, of what can be tried without doing it.

        Each call is one that the service must refuse for what it asks. Sending and receiving are not tried.
        """
        bedrock, name = self._clients["bedrock"], _IMPOSSIBLE_NAME
        arn = f"arn:{home.partition}:bedrock:{home.region}:{home.account}:custom-model-deployment/{'0' * 12}"
        model = f"arn:{home.partition}:bedrock:{home.region}:{home.account}:custom-model/imported/{'0' * 12}"
        receipt = {"QueueUrl": queue_url, "ReceiptHandle": "none"}
        tries: dict[str, Callable[[], Awaitable[object]]] = {
            "ListCustomModelDeployments": lambda: bedrock.list_custom_model_deployments(maxResults=1),
            "GetCustomModelDeployment": lambda: bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=name),
            "CreateCustomModelDeployment": lambda: bedrock.create_custom_model_deployment(
                modelDeploymentName=name, modelArn=model
            ),
            "DeleteCustomModelDeployment": lambda: bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=name),
            "ListTagsForResource": lambda: bedrock.list_tags_for_resource(resourceARN=arn),
            "GetCustomModel": lambda: bedrock.get_custom_model(modelIdentifier=model),
            "ChangeMessageVisibility": lambda: self._sqs.change_message_visibility(VisibilityTimeout=0, **receipt),
            "DeleteMessage": lambda: self._sqs.delete_message(**receipt),
            "GetTopicAttributes": lambda: self._sns.get_topic_attributes(TopicArn=topic_arn),
        }
        found = [await self._try(operation, send) for operation, send in tries.items()]
        return [denied for denied in found if denied is not None]

    async def _try(self, operation: str, send: Callable[[], Awaitable[object]]) -> Denied | None:
        try:
            await self._call(operation, send, repeat=NEVER)
        except Denied as denied:
            return denied
        except CallFailed:
            return None
        return None


def backlog_of(attributes: Mapping[str, str]) -> Backlog:
    """Read how many messages a queue has from its attributes."""
    return Backlog(
        int(attributes["ApproximateNumberOfMessages"]),
        int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        int(attributes["ApproximateNumberOfMessagesDelayed"]),
    )
