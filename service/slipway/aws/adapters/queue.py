"""Calls of SQS for one queue and its dead-letter queue. Every failure is a `CallFailed`."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import structlog

from slipway.aws.adapters.clock import AwsClock
from slipway.aws.adapters.retry import NEVER, Caller, Wait, wait_uninterrupted
from slipway.aws.adapters.serialization import (
    Parsed,
    batch_of,
    number_of,
    read_attributes,
    text_of,
    texts_of,
    unreadable,
    write_attributes,
)
from slipway.aws.sdk.clients import LONGEST_POLL_SECONDS, POLL_GRACE_SECONDS
from slipway.core.call_errors import CallFailed, ResourceMissing, UnknownResult
from slipway.core.diagnostics.status import Backlog
from slipway.core.sqs.messages import TRACE_HEADER, AnyAttribute, Message, Outgoing, QueueTraits

log = structlog.get_logger()

_QUEUE_ARN = re.compile(r"arn:[^:]+:sqs:[^:]*:\d+:[^:]+")
_NO_ATTRIBUTES: Final[Mapping[str, AnyAttribute]] = MappingProxyType({})
"""The attributes of a message without any."""
_LATEST: Final = 1e11
"""The latest time in seconds since the epoch that `datetime` supports."""

SQS: Final = "SQS"
"""The host whose clock it is, for both queues."""
SENDER: Final = "SenderId"
_SYSTEM_ATTRIBUTES: Final = [
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "MessageGroupId",
    TRACE_HEADER,
    SENDER,
]


class Queue:
    """The queue with this URL. Receives have their own client and connection pool."""

    def __init__(
        self,
        queue_url: str,
        *,
        visibility_seconds: int,
        receiver: Any,  # noqa: ANN401  aioboto3 has no types
        custodian: Any,  # noqa: ANN401  as above
        receiving: Caller,
        leases: Caller,
        clock: AwsClock | None = None,
    ) -> None:
        self._url = queue_url
        self._visibility_seconds = visibility_seconds
        self._receiver = receiver
        self._custodian = custodian
        self._receiving = receiving
        self._custody = leases
        self.clock = clock or AwsClock(time.time)
        self._dead_letter_url: str | None = None

    async def receive(
        self, limit: int, *, wait_seconds: int, attempt: str | None, wait: Wait = wait_uninterrupted
    ) -> list[Message]:
        """Return at most `limit` (1 to 10) messages, after a long poll of `wait_seconds` for the first.

        Each is held for the visibility timeout. Not repeated here, and its turn is waited for through `wait`, so that who
        stops receives nothing more. On FIFO, repeat it with the same `attempt` after `UnknownResult`: nothing that it
        brought is lost meanwhile.
        """
        operation = "ReceiveMessage"
        parameters: dict[str, Any] = {
            "QueueUrl": self._url,
            "MaxNumberOfMessages": limit,
            "WaitTimeSeconds": min(wait_seconds, LONGEST_POLL_SECONDS),
            "VisibilityTimeout": self._visibility_seconds,
            "MessageSystemAttributeNames": _SYSTEM_ATTRIBUTES,
            "MessageAttributeNames": ["All"],
        }
        if attempt is not None:
            parameters["ReceiveRequestAttemptId"] = attempt

        async def send() -> list[Message]:
            began = asyncio.get_running_loop().time()
            answer = await self.clock.learn(self._receiver.receive_message(**parameters), SQS)
            self._learn_receipts(answer, began)
            received_at, error = self.clock.now(), max(1.0, self.clock.error())
            given = answer.get("Messages") or []
            if not isinstance(given, list):
                raise unreadable(operation, "an answer without Messages")
            messages = [read for entry in given if (read := _message_or_none(entry, received_at, error, operation)) is not None]
            if given and not messages:
                raise unreadable(operation, "none of the messages can be read")
            return messages

        return await self._receiving.call(
            operation, send, repeat=NEVER, wait=wait, call_timeout=wait_seconds + POLL_GRACE_SECONDS
        )

    def _learn_receipts(self, answer: Parsed, began: float) -> None:
        """Learn the present from messages that this call is the first to receive."""
        given = answer.get("Messages")
        for message in given if isinstance(given, list) else ():
            system = message.get("Attributes") if isinstance(message, Mapping) else None
            if isinstance(system, Mapping) and system.get("ApproximateReceiveCount") == "1":
                received_at = _number(system.get("ApproximateFirstReceiveTimestamp"), 0) / 1000
                if received_at:
                    self.clock.learn_receipt(received_at, began)

    async def extend(self, receipts: Sequence[str], seconds: int) -> list[CallFailed | None]:
        """Set the visibility timeout of at most ten messages, from now; 0 releases them at once. Safe to repeat.

        Answers for each; raises `CallFailed` when the whole call failed.
        """
        return await self._each(
            "ChangeMessageVisibilityBatch",
            self._custodian.change_message_visibility_batch,
            receipts,
            {"VisibilityTimeout": seconds},
        )

    async def delete(self, receipts: Sequence[str]) -> list[CallFailed | None]:
        """Delete at most ten messages. Safe to repeat.

        Answers for each; raises `CallFailed` when the whole call failed.
        """
        return await self._each("DeleteMessageBatch", self._custodian.delete_message_batch, receipts, {})

    async def send(self, batch: Sequence[Outgoing]) -> list[CallFailed | None]:
        """Send at most ten messages, 1 MiB in all, to this queue.

        Answers for each; raises `CallFailed` when the whole call failed. Repeated after a lost answer, so one may be
        there twice: never not at all.
        """
        operation = "SendMessageBatch"
        entries = [{"Id": str(place), **_outgoing(outgoing)} for place, outgoing in enumerate(batch)]

        async def send() -> list[CallFailed | None]:
            sending = self._custodian.send_message_batch(QueueUrl=self._url, Entries=entries)
            return batch_of(await self.clock.learn(sending, SQS), len(batch), operation)

        return await self._custody.call(operation, send)

    async def send_dead_letter(self, outgoing: Outgoing) -> None:
        """Send one message to the dead-letter queue, at least once. Raises `ResourceMissing` if there is none."""
        operation = "SendMessage"
        url = self._dead_letter_url = self._dead_letter_url or await self._find_dead_letter_url()

        async def send() -> None:
            text_of(await self._custodian.send_message(QueueUrl=url, **_outgoing(outgoing)), "MessageId", operation)

        await self._custody.call(operation, send)

    async def traits(self) -> QueueTraits:
        """Return the queue's traits."""
        most, dead_letters = await self._redrive()
        return QueueTraits(
            is_fifo=self._url.endswith(".fifo"),
            max_receive_count=most,
            has_dead_letter_queue=dead_letters is not None,
        )

    async def backlog(self) -> Backlog:
        """Return the queue's approximate message counts."""
        return await self._backlog(self._url)

    async def dead_letters(self) -> Backlog | None:
        """Return the approximate message counts of the dead-letter queue; None if there is none."""
        if self._dead_letter_url is None and not (await self.traits()).has_dead_letter_queue:
            return None
        self._dead_letter_url = self._dead_letter_url or await self._find_dead_letter_url()
        return await self._backlog(self._dead_letter_url)

    async def _backlog(self, url: str) -> Backlog:
        operation = "GetQueueAttributes"

        async def send() -> Backlog:
            asked = self._custodian.get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTS))
            return backlog_of(texts_of(await self.clock.learn(asked, SQS), "Attributes", operation))

        return await self._custody.call(operation, send)

    async def _each(
        self, operation: str, call: Callable[..., Any], receipts: Sequence[str], extra: Mapping[str, int]
    ) -> list[CallFailed | None]:
        once = list(dict.fromkeys(receipts))  # the same message twice in a batch fails all of it
        entries = [{"Id": str(place), "ReceiptHandle": receipt, **extra} for place, receipt in enumerate(once)]

        async def send() -> list[CallFailed | None]:
            return batch_of(await self.clock.learn(call(QueueUrl=self._url, Entries=entries), SQS), len(once), operation)

        answers = dict(zip(once, await self._custody.call(operation, send), strict=True))
        return [answers[receipt] for receipt in receipts]

    async def _redrive(self) -> tuple[int | None, str | None]:
        """Return `maxReceiveCount` and the dead-letter queue's ARN; None for what the queue does not have."""
        operation = "GetQueueAttributes"

        async def send() -> tuple[int | None, str | None]:
            asked = self._custodian.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn", "RedrivePolicy"])
            answer = await self.clock.learn(asked, SQS)  # asked before anything is received, and a short call
            policy = _policy(texts_of(answer, "Attributes", operation).get("RedrivePolicy") or "{}", operation)
            most, arn = policy.get("maxReceiveCount"), policy.get("deadLetterTargetArn")
            if arn is not None and not (isinstance(arn, str) and _QUEUE_ARN.fullmatch(arn)):
                raise unreadable(operation, "a redrive policy whose target is not a queue")
            return None if most is None else number_of(most, operation), arn

        return await self._custody.call(operation, send)

    async def _find_dead_letter_url(self) -> str:
        operation = "GetQueueUrl"
        _, arn = await self._redrive()
        if arn is None:
            raise ResourceMissing(operation, "NoDeadLetterQueue", f"{self._url} has no redrive policy")
        account, name = arn.split(":")[-2:]

        async def send() -> str:
            answer = await self._custodian.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
            return text_of(answer, "QueueUrl", operation)

        return await self._custody.call(operation, send)


