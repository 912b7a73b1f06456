"""Parse a message into a request, with every check that needs no call to AWS; and admit it by the operator's rules."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import islice
from typing import Any, Final

from slipway.core.requests.envelopes import PipelineStopping, check_reply_target, is_event, normalize, read_reply_target, unwrap
from slipway.core.requests.fields import (
    ACTION,
    CANCELS,
    DEFAULT_MAX_TOKENS,
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
    FIELDS_OF,
    AnyRequest,
    Cancel,
    Delete,
    Deploy,
    IfExists,
    OnFailure,
    SmokeTest,
    Update,
    request_schema,
)
from slipway.core.requests.ownership import owner_of
from slipway.core.requests.targets import DEFAULT, Target, Targets
from slipway.core.rules.permissions import PermissionRule, check_permission
from slipway.core.rules.triggers import NoMatchingTrigger, Trigger, first_match
from slipway.core.schema.fields import Field, FieldProblem, compiled, duration_seconds, problems, value_problem
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
"""For callers without settings. A test compares it with the default of the setting `timeout`."""
_MOST_PROBLEMS: Final = 10
_NOT_FOR_TAGS = re.compile(r"[^A-Za-z0-9_.:/=+@-]")
_LONGEST_TAG_VALUE: Final = 256


def parse_request(
    message: Message, targets: Targets, default_timeout: float = DEFAULT_TIMEOUT_SECONDS, triggers: Sequence[Trigger] = ()
) -> AnyRequest:
    """Return the request in a message, as `parse_delivery` does."""
    return parse_delivery(Delivery.of(message), targets, default_timeout, triggers)


def parse_delivery(
    delivery: Delivery, targets: Targets, default_timeout: float = DEFAULT_TIMEOUT_SECONDS, triggers: Sequence[Trigger] = ()
) -> AnyRequest:
    """Return the request in a delivery after every check that needs no call to AWS.

    With `triggers`, the first matching trigger makes a request from an upstream event. The same message always gives the same
    result. Raises `RequestRejected`, `NoMatchingTrigger` or `PipelineStopping`, and nothing else, whatever the message holds.
    """
    body, trigger, event = _read(delivery.message.body, triggers)
    faults = list(islice(_request_problems(body, targets), _MOST_PROBLEMS))
    if faults:
        prefix = f"trigger {quote(trigger.name)} made an invalid request: " if trigger else ""
        raise _rejected(faults, body, prefix)
    request = _request(body, delivery.origin, default_timeout, trigger.name if trigger else None)
    is_events_id = event is not None and request.identity == request.request_id == event.get("id")
    payload = _payload(request, event if is_events_id else None)
    return replace(request, owner=owner_of(delivery.first_sender, payload))


def body_object(text: str, triggers: Sequence[Trigger]) -> tuple[dict[str, object], Trigger | None]:
    """Return the request in a body in plain form, unchecked, and the trigger that made it. Raises as `parse_request` does."""
    body, trigger, _ = _read(text, triggers)
    return body, trigger


def _read(text: str, triggers: Sequence[Trigger]) -> tuple[dict[str, object], Trigger | None, Mapping[str, object] | None]:
    body = unwrap(text, keep_event=bool(triggers))
    if not triggers or not is_event(body):
        return normalize(body), None, None
    trigger = first_match(triggers, body)
    return normalize(trigger.make(body)), trigger, body


def client_token(request: Deploy, generation: int = 0, spent_tokens: int = 0) -> str:
    """Return the `clientRequestToken` of a create call, always the same for the same request and in the form Bedrock accepts.

    `generation` counts deployments of earlier attempts; the continuation stores it (`Decisions.attempt`). `spent_tokens` counts
    tokens for which Bedrock returned a deployment that no longer exists. It is not stored: a consumer that starts again with
    the first token gets the same responses and counts them again.
    """
    void_part = [f"void {spent_tokens}"] if spent_tokens else []
    identity = json.dumps(
        [request.identity, request.name, request.requested_model, generation, *request.identity_scope, *void_part]
    )
    return f"slipway-{hashlib.sha256(identity.encode()).hexdigest()}"


def _request_problems(body: Mapping[str, object], targets: Targets) -> Iterator[FieldProblem]:
    action = body.get(ACTION.name, "deploy")
    if fault := value_problem(ACTION, action):
        yield FieldProblem(RejectionCode.INVALID_FIELD, ACTION.name, f"{ACTION.name} {fault}", ACTION.remedy)
        return
    yield from problems(FIELDS_OF[str(action)], body)
    target_name = body.get(TARGET.name, DEFAULT)
    if value_problem(TARGET, target_name) is not None:
        return
    if target_name not in targets:
        problem = f"{TARGET.name} {quote(str(target_name))} is not a target"
        yield FieldProblem(RejectionCode.INVALID_FIELD, TARGET.name, problem, f"use one of {', '.join(targets)}")
        return
    target = targets[str(target_name)]
    for field, pattern in ((MODEL, MODEL_ARN), (JOB, JOB_ARN), (IDENTIFIER, DEPLOYMENT_ARN)):
        yield from _foreign_arns(field, pattern, body.get(field.name), target, targets)
    yield from _rule_violations(body, target)


def _foreign_arns(field: Field, pattern: str, arn: object, target: Target, targets: Targets) -> Iterator[FieldProblem]:
    """Yield the problems of a valid ARN that is not in the target's account and Region."""
    match = compiled(pattern).fullmatch(arn) if isinstance(arn, str) else None
    home = target.home

    if match is None or match.groups() == (home.partition, home.region, home.account) or value_problem(field, arn) is not None:
        return
    partition, region, account = match.groups()
    rows = (
        (RejectionCode.WRONG_PARTITION, "partition", partition, home.partition),
        (RejectionCode.WRONG_ACCOUNT, "account", account, home.account if target.is_account_known else account),
        (RejectionCode.WRONG_REGION, "Region", region, home.region),
    )
    owner = "this daemon" if target.name == DEFAULT else f"target {target.name}"
    other_target = next((candidate.name for candidate in targets.values() if candidate.is_home_of(str(arn))), None)
    for code, part, given, expected in rows:
        if given != expected:
            noun = {MODEL.name: "model", JOB.name: "job"}.get(field.name, "deployment")
            alternative = f"use the target {other_target}" if other_target else f"send the request to a daemon in {given}"
            remedy = f"use a {noun} in {expected}, or {alternative}"
            text = f"{field.name} is in {part} {given}, but {owner} deploys in {part} {expected}"
            yield FieldProblem(code, field.name, text, remedy)


