"""How severe the state of a daemon is, why, and what to do: one judgement for page, probes, API, metrics and commands.

`blocked`: requests wait, and only a person can let them continue. `degraded`: requests continue, but slower or with losses
that a person should look at. A full creation quota alone is neither: its slots become free by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from slipway.core.scheduling.quota import Counts


class Severity(StrEnum):
    """How severe a problem is."""

    OK = "ok"
    DEGRADED = "degraded"
    BLOCKED = "blocked"


class ProblemKind(StrEnum):
    """What kind of problem it is: one word for programs."""

    QUOTA_FULL = "QuotaFull"
    DENIED = "Denied"
    UNREACHABLE = "Unreachable"
    SWEEP_FAILED = "SweepFailed"
    THROTTLED = "Throttled"
    DEAD_LETTERS = "DeadLetters"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: a sentence for people, and its remedy."""

    kind: ProblemKind
    severity: Severity
    text: str
    remedy: str
    target: str | None = None
    """None if it is not about one target."""

    def to_json(self) -> dict[str, object]:
        """Return the JSON object."""
        fields = {
            "severity": self.severity.value,
            "reason": self.kind.value,
            "message": self.text,
            "remedy": self.remedy,
            "target": self.target,
        }
        return {key: value for key, value in fields.items() if value is not None}

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Problem:
        """Parse the JSON object. Raises KeyError, TypeError or ValueError if it is invalid."""
        kind, severity = ProblemKind(fields["reason"]), Severity(fields["severity"])
        return cls(kind, severity, fields["message"], fields["remedy"], fields.get("target"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """What a daemon knows of one target."""

    name: str
    where: str
    """Region and account, for people."""
    in_creation: int = 0
    """Requests whose deployment is in creation."""
    waiting: int = 0
    """Other requests that wait, whatever for."""
    waiting_for_slot: int = 0
    counts: Counts | None = None
    """All deployments of the account; None if they were not counted lately."""
    limit_in_total: int = 0
    """0 if not known."""
    deletes: int = 0
    """Requests in progress that delete a deployment, and so free room."""
    denied: int = 0
    """Requests that wait because AWS denies a call."""
    denial: str = ""
    """The error of one of them."""
    throttled: int = 0
    """Requests that wait because AWS throttles a call."""
    sweep_failure: str | None = None
    """The failure of the last sweep; None if it succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonFacts:
    """What a daemon knows of itself and of its surroundings."""

    targets: Sequence[TargetFacts] = ()
    denied_operations: Sequence[str] = ()
    """Operations of AWS that were denied in the last minutes, and never applied in them."""
    dead_letters: int | None = None
    """Messages in the dead-letter queue; None if not known."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Services that do not answer, by name, and why."""


def assess(facts: DaemonFacts) -> tuple[Problem, ...]:
    """Return the problems, the most severe first."""
    problems = [*_of_targets(facts), *_of_daemon(facts)]
    return tuple(sorted(problems, key=lambda problem: _ORDER.index(problem.severity)))


def severity_of(problems: Sequence[Problem]) -> Severity:
    """Return the severity of the worst problem; ok if there is none."""
    return min((problem.severity for problem in problems), key=_ORDER.index, default=Severity.OK)


_ORDER: Final = (Severity.BLOCKED, Severity.DEGRADED, Severity.OK)


def _of_targets(facts: DaemonFacts) -> Iterator[Problem]:
    is_one_of_many = len(facts.targets) > 1
    for target in facts.targets:
        place = f" in {target.name} ({target.where})" if is_one_of_many else ""
        name = target.name if is_one_of_many else None
        yield from _of_quota(target, place, name)
        yield from _of_denials(target, place, name)
        if target.sweep_failure is not None:
            text = f"The last sweep of the deployments{place} failed: {target.sweep_failure}. Outcomes are noticed late."
            remedy = "It is repeated. If it does not recover: slipway doctor, and the AWS Health Dashboard."
            yield Problem(ProblemKind.SWEEP_FAILED, Severity.DEGRADED, text, remedy, name)
        if target.throttled:
            text = f"AWS throttles calls{place}: {_requests(target.throttled)} {_wait(target.throttled)} longer for it."
            remedy = "Calls are made more slowly. Find out which other program calls Bedrock in this account."
            yield Problem(ProblemKind.THROTTLED, Severity.DEGRADED, text, remedy, name)


def _of_quota(target: TargetFacts, place: str, name: str | None) -> Iterator[Problem]:
    counts, limit, waiting = target.counts, target.limit_in_total, target.waiting_for_slot
    if counts is None or not limit or counts.total < limit or not waiting:
        return
    text = (
        f"The account is full{place}: {counts.total:,} of {limit:,} deployments exist, {_requests(waiting)} {_wait(waiting)}."
    )
    if target.deletes:
        text += f" {_requests(target.deletes)} to delete {'is' if target.deletes == 1 else 'are'} in progress."
    remedy = "Delete unused deployments (slipway list, slipway delete), or have the quota raised."
    yield Problem(ProblemKind.QUOTA_FULL, Severity.DEGRADED if target.deletes else Severity.BLOCKED, text, remedy, name)


def _of_denials(target: TargetFacts, place: str, name: str | None) -> Iterator[Problem]:
    if not target.denied:
        return
    is_all = target.denied >= target.waiting and not target.in_creation
    text = f"AWS denies calls{place}: {_requests(target.denied)} {_wait(target.denied)} for permission"
    text += f": {target.denial.rstrip('.')}." if target.denial else "."
    remedy = "Grant the daemon's role the permission (slipway doctor names it); the requests then continue by themselves."
    yield Problem(ProblemKind.DENIED, Severity.BLOCKED if is_all else Severity.DEGRADED, text, remedy, name)


def _of_daemon(facts: DaemonFacts) -> Iterator[Problem]:
    if facts.denied_operations and not any(target.denied for target in facts.targets):
        text = f"AWS denies {' and '.join(facts.denied_operations)}."
        remedy = "Grant the daemon's role the permission: slipway doctor names it."
        is_essential = not _ESSENTIAL.isdisjoint(facts.denied_operations)
        yield Problem(ProblemKind.DENIED, Severity.BLOCKED if is_essential else Severity.DEGRADED, text, remedy)
    for name, failure in facts.failures.items():
        severity = Severity.BLOCKED if name in _REQUIRED or len(facts.targets) <= 1 else Severity.DEGRADED
        text, remedy = f"The {name} cannot be used: {failure}.", "It is asked again; slipway doctor checks the installation."
        yield Problem(ProblemKind.UNREACHABLE, severity, text, remedy)
    if facts.dead_letters:
        text = f"{_count(facts.dead_letters, 'message')} in the dead-letter queue."
        remedy = "slipway dlq list shows the reasons; slipway dlq redrive sends repaired ones again."
        yield Problem(ProblemKind.DEAD_LETTERS, Severity.DEGRADED, text, remedy)


_ESSENTIAL: Final = frozenset(
    {"ReceiveMessage", "ChangeMessageVisibilityBatch", "Publish", "PublishBatch", "DeleteMessageBatch"}
)
"""Operations without which no request ends."""
_REQUIRED: Final = frozenset({"queue", "topic"})


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _requests(number: int) -> str:
    return _count(number, "request")


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"
