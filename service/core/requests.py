"""What a message asks for: a frozen value, fully validated."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

from service.core import continuations
from service.core.envelopes import unwrapped
from service.core.fields import Problem, fault, problems, seconds
from service.core.messages import Message
from service.core.misunderstood import Code, Misunderstood, shown
from service.core.request_fields import (
    ACTION,
    FIELDS_OF,
    LATER_ACTIONS,
    MODEL,
    MODEL_ARN,
    OWN_TAG_PREFIX,
    REQUEST_ID,
    REQUEST_TAG,
    TOKEN,
    request_schema,
)

__all__ = [
    "DEFAULT_TIMEOUT_SECONDS",
    "OWN_TAG_PREFIX",
    "REQUEST_TAG",
    "Home",
    "Misunderstood",
    "Request",
    "client_token",
    "request_schema",
    "understand",
    "wanted_tags",
]

DEFAULT_TIMEOUT_SECONDS: Final = 7200.0
"""For callers without settings; a test holds it to the setting `timeout`."""
_MOST_COUNTED: Final = 10
_NOT_FOR_TAGS = re.compile(r"[^A-Za-z0-9_.:/=+@-]")
_LONGEST_TAG_VALUE: Final = 256


@dataclass(frozen=True, slots=True)
class Request:
    """One deployment that somebody wants.

    `identity` is what makes two messages the same request: `clientRequestToken`, else `requestId`, else the id of the
    message that brought it first. `request_id` is what events and tags show. `timeout` is in seconds, from the first
    receipt.
    """

    identity: str
    request_id: str
    """`requestId`, else the identity; always fit to be a tag's value as it is."""
    action: Literal["deploy"]
    name: str
    model_arn: str
    description: str | None
    tags: tuple[tuple[str, str], ...]
    """The requester's own tags; Slipway's are added by `wanted_tags`."""
    timeout: float
    priority: int = 0
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Home:
    """The target: where this Slipway deploys, and where a model must therefore be."""

    partition: str
    account: str
    region: str


def understand(message: Message, home: Home, default_timeout: float = DEFAULT_TIMEOUT_SECONDS) -> Request:
    """Read what a message asks for, and check all that can be checked without a call.

    Raises Misunderstood, and nothing else, whatever the message holds. The same message always has the same answer.
    """
    given = unwrapped(message.body)
    found = list(islice(_request_problems(given, home), _MOST_COUNTED))
    if found:
        raise _misunderstood(found, _readable_id(given))
    return _request(given, continuations.origin(message), default_timeout)


def client_token(request: Request, generation: int = 0) -> str:
    """Derive the token that Bedrock gets: the same for ever for the same request, and in the form that Bedrock takes.

    `generation` counts on where a new deployment is wanted although an earlier one was made with the same token.
    """
    said = json.dumps([request.identity, request.name, request.model_arn, generation])
    return f"slipway-{hashlib.sha256(said.encode()).hexdigest()}"


def wanted_tags(request: Request) -> list[tuple[str, str]]:
    """Answer all tags that the deployment gets: the requester's, then the one that says whose it is."""
    return [*request.tags, (REQUEST_TAG, request.request_id)]


def _request_problems(given: Mapping[str, object], home: Home) -> Iterator[Problem]:
    action = given.get(ACTION.name, "deploy")
    if action in LATER_ACTIONS:
        text = f"action {shown(str(action))} is not yet supported; {ACTION.remedy}"
        yield Problem(Code.UNSUPPORTED_ACTION, ACTION.name, text)
        return
    if wrong := fault(ACTION, action):
        yield Problem(Code.INVALID_FIELD, ACTION.name, f"{ACTION.name} {wrong}; {ACTION.remedy}")
        return
    yield from problems(FIELDS_OF[str(action)], given)
    yield from _strangeness(given.get(MODEL.name), home)


def _strangeness(arn: object, home: Home) -> Iterator[Problem]:
    """Find a valid model ARN of another place than home."""
    found = re.fullmatch(MODEL_ARN, arn) if isinstance(arn, str) and fault(MODEL, arn) is None else None
    if found is None:
        return
    partition, region, account = found.groups()
    rows = (
        (Code.WRONG_PARTITION, "partition", partition, home.partition),
        (Code.WRONG_ACCOUNT, "account", account, home.account),
        (Code.WRONG_REGION, "Region", region, home.region),
    )
    for code, what, there, here in rows:
        if there != here:
            remedy = f"name a model in {here}, or send the request to the Slipway of {there}"
            text = f"modelArn is in {what} {there}, but this Slipway deploys in {what} {here}; {remedy}"
            yield Problem(code, MODEL.name, text)


def _misunderstood(found: list[Problem], request_id: str | None) -> Misunderstood:
    first, more = found[0], len(found) - 1
    noun = "problem" if more == 1 else "problems"
    tail = f" (and {'at least ' if len(found) == _MOST_COUNTED else ''}{more} more {noun})" if more else ""
    return Misunderstood(first.code, first.text + tail, first.field, request_id)


def _readable_id(given: Mapping[str, object]) -> str | None:
    """Answer the id that the request would have had, had the rest of it been right."""
    for field in (REQUEST_ID, TOKEN):
        value = given.get(field.name)
        if isinstance(value, str) and fault(field, value) is None:
            return value
    return None


def _request(given: Mapping[str, Any], origin: str, default_timeout: float) -> Request:
    """Build the value from what `problems` has found sound."""
    identity: str = given.get(TOKEN.name) or given.get(REQUEST_ID.name) or origin
    timeout = seconds(given.get("timeout"))
    return Request(
        identity=identity,
        request_id=given.get(REQUEST_ID.name) or _NOT_FOR_TAGS.sub("_", identity)[:_LONGEST_TAG_VALUE],
        action="deploy",
        name=given["modelDeploymentName"],
        model_arn=given[MODEL.name],
        description=given.get("description"),
        tags=tuple((tag["key"], tag["value"]) for tag in given.get("tags", ())),
        timeout=float(timeout if timeout is not None else default_timeout),
        priority=given.get("priority", 0),
        tenant=given.get("tenant"),
    )
