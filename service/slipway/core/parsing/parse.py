"""From a message to what it asks for: everything that can be checked without a call is checked here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from itertools import islice
from typing import Any, Final

from slipway.core.parsing.callback_tokens import PipelineStopping, plain, read_reply_target
from slipway.core.requests.actions import FIELDS_OF, request_schema
from slipway.core.requests.envelopes import is_event, unwrap
from slipway.core.requests.fields import (
    ACTION,
    CANCELS,
    DEPLOYMENT_ARN,
    IDENTIFIER,
    JOB,
    JOB_ARN,
    MODEL,
    MODEL_ARN,
    NAME,
    REQUEST_ID,
    TARGET,
    TOKEN,
)
from slipway.core.requests.models import (
    DEFAULT_CANCEL_SECONDS,
    DEFAULT_MAX_TOKENS,
    AnyRequest,
    Cancel,
    Delete,
    Deploy,
    IfExists,
    OnFailure,
    SmokeTest,
    Update,
)
from slipway.core.requests.ownership import owner_of
from slipway.core.requests.targets import DEFAULT, Home, Target, Targets
from slipway.core.rules.triggers import NoMatchingTrigger, Trigger, first_match
from slipway.core.schema.fields import Field, Problem, compiled, duration_seconds, problems, value_problem
from slipway.core.schema.rejection import RejectionCode, RequestRejected, quote
from slipway.core.sqs.continuations import Delivery
from slipway.core.sqs.messages import Message

__all__ = [
    "DEFAULT_TIMEOUT_SECONDS",
    "NoMatchingTrigger",
    "PipelineStopping",
    "RequestRejected",
    "client_token",
    "parse_request",
    "request_schema",
]

DEFAULT_TIMEOUT_SECONDS: Final = 7200.0
"""For callers without settings; a test holds it to the setting `timeout`."""
_MOST_COUNTED: Final = 10
_NOT_FOR_TAGS = re.compile(r"[^A-Za-z0-9_.:/=+@-]")
_LONGEST_TAG_VALUE: Final = 256


def parse_request(
    message: Message, targets: Targets, default_timeout: float = DEFAULT_TIMEOUT_SECONDS, triggers: Sequence[Trigger] = ()
) -> AnyRequest:
    """Read what a message asks for, and check all that can be checked without a call.

    With `triggers`, an upstream event asks for what the first rule that matches it makes of it. The same
    message always has the same answer. Raises `RequestRejected`, `NoMatchingTrigger` or `PipelineStopping`, and
    nothing else, whatever the message holds.
    """
    delivery = Delivery.of(message)
    given, trigger, event = _read(message.body, triggers)
    found = list(islice(_request_problems(given, targets), _MOST_COUNTED))
    if found:
        made_by = f"trigger {quote(trigger.name)} made a wrong request: " if trigger else ""
        raise _rejected(found, given, made_by)
    request = _request(given, delivery.origin, default_timeout, trigger.name if trigger else None)
    is_events_id = event is not None and request.identity == request.request_id == event.get("id")
    payload = _payload(request, event if is_events_id else None)
    return replace(request, owner=owner_of(delivery.first_sender, payload))


def body_object(text: str, triggers: Sequence[Trigger]) -> tuple[dict[str, object], Trigger | None]:
    """Answer the request in a body, in the form that all have, and the rule that made it. Raises as `parse_request` does."""
    given, trigger, _ = _read(text, triggers)
    return given, trigger


def _read(text: str, triggers: Sequence[Trigger]) -> tuple[dict[str, object], Trigger | None, Mapping[str, object] | None]:
    given = unwrap(text, keep_event=bool(triggers))
    if not triggers or not is_event(given):
        return plain(given), None, None
    trigger = first_match(triggers, given)
    return plain(trigger.make(given)), trigger, given


def client_token(request: Deploy, generation: int = 0, spent_tokens: int = 0) -> str:
    """Return the `clientRequestToken` of a create call, always the same for the same request and in the form Bedrock accepts.

    `generation` counts deployments of earlier attempts; `spent_tokens` counts tokens that Bedrock answered with a deployment
    that no longer exists. Neither needs to be stored: a consumer that starts again with the first token gets the same answers.
    """
    void = [f"void {spent_tokens}"] if spent_tokens else []
    said = json.dumps([request.identity, request.name, request.requested_model, generation, *request.elsewhere, *void])
    return f"slipway-{hashlib.sha256(said.encode()).hexdigest()}"


def _request_problems(given: Mapping[str, object], targets: Targets) -> Iterator[Problem]:
    action = given.get(ACTION.name, "deploy")
    if wrong := value_problem(ACTION, action):
        yield Problem(RejectionCode.INVALID_FIELD, ACTION.name, f"{ACTION.name} {wrong}; {ACTION.remedy}")
        return
    yield from problems(FIELDS_OF[str(action)], given)
    named = given.get(TARGET.name, DEFAULT)
    if value_problem(TARGET, named) is not None:
        return
    if named not in targets:
        text = f"{TARGET.name} is {quote(str(named))}, and there is no such target; the targets are {', '.join(targets)}"
        yield Problem(RejectionCode.INVALID_FIELD, TARGET.name, text)
        return
    target = targets[str(named)]
    for field, pattern in ((MODEL, MODEL_ARN), (JOB, JOB_ARN), (IDENTIFIER, DEPLOYMENT_ARN)):
        yield from _strangeness(field, pattern, given.get(field.name), target, targets)
    yield from _forbidden(given, target)


def _strangeness(field: Field, pattern: str, arn: object, target: Target, targets: Targets) -> Iterator[Problem]:
    """Find a valid ARN of another place than the target."""
    found = compiled(pattern).fullmatch(arn) if isinstance(arn, str) else None
    home = target.home
    # Most are of the right place: only the others are looked at again.
    if found is None or found.groups() == (home.partition, home.region, home.account) or value_problem(field, arn) is not None:
        return
    partition, region, account = found.groups()
    rows = (
        (RejectionCode.WRONG_PARTITION, "partition", partition, home.partition),
        (RejectionCode.WRONG_ACCOUNT, "account", account, home.account),
        (RejectionCode.WRONG_REGION, "Region", region, home.region),
    )
    who = "this Slipway" if target.name == DEFAULT else f"target {target.name}"
    other = next((each.name for each in targets.values() if each.home == Home(partition, account, region)), None)
    for code, what, there, here in rows:
        if there != here:
            noun = {MODEL.name: "model", JOB.name: "job"}.get(field.name, "deployment")
            elsewhere = f"name the target {other}" if other else f"send the request to the Slipway of {there}"
            remedy = f"name a {noun} in {here}, or {elsewhere}"
            text = f"{field.name} is in {what} {there}, but {who} deploys in {what} {here}; {remedy}"
            yield Problem(code, field.name, text)


def _forbidden(given: Mapping[str, object], target: Target) -> Iterator[Problem]:
    """Find what the target's rules do not allow. The model of a job is looked at when it is known."""
    for field, look in ((MODEL, target.model_fault), (NAME, target.name_fault), (IDENTIFIER, target.name_fault)):
        word = given.get(field.name)
        if not isinstance(word, str) or (wrong := look(word)) is None or value_problem(field, word) is not None:
            continue
        is_by_arn = field is IDENTIFIER and word.startswith("arn:")
        if is_by_arn and given.get("ifExpired") is True:
            continue  # asked for by Slipway itself, and done only to what Slipway made for so long
        remedy = (
            "name the deployment, whose ARN does not tell its name" if is_by_arn else "use what it allows, or another target"
        )
        yield Problem(RejectionCode.NOT_ALLOWED, field.name, f"{field.name} {quote(word)} {wrong}; {remedy}")


