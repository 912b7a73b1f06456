"""Permission to ask: who may ask for what. The first rule that is for a sender decides; what no rule is for is refused.

A rule permits whatever it does not restrict. Who the sender is, SQS says; for what was handed on, whoever sent it first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from slipway.core.requests.fields import ACTION, IDENTIFIER, JOB, MODEL, NAME, PRIORITY, TAGS, TARGET, TENANT
from slipway.core.requests.models import AnyRequest, Cancel, Delete, Deploy, IfExists, OnFailure, Update
from slipway.core.requests.ownership import is_same_sender
from slipway.core.schema.fields import Field, FieldKind, problems
from slipway.core.schema.pattern_operators import wildcard
from slipway.core.schema.rejection import RejectionCode, RequestRejected, quote
from slipway.core.schema.rule_file import read_rules
from slipway.core.sqs.messages import is_sent_by

R = TypeVar("R", bound=AnyRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionRule:
    """What some senders may ask for. Patterns are of whole texts, with * for any characters; none at all permit all."""

    name: str
    senders: tuple[str, ...] = ()
    """Patterns of SQS's `SenderId`; without any, it is for everybody."""
    actions: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    """Patterns of the names of targets; a request that names none has the default's."""
    models: tuple[str, ...] = ()
    """Patterns of what is to be served: a model's ARN, or the ARN or name of the job that makes it."""
    names: tuple[str, ...] = ()
    """Patterns of the names of deployments."""
    force_tags: tuple[tuple[str, str], ...] = ()
    """What every deployment is tagged with, whatever the request says."""
    allow_tags: tuple[str, ...] | None = None
    """Patterns of the keys of tags that may be given; None for any, which is not the same as no pattern."""
    max_priority: int | None = None
    tenants: tuple[str, ...] = ()
    """Patterns of the tenants that may be named."""
    force_tenant: str | None = None
    """The tenant of every request, whatever the request says."""

    def is_for(self, sender: str | None) -> bool:
        """Whether it decides about what this sender asks for."""
        return not self.senders or (sender is not None and _fits(sender, self.senders))

    def objections(self, request: AnyRequest) -> Iterator[tuple[str, str]]:
        """Find what it does not permit: the key, and what is so of it, to follow "does not permit" in a sentence."""
        for key, action, said in _actions_of(request):
            if not self._permits(action):
                yield key, f"{said}, only {', '.join(self.actions)}"
        tenant = request.tenant
        if tenant is not None and self.force_tenant is None and self.tenants and not _fits(tenant, self.tenants):
            yield TENANT.name, f"{TENANT.name} {quote(tenant)}, only {', '.join(self.tenants)}"
        if isinstance(request, Cancel):
            return  # what it reaches is judged when that is found: see `may_cancel`
        if self.targets and not _fits(request.target, self.targets):
            yield TARGET.name, f"{TARGET.name} {quote(request.target)}, only {', '.join(self.targets)}"
        if not self._permits_name(request):
            key = NAME.name if isinstance(request, Deploy) else IDENTIFIER.name
            said = ", by their names" if request.is_by_arn else ""
            yield key, f"{key} {quote(request.name)}, only {', '.join(self.names)}{said}"
        key, model = _model_of(request)
        if model and self.models and not _fits(model, self.models):
            yield key, f"{key} {quote(model)}, only {', '.join(self.models)}"
        if isinstance(request, Deploy):
            if self.max_priority is not None and request.priority > self.max_priority:
                yield PRIORITY.name, f"{PRIORITY.name} {request.priority}, only up to {self.max_priority}"
            yield from self._of_tags(request)

    def allows_delete(self, request: AnyRequest) -> bool:
        """Return whether it permits to delete the deployment that a request is about."""
        is_there = not self.targets or _fits(request.target, self.targets)
        return is_there and self._permits(Delete.action) and self._permits_name(request)

    def _permits_name(self, request: AnyRequest) -> bool:
        """Return whether it permits the name of the deployment. An ARN does not tell it: only "*" permits whatever it is."""
        if not self.names:
            return True
        return "*" in self.names if request.is_by_arn else _fits(request.name, self.names)

    def _permits(self, action: str) -> bool:
        return not self.actions or action in self.actions

    def _of_tags(self, request: Deploy) -> Iterator[tuple[str, str]]:
        forced = dict(self.force_tags)
        for key, _ in request.tags:
            if self.allow_tags is not None and key not in forced and not _fits(key, self.allow_tags):
                yield TAGS.name, f"the tag {quote(key)} in {TAGS.name}, only {', '.join(self.allow_tags) or 'none'}"
        if TAGS.most is not None and (count := len(self.tagged(request))) > TAGS.most:
            yield TAGS.name, f"so many {TAGS.name}: with those that it adds they are {count}, more than {TAGS.most:g}"

    def tagged(self, request: Deploy) -> tuple[tuple[str, str], ...]:
        """Answer the request's tags, with those that are forced: the same if it is done twice."""
        forced = dict(self.force_tags)
        return (*((key, value) for key, value in request.tags if key not in forced), *self.force_tags)


