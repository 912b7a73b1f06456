"""Further targets, as a settings file has them: a table each. What may be given, read, and written as the example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from slipway.core.requests.fields import TARGET
from slipway.core.requests.targets import DEFAULT, Role, TargetRules, TargetSettings
from slipway.core.schema.fields import Field, FieldKind, problems, value_problem
from slipway.core.schema.rejection import quote
from slipway.settings.fields import wrapped, written

TABLE: Final = "targets"
_HEAD: Final = (
    "Targets: further accounts and Regions that deployments are made in, each a table with a name of your own. A request "
    "names one as its target, or gets the default: the topic's account and the SDK's Region, unless [targets.default] "
    "says otherwise. In a settings file only."
)
_DEFAULT_SESSION: Final = "slipway"
_STS_LETTERS: Final = r"0-9A-Za-z_+=,.@\-"


def _patterns(what: str) -> Field:
    return Field(
        name="pattern",
        kind=FieldKind.TEXT,
        least=1,
        most=1011,
        letters=r"0-9A-Za-z_:/.*\-",
        pattern=r"\*?(?:[^*]+\*)*[^*]*",
        doc=f"A pattern of {what}, with * for any characters; never two in a row.",
    )


FIELDS: Final = (
    Field(
        name="region",
        kind=FieldKind.TEXT,
        least=1,
        most=20,
        letters=r"a-z0-9\-",
        pattern=r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+",
        doc="The Region. Left out, it is the SDK's.",
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
        doc="The role that is assumed to work there; its account is the target's. Left out: Slipway's own credentials.",
        remedy="use the ARN of a role, like arn:aws:iam::210987654321:role/slipway, or leave the key out",
        examples=("arn:aws:iam::210987654321:role/slipway",),
    ),
    Field(
        name="external_id",
        kind=FieldKind.TEXT,
        least=2,
        most=1224,
        letters=_STS_LETTERS + ":/",
        doc="What the role's trust policy may ask for.",
        remedy=r"use 2 to 1224 letters, digits and _+=,.@:/-, or leave the key out",
        examples=("slipway-research",),
    ),
    Field(
        name="session_name",
        kind=FieldKind.TEXT,
        least=2,
        most=64,
        letters=_STS_LETTERS,
        doc=f"The name of the role's session, for CloudTrail. Left out: {_DEFAULT_SESSION}.",
        remedy="use 2 to 64 letters, digits and _+=,.@-, or leave the key out",
        examples=(_DEFAULT_SESSION,),
    ),
    Field(
        name="max_creating",
        kind=FieldKind.WHOLE,
        least=0,
        most=10_000,
        doc="That account's quota of deployments in creation at once. Left out, or 0: learned from Bedrock's answers.",
        remedy="use a whole number, 0 to 10000, or leave the key out",
        examples=(2,),
    ),
    Field(
        name="max_total",
        kind=FieldKind.WHOLE,
        least=0,
        most=100_000,
        doc="That account's quota of deployments in all. Left out, or 0: learned from Bedrock's answers.",
        remedy="use a whole number, 0 to 100000, or leave the key out",
        examples=(10,),
    ),
    Field(
        name="models",
        kind=FieldKind.LIST,
        each=_patterns("models' ARNs"),
        least=1,
        most=100,
        doc="Models that may be served: patterns of their whole ARNs, with * for any characters. Left out: any.",
        remedy='use a list of patterns, like ["*:custom-model/amazon.nova-lite-v1:*"], or leave the key out',
        examples=(["*:custom-model/amazon.nova-lite-v1:*"],),
    ),
    Field(
        name="names",
        kind=FieldKind.LIST,
        each=_patterns("deployments' names"),
        least=1,
        most=100,
        doc="Deployments that may be made, updated or deleted: patterns of their whole names. Left out: any.",
        remedy='use a list of patterns, like ["research-*"], or leave the key out',
        examples=(["research-*"],),
    ),
)


class WrongTarget(Exception):
    """A target that cannot be used: a sentence names it, its key, what is wrong, and the remedy."""


def read_targets(given: object, usual: TargetRules) -> tuple[TargetSettings, ...]:
    """Read the tables; the default is always there, and first. `usual` has the quotas that are set for it elsewhere.

    Raises `WrongTarget`.
    """
    if not isinstance(given, Mapping):
        raise WrongTarget(f"{TABLE} is no table of tables; write [{TABLE}.NAME], and below it what the target has")
    found = {DEFAULT: TargetSettings(DEFAULT, rules=usual)}
    for name, table in given.items():
        if wrong := value_problem(TARGET, name):
            raise WrongTarget(
                f"[{TABLE}.{quote(name)}]: the name {wrong}; use 1 to 32 letters, digits, and - _ after the first"
            )
        found[name] = _wanted(name, table, usual if name == DEFAULT else TargetRules())
    return tuple(found.values())


def _wanted(name: str, table: object, usual: TargetRules) -> TargetSettings:
    if not isinstance(table, Mapping):
        raise WrongTarget(f"{TABLE}.{name} is no table; write [{TABLE}.{name}], and below it what the target has")
    for problem in problems(FIELDS, table, f"{TABLE}.{name}."):
        raise WrongTarget(problem.text)
    role = None
    if "role_arn" in table:
        role = Role(table["role_arn"], table.get("session_name", _DEFAULT_SESSION), table.get("external_id", ""))
    elif lonely := next((key for key in ("external_id", "session_name") if key in table), None):
        raise WrongTarget(f"{TABLE}.{name}.{lonely} is of no use without role_arn; give that too, or leave this out")
    rules = TargetRules(
        models=tuple(table.get("models", ())),
        names=tuple(table.get("names", ())),
        max_creating=table.get("max_creating", usual.max_creating),
        max_total=table.get("max_total", usual.max_total),
    )
    return TargetSettings(name, table.get("region", ""), role, rules)


def example() -> str:
    """Answer the end of `config/slipway.toml`: a target in comments, which is what the file says with the marks taken away."""
    lines = [wrapped(_HEAD), f"# [{TABLE}.research]"]
    for each in FIELDS:
        lines += [wrapped(each.doc), f"# {each.name} = {written(each.examples[0])}"]
    return "\n".join(lines) + "\n"
