"""Behaviour settings of the local Bedrock, and the faults of its calls. Everything can be changed while it runs.

AWS documents little of this, so nothing is fixed: whatever a real account may return can be set, and tested against. Faults are
throttles, delays, errors, and lost or broken responses.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, Self, get_args, get_type_hints


class WrongBehaviour(ValueError):
    """A setting that does not exist, or cannot have this value; the message names it."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The behaviour of all accounts of one stand-in. Durations are seconds."""

    max_creating: int = 2
    """Deployments in creation at once: the default quota that is reported from live accounts."""
    max_total: int = 10
    """Deployments in all."""
    failed_counts: bool = True
    """Whether a Failed deployment counts towards the total."""
    failed_holds_name: bool = True
    """Whether the name of a Failed deployment is taken."""
    quota_first: bool = False
    """Whether a full account is reported before the name is checked."""
    creation_seconds: tuple[float, float] = (480.0, 1200.0)
    """From, to: eight minutes and more were observed."""
    failing: float = 0.0
    """The share of deployments that fail, 0 to 1."""
    fail_names: str = "^fails-"
    """Deployments whose name this pattern finds fail."""
    failing_attempts: int = 0
    """How many deployments of one name fail before one succeeds."""
    failure_message: str = "The model artifacts could not be loaded: incompatible adapter rank."
    """The failure message of a Failed deployment in Get."""
    endless_names: str = "^endless-"
    """Deployments whose name matches this pattern never leave creation."""
    invalid_names: str = ""
    """Deployments whose name this pattern finds, if there is one, are refused, as if for a reason that only AWS knows."""
    status_text: str = ""
    """Shown instead of Creating, if set: a status that AWS may add later."""
    name_reserved_seconds: float = 0.0
    """How long the name of a deleted deployment is reserved."""
    list_lag_seconds: float = 0.0
    """How far List lags behind."""
    page_size: int = 1000
    """Most deployments on a page of List, whatever `maxResults` is."""
    list_tokens: Literal["end", "same", "cycle"] = "end"
    """The `nextToken` of List: `end` none on the last page, `same` always the first page's, `cycle` the first page's
    again after the last page."""
    get_lag_seconds: float = 0.0
    """How long Get does not find a new deployment."""
    tag_lag_seconds: float = 0.0
    """How far ListTagsForResource lags behind: no tags of a new deployment, the former ones after TagResource."""
    token_seconds: float = 3600.0
    """How long a client token is valid."""
    token_answer: Literal["same", "any", "error"] = "same"  # noqa: S105  no secret
    """The response to a known token with other parameters: `same` is a validation error only for them, `any` the earlier
    ARN whatever the parameters are, `error` a conflict in every case."""
    taken_code: str = "ValidationException"
    """The error of a name that is taken: the API declares no ConflictException for Create."""
    taken_text: str = "A custom model deployment with this name already exists."
    """The message of that error."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Status of models by ARN: Active, Creating, Failed or Missing; any other model is Active."""
    foreign_models: bool = False
    """Whether models of another account or Region can be deployed."""
    model_shown: str = ""
    """Status that GetCustomModel returns for every model; empty for the real one. An unknown status can be tried with it."""
    jobs: Mapping[str, str] = field(default_factory=dict)
    """Status of customization jobs by ARN or name: InProgress, Completed, Failed, Stopped or Missing; any other job is
    Completed. Its model has the ARN of the job, with `custom-model` in it."""
    missing_code: str = "ResourceNotFoundException"
    """The error of a create or an update for a model that is Missing."""
    missing_text: str = "Could not find the custom model."
    """The message of that error."""
    model_code: str = "ValidationException"
    """The error of a create or an update for a model that is not Active."""
    model_text: str = "The custom model is not in the Active state."
    """The message of that error."""
    denied: tuple[str, ...] = ()
    """Operations that return AccessDeniedException."""
    delete_conflicts: bool = True
    """Whether Delete while Creating or Updating returns ConflictException."""
    update_seconds: tuple[float, float] = (60.0, 120.0)
    """From, to: how long an update takes."""
    update_failing: float = 0.0
    """The share of updates that fail, 0 to 1."""
    bad_models: str = "/badbadbadbad$"
    """Updates to a model whose ARN this pattern finds fail."""
    answer: str = "ready"
    """The answer of deployments to every prompt."""
    dull_models: str = "/dulldulldull$"
    """Models whose ARN this pattern finds answer with an ellipsis."""
    unready_seconds: float = 0.0
    """How long a deployment that has become Active, or serves another model, does not answer yet."""
    details_lag_seconds: float = 0.0
    """How long after an update began Get still shows the details of the one before."""

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Return these settings with some of them changed. Raises `WrongBehaviour`."""
        usual = type(self)()
        known = {each.name: getattr(usual, each.name) for each in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise WrongBehaviour(f"there is no setting {name!r}; there are {', '.join(sorted(known))}")
            if not fits(known[name], value):
                raise WrongBehaviour(f"{name} cannot be {value!r}; it is like {known[name]!r}")
            words = get_args(get_type_hints(type(self))[name])
            if isinstance(known[name], str) and words and value not in words:
                raise WrongBehaviour(f"{name} cannot be {value!r}; it is one of {', '.join(words)}")
        made: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
        return replace(self, **made)


def fits(example: object, value: object) -> bool:
    """Return whether a value from JSON has the form of the example: numbers from 0, pairs in order, strings."""
    if isinstance(example, bool) or isinstance(value, bool):
        return isinstance(example, bool) and isinstance(value, bool)
    if isinstance(example, int | float):
        return isinstance(value, int | float) and value >= 0
    if isinstance(example, tuple):
        return isinstance(value, list | tuple) and (_is_range(value) if example else all(isinstance(one, str) for one in value))
    if isinstance(example, Mapping):
        return isinstance(value, Mapping) and all(isinstance(one, str) for one in value.values())
    return isinstance(value, str)


def _is_range(value: Sequence[object]) -> bool:
    match value:
        case (int() | float() as low, int() | float() as high):
            return 0 <= low <= high
    return False


Kind = Literal[
    "error before", "error after", "request lost", "response lost", "empty", "html", "truncated", "not an object", "redirect"
]
KINDS: Final = frozenset(get_args(Kind))
BEFORE: Final = frozenset({"error before", "request lost", "redirect"})
"""Faults after which the call is not applied; after the others it is."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """The faults of an operation's calls. A rate of 0 sets no limit."""

    rate: float = 0.0
    """Accepted calls per second; further ones get a ThrottlingException."""
    burst: float = 1.0
    """Accepted calls at once."""
    latency_seconds: tuple[float, float] = (0.0, 0.0)
    """From, to: the delay of responses."""
    every: int = 0
    """Each call with a multiple of this number has the fault `kind`; 0 for none."""
    share: float = 0.0
    """The share of calls with the fault `kind`, 0 to 1, in addition to `every`."""
    kind: Kind = "error before"
    """One of `error before`, `error after`, `request lost`, `response lost`, `empty`, `html`, `truncated`, `not an object`,
    `redirect`."""

    @classmethod
    def of(cls, given: object) -> FaultRule:
        """Read a rule from JSON. Raises `WrongBehaviour`."""
        known = {each.name: each.default for each in fields(cls)}
        if not isinstance(given, Mapping):
            raise WrongBehaviour(f"a fault cannot be {given!r}; it is an object with some of {', '.join(sorted(known))}")
        if unknown := sorted(set(given) - set(known)):
            raise WrongBehaviour(f"a fault has no {unknown[0]!r}; it has {', '.join(sorted(known))}")
        if given.get("kind", "error before") not in KINDS:
            raise WrongBehaviour(f"kind cannot be {given['kind']!r}; it is one of {', '.join(sorted(KINDS))}")
        for name, value in given.items():
            if not fits(known[name], value):
                raise WrongBehaviour(f"{name} cannot be {value!r}; it is like {known[name]!r}")
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        return cls(**values)