def _rejected(found: list[Problem], given: Mapping[str, object], made_by: str) -> RequestRejected:
    first, more = found[0], len(found) - 1
    noun = "problem" if more == 1 else "problems"
    tail = f" (and {'at least ' if len(found) == _MOST_COUNTED else ''}{more} more {noun})" if more else ""
    return RequestRejected(first.code, made_by + first.text + tail, first.field, _readable_id(given), read_reply_target(given))


def _readable_id(given: Mapping[str, object]) -> str | None:
    """Answer the id that the request would have had, had the rest of it been right."""
    for field in (REQUEST_ID, TOKEN):
        value = given.get(field.name)
        if isinstance(value, str) and value_problem(field, value) is None:
            return value
    return None


def _request(given: Mapping[str, Any], origin: str, default_timeout: float, trigger: str | None) -> AnyRequest:
    """Build the value from what `problems` has found sound."""
    identity: str = given.get(TOKEN.name) or given.get(REQUEST_ID.name) or origin
    timeout = duration_seconds(given.get("timeout"))
    timeout = float(timeout if timeout is not None else default_timeout)
    expires_after = duration_seconds(given.get("expiresAfter"))
    common: dict[str, Any] = {
        "identity": identity,
        "request_id": given.get(REQUEST_ID.name) or _NOT_FOR_TAGS.sub("_", identity)[:_LONGEST_TAG_VALUE],
        "name": given.get(NAME.name) or given.get(IDENTIFIER.name) or given.get(CANCELS.name),
        # What would have expired by then is not made any more.
        "timeout": timeout if expires_after is None else min(timeout, expires_after),
        "priority": given.get("priority", 0),
        "tenant": given.get("tenant"),
        "target": given.get(TARGET.name, DEFAULT),
        "trigger": trigger,
        "reply_target": read_reply_target(given),
    }
    match given.get(ACTION.name, "deploy"):
        case "update":
            flags = {name: given.get(name, False) for name in ("rollback", "force")}
            return Update(**common, model_arn=given[MODEL.name], **flags, smoke_test=_smoke_test(given.get("smokeTest")))
        case "cancel":
            common["timeout"] = timeout if "timeout" in given else min(timeout, DEFAULT_CANCEL_SECONDS)
            return Cancel(**common, delete=given.get("deployment") == "delete")
        case "delete":
            return Delete(**common, force=given.get("force", False), if_expired=given.get("ifExpired", False))
        case _:
            tags = tuple((tag["key"], tag["value"]) for tag in given.get("tags", ()))
            return Deploy(
                **common,
                model_arn=given.get(MODEL.name, ""),
                customization_job=given.get(JOB.name),
                description=given.get("description"),
                tags=tags,
                if_exists=IfExists(given.get("ifExists", IfExists.ADOPT)),
                on_failure=OnFailure(given.get("onFailure", OnFailure.KEEP)),
                retries=given.get("retries", 0),
                smoke_test=_smoke_test(given.get("smokeTest")),
                expires_after=expires_after,
            )


