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
    """A term that does not exist, or cannot have this value; the message names it."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The behaviour of all accounts of one stand-in. Durations are seconds."""

    max_creating: int = 2
    """Deployments in creation at once: the default quota that is reported from live accounts."""
    max_total: int = 10
    """Deployments in all."""
    failed_counts: bool = True
    """Whether a Failed deployment takes a slot of the total."""
    failed_holds_name: bool = True
    """Whether the name of a Failed deployment is taken."""
    quota_first: bool = False
    """Whether a full account says so before it looks at the name."""
    creation_seconds: tuple[float, float] = (480.0, 1200.0)
    """From, to: eight minutes and more were seen."""
    failing: float = 0.0
    """The share of deployments that fail, 0 to 1."""
    fail_names: str = "^fails-"
    """Deployments whose name this pattern finds fail."""
    failing_attempts: int = 0
    """How many deployments of one name fail before one succeeds."""
    failure_message: str = "The model artifacts could not be loaded: incompatible adapter rank."
    """What Get says of a Failed deployment."""
    endless_names: str = "^endless-"
    """Deployments whose name matches this pattern never leave creation."""
    invalid_names: str = ""
    """Deployments whose name this pattern finds, if there is one, are refused: for reasons that AWS alone knows."""
    status_text: str = ""
    """What is shown instead of Creating, if anything: a status that AWS may add one day."""
    name_reserved_seconds: float = 0.0
    """How long a deleted deployment's name stays taken."""
    list_lag_seconds: float = 0.0
    """How far List is behind the truth."""
    page_size: int = 1000
    """How many a page of List holds at most, however many are asked for."""
    list_tokens: Literal["end", "same", "cycle"] = "end"
    """What List answers as `nextToken`: `end` none on the last page, `same` always the first page's, `cycle` the first page's
    again after the last page."""
    get_lag_seconds: float = 0.0
    """How long Get does not find what was just created."""
    tag_lag_seconds: float = 0.0
    """How far ListTagsForResource is behind the truth: no tags of what was just created, the former ones after TagResource."""
    token_seconds: float = 3600.0
    """How long a client token is remembered."""
    token_answer: Literal["same", "any", "error"] = "same"  # noqa: S105  no secret
    """What a remembered token with other parameters answers: `same` is a validation error only for them, `any` the earlier
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
    """Operations that answer AccessDeniedException."""
    delete_conflicts: bool = True
    """Whether Delete while Creating or Updating answers ConflictException."""
    update_seconds: tuple[float, float] = (60.0, 120.0)
    """From, to: how long an update takes."""
    update_failing: float = 0.0
    """The share of updates that fail, 0 to 1."""
    bad_models: str = "/badbadbadbad$"
    """Updates to a model whose ARN this pattern finds fail."""
    answer: str = "ready"
    """What deployments answer when they are asked anything."""
    dull_models: str = "/dulldulldull$"
    """Models whose ARN this pattern finds answer an ellipsis."""
    unready_seconds: float = 0.0
    """How long a deployment that has become Active, or serves another model, does not answer yet."""
    details_lag_seconds: float = 0.0
    """How long after an update began Get still shows the details of the one before."""

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Answer these terms with some of them changed. Raises `WrongBehaviour`."""
        usual = type(self)()
        known = {each.name: getattr(usual, each.name) for each in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise WrongBehaviour(f"there is no term {name!r}; there are {', '.join(sorted(known))}")
            if not fits(known[name], value):
                raise WrongBehaviour(f"{name} cannot be {value!r}; it is like {known[name]!r}")
            words = get_args(get_type_hints(type(self))[name])
            if isinstance(known[name], str) and words and value not in words:
                raise WrongBehaviour(f"{name} cannot be {value!r}; it is one of {', '.join(words)}")
        made: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
        return replace(self, **made)


def fits(example: object, value: object) -> bool:
    """Answer whether a value from JSON can stand where the example stands: numbers from 0, pairs in order, strings."""
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
"""Faults of which nothing comes: the others befall a call that has been applied."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """How calls of an operation fare. A rate of 0 is no limit."""

    rate: float = 0.0
    """Calls a second that are let through; more are answered with ThrottlingException."""
    burst: float = 1.0
    """How many calls are let through at once."""
    latency_seconds: tuple[float, float] = (0.0, 0.0)
    """From, to: how much later calls are answered."""
    every: int = 0
    """Every so manieth call meets `kind`; 0 for none."""
    share: float = 0.0
    """The share of calls that meets `kind`, 0 to 1, beside `every`."""
    kind: Kind = "error before"
    """One of `error before`, `error after`, `request lost`, `response lost`, `empty`, `html`, `truncated`, `not an object`,
    `redirect`: what the call meets, before it is applied or after."""

    @classmethod
    def of(cls, given: object) -> FaultRule:
        """Read a trouble from JSON. Raises `WrongBehaviour`."""
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
    """The troubles by operation; `*` is for all that have none of their own. A function of seed and call number."""

    seed: int = 1
    failures: dict[str, FaultRule] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def meet(self, operation: str, now: float) -> tuple[Kind | None, float, bool]:
        """Answer what befalls this call: a fault, a delay in seconds, and whether it is throttled."""
        trouble = self.failures.get(operation) or self.failures.get("*")
        self.calls[operation] += 1
        if trouble is None:
            return None, 0.0, False
        number = self.calls[operation]
        rng = random.Random(f"{self.seed} {operation} {number}")  # noqa: S311  chaos, no secret
        delay = rng.uniform(*trouble.latency_seconds)
        if trouble.rate and not self._is_let_through(operation, trouble, now):
            self.fired["throttled"] += 1
            return None, delay, True
        is_struck = bool(trouble.every and number % trouble.every == 0) or rng.random() < trouble.share
        if is_struck:
            self.fired[trouble.kind] += 1
        return trouble.kind if is_struck else None, delay, False

    def _is_let_through(self, operation: str, trouble: FaultRule, now: float) -> bool:
        tokens, at = self._buckets.get(operation, (trouble.burst, now))
        tokens = min(trouble.burst, tokens + (now - at) * trouble.rate)
        is_let = tokens >= 1.0
        self._buckets[operation] = (tokens - is_let, now)
        return is_let
