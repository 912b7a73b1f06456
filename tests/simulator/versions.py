"""Replicas of three versions on one queue: the former one, this one, and the next.

Their decisions are today's. What differs is what versions exchange, continuations and tags. Within a version all of it is
understood; between two versions only what the former form has. The next version also writes what this one does not know.

`CONTINUATION_KEYS` and `NEW_UPDATE_WORDS` say what the former form is. After a release they become what that release writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, Final

from slipway.aws.adapters.retry import Wait, wait_uninterrupted
from slipway.core.bedrock import Created
from slipway.core.lifecycle.tags import UPDATE_TAG
from slipway.core.sqs.messages import CONTINUATION, AnyAttribute, Message, Outgoing
from tests.simulator.bedrock import WatchedBedrock
from tests.simulator.callers import Callers
from tests.simulator.sqs import OWN_ROLE, Queue, SqsQueue
from tests.simulator.wire_faults import Wire

CONTINUATION_KEYS: Final = frozenset(
    {
        "origin",
        "firstReceivedAt",
        "hops",
        "receipt",
        "sender",
        "trace",
        "attempt",
        "failure",
        "failedTest",
        "cancelled",
        "deaths",
        "faults",
        "delays",
        "until",
    }
)
NEW_UPDATE_WORDS: Final = ("by:",)
"""How words of an update's tag begin that the former form does not have."""
UNKNOWN: Final = {"next": {"of": ["a later version"]}}
"""What the next version writes in a continuation."""
UNKNOWN_WORD: Final = "next:1"
UNKNOWN_TAG: Final = ("slipway:next", "of a later version")


class Version(Enum):
    """The version of a process."""

    FORMER = "former"
    THIS = "this"
    NEXT = "next"


VersionOf = Callable[[str], Version]
"""The version of a process by its name."""


def all_of_this_version(_: str) -> Version:
    """Return this version."""
    return Version.THIS


class VersionedQueue(Queue):
    """The queue as a replica of some version uses it."""

    def __init__(self, queue: SqsQueue, wire: Wire, callers: Callers, version: Version, version_of: VersionOf) -> None:
        super().__init__(queue, wire, callers)
        self._version = version
        self._version_of = version_of

    async def receive(self, limit: int, *, wait_seconds: int, attempt: str | None, wait: Wait) -> Sequence[Message]:
        """Long-poll."""
        received = await super().receive(limit, wait_seconds=wait_seconds, attempt=attempt, wait=wait)
        return [replace(one, attributes=self._understood(one)) for one in received]

    def _understood(self, message: Message) -> Mapping[str, AnyAttribute]:
        role, _, writer = (message.sender or "").partition(":")
        if role != OWN_ROLE or self._version_of(writer) is self._version:
            return message.attributes
        self._queue.watching.happened("a continuation of another version")
        return _with_continuation(message.attributes, lambda fields: {key: fields[key] for key in fields if _is_shared(key)})

    def _put(self, queue: SqsQueue, outgoing: Outgoing) -> None:
        if self._version is Version.NEXT:
            outgoing = replace(outgoing, attributes=_with_continuation(outgoing.attributes, lambda fields: fields | UNKNOWN))
        super()._put(queue, outgoing)


def _is_shared(key: str) -> bool:
    return key in CONTINUATION_KEYS or key in UNKNOWN


def _with_continuation(
    attributes: Mapping[str, AnyAttribute], change: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, AnyAttribute]:
    """Return a message's attributes with another continuation, if it has one."""
    text = attributes.get(CONTINUATION)
    if not isinstance(text, str):
        return dict(attributes)
    return {**attributes, CONTINUATION: json.dumps(change(json.loads(text)), separators=(",", ":"))}


def _update_tag(tags: Mapping[str, str], change: Callable[[list[str]], list[str]]) -> dict[str, str]:
    """Return a deployment's tags with other words in the tag of an update, if it has one."""
    return {key: " ".join(change(value.split())) if key == UPDATE_TAG else value for key, value in tags.items()}


def _former(tags: Mapping[str, str]) -> dict[str, str]:
    return _update_tag(tags, lambda words: [word for word in words if not word.startswith(NEW_UPDATE_WORDS)])


class FormerBedrock(WatchedBedrock):
    """Bedrock as a replica of the former version uses it."""

    async def tags(self, arn: str, *, wait: Wait = wait_uninterrupted) -> dict[str, str] | None:
        """Return a deployment's tags."""
        tags = await super().tags(arn, wait=wait)
        return None if tags is None else _former(tags)

    async def tag(self, arn: str, tags: Mapping[str, str], *, wait: Wait = wait_uninterrupted) -> None:
        """Write tags on a deployment."""
        await super().tag(arn, _former(tags), wait=wait)


class NextBedrock(WatchedBedrock):
    """Bedrock as a replica of the next version uses it."""

    async def tag(self, arn: str, tags: Mapping[str, str], *, wait: Wait = wait_uninterrupted) -> None:
        """Write tags on a deployment."""
        await super().tag(arn, _update_tag(tags, lambda words: [*words, UNKNOWN_WORD]), wait=wait)

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
        """Begin a deployment."""
        more = [*tags, UNKNOWN_TAG]
        return await super().create(name=name, model_arn=model_arn, description=description, tags=more, token=token, wait=wait)


BEDROCK_OF: Final = {Version.FORMER: FormerBedrock, Version.THIS: WatchedBedrock, Version.NEXT: NextBedrock}