COUNTS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
"""The attributes of a queue with its message counts."""


def backlog_of(attributes: Mapping[str, str]) -> Backlog:
    """Return the message counts in a queue's attributes. Raises `UnknownResult` if one is missing or no number."""
    return Backlog(*(number_of(attributes.get(name, ""), "GetQueueAttributes") for name in COUNTS))


def _policy(text: str, operation: str) -> Parsed:
    try:
        policy = json.loads(text)
    except ValueError as exc:
        raise unreadable(operation, "a redrive policy that is not JSON") from exc
    if not isinstance(policy, Mapping):
        raise unreadable(operation, "a redrive policy that is none")
    return policy


def _outgoing(outgoing: Outgoing) -> dict[str, Any]:
    attributes = write_attributes(outgoing.attributes)
    trace = attributes.pop(TRACE_HEADER, None)
    parameters: dict[str, Any] = {"MessageBody": outgoing.body, "MessageAttributes": attributes}
    if trace is not None:
        parameters["MessageSystemAttributes"] = {TRACE_HEADER: trace}
    if outgoing.delay_seconds and outgoing.deduplication_id is None:
        parameters["DelaySeconds"] = outgoing.delay_seconds
    if outgoing.group is not None:
        parameters["MessageGroupId"] = outgoing.group
    if outgoing.deduplication_id is not None:
        parameters["MessageDeduplicationId"] = outgoing.deduplication_id
    return parameters


