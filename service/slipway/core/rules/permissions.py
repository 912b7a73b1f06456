"""Permission rules: which sender may send which requests. The first rule for a sender decides; without one it is refused.

A rule permits whatever it does not restrict. The sender is the `SenderId` that SQS returned; for a continuation, that of the
first message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from slipway.core.requests.fields import ACTION, IDENTIFIER, JOB, MODEL, NAME, PRIORITY, TAGS, TARGET, TENANT
from slipway.core.requests.models import AnyRequest, Cancel, Delete, Deploy, IfExists, OnFailure, Update
from slipway.core.requests.ownership import is_same_sender
from slipway.core.schema.fields import Field, FieldKind, problems, read_rules
from slipway.core.schema.pattern_operators import wildcard
from slipway.core.schema.rejection import ErrorWithRemedy, RejectionCode, RequestRejected, quote
from slipway.core.sqs.messages import is_sent_by

R = TypeVar("R", bound=AnyRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionRule:
    """What some senders may request. A pattern matches the whole text, with * for any characters; no patterns permit all."""

    name: str
    senders: tuple[str, ...] = ()
    """Patterns of SQS's `SenderId`; without any, the rule is for all senders."""
    actions: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    """Patterns of target names; a request without a target has the default target."""
    models: tuple[str, ...] = ()
    """Patterns of the requested model: its ARN, or the ARN or name of its customization job."""
    names: tuple[str, ...] = ()
    """Patterns of deployment names."""
    force_tags: tuple[tuple[str, str], ...] = ()
    """Tags of every deployment, which override those of the request."""
    allow_tags: tuple[str, ...] | None = None
    """Patterns of the tag keys that a request may have; None allows any, an empty tuple none."""
    max_priority: int | None = None
    tenants: tuple[str, ...] = ()
    """Patterns of the tenants that a request may have."""
    force_tenant: str | None = None
    """The tenant of every request, which overrides that of the request."""

    def is_for(self, sender: str | None) -> bool:
        """Return whether the rule is for this sender."""
        return not self.senders or (sender is not None and _matches_any(sender, self.senders))

    def objections(self, request: AnyRequest) -> Iterator[tuple[str, str]]:
        """Yield what the rule does not permit: the key, and the object of the sentence "the rule does not permit"."""
        for key, action, description in _required_actions(request):
            if not self._permits(action):
                yield key, f"{description}, only {', '.join(self.actions)}"
        tenant = request.tenant
        if tenant is not None and self.force_tenant is None and self.tenants and not _matches_any(tenant, self.tenants):
            yield TENANT.name, f"{TENANT.name} {quote(tenant)}, only {', '.join(self.tenants)}"
        if isinstance(request, Cancel):
            return  # checked when the request to cancel is found: see `may_cancel`
        if self.targets and not _matches_any(request.target, self.targets):
            yield TARGET.name, f"{TARGET.name} {quote(request.target)}, only {', '.join(self.targets)}"
        if not self._permits_name(request):
            key = NAME.name if isinstance(request, Deploy) else IDENTIFIER.name
            description = ", by their names" if request.is_by_arn else ""
            yield key, f"{key} {quote(request.name)}, only {', '.join(self.names)}{description}"
        key, model = _requested_model(request)
        if model and self.models and not _matches_any(model, self.models):
            yield key, f"{key} {quote(model)}, only {', '.join(self.models)}"
        if isinstance(request, Deploy):
            if self.max_priority is not None and request.priority > self.max_priority:
                yield PRIORITY.name, f"{PRIORITY.name} {request.priority}, only up to {self.max_priority}"
            yield from self._tag_objections(request)

    def allows_delete(self, request: AnyRequest) -> bool:
        """Return whether the rule permits deleting a request's deployment."""
        is_there = not self.targets or _matches_any(request.target, self.targets)
        return is_there and self._permits(Delete.action) and self._permits_name(request)

    def _permits_name(self, request: AnyRequest) -> bool:
        """Return whether the rule permits the deployment's name. Only the pattern "*" permits an ARN, which has no name."""
        if not self.names:
            return True
        return "*" in self.names if request.is_by_arn else _matches_any(request.name, self.names)

    def _permits(self, action: str) -> bool:
        return not self.actions or action in self.actions

    def _tag_objections(self, request: Deploy) -> Iterator[tuple[str, str]]:
        forced = dict(self.force_tags)
        for key, _ in request.tags:
            if self.allow_tags is not None and key not in forced and not _matches_any(key, self.allow_tags):
                yield TAGS.name, f"the tag {quote(key)} in {TAGS.name}, only {', '.join(self.allow_tags) or 'none'}"
        if TAGS.most is not None and (count := len(self.tagged(request))) > TAGS.most:
            yield TAGS.name, f"so many {TAGS.name}: with those that it adds they are {count}, more than {TAGS.most:g}"

    def tagged(self, request: Deploy) -> tuple[tuple[str, str], ...]:
        """Return the request's tags with the forced ones. Idempotent."""
        forced = dict(self.force_tags)
        return (*((key, value) for key, value in request.tags if key not in forced), *self.force_tags)


