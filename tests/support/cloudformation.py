"""The CloudFormation template of config/deploy, read as plain values."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml  # type: ignore[import-untyped]  # read as plain values, which are checked

from tests.support.readme import ROOT

TEMPLATE = ROOT / "config" / "deploy" / "cloudformation" / "slipway.yaml"


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # untyped
    """YAML with CloudFormation's short forms: `!Ref X` is {"Ref": "X"}, `!Sub X` is {"Fn::Sub": "X"}."""


def _short_form(loader: Any, suffix: str, node: Any) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@cache
def template() -> dict[str, Any]:
    """Return the template, with its functions in their long forms."""
    loaded: dict[str, Any] = yaml.load(TEMPLATE.read_text("utf-8"), _Loader)  # noqa: S506  # a SafeLoader
    return loaded


def properties(resource: str) -> Any:
    """Return the properties of a resource."""
    return template()["Resources"][resource]["Properties"]


def statements(policy: Any) -> Iterator[dict[str, Any]]:
    """Yield the statements of a policy document, those under a condition too."""
    for statement in policy["Statement"]:
        yield statement["Fn::If"][1] if "Fn::If" in statement else statement
