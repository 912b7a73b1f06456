"""Custom model deployments of one account and Region: a pure model of what Bedrock does with them.

No I/O and no clock: every method takes `now`, in seconds since the epoch, and returns a value or raises `Refusal`. No public
emulator has these operations. What AWS documents is checked as AWS checks it; what it does not document is set in `Behaviour`.
"""

from __future__ import annotations

import itertools
import random
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from typing import Final

from slipway.local.behaviour import Behaviour
from slipway.local.validation import (
    MOST_TAGS,
    Refusal,
    check_create,
    check_identifier,
    check_model_arn,
    check_model_name,
    check_tags,
    conflict,
    invalid,
    missing,
)

LARGEST_PAGE: Final = 1000
_created: Final = attrgetter("created")


@dataclass
class Account:
    """One account and Region."""

    account_id: str
    region: str
    terms: Behaviour
    rng: random.Random
    partition: str = "aws"
    made: list[StandInDeployment] = field(default_factory=list)
    most_creating: int = 0
    most_total: int = 0
    models: dict[str, Model] = field(default_factory=dict)
    """The custom models that were created here, by ARN."""
    calls: Counter[str] = field(default_factory=Counter)
    """Number of calls by operation and result, as `Operation Result`."""

    def __post_init__(self) -> None:
        self._by_name: dict[str, StandInDeployment] = {}
        self._by_arn: dict[str, StandInDeployment] = {}
        self._tokens: dict[str, tuple[float, StandInDeployment]] = {}
        self._existing: dict[str, StandInDeployment] = {}
        self._open: set[str] = set()
        self._first_token: str | None = None
        """The `nextToken` of the latest first page of List."""
        self._ids = itertools.count(self.rng.randrange(36**11))

    @property
    def _prefix(self) -> str:
        return f"arn:{self.partition}:bedrock:{self.region}:{self.account_id}:"

    def counts(self, now: float) -> tuple[int, int]:
        """Return how many deployments are in creation, and how many count towards the total."""
        for arn in [arn for arn in self._open if now >= self._by_arn[arn].ends]:
            self._open.discard(arn)
        total = len(self._existing)
        if not self.terms.failed_counts:
            total -= sum(one.status(now) == "Failed" for one in self._existing.values())
        return len(self._open), total

    def create(
        self,
        now: float,
        name: str,
        model_arn: str,
        description: str | None = None,
        tags: Sequence[Mapping[str, str]] = (),
        token: str | None = None,
    ) -> StandInDeployment:
        """CreateCustomModelDeployment."""
        check_create(name, model_arn, description, tags, token)
        if token is not None and (repeated := self._repeated(now, token, name, model_arn)) is not None:
            return repeated
        if re.search(self.terms.invalid_names or "(?!)", name):
            raise invalid("1 validation error detected")
        if self.terms.quota_first:
            self._refuse_if_full(now)
        self._check_model(model_arn)
        if self._is_taken(now, name):
            raise Refusal(self.terms.taken_code, 400, self.terms.taken_text)
        self._refuse_if_full(now)
        return self.add(now, name, model_arn, description, tags, token)

    def add(
        self,
        now: float,
        name: str,
        model_arn: str,
        description: str | None = None,
        tags: Sequence[Mapping[str, str]] = (),
        token: str | None = None,
    ) -> StandInDeployment:
        """Create a deployment without checking quotas, as one that others created before."""
        if self.made:
            now = max(now, self.made[-1].created)  # `made` stays in order even if the machine's clock is set back
        fails = self.rng.random() < self.terms.failing or bool(re.search(self.terms.fail_names or "(?!)", name))
        fails = fails or sum(each.name == name for each in self.made) < self.terms.failing_attempts
        is_endless = re.search(self.terms.endless_names or "(?!)", name)
        ends = NEVER if is_endless else now + self.rng.uniform(*self.terms.creation_seconds)
        arn = f"{self._prefix}custom-model-deployment/{self._identifier()}"
        kept = [dict(tag) for tag in tags]
        one = StandInDeployment(
            len(self.made), arn, name, model_arn, description, kept, token, now, ends, fails, self.terms.failure_message
        )
        self.made.append(one)
        self._by_name[name] = self._by_arn[arn] = self._existing[arn] = one
        self._open.add(arn)
        if token is not None:
            self._tokens[token] = (now, one)
        creating, total = self.counts(now)
        self.most_creating, self.most_total = max(self.most_creating, creating), max(self.most_total, total)
        return one

    def get(self, now: float, identifier: str) -> StandInDeployment:
        """GetCustomModelDeployment, by name or ARN."""
        one = self._find(now, identifier)
        if now - one.created < self.terms.get_lag_seconds:
            raise missing("Could not find the custom model deployment.")
        return one

    def list_all(  # noqa: PLR0913  the filters of the API, by name
        self,
        now: float,
        *,
        created_before: float | None = None,
        created_after: float | None = None,
        name_contains: str | None = None,
        status_equals: str | None = None,
        model_arn_equals: str | None = None,
        max_results: int = LARGEST_PAGE,
        next_token: str | None = None,
        ascending: bool = False,
    ) -> tuple[list[StandInDeployment], str | None]:
        """ListCustomModelDeployments: a page, and the token of the next. It names the last item, so pages do not shift."""
        at = now - self.terms.list_lag_seconds
        if not 1 <= max_results <= LARGEST_PAGE:
            raise invalid(f"maxResults must be between 1 and {LARGEST_PAGE}")
        # `made` is in order of creation: items outside the bounds or on earlier pages need not be read.
        begin = bisect_right(self.made, created_after, key=_created) if created_after is not None else 0
        end = bisect_left(self.made, created_before, key=_created) if created_before is not None else len(self.made)
        if next_token is not None:
            begin, end = self._beyond(next_token, begin, end, ascending=ascending)
        numbers = range(begin, end) if ascending else range(end - 1, begin - 1, -1)
        wanted = (
            one
            for one in map(self.made.__getitem__, numbers)
            if one.created <= at < one.deleted
            and (name_contains is None or name_contains in one.name)
            and (status_equals is None or one.status(at) == status_equals)
            and (model_arn_equals is None or one.model_arn(at) == model_arn_equals)
        )
        page = list(islice(wanted, min(max_results, max(1, self.terms.page_size))))
        following = page[-1].arn if next(wanted, None) is not None else None
        if self.terms.list_tokens == "end":
            return page, following
        if next_token is None:
            self._first_token = page[-1].arn if page else None
        return page, following if self.terms.list_tokens == "cycle" and following else self._first_token

    def delete(self, now: float, identifier: str) -> None:
        """DeleteCustomModelDeployment. The deployment is gone at once; there is no status Deleting."""
        one = self._find(now, identifier)
        is_busy = one.status(now) == "Creating" or (one.update is not None and one.update.status(now) == "Updating")
        if is_busy and self.terms.delete_conflicts:
            raise conflict("The custom model deployment is being created or updated.")
        self.forget(now, one)

    def forget(self, now: float, one: StandInDeployment) -> None:
        """Delete a deployment whatever its status."""
        one.deleted = now
        self._existing.pop(one.arn, None)
        self._open.discard(one.arn)

    def update(self, now: float, identifier: str, model_arn: str) -> StandInDeployment:
        """UpdateCustomModelDeployment."""
        check_model_arn(model_arn)
        one = self._find(now, identifier)
        self._check_model(model_arn)
        if one.status(now) != "Active" or (one.update is not None and one.update.status(now) == "Updating"):
            raise invalid("The custom model deployment must be Active and not be updating.")
        one.first_model_arn = one.model_arn(now)
        is_bad = bool(re.search(self.terms.bad_models or "(?!)", model_arn))
        fails = self.rng.random() < self.terms.update_failing or is_bad
        one.update = Update(model_arn, now, now + self.rng.uniform(*self.terms.update_seconds), fails, one.update)
        return one

    def shown_update(self, now: float, one: StandInDeployment) -> Update | None:
        """Return the update that Get shows: for a while still the previous one."""
        update = one.update
        return update.before if update and now - update.began < self.terms.details_lag_seconds else update

    def tag(self, now: float, arn: str, tags: Sequence[Mapping[str, str]]) -> None:
        """TagResource: replaces tags of the same keys."""
        check_tags(tags)
        one = self._tagged(now, arn)
        wanted = {tag["key"]: tag["value"] for tag in [*one.tags, *tags]}
        if len(wanted) > MOST_TAGS:
            raise Refusal("TooManyTagsException", 400, "A resource can have at most 50 tags.")
        self._retag(now, one, [{"key": key, "value": value} for key, value in wanted.items()])

    def untag(self, now: float, arn: str, keys: Sequence[str]) -> None:
        """UntagResource. A key that the resource does not have is ignored."""
        one = self._tagged(now, arn)
        self._retag(now, one, [tag for tag in one.tags if tag["key"] not in keys])

    def tags(self, now: float, arn: str) -> list[dict[str, str]]:
        """ListTagsForResource, of a deployment or of a model that was created here; they may lag behind."""
        return self._tagged(now, arn).shown_tags(now - self.terms.tag_lag_seconds)

    def _retag(self, now: float, one: StandInDeployment | Model, tags: list[dict[str, str]]) -> None:
        lag = self.terms.tag_lag_seconds
        one.tagged = [each for each in one.tagged if now - each[0] < lag] + ([(now, list(one.tags))] if lag else [])
        one.tags[:] = tags

    def create_model(self, now: float, name: str, tags: Sequence[Mapping[str, str]]) -> Model:
        """CreateCustomModel: the model is Active at once, unless `Behaviour` says otherwise."""
        check_model_name(name)
        check_tags(tags)
        if any(model.name == name for model in self.models.values()):
            raise conflict("A custom model with this name already exists.")
        model = Model(f"{self._prefix}custom-model/imported/{self._identifier()}", name, now, [dict(tag) for tag in tags])
        self.models[model.arn] = model
        return model

    def list_models(
        self,
        *,
        created_before: float | None,
        created_after: float | None,
        name_contains: str,
        status: str | None,
        max_results: int,
        next_token: str | None,
        ascending: bool,
    ) -> tuple[list[Model], str | None]:
        """Return a page of the models that were created here, and the token of the next, which names the page's last model."""
        if next_token is not None and next_token not in self.models:
            raise invalid("nextToken is not valid")
        models = list(self.models.values()) if ascending else list(reversed(self.models.values()))
        begin = models.index(self.models[next_token]) + 1 if next_token is not None else 0
        wanted = (
            model
            for model in models[begin:]
            if (created_before is None or model.created < created_before)
            and (created_after is None or model.created > created_after)
            and name_contains in model.name
            and self.terms.models.get(model.arn) != "Missing"
            and status in {None, self.model_status(model.arn)}
        )
        page = list(islice(wanted, min(max_results, max(1, self.terms.page_size))))
        return page, page[-1].arn if next(wanted, None) is not None else None

    def _tagged(self, now: float, arn: str) -> StandInDeployment | Model:
        if (model := self.models.get(arn)) is not None:
            return model
        one = self._by_arn.get(arn)
        if one is None or not one.exists(now):
            raise missing("The resource does not exist.")
        return one

    def converse(self, now: float, arn: str) -> str:
        """Converse with a deployment; return its answer."""
        one = self._by_arn.get(arn)
        if one is None or not one.exists(now):
            raise missing("Could not find the model.")
        if one.status(now) != "Active" or now - one.updated(now) < self.terms.unready_seconds:
            raise Refusal("ModelNotReadyException", 429, "Model is not ready for inference.")
        return "…" if re.search(self.terms.dull_models or "(?!)", one.model_arn(now)) else self.terms.answer

    def model_status(self, model_arn: str) -> str:
        """Return the status of a model, for GetCustomModel."""
        status = self.terms.models.get(model_arn, "Active")
        if status == "Missing" and not self.terms.model_shown:
            raise missing("Could not find the custom model.")
        return self.terms.model_shown or status

    def _find(self, now: float, identifier: str) -> StandInDeployment:
        check_identifier(identifier)
        one = self._by_arn.get(identifier) or self._by_name.get(identifier)
        if one is None or not one.exists(now):
            raise missing("Could not find the custom model deployment.")
        return one

    def _repeated(self, now: float, token: str, name: str, model_arn: str) -> StandInDeployment | None:
        remembered = self._tokens.get(token)
        if remembered is None or now - remembered[0] >= self.terms.token_seconds:
            return None
        one = remembered[1]
        is_same = (one.name, one.first_model_arn) == (name, model_arn)
        if self.terms.token_answer == "error" or (self.terms.token_answer == "same" and not is_same):  # noqa: S105  no secret
            raise invalid("The client request token was used with other parameters.")
        return one

    def _refuse_if_full(self, now: float) -> None:
        creating, total = self.counts(now)
        if creating >= self.terms.max_creating or total >= self.terms.max_total:
            raise Refusal("ServiceQuotaExceededException", 400, "You have reached the quota for custom model deployments.")

    def _check_model(self, model_arn: str) -> None:
        if not self.terms.foreign_models and not model_arn.startswith(f"{self._prefix}custom-model/"):
            raise invalid(f"The model {model_arn} is not of this account and Region: {self._prefix}custom-model/...")
        status = self.terms.models.get(model_arn, "Active")
        if status == "Missing":
            code = self.terms.missing_code
            raise Refusal(code, 404 if "NotFound" in code else 400, self.terms.missing_text)
        if status != "Active":
            raise Refusal(self.terms.model_code, 400, self.terms.model_text)

    def _is_taken(self, now: float, name: str) -> bool:
        one = self._by_name.get(name)
        if one is None:
            return False
        if one.exists(now):
            return self.terms.failed_holds_name or one.status(now) != "Failed"
        return now - one.deleted < self.terms.name_reserved_seconds

    def _beyond(self, token: str, begin: int, end: int, *, ascending: bool) -> tuple[int, int]:
        """Return the bounds of the items after the token's deployment, which may have been deleted since."""
        last = self._by_arn.get(token)
        if last is None:
            raise invalid("nextToken is not valid")
        return (max(begin, last.number + 1), end) if ascending else (begin, min(end, last.number))

    def _identifier(self) -> str:
        number, digits = next(self._ids) % 36**12, ""
        for _ in range(12):
            number, digit = divmod(number, 36)
            digits += "0123456789abcdefghijklmnopqrstuvwxyz"[digit]
        return digits