def _message_or_none(message: Parsed, received_at: float, error: float, operation: str) -> Message | None:
    """Return a message; None if it cannot be read, so that the others of its batch can."""
    try:
        return _message(message, received_at, error, operation)
    except UnknownResult as failed:
        log.warning("message.unreadable", message=str(failed), remedy="it is received again, up to maxReceiveCount")
        return None


def _message(message: Parsed, received_at: float, error: float, operation: str) -> Message:
    """Return a message. Raises `UnknownResult` without an id, a receipt handle or a body.

    Emulators of SQS may omit system attributes: then the message counts as first received now.
    """
    if not isinstance(message, Mapping):
        raise unreadable(operation, "a message that is none")
    given = message.get("Attributes")
    system = given if isinstance(given, Mapping) else {}
    attributes = read_attributes(message)
    if isinstance(trace := system.get(TRACE_HEADER), str):
        attributes[TRACE_HEADER] = trace
    body, group, sender = message.get("Body"), system.get("MessageGroupId"), system.get(SENDER)
    if not isinstance(body, str):
        raise unreadable(operation, "a message without Body")
    first_received_at = _number(system.get("ApproximateFirstReceiveTimestamp"), received_at * 1000) / 1000
    return Message(
        message_id=text_of(message, "MessageId", operation),
        content=body,
        receipt=text_of(message, "ReceiptHandle", operation),
        receive_count=max(1, int(_number(system.get("ApproximateReceiveCount"), 1))),
        # The clock may be wrong by `error`; the first receive was not after this one.
        received_at=min(max(received_at, first_received_at), received_at + error),
        first_received_at=first_received_at,
        group=group if isinstance(group, str) else None,
        attributes=attributes or _NO_ATTRIBUTES,
        sender=sender if isinstance(sender, str) else None,
    )


def _number(given: object, otherwise: float) -> float:
    """Return a number that SQS writes as text; `otherwise` if it is invalid or out of range."""
    try:
        number = float(given) if isinstance(given, str | int) else otherwise
    except (ValueError, OverflowError):
        return otherwise
    return number if 0 <= number < _LATEST * 1000 else otherwise
