"""Bedrock's deployments, models, jobs and listings as values, the reading of a listing's pages, and a sweep's List calls."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, Generic, Self, TypeVar

from slipway.core.call_errors import EndlessListing


class Status(StrEnum):
    """Status of a deployment. A status that AWS adds later is `UNKNOWN`, which means: wait."""

    CREATING = "Creating"
    ACTIVE = "Active"
    FAILED = "Failed"
    UNKNOWN = "Unknown"

    @classmethod
    def of(cls, text: str) -> Status:
        """Return the status with AWS's name, ignoring case: AWS's guides write CREATING where its API has Creating."""
        return _BY_WORD.get(text.lower(), cls.UNKNOWN)

    @property
    def is_terminal(self) -> bool:
        """Return whether the creation has ended."""
        return self in _ENDS


_BY_WORD = {status.value.lower(): status for status in (Status.CREATING, Status.ACTIVE, Status.FAILED)}
_ENDS = frozenset({Status.ACTIVE, Status.FAILED})


class UpdateStatus(StrEnum):
    """Status of an update. A status that AWS adds later is `UNKNOWN`, which means: wait."""

    UPDATING = "Updating"
    COMPLETED = "UpdateCompleted"
    FAILED = "UpdateFailed"
    UNKNOWN = "Unknown"

    @classmethod
    def of(cls, text: str) -> UpdateStatus:
        """Return the status with AWS's name, ignoring case."""
        return _UPDATE_BY_WORD.get(text.lower(), cls.UNKNOWN)


_UPDATE_BY_WORD = {
    status.value.lower(): status for status in (UpdateStatus.UPDATING, UpdateStatus.COMPLETED, UpdateStatus.FAILED)
}


@dataclass(frozen=True, slots=True)
class UpdateDetails:
    """The latest update as Get returns it, with its model. It may have ended long ago."""

    model_arn: str
    status: UpdateStatus


@dataclass(frozen=True, slots=True)
class Deployment:
    """A custom model deployment as Get or List returned it. Times are seconds since the epoch, by AWS's clock."""

    arn: str
    name: str
    model_arn: str
    status: Status
    status_text: str
    """The status as AWS returned it; differs from `status` only if that is `UNKNOWN`."""
    created_at: float
    updated_at: float | None = None
    failure_message: str | None = None
    update: UpdateDetails | None = None
    """Only Get returns it."""


@dataclass(frozen=True, slots=True)
class Created:
    """Bedrock accepted a create. `at` is the time in seconds since the epoch, by AWS's clock."""

    arn: str
    at: float


@dataclass(frozen=True, slots=True)
class Page:
    """One page of ListCustomModelDeployments."""

    deployments: tuple[Deployment, ...]
    next_token: str | None


class ModelState(StrEnum):
    """State of a custom model. It must be Active before it can be deployed."""

    CREATING = "Creating"
    ACTIVE = "Active"
    FAILED = "Failed"
    MISSING = "Missing"
    UNKNOWN = "Unknown"


P = TypeVar("P")


class JobStatus(StrEnum):
    """Status of a customization job. A status that AWS adds later is `UNKNOWN`, which means: wait."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    UNKNOWN = "Unknown"

    @classmethod
    def of(cls, text: str) -> JobStatus:
        """Return the status with AWS's name, in upper or lower case."""
        return _JOB_BY_WORD.get(text.lower(), cls.UNKNOWN)


_JOB_BY_WORD: Final = {status.value.lower(): status for status in JobStatus}


@dataclass(frozen=True, slots=True)
class CustomizationJob:
    """A customization job as GetModelCustomizationJob returned it."""

    arn: str
    status: JobStatus
    model_arn: str | None = None
    """ARN of the model that the job created."""
    failure_message: str | None = None


MOST_PAGES: Final = 1000
"""Most pages of one listing, more than any account has: the limit for tokens that are always new."""


class Pager(Generic[P]):
    """Yield the pages of one listing, for `async for`.

    `fetch` gets the page at a token (None for the first page); `token_of` returns the token of the next page (None on the
    last). Every fetched page is yielded. After a page whose token was returned before, raises `EndlessListing` instead of
    fetching it again: the caller treats it as a failed read and pauses. Errors of `fetch` are passed on.
    """

    def __init__(
        self, operation: str, fetch: Callable[[str | None], Awaitable[P]], token_of: Callable[[P], str | None]
    ) -> None:
        self._operation = operation
        self._fetch = fetch
        self._token_of = token_of
        self._token: str | None = None
        self._seen: set[str] = set()
        self._is_last = False
        self._endless_reason = ""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> P:
        if self._is_last:
            raise StopAsyncIteration
        if self._endless_reason:
            raise EndlessListing(self._operation, "EndlessListing", self._endless_reason)
        page = await self._fetch(self._token)
        token = self._token = self._token_of(page)
        if token is None:
            self._is_last = True
        elif token in self._seen:
            self._endless_reason = "the token of its next page was returned before"
        elif len(self._seen) + 1 == MOST_PAGES:
            self._endless_reason = f"it has more than {MOST_PAGES} pages"
        else:
            self._seen.add(token)
        return page


def deployment_pages(fetch: Callable[[str | None], Awaitable[Page]]) -> Pager[Page]:
    """Return the pages of a listing of deployments."""
    return Pager("ListCustomModelDeployments", fetch, lambda page: page.next_token)


PAGE_SIZE: Final = 1000
"""Most deployments on one page of ListCustomModelDeployments."""


class ListStrategy(Enum):
    """How to observe all deployments in flight in one sweep."""

    EVERYTHING = "everything"
    """List all deployments of the account. Only this counts those of others, which slots need."""
    SINCE_OLDEST = "since-oldest"
    """List deployments created since the oldest one in flight."""
    ENDED_SINCE_OLDEST = "ended-since-oldest"
    """List only Active and only Failed ones since then: two lists, without those still Creating."""
    ONE_BY_ONE = "one-by-one"
    """Get each deployment in flight: for a few old ones."""


@dataclass(frozen=True, slots=True)
class SweepEstimate:
    """Counts of the last sweep, from which the cost of the next is estimated. `…_since`: created since the oldest in flight."""

    in_flight: int
    creating_since: int
    active_since: int
    failed_since: int


def cheapest(estimate: SweepEstimate, *, needs_counts: bool) -> ListStrategy:
    """Return the strategy with the fewest expected calls. Only `EVERYTHING` gives the account's counts."""
    if needs_counts:
        return ListStrategy.EVERYTHING
    since = estimate.creating_since + estimate.active_since + estimate.failed_since
    costs = {
        ListStrategy.SINCE_OLDEST: _pages(since),
        ListStrategy.ENDED_SINCE_OLDEST: _pages(estimate.active_since) + _pages(estimate.failed_since),
        ListStrategy.ONE_BY_ONE: estimate.in_flight,
    }
    return min(costs, key=lambda strategy: costs[strategy])


def _pages(deployments: int) -> int:
    return max(1, math.ceil(deployments / PAGE_SIZE))


def oldest(created: Iterable[float]) -> float | None:
    """Return the earliest time; None if there is none."""
    return min(created, default=None)