def _payload(request: AnyRequest, event: object = None) -> list[object]:
    """Return what a request asks for, by which a repetition is told from another request under the same id.

    Left out is how it is handled: `timeout`, `priority`, `tenant`, and who waits for the answer, which Step Functions
    changes with each retry. An event is told by its content where its id is the request's: the rule may change meanwhile.
    """
    if event is not None:
        return ["event", json.dumps(event, sort_keys=True)]
    head: list[object] = [request.action, request.name, request.target]
    match request:
        case Deploy():
            head += [request.requested_model, request.description, sorted(request.tags), request.if_exists, request.on_failure]
            return [*head, request.retries, _asked_test(request.smoke_test), request.expires_after]
        case Update():
            return [*head, request.model_arn, request.rollback, request.force, _asked_test(request.smoke_test)]
        case Delete():
            return [*head, request.force, request.if_expired]
        case Cancel():
            return [*head, request.delete]


def _asked_test(test: SmokeTest | None) -> object:
    return None if test is None else astuple(test)


def _smoke_test(given: Mapping[str, Any] | None) -> SmokeTest | None:
    if given is None:
        return None
    return SmokeTest(
        prompt=given["prompt"],
        max_tokens=given.get("maxTokens", DEFAULT_MAX_TOKENS),
        expect=given.get("expect"),
        gate=given.get("gate", True),
    )