def _rule_violations(body: Mapping[str, object], target: Target) -> Iterator[FieldProblem]:
    """Yield the problems of a model or name that the target's rules forbid. The model of a job is checked once it is known."""
    for field, find_fault in ((MODEL, target.model_fault), (NAME, target.name_fault), (IDENTIFIER, target.name_fault)):
        text = body.get(field.name)
        if not isinstance(text, str) or (fault := find_fault(text)) is None or value_problem(field, text) is not None:
            continue
        is_by_arn = field is IDENTIFIER and text.startswith("arn:")
        if is_by_arn and body.get("ifExpired") is True:
            continue  # Slipway's own request, which deletes only what Slipway created
        remedy = (
            "use the deployment's name instead of its ARN: the target's rules are about names"
            if is_by_arn
            else "use a model or name that the target's rules allow, or another target"
        )
        yield FieldProblem(RejectionCode.NOT_ALLOWED, field.name, f"{field.name} {quote(text)} {fault}", remedy)


def _rejected(faults: list[FieldProblem], body: Mapping[str, object], prefix: str) -> RequestRejected:
    first, others = faults[0], len(faults) - 1
    noun = "problem" if others == 1 else "problems"
    tail = f" (and {'at least ' if len(faults) == _MOST_PROBLEMS else ''}{others} more {noun})" if others else ""
    return RequestRejected(first.code, prefix + first.text + tail, first.field, _readable_id(body), read_reply_target(body))


def _readable_id(body: Mapping[str, object]) -> str | None:
    """Return the id of an invalid request, if its own fields for it are valid."""
    for field in (REQUEST_ID, TOKEN):
        value = body.get(field.name)
        if isinstance(value, str) and value_problem(field, value) is None:
            return value
    return None


