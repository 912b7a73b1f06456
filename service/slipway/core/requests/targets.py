"""Where deployments are made: a target is one account and Region, with what its operator allows there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from slipway.core.schema.pattern_operators import wildcard

DEFAULT: Final = "default"
"""The name of the target that a request gets which names none."""
_BEDROCK_ARN: Final = re.compile(r"arn:([a-z-]+):bedrock:([a-z0-9-]+):([0-9]{12}):")


@dataclass(frozen=True, slots=True)
class Home:
    """An account and Region: where a target's deployments are, and where a model must therefore be."""

    partition: str
    account: str
    region: str


@dataclass(frozen=True, slots=True)
class Role:
    """The role that is assumed to work in a target. An `external_id` that is empty is not sent."""

    arn: str
    session_name: str
    external_id: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRules:
    """What is allowed in a target. Patterns are of the whole, with * for any characters; none at all allow all."""

    models: tuple[str, ...] = ()
    """Of the ARNs of models that may be served."""
    names: tuple[str, ...] = ()
    """Of the names of deployments that may be made, updated or deleted."""
    max_creating: int = 0
    """The account's quotas; 0 learns them from Bedrock's answers."""
    max_total: int = 0


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """A target as the settings have it. Without a `region` it is in the SDK's, without a `role` in the account of the topic."""

    name: str
    region: str = ""
    role: Role | None = None
    rules: TargetRules = TargetRules()


@dataclass(frozen=True, slots=True)
class Target:
    """A target whose place is known."""

    name: str
    home: Home
    rules: TargetRules = TargetRules()

    @property
    def shown(self) -> str | None:
        """Its name as it is shown: None for the default, as in whatever is said of a request."""
        return None if self.name == DEFAULT else self.name

    @property
    def source(self) -> str:
        """The CloudEvents source: the same for every replica, since together with the id it says what is the same."""
        return f"urn:slipway:{self.home.account}:{self.home.region}"

    def is_home_of(self, arn: str) -> bool:
        """Whether what this ARN names is in its account and Region."""
        found = _BEDROCK_ARN.match(arn)
        return found is not None and self.home == Home(found[1], found[3], found[2])

    def model_fault(self, arn: str) -> str | None:
        """Say why a model may not be served here, to follow its key in a sentence; None where it may."""
        return self._fault("models", self.rules.models, arn)

    def name_fault(self, name: str) -> str | None:
        """Say why a deployment may not have this name here, to follow its key in a sentence; None where it may."""
        return self._fault("names", self.rules.names, name)

    def _fault(self, rule: str, patterns: tuple[str, ...], word: str) -> str | None:
        if not patterns or any(wildcard(each)(word) for each in patterns):
            return None
        return f"is not allowed by the rule {rule} of target {self.name} ({', '.join(patterns)})"


Targets = Mapping[str, Target]
"""By name; the default is always there."""


def home_only(home: Home) -> Targets:
    """Answer the targets of whoever has one."""
    return {DEFAULT: Target(DEFAULT, home)}


def assumed(known: Targets, given: Mapping[str, object]) -> Targets:
    """Answer the targets as an asker sees them, whose settings may have no other than the default.

    Where the others are, stands in the daemon's settings: of whoever has not got those, a target that a request names is
    taken to be where its ARNs are.
    """
    name = given.get("target")
    if len(known) > 1 or not isinstance(name, str) or name in known:
        return known
    found = next((arn for value in given.values() if isinstance(value, str) and (arn := _BEDROCK_ARN.match(value))), None)
    return {**known, name: Target(name, Home(found[1], found[3], found[2]) if found else known[DEFAULT].home)}