def check_permission(request: R, sender: str | None, rules: Sequence[PermissionRule], own: str | None = None) -> R:
    """Return the permitted request, with the rule's name and its forced tags and tenant.

    Without rules every request is permitted. `own` is Slipway's own `SenderId`: its deletes of expired deployments need no
    rule. Raises `RequestRejected` with the rule, the key and the remedy.
    """
    if not rules or (isinstance(request, Delete) and request.if_expired and own is not None and is_sent_by(sender, own)):
        return request
    rule = next((candidate for candidate in rules if candidate.is_for(sender)), None)
    if rule is None:
        description = f"the sender {quote(sender)}" if sender is not None else "a message without SenderId"
        text = f"no permission rule is for {description}; have it added to the senders of one"
        raise RequestRejected(RejectionCode.NOT_PERMITTED, text, None, request.request_id, request.reply_target)
    for key, description in rule.objections(request):
        text = f"rule {quote(rule.name)} does not permit {description}; change the request, or have the rule changed"
        raise RequestRejected(RejectionCode.NOT_PERMITTED, text, key, request.request_id, request.reply_target)
    if isinstance(request, Deploy):
        request = replace(request, tags=rule.tagged(request))
    return replace(request, rule=rule.name, tenant=request.tenant if rule.force_tenant is None else rule.force_tenant)


def may_cancel(cancel: Cancel, request: AnyRequest, rules: Sequence[PermissionRule]) -> bool:
    """Return whether a cancel may end a request.

    Without rules any cancel may. With rules, a cancel of the request's own sender may, if the same rule is for both: sessions
    of one role may have different rules. A cancel of another sender may if its rule permits deleting the request's deployment.
    A cancel that deletes always needs that permission.
    """
    if not rules:
        return True
    rule = next((candidate for candidate in rules if candidate.name == cancel.rule), None)
    if rule is not None and rule.allows_delete(request):
        return True
    return not cancel.delete and cancel.rule == request.rule and is_same_sender(cancel.owner, request.owner)


def _required_actions(request: AnyRequest) -> Iterator[tuple[str, str, str]]:
    """Yield the actions that a request needs permission for, each with its key and a description."""
    yield ACTION.name, request.action, f"{ACTION.name} {quote(request.action)}"
    for key, action, description in _options_with_actions(request):
        yield key, action, f"{description}, which needs the action {action}"


def _options_with_actions(request: AnyRequest) -> Iterator[tuple[str, str, str]]:
    """Yield the options that delete or update a deployment, which deploy or cancel alone does not permit."""
    match request:
        case Cancel(delete=True):
            yield "deployment", Delete.action, f"deployment {quote('delete')}"
        case Deploy():
            if request.if_exists is IfExists.UPDATE:
                yield "ifExists", Update.action, f"ifExists {quote(request.if_exists)}"
            if request.if_exists is IfExists.REPLACE:
                yield "ifExists", Delete.action, f"ifExists {quote(request.if_exists)}"
            if request.on_failure is OnFailure.DELETE:
                yield "onFailure", Delete.action, f"onFailure {quote(request.on_failure)}"
            if request.retries:
                yield "retries", Delete.action, f"retries {request.retries}"
            if request.expires_after is not None:
                yield "expiresAfter", Delete.action, "expiresAfter"