@dataclass(slots=True)
class Faults:
    """The rules by operation; `*` is for operations without a rule. Faults are a function of seed and call number."""

    seed: int = 1
    failures: dict[str, FaultRule] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def meet(self, operation: str, now: float) -> tuple[Kind | None, float, bool]:
        """Return the fault of this call, its delay in seconds, and whether it is throttled."""
        rule = self.failures.get(operation) or self.failures.get("*")
        self.calls[operation] += 1
        if rule is None:
            return None, 0.0, False
        number = self.calls[operation]
        rng = random.Random(f"{self.seed} {operation} {number}")  # noqa: S311  faults, no secret
        delay = rng.uniform(*rule.latency_seconds)
        if rule.rate and not self._is_accepted(operation, rule, now):
            self.fired["throttled"] += 1
            return None, delay, True
        is_faulty = bool(rule.every and number % rule.every == 0) or rng.random() < rule.share
        if is_faulty:
            self.fired[rule.kind] += 1
        return rule.kind if is_faulty else None, delay, False

    def _is_accepted(self, operation: str, rule: FaultRule, now: float) -> bool:
        tokens, at = self._buckets.get(operation, (rule.burst, now))
        tokens = min(rule.burst, tokens + (now - at) * rule.rate)
        is_accepted = tokens >= 1.0
        self._buckets[operation] = (tokens - is_accepted, now)
        return is_accepted
