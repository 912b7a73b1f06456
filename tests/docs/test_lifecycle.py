"""The drawings of a request's life show all of it: every step, every outcome and every reason that the code decides on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from slipway.core.lifecycle import delete as removing
from slipway.core.lifecycle import deploy as decide
from slipway.core.lifecycle import update as updating
from slipway.core.lifecycle.outcomes import OutcomeKind, Reason, Settlement
from tests.support.lifecycle_diagram import START, Edge, drawing, walk, with_option
from tests.support.readme import ROOT
from tests.support.requests import DEPLOY, OPTIONS, REMOVE, UPDATE

MODULES = {"decide": decide, "updating": updating, "removing": removing}
STEPS = {"decide": decide.Step, "updating": updating.Step, "removing": removing.Step}
PAGE = (ROOT / "docs" / "explanation" / "lifecycle.md").read_text("utf-8")


@cache
def edges_of(module: str) -> Sequence[Edge]:
    """Walk a lifecycle: seconds for a deploy's, so not while tests are collected."""
    if module == "decide":
        return [*walk(DEPLOY), *(edge for option in OPTIONS for edge in with_option(option))]
    return walk(UPDATE if module == "updating" else REMOVE)


@pytest.mark.parametrize("module", MODULES)
def test_every_step_and_every_reason_of_the_code_is_met(module: str) -> None:
    source = Path(MODULES[module].__file__ or "").read_text("utf-8")
    edges = edges_of(module)
    steps = {step.__name__ for step in get_args(STEPS[module])} - {"Finish"}
    assert steps <= {edge.after for edge in edges}
    assert steps <= {edge.before for edge in edges}, "from every step it goes on"
    endings = {OutcomeKind[name].value for name in re.findall(r"OutcomeKind\.([A-Z_]+)", source)}
    endings |= {OutcomeKind.REJECTED.value} if "reused(" in source else set()
    assert endings == {edge.after for edge in edges} - steps
    reasons = {Reason[name].value for name in re.findall(r"Reason\.([A-Z_]+)", source)}
    assert reasons <= {edge.reason for edge in edges}


def test_every_step_is_explained() -> None:
    for step in {step.__name__ for steps in STEPS.values() for step in get_args(steps)} - {"Finish"}:
        assert re.search(rf"^\| {step} \|", PAGE, re.MULTILINE), step


def test_every_settlement_is_explained() -> None:
    for settlement in get_args(Settlement):
        assert f"| `{settlement.__name__}` |" in PAGE


def test_active_is_said_only_after_bedrock_said_so() -> None:
    to_active = {(edge.before, edge.answer) for edge in edges_of("decide") if edge.after == "Active"}
    assert to_active == {
        ("Watch", "Active"),
        ("Observe", "own Active"),
        ("Observe", "another's Active"),
        ("Observe", "another sender's copy Active"),
        ("RunSmokeTest", "answers well"),
    }


def test_trouble_is_never_an_outcome() -> None:
    failures = {"throttled", "denied", "no readable answer", "quota full", "conflict"}
    endings = {kind.value for kind in OutcomeKind}
    for edges in map(edges_of, MODULES):
        assert not [edge for edge in edges if edge.answer in failures and edge.after in endings]


def test_a_drawing_shows_every_pair_of_steps_once_and_where_it_ends() -> None:
    edges = [
        Edge(START, "Observe", "redelivery", ""),
        Edge("Observe", "Pause", "throttled", "Throttled"),
        Edge("Observe", "Pause", "denied", "AccessDenied"),
        Edge("Observe", "Active", "there", ""),
        Edge("Observe", "Active", "as good as there", ""),
    ]
    assert drawing(edges, "TB").splitlines() == [
        "stateDiagram-v2",
        "    direction TB",
        "    [*] --> Observe: redelivery",
        "    Observe --> Pause: Throttled<br/>AccessDenied",
        "    Observe --> Active: there<br/>as good as there",
        "    Active --> [*]",
    ]