def _request(body: Mapping[str, Any], origin: str, default_timeout: float, trigger: str | None) -> AnyRequest:
    """Return the request of a body that `problems` has found valid."""
    identity: str = body.get(TOKEN.name) or body.get(REQUEST_ID.name) or origin
    timeout = duration_seconds(body.get("timeout"))
    timeout = float(timeout if timeout is not None else default_timeout)
    expires_after = duration_seconds(body.get("expiresAfter"))
    common: dict[str, Any] = {
        "identity": identity,
        "request_id": body.get(REQUEST_ID.name) or _NOT_FOR_TAGS.sub("_", identity)[:_LONGEST_TAG_VALUE],
        "name": body.get(NAME.name) or body.get(IDENTIFIER.name) or body.get(CANCELS.name),
        # A deployment that would expire first is not created.
        "timeout": timeout if expires_after is None else min(timeout, expires_after),
        "priority": body.get("priority", 0),
        "tenant": body.get("tenant"),
        "target": body.get(TARGET.name, DEFAULT),
        "trigger": trigger,
        "reply_target": read_reply_target(body),
    }
    match body.get(ACTION.name, "deploy"):
        case "update":
            flags = {name: body.get(name, False) for name in ("rollback", "force")}
            return Update(**common, model_arn=body[MODEL.name], **flags, smoke_test=_smoke_test(body.get("smokeTest")))
        case "cancel":
            common["timeout"] = timeout if "timeout" in body else min(timeout, DEFAULT_CANCEL_SECONDS)
            return Cancel(**common, delete=body.get("deployment") == "delete")
        case "delete":
            return Delete(**common, force=body.get("force", False), if_expired=body.get("ifExpired", False))
        case _:
            tags = tuple((tag["key"], tag["value"]) for tag in body.get("tags", ()))
            return Deploy(
                **common,
                model_arn=body.get(MODEL.name, ""),
                customization_job=body.get(JOB.name),
                description=body.get("description"),
                tags=tags,
                if_exists=IfExists(body.get("ifExists", IfExists.ADOPT)),
                on_failure=OnFailure(body.get("onFailure", OnFailure.KEEP)),
                retries=body.get("retries", 0),
                smoke_test=_smoke_test(body.get("smokeTest")),
                expires_after=expires_after,
            )


def _payload(request: AnyRequest, event: object = None) -> list[object]:
    """Return the payload of a request as a JSON value: it distinguishes a repetition from another request with the same id.

    It excludes how the request is handled (`timeout`, `priority`, `tenant`) and the reply target, which Step Functions changes
    with each retry. If the id of an event is the request's, the payload is the event: the trigger may change meanwhile.
    """
    if event is not None:
        return ["event", json.dumps(event, sort_keys=True)]
    head: list[object] = [request.action, request.name, request.target]
    match request:
        case Deploy():
            head += [request.requested_model, request.description, sorted(request.tags), request.if_exists, request.on_failure]
            return [*head, request.retries, _test_payload(request.smoke_test), request.expires_after]
        case Update():
            return [*head, request.model_arn, request.rollback, request.force, _test_payload(request.smoke_test)]
        case Delete():
            return [*head, request.force, request.if_expired]
        case Cancel():
            return [*head, request.delete]


def _test_payload(test: SmokeTest | None) -> object:
    return None if test is None else astuple(test)


def _smoke_test(fields: Mapping[str, Any] | None) -> SmokeTest | None:
    if fields is None:
        return None
    return SmokeTest(
        prompt=fields["prompt"],
        max_tokens=fields.get("maxTokens", DEFAULT_MAX_TOKENS),
        expect=fields.get("expect"),
        gate=fields.get("gate", True),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The settings that decide whether the request in a message is accepted."""

    targets: Targets
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    triggers: Sequence[Trigger] = ()
    reply_to: Sequence[str] = ()
    permissions: Sequence[PermissionRule] = ()
    own_sender: str | None = None

    def admit(self, delivery: Delivery, sender: str | None) -> AnyRequest:
        """Return the accepted request in a delivery from this sender.

        Raises `RequestRejected`, `NoMatchingTrigger` and `PipelineStopping`.
        """
        request = parse_delivery(delivery, self.targets, self.timeout, self.triggers)
        check_reply_target(request.reply_target, self.reply_to, request.request_id)
        return check_permission(request, sender, self.permissions, self.own_sender)
