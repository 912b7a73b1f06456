"""Whether nothing is deleted or updated but what somebody asked for, and may: I3, I11 and I13, for what exists already."""

from __future__ import annotations

import re
from datetime import datetime

from slipway.core.bedrock import Status
from slipway.core.lifecycle.tags import EXPIRES_TAG, FORMER_TAG, RECEIVED_TAG, UPDATE_TAG
from slipway.local.bedrock_account import NEVER
from tests.simulation.recorder import Asked, Recorder
from tests.simulator.bedrock import Rules, StandInDeployment, request_of, tag_of
from tests.simulator.sqs import EPOCH

ROUNDING_SECONDS = 0.002


class Ownership:
    """Holds each delete and update, as the account takes it on, to what was asked for."""

    def __init__(self, books: Recorder) -> None:
        self._books = books

    def expires(self, arn: str, target: str) -> None:
        """Slipway asks for a deployment to be deleted whose time is over."""
        made = next(one for one in self._books.world.accounts[target].made if one.arn == arn)
        if request_of(made) is None or not self._has_expired(made, target):
            self._books.breaks("I3", f"{made.name} is said to have expired, and has not: {made.tags}")

    def removed(self, made: StandInDeployment, process: str | None, target: str) -> None:
        """A deployment was deleted."""
        books = self._books
        books.note(f"removed  {made.name} {made.arn[-12:-8]} by {process}")
        asked = books.requests(target)
        if request_of(made) is None:
            books.breaks("I3", f"{process} deletes {made.name}, which Slipway did not make")
        if not any(self._may_delete(one, made, process) for one in asked):
            books.breaks("I13", f"{process} deletes {made.name} of {request_of(made)}, which nobody asked for who may")
        owner = next((one for one in asked if one.action == "deploy" and one.whose == books.owners.get(made.arn)), None)
        if any(one.action == "deploy" and self._may_delete(one, made, process) for one in asked):
            books.faults["tried again" if owner is not None and self._may_delete(owner, made, process) else "replaced"] += 1
        for one in asked:
            one.is_stuck = one.is_stuck or one.is_about(made)

    def updated(self, made: StandInDeployment, model_arn: str, process: str | None, target: str) -> None:
        """An update began."""
        books = self._books
        books.note(f"updating {made.name} {made.arn[-12:-8]} to {model_arn[-1]} by {process}")
        if request_of(made) is None:
            books.breaks("I3", f"{process} updates {made.name}, which Slipway did not make")
        if not any(self._may_update(one, made, model_arn, process) for one in books.requests(target)):
            books.breaks("I13", f"{process} updates {made.name} to {model_arn}, which nobody asked for who may")

    def _may_delete(self, asked: Asked, made: StandInDeployment, process: str | None) -> bool:
        if asked.action == "delete" and asked.is_about(made) and asked.most("ifExpired"):
            return self._has_expired(made, asked.target)  # done at once: the message is the record, received afterwards
        if self._books.first_of(asked) == float("inf"):
            return False
        if asked.action == "delete" and asked.is_about(made):
            return self._is_older(made, asked) or self._is_fresh(asked, process)
        if asked.action != "deploy" or asked.name != made.name:
            return False
        is_own = self._books.owners.get(made.arn) == asked.whose
        if request_of(made) == asked.request_id and is_own and self._is_given_up(asked, made):
            return True
        is_anothers = request_of(made) != asked.request_id or (is_own and self._serves_another(asked, made))
        return asked.says("ifExists", "replace") and is_anothers and self._is_older(made, asked)

    def _is_given_up(self, asked: Asked, made: StandInDeployment) -> bool:
        """Whether a request's own deployment is to go: it has failed, in one way or another, or nobody wants it any more."""
        books = self._books
        if any(
            one.action == "cancel" and one.name == asked.request_id and one.says("deployment", "delete")
            for one in books.asked.values()
        ):
            return True
        account = books.world.accounts[asked.target]
        has_failed = account.status(made) == Status.FAILED or is_dull(made.model_arn(account.now()), account.rules)
        return has_failed and (asked.most("retries") > 0 or asked.says("onFailure", "delete"))

    def _may_update(self, asked: Asked, made: StandInDeployment, model_arn: str, process: str | None) -> bool:
        if self._books.first_of(asked) == float("inf") or not asked.is_about(made):
            return False
        if asked.action == "deploy":
            return asked.says("ifExists", "update") and asked.model == model_arn and self._is_older(made, asked)
        if asked.action != "update" or not (self._is_older(made, asked) or self._is_fresh(asked, process)):
            return False
        return asked.model == model_arn or (bool(asked.most("rollback")) and tag_of(made, FORMER_TAG) == model_arn)

    def _serves_another(self, asked: Asked, made: StandInDeployment) -> bool:
        return made.model_arn(self._books.world.accounts[asked.target].now()) != asked.model

    def _is_older(self, made: StandInDeployment, asked: Asked) -> bool:
        """Whether what there is was asked for before."""
        return (
            seconds(tag_of(made, RECEIVED_TAG)) - EPOCH
            <= max(self._books.first.get(one, -1.0) for one in asked.origins) + ROUNDING_SECONDS
        )

    def _is_fresh(self, asked: Asked, process: str | None) -> bool:
        """Whether a process may work on it under a message that came for the first time."""
        deliveries = (each for one in asked.origins for each in self._books.deliveries.get(one, ()))
        return any(each.process == process and each.count == 1 for each in deliveries)

    def _has_expired(self, made: StandInDeployment, target: str) -> bool:
        expires = tag_of(made, EXPIRES_TAG)
        return expires is not None and seconds(expires) <= self._books.world.accounts[target].now() + ROUNDING_SECONDS


def is_of_payload(books: Recorder, made: StandInDeployment, asked: Asked) -> bool:
    """Whether a deployment was made for the very payload of a request, by whomever that was sent."""
    return books.owners.get(made.arn, "").partition(" ")[2] == asked.whose.partition(" ")[2]


def seconds(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def received_of(made: StandInDeployment) -> float:
    """Return when that was first received for which a deployment was made, or updated last."""
    update = (tag_of(made, UPDATE_TAG) or "").split()
    return max(seconds(tag_of(made, RECEIVED_TAG)), seconds(update[1]) if len(update) > 1 else 0.0)


def is_dull(model_arn: str, rules: Rules) -> bool:
    """Whether a model answers nothing of use."""
    return bool(re.search(rules.dull_models or "(?!)", model_arn))


def served(books: Recorder, made: StandInDeployment, since: float) -> set[str]:
    """Return the models that a deployment has served since then, by the account's clock."""
    changes, update = list[tuple[float, str]](), made.update
    while update is not None:
        if not update.fails and update.ends <= EPOCH + books.now:
            changes.insert(0, (update.ends, update.model_arn))
        update = update.before
    changes.insert(0, (made.created, books.former.get(made.arn, made.first_model_arn)))
    ends = [began for began, _ in changes[1:]] + [NEVER]
    return {model for (_, model), end in zip(changes, ends, strict=True) if end >= since}