def _requested_model(request: AnyRequest) -> tuple[str, str]:
    match request:
        case Deploy(customization_job=job) if job:
            return JOB.name, job
        case Deploy(model_arn=model) | Update(model_arn=model):
            return MODEL.name, model
    return MODEL.name, ""


def _matches_any(text: str, patterns: Sequence[str]) -> bool:
    return any(wildcard(pattern)(text) for pattern in patterns)


TABLE: Final = "rule"
_MOST_ENTRIES: Final = 100
_LETTERS: Final = r" -\[\]-~"
"""Printable ASCII without the backslash, which no name has."""


def _patterns(name: str, subject: str, example: str, *, least: int = 1) -> Field:
    return Field(
        name=name,
        kind=FieldKind.LIST,
        least=least,
        most=_MOST_ENTRIES,
        each=Field(
            name="pattern",
            kind=FieldKind.TEXT,
            least=1,
            most=1011,
            letters=_LETTERS,
            pattern=r"\*?(?:[^*]+\*)*[^*]*",
            doc=f"A pattern of {subject}; never two stars in a row.",
        ),
        doc=f"Patterns of {subject}, with * for any characters. Without it: any.",
        remedy=f'use a list of patterns, with single stars for any characters, like ["{example}"], or leave the key out',
        examples=([example],),
    )


FIELDS: Final = (
    Field(
        name="name",
        kind=FieldKind.TEXT,
        required=True,
        least=1,
        most=64,
        letters=r"A-Za-z0-9_.\-",
        pattern=r"[A-Za-z0-9][A-Za-z0-9_.\-]*",
        doc="Name of the rule in events, logs and errors.",
        remedy="use 1 to 64 letters, digits, and . _ - after the first",
        examples=("support",),
    ),
    _patterns("senders", "SQS's SenderId", "AROAEXAMPLEROLEID0001:*"),
    Field(
        name="actions",
        kind=FieldKind.LIST,
        least=1,
        most=_MOST_ENTRIES,
        each=ACTION,
        doc="Actions that are permitted. Without it: all.",
        remedy=f"use a list of some of {', '.join(ACTION.choices)}, or leave the key out",
        examples=(["deploy", "update"],),
    ),
    _patterns("targets", "the names of targets", "research"),
    _patterns("models", "the ARNs of models, and the ARNs or names of the jobs that make them", "*/amazon.nova-lite-v1:*"),
    _patterns("names", "the names of deployments", "support-*"),
    replace(
        TAGS,
        name="force_tags",
        doc="Tags of every deployment, which override those of the request.",
        remedy='use a list of tags like { key = "team", value = "support" }, or leave the key out',
    ),
    _patterns("allow_tags", "the keys of tags that may be given", "cost-*", least=0),
    replace(
        PRIORITY,
        name="max_priority",
        doc="Highest priority that a deploy may have. Without it: any.",
        remedy=f"{PRIORITY.remedy}, or leave the key out",
    ),
    _patterns("tenants", "the tenants that may be named; a request that names none is permitted", "support"),
    replace(
        TENANT,
        name="force_tenant",
        doc="Tenant of every request, which overrides that of the request. Without it: the request's own.",
        remedy=f"{TENANT.remedy}, or leave the key out",
    ),
)


class WrongPermissions(ErrorWithRemedy):
    """A permission file is invalid. The message has the rule, the key, the problem and the remedy."""


def read_permissions(given: Mapping[str, object]) -> tuple[PermissionRule, ...]:
    """Return the rules of a parsed permission file. Raises `WrongPermissions`."""
    return read_rules(given, TABLE, _rule, WrongPermissions)


def _rule(table: Mapping[str, object], number: int) -> PermissionRule:
    name = table.get("name")
    label = quote(name) if isinstance(name, str) else str(number)
    for problem in problems(FIELDS, table):
        raise WrongPermissions(f"rule {label}: {problem.problem}", problem.remedy)
    attributes: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    force_tags = tuple((tag["key"], tag["value"]) for tag in attributes.pop("force_tags", ()))
    return PermissionRule(**attributes, force_tags=force_tags)
