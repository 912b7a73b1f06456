"""Severity: what is reported of which facts, and how severe it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.core.diagnostics.severity import (
    DaemonFacts,
    Problem,
    ProblemKind,
    Severity,
    TargetFacts,
    assess,
    severity_of,
)
from slipway.core.scheduling.quota import Counts

HERE = TargetFacts(name="default", where="us-east-1 · 123456789012")
FULL = replace(HERE, counts=Counts(0, 10), limit_in_total=10, waiting=293, waiting_for_slot=293)


def problems(target: TargetFacts = HERE, **facts: Any) -> tuple[Problem, ...]:
    return assess(DaemonFacts(targets=(target,), **facts))


def only(found: tuple[Problem, ...]) -> tuple[ProblemKind, Severity]:
    (problem,) = found
    return problem.kind, problem.severity


def test_nothing_to_report_is_ok() -> None:
    assert problems() == ()
    assert severity_of(()) is Severity.OK


def test_a_full_account_blocks_those_who_wait_and_says_what_to_do() -> None:
    (problem,) = problems(FULL)
    assert (problem.kind, problem.severity) == (ProblemKind.QUOTA_FULL, Severity.BLOCKED)
    assert problem.text == "The account is full: 10 of 10 deployments exist, 293 requests wait."
    assert "slipway delete" in problem.remedy


@pytest.mark.parametrize(
    "target",
    [
        replace(FULL, waiting_for_slot=0),
        replace(FULL, counts=None),
        replace(FULL, limit_in_total=0),
        replace(FULL, counts=Counts(2, 9)),
    ],
    ids=["nobody waits", "not counted", "limit not known", "only the creation slots are taken"],
)
def test_a_wait_that_ends_by_itself_is_no_problem(target: TargetFacts) -> None:
    assert problems(target) == ()


def test_a_delete_in_progress_may_free_a_full_account() -> None:
    (problem,) = problems(replace(FULL, deletes=1))
    assert problem.severity is Severity.DEGRADED
    assert "1 request to delete is in progress" in problem.text


def test_denied_calls_block_if_nothing_else_can_proceed() -> None:
    denied = replace(HERE, waiting=3, denied=3, denial="AccessDeniedException: no")
    assert only(problems(denied)) == (ProblemKind.DENIED, Severity.BLOCKED)
    assert "AccessDeniedException: no" in problems(denied)[0].text
    assert only(problems(replace(denied, waiting=4))) == (ProblemKind.DENIED, Severity.DEGRADED)
    assert only(problems(replace(denied, in_creation=1))) == (ProblemKind.DENIED, Severity.DEGRADED)


@pytest.mark.parametrize(
    ("facts", "kind", "severity"),
    [
        ({"denied_operations": ("ReceiveMessage",)}, ProblemKind.DENIED, Severity.BLOCKED),
        ({"denied_operations": ("SendMessage",)}, ProblemKind.DENIED, Severity.DEGRADED),
        ({"failures": {"queue": "no answer"}}, ProblemKind.UNREACHABLE, Severity.BLOCKED),
        ({"failures": {"bedrock": "no answer"}}, ProblemKind.UNREACHABLE, Severity.BLOCKED),
        ({"dead_letters": 1}, ProblemKind.DEAD_LETTERS, Severity.DEGRADED),
    ],
)
def test_what_is_not_about_one_target(facts: dict[str, Any], kind: ProblemKind, severity: Severity) -> None:
    assert only(problems(**facts)) == (kind, severity)


def test_what_is_not_known_is_no_problem() -> None:
    assert problems(dead_letters=None) == problems(dead_letters=0) == ()


def test_sweeps_and_throttling_degrade() -> None:
    assert only(problems(replace(HERE, sweep_failure="timeout"))) == (ProblemKind.SWEEP_FAILED, Severity.DEGRADED)
    assert only(problems(replace(HERE, throttled=2))) == (ProblemKind.THROTTLED, Severity.DEGRADED)


def test_the_worst_is_first_and_one_of_several_targets_is_named() -> None:
    away = replace(FULL, name="europe", where="eu-west-1 · 222222222222")
    facts = DaemonFacts(targets=(replace(HERE, throttled=1), away), dead_letters=3, failures={"bedrock in asia": "timeout"})
    found = assess(facts)
    assert [problem.severity for problem in found] == [Severity.BLOCKED, *[Severity.DEGRADED] * 3]
    assert found[0].target == "europe"
    assert "in europe (eu-west-1 · 222222222222)" in found[0].text
    assert severity_of(found) is Severity.BLOCKED
    assert all(Problem.of(problem.to_json()) == problem for problem in found)
