"""The tables of further targets in a settings file: their fields, their parsing, and the example in the shipped file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from slipway.core.requests.fields import TARGET
from slipway.core.requests.targets import DEFAULT, Role, TargetRules, TargetSettings
from slipway.core.schema.fields import Field, FieldKind, problems, value_problem
from slipway.core.schema.rejection import ErrorWithRemedy, quote
from slipway.settings.fields import wrapped, written

TABLE: Final = "targets"
_HEAD: Final = (
    "Targets: further accounts and Regions for deployments, each a table with a name of your choice. A request has the name "
    "of one as its target; the default target is the daemon's own account and the SDK's Region, unless [targets.default] sets "
    "others. Only in a settings file."
)
_DEFAULT_SESSION: Final = "slipway"
_STS_LETTERS: Final = r"0-9A-Za-z_+=,.@\-"


def _patterns(subject: str) -> Field:
    return Field(
        name="pattern",
        kind=FieldKind.TEXT,
        least=1,
        most=1011,
        letters=r"0-9A-Za-z_:/.*\-",
        pattern=r"\*?(?:[^*]+\*)*[^*]*",
        doc=f"A pattern of {subject}, with * for any characters; never two in a row.",
    )


FIELDS: Final = (
    Field(
        name="region",
        kind=FieldKind.TEXT,
        least=1,
        most=20,
        letters=r"a-z0-9\-",
        pattern=r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+",
        doc="Region. Without it: the SDK's.",
        remedy="use the name of a Region, like us-west-2, or leave the key out",
        examples=("us-west-2",),
    ),
    Field(
        name="role_arn",
        kind=FieldKind.TEXT,
        least=20,
        most=2048,
        letters="!-~",
        pattern=r"arn:aws(?:-[a-z0-9\-]+)?:iam::[0-9]{12}:role/[!-~]+",
        doc="IAM role to assume; its account is the target's. Without it: Slipway's own credentials.",
        remedy="use the ARN of a role, like arn:aws:iam::210987654321:role/slipway, or leave the key out",
        examples=("arn:aws:iam::210987654321:role/slipway",),
    ),
    Field(
        name="external_id",
        kind=FieldKind.TEXT,
        least=2,
        most=1224,
        letters=_STS_LETTERS + ":/",
        doc="External id, if the role's trust policy requires one.",
        remedy=r"use 2 to 1224 letters, digits and _+=,.@:/-, or leave the key out",
        examples=("slipway-research",),
    ),
    Field(
        name="session_name",
        kind=FieldKind.TEXT,
        least=2,
        most=64,
        letters=_STS_LETTERS,
        doc=f"Session name of the role, shown in CloudTrail. Without it: {_DEFAULT_SESSION}.",
        remedy="use 2 to 64 letters, digits and _+=,.@-, or leave the key out",
        examples=(_DEFAULT_SESSION,),
    ),
    Field(
        name="max_creating",
        kind=FieldKind.WHOLE,
        least=0,
        most=10_000,
        doc="The account's quota of deployments in creation at once. Without it, or 0: learned from Bedrock's responses.",
        remedy="use a whole number, 0 to 10000, or leave the key out",
        examples=(2,),
    ),
    Field(
        name="max_total",
        kind=FieldKind.WHOLE,
        least=0,
        most=100_000,
        doc="The account's quota of deployments in total. Without it, or 0: learned from Bedrock's responses.",
        remedy="use a whole number, 0 to 100000, or leave the key out",
        examples=(10,),
    ),
    Field(
        name="models",
        kind=FieldKind.LIST,
        each=_patterns("models' ARNs"),
        least=1,
        most=100,
        doc="Models that may be deployed: patterns of their whole ARNs, with * for any characters. Without it: any.",
        remedy='use a list of patterns, like ["*:custom-model/amazon.nova-lite-v1:*"], or leave the key out',
        examples=(["*:custom-model/amazon.nova-lite-v1:*"],),
    ),
    Field(
        name="names",
        kind=FieldKind.LIST,
        each=_patterns("deployments' names"),
        least=1,
        most=100,
        doc="Deployments that may be created, updated or deleted: patterns of their whole names. Without it: any.",
        remedy='use a list of patterns, like ["research-*"], or leave the key out',
        examples=(["research-*"],),
    ),
)


class WrongTarget(ErrorWithRemedy):
    """A target is invalid. The message has its name, the key, the problem and the remedy."""


def read_targets(given: object, default_rules: TargetRules) -> tuple[TargetSettings, ...]:
    """Return the targets of a settings file, the default first. `default_rules` has the quotas of the default target.

    Raises `WrongTarget`.
    """
    if not isinstance(given, Mapping):
        raise WrongTarget(f"{TABLE} is not a table of tables", f"write [{TABLE}.NAME], and the target's keys below it")
    targets = {DEFAULT: TargetSettings(DEFAULT, rules=default_rules)}
    for name, table in given.items():
        if fault := value_problem(TARGET, name):
            raise WrongTarget(
                f"[{TABLE}.{quote(name)}]: the name {fault}", "use 1 to 32 letters, digits, and - _ after the first"
            )
        targets[name] = _target(name, table, default_rules if name == DEFAULT else TargetRules())
    return tuple(targets.values())


def _target(name: str, table: object, default_rules: TargetRules) -> TargetSettings:
    if not isinstance(table, Mapping):
        raise WrongTarget(f"{TABLE}.{name} is not a table", f"write [{TABLE}.{name}], and the target's keys below it")
    for problem in problems(FIELDS, table, f"{TABLE}.{name}."):
        raise WrongTarget(problem.problem, problem.remedy)
    role = None
    if "role_arn" in table:
        role = Role(table["role_arn"], table.get("session_name", _DEFAULT_SESSION), table.get("external_id", ""))
    elif unused_key := next((key for key in ("external_id", "session_name") if key in table), None):
        raise WrongTarget(f"{TABLE}.{name}.{unused_key} has no effect without role_arn", "add that, or leave this out")
    rules = TargetRules(
        models=tuple(table.get("models", ())),
        names=tuple(table.get("names", ())),
        max_creating=table.get("max_creating", default_rules.max_creating),
        max_total=table.get("max_total", default_rules.max_total),
    )
    return TargetSettings(name, table.get("region", ""), role, rules)


def example() -> str:
    """Return the end of `config/slipway.toml`: a commented-out example of a target, valid without the comment marks."""
    lines = [wrapped(_HEAD), f"# [{TABLE}.research]"]
    for key in FIELDS:
        lines += [wrapped(key.doc), f"# {key.name} = {written(key.examples[0])}"]
    return "\n".join(lines) + "\n"