NEVER: Final = 1e18


@dataclass(slots=True)
class Update:
    """The latest update of a deployment."""

    model_arn: str
    began: float
    ends: float
    fails: bool
    before: Update | None = None
    """The previous update, which had ended."""

    def status(self, now: float) -> str:
        """Return Bedrock's status of the update."""
        if now < self.ends:
            return "Updating"
        return "UpdateFailed" if self.fails else "UpdateCompleted"


@dataclass(slots=True)
class StandInDeployment:
    """A deployment that exists or was deleted: the account keeps all, so that a test can count them."""

    number: int
    """Sequence number of its creation: orders deployments that were created at the same time."""
    arn: str
    name: str
    first_model_arn: str
    description: str | None
    tags: list[dict[str, str]]
    token: str | None
    created: float
    ends: float
    fails: bool
    failure_message: str = ""
    deleted: float = NEVER
    tagged: list[tuple[float, list[dict[str, str]]]] = field(default_factory=list)
    """The former tags at each TagResource, and its time: they are shown for a while still."""
    update: Update | None = None

    def exists(self, now: float) -> bool:
        """Return whether the deployment exists at this time."""
        return now < self.deleted

    def status(self, now: float) -> str:
        """Return Creating, Active or Failed."""
        if now < self.ends:
            return "Creating"
        return "Failed" if self.fails else "Active"

    def shown_tags(self, at: float) -> list[dict[str, str]]:
        """Return the tags at this time; none before the creation."""
        return _shown_tags(self, at)

    def model_arn(self, now: float) -> str:
        """Return the model that the deployment serves."""
        update = self.update
        return update.model_arn if update and update.status(now) == "UpdateCompleted" else self.first_model_arn

    def updated(self, now: float) -> float:
        """Return the time of the last change."""
        times = [self.ends]
        update = self.update
        while update is not None:
            times += [update.began, update.ends]
            update = update.before
        return max((time for time in times if time <= now), default=self.created)


@dataclass(slots=True)
class Model:
    """A custom model that was created in the stand-in."""

    arn: str
    name: str
    created: float
    tags: list[dict[str, str]]
    tagged: list[tuple[float, list[dict[str, str]]]] = field(default_factory=list)
    """As those of a deployment."""

    def shown_tags(self, at: float) -> list[dict[str, str]]:
        """Return the tags at this time; none before the creation."""
        return _shown_tags(self, at)


def _shown_tags(one: StandInDeployment | Model, at: float) -> list[dict[str, str]]:
    if at < one.created:
        return []
    return next((before for since, before in one.tagged if at < since), one.tags)
