"""Targets: the accounts and Regions in which deployments are created, each with the operator's rules for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from slipway.core.schema.pattern_operators import wildcard

DEFAULT: Final = "default"
"""Name of the target of a request that names none."""
_BEDROCK_ARN: Final = re.compile(r"arn:([a-z-]+):bedrock:([a-z0-9-]+):([0-9]{12}):")


@dataclass(frozen=True, slots=True)
class Home:
    """The account and Region of a target's deployments and of their models."""

    partition: str
    account: str
    region: str


@dataclass(frozen=True, slots=True)
class Role:
    """The IAM role to assume in a target. An empty `external_id` is not sent."""

    arn: str
    session_name: str
    external_id: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRules:
    """What is allowed in a target. A pattern must match the whole text, `*` matches any characters; no patterns allow all."""

    models: tuple[str, ...] = ()
    """Patterns for the ARNs of models that may be deployed."""
    names: tuple[str, ...] = ()
    """Patterns for the names of deployments that may be created, updated or deleted."""
    max_creating: int = 0
    """Quota of deployments in creation; 0 learns it from Bedrock's responses."""
    max_total: int = 0
    """Quota of deployments in total; 0 learns it from Bedrock's responses."""


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """A target in the settings. Without `region` it is in the SDK's Region, without `role` in the daemon's own account."""

    name: str
    region: str = ""
    role: Role | None = None
    rules: TargetRules = TargetRules()


@dataclass(slots=True)
class Target:
    """A target and its account and Region."""

    name: str
    home: Home
    rules: TargetRules = TargetRules()
    is_account_known: bool = True
    """Whether `home.account` is a fact. Until STS has answered it is the topic's: a label, by which no request is judged."""

    @property
    def label(self) -> str | None:
        """Return the target's name for events and logs: None for the default target."""
        return None if self.name == DEFAULT else self.name

    @property
    def shown_account(self) -> str:
        """Its account as it is shown."""
        return self.home.account if self.is_account_known else "account unknown"

    @property
    def source(self) -> str:
        """Return the CloudEvents source. Source and id identify an event: both are the same for every replica."""
        return f"urn:slipway:{self.home.account}:{self.home.region}"

    def is_home_of(self, arn: str) -> bool:
        """Return whether an ARN is in the target's Region, and in its account if that is known."""
        match = _BEDROCK_ARN.match(arn)
        if match is None:
            return False
        account = match[3] if self.is_account_known else self.home.account
        return self.home == Home(match[1], account, match[2])

    def model_fault(self, arn: str) -> str | None:
        """Return why a model may not be deployed here, as the predicate of a sentence; None if it may."""
        return self._fault("models", self.rules.models, arn)

    def name_fault(self, name: str) -> str | None:
        """Return why a deployment may not have this name here, as the predicate of a sentence; None if it may."""
        return self._fault("names", self.rules.names, name)

    def _fault(self, rule: str, patterns: tuple[str, ...], text: str) -> str | None:
        if not patterns or any(wildcard(pattern)(text) for pattern in patterns):
            return None
        return f"is not allowed by the rule {rule} of target {self.name} ({', '.join(patterns)})"


Targets = Mapping[str, Target]
"""Targets by name, with the default always among them."""


def home_only(home: Home) -> Targets:
    """Return targets with nothing but the default."""
    return {DEFAULT: Target(DEFAULT, home)}


def with_assumed_target(targets: Targets, body: Mapping[str, object]) -> Targets:
    """Return the targets with the one that a request names, for a client whose settings have only the default.

    The other targets are in the daemon's settings. A client assumes that the target is in the account and Region of the
    request's ARNs.
    """
    name = body.get("target")
    if len(targets) > 1 or not isinstance(name, str) or name in targets:
        return targets
    match = next((arn for value in body.values() if isinstance(value, str) and (arn := _BEDROCK_ARN.match(value))), None)
    if match:
        return {**targets, name: Target(name, Home(match[1], match[3], match[2]))}
    return {**targets, name: replace(targets[DEFAULT], name=name, rules=TargetRules())}