def check_permission(request: R, sender: str | None, rules: Sequence[PermissionRule], own: str | None = None) -> R:
    """Answer the request as it may be done: with the name of its rule, and the tags that the rule forces.

    Without rules everything may. `own` is Slipway's own `SenderId`: of what Slipway itself asks for, the deletion of what
    has expired needs no rule. Raises `RequestRejected`, which names the rule, the key and the remedy.
    """
    if not rules or (isinstance(request, Delete) and request.if_expired and own is not None and is_sent_by(sender, own)):
        return request
    rule = next((each for each in rules if each.is_for(sender)), None)
    if rule is None:
        said = f"the sender {quote(sender)}" if sender is not None else "a sender that SQS does not name"
        text = f"no rule of the permissions is for {said}; have it added to the senders of one"
        raise RequestRejected(RejectionCode.NOT_PERMITTED, text, None, request.request_id, request.reply_target)
    for key, said in rule.objections(request):
        text = f"rule {quote(rule.name)} does not permit {said}; ask for what it permits, or have the rule changed"
        raise RequestRejected(RejectionCode.NOT_PERMITTED, text, key, request.request_id, request.reply_target)
    if isinstance(request, Deploy):
        request = replace(request, tags=rule.tagged(request))
    return replace(request, rule=rule.name, tenant=request.tenant if rule.force_tenant is None else rule.force_tenant)


def may_cancel(cancel: Cancel, request: AnyRequest, rules: Sequence[PermissionRule]) -> bool:
    """Return whether a cancel may end a request.

    Without rules any may. With rules, that of the request's own sender, if the same rule is for both: sessions of one role
    may have different rules. And that of any other sender whose rule permits to delete the deployment that the request is
    about. A cancel that deletes needs that in any case.
    """
    if not rules:
        return True
    rule = next((each for each in rules if each.name == cancel.rule), None)
    if rule is not None and rule.allows_delete(request):
        return True
    return not cancel.delete and cancel.rule == request.rule and is_same_sender(cancel.owner, request.owner)


def _actions_of(request: AnyRequest) -> Iterator[tuple[str, str, str]]:
    """Answer the actions that a request takes, each with the key that says so, and how it is said."""
    yield ACTION.name, request.action, f"{ACTION.name} {quote(request.action)}"
    for key, action, said in _options_of(request):
        yield key, action, f"{said}, which takes the action {action}"


def _options_of(request: AnyRequest) -> Iterator[tuple[str, str, str]]:
    """Find the options by which a request deletes or updates a deployment, which nobody may who may only deploy or cancel."""
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


def _model_of(request: AnyRequest) -> tuple[str, str]:
    match request:
        case Deploy(customization_job=job) if job:
            return JOB.name, job
        case Deploy(model_arn=model) | Update(model_arn=model):
            return MODEL.name, model
    return MODEL.name, ""


def _fits(text: str, patterns: Sequence[str]) -> bool:
    return any(wildcard(each)(text) for each in patterns)


TABLE: Final = "rule"
_MOST: Final = 100
_LETTERS: Final = r" -\[\]-~"
"""What can be typed, but for the backslash: no name has one."""


def _patterns(name: str, what: str, example: str, *, least: int = 1) -> Field:
    return Field(
        name=name,
        kind=FieldKind.LIST,
        least=least,
        most=_MOST,
        each=Field(
            name="pattern",
            kind=FieldKind.TEXT,
            least=1,
            most=1011,
            letters=_LETTERS,
            pattern=r"\*?(?:[^*]+\*)*[^*]*",
            doc=f"A pattern of {what}; never two stars in a row.",
        ),
        doc=f"Patterns of {what}, with * for any characters. Left out: any.",
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
        doc="What events, logs and errors call the rule.",
        remedy="use 1 to 64 letters, digits, and . _ - after the first",
        examples=("support",),
    ),
    _patterns("senders", "SQS's SenderId", "AROAEXAMPLEROLEID0001:*"),
    Field(
        name="actions",
        kind=FieldKind.LIST,
        least=1,
        most=_MOST,
        each=ACTION,
        doc="What may be done. Left out: everything.",
        remedy=f"use a list of some of {', '.join(ACTION.choices)}, or leave the key out",
        examples=(["deploy", "update"],),
    ),
    _patterns("targets", "the names of targets", "research"),
    _patterns("models", "the ARNs of models, and the ARNs or names of the jobs that make them", "*/amazon.nova-lite-v1:*"),
    _patterns("names", "the names of deployments", "support-*"),
    replace(
        TAGS,
        name="force_tags",
        doc="Tags that every deployment gets, whatever the request says of them.",
        remedy='use a list of tags like { key = "team", value = "support" }, or leave the key out',
    ),
    _patterns("allow_tags", "the keys of tags that may be given", "cost-*", least=0),
    replace(
        PRIORITY,
        name="max_priority",
        doc="The highest priority that a deploy may ask for. Left out: any.",
        remedy=f"{PRIORITY.remedy}, or leave the key out",
    ),
    _patterns("tenants", "the tenants that may be named; a request that names none is permitted", "support"),
    replace(
        TENANT,
        name="force_tenant",
        doc="The tenant of every request, whatever the request says. Left out: the one that the request names.",
        remedy=f"{TENANT.remedy}, or leave the key out",
    ),
)


class WrongPermissions(ValueError):
    """Rules that cannot be used: one sentence names the rule, the key, what is wrong and the remedy."""


def read_permissions(given: Mapping[str, object]) -> tuple[PermissionRule, ...]:
    """Read the rules of a file. Raises `WrongPermissions`."""
    return read_rules(given, TABLE, _rule, WrongPermissions)


def _rule(table: Mapping[str, object], place: int) -> PermissionRule:
    name = table.get("name")
    called = quote(name) if isinstance(name, str) else str(place)
    for problem in problems(FIELDS, table):
        raise WrongPermissions(f"rule {called}: {problem.text}")
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    forced = tuple((tag["key"], tag["value"]) for tag in given.pop("force_tags", ()))
    return PermissionRule(**given, force_tags=forced)
