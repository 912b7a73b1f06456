"""A deployment as the stand-in for Bedrock keeps it: what it was made of, and what became of it when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

NEVER: Final = 1e18


@dataclass(slots=True)
class Update:
    """The latest update of a deployment."""

    model_arn: str
    began: float
    ends: float
    fails: bool
    before: Update | None = None
    """The one before it, which had ended."""

    def status(self, now: float) -> str:
        """Answer Bedrock's word for how far it is."""
        if now < self.ends:
            return "Updating"
        return "UpdateFailed" if self.fails else "UpdateCompleted"


@dataclass(slots=True)
class Made:
    """A deployment that exists, or existed: the account forgets nothing, so that books can be balanced."""

    number: int
    """Its place among all that were ever made: orders those of one instant too."""
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
    """The tags it had before each TagResource, and when that came: they are shown for a while still."""
    update: Update | None = None

    def exists(self, now: float) -> bool:
        """Whether it has not been deleted by then."""
        return now < self.deleted

    def status(self, now: float) -> str:
        """Answer Creating, Active or Failed."""
        if now < self.ends:
            return "Creating"
        return "Failed" if self.fails else "Active"

    def shown_tags(self, at: float) -> list[dict[str, str]]:
        """Answer the tags that it had at a time; none before it was made."""
        return _shown_tags(self, at)

    def model_arn(self, now: float) -> str:
        """Answer the model that it serves."""
        update = self.update
        return update.model_arn if update and update.status(now) == "UpdateCompleted" else self.first_model_arn

    def updated(self, now: float) -> float:
        """Answer when it last changed."""
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
    """As of a deployment."""

    def shown_tags(self, at: float) -> list[dict[str, str]]:
        """Return the tags that it had at a time; none before it was made."""
        return _shown_tags(self, at)


def _shown_tags(one: Made | Model, at: float) -> list[dict[str, str]]:
    if at < one.created:
        return []
    return next((before for since, before in one.tagged if at < since), one.tags)
