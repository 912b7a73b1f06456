"""Whether what is announced is so, by what the account itself knows: I5.

What was so a little before it is said counts as true: an event may wait for the topic behind calls that time out, and
meanwhile somebody else may update or delete what it tells of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from slipway.core.bedrock import ModelState, Status
from slipway.core.lifecycle.tags import EXPIRES_TAG
from slipway.local.bedrock_account import NEVER
from tests.simulation.invariants.ownership import is_dull, received_of, seconds, served
from tests.simulation.recorder import Asked, Recorder, origin
from tests.simulator.bedrock import StandInDeployment, request_of, tag_of
from tests.simulator.sqs import EPOCH

OLDEST_NEWS_SECONDS = 60.0
"""Before the last delivery of the request."""


class Truth:
    """Compares outcomes with the account."""

    def __init__(self, books: Recorder) -> None:
        self._books = books
        self._process: str | None = None
        """That announces what is checked."""

    def check(self, asked: Asked, word: str, data: Mapping[str, Any], process: str | None) -> None:
        """An outcome is announced: it is to be true, as far as the process that announces it can know."""
        self._process = process
        reason = data.get("reason")
        if word == "TimedOut":
            is_true = self._books.now >= self._books.first_of(asked) + asked.timeout - 1.0
            is_true = is_true and ("reason" in data or not self._told(asked, data))
        elif word == "Cancelled":
            is_true = self._is_cancelled(asked)
        else:
            judge = {"deploy": self._of_deploy, "update": self._of_update, "delete": self._of_delete, "cancel": self._of_cancel}
            is_true = judge[asked.action](asked, word, reason, data)
        if not is_true:
            self._books.breaks("I5", f"{word} {reason} of {asked.action} {asked.name} is not true: {data}")

    def _of_deploy(self, asked: Asked, word: str, reason: str | None, data: Mapping[str, Any]) -> bool:
        told = self._told(asked, data)
        match word, reason:
            case "Active", None:
                return self._serves(asked, told) and self._has_passed(asked, data)
            case "Failed", "DeploymentFailed" if "customModelDeploymentArn" not in data:
                return any(request_of(one) == asked.request_id and self._has_failed(one, asked) for one in self._there(asked))
            case "Failed", "DeploymentFailed":
                return any(self._has_failed(one, asked) for one in told)
            case "Failed", "NameConflict":
                return any(request_of(one) is None or self._served(one, asked) != {asked.model} for one in told)
            case "Failed", "AlreadyExists":
                return asked.says("ifExists", "fail") and any(
                    request_of(one) != asked.request_id or self._served(one, asked) != {asked.model} for one in told
                )
            case "Failed", "SmokeTestFailed":
                return self._has_failed_smoke(asked, data)
            case "Failed", "UpdateFailed" if asked.says("ifExists", "update"):
                return any(self._has_failed_update(one, asked) for one in told)
            case _:
                return word == "Failed" and self._is_refused(asked, reason, told)

    def _of_update(self, asked: Asked, word: str, reason: str | None, data: Mapping[str, Any]) -> bool:
        told = self._told(asked, data)
        match word, reason:
            case "Updated", None:
                return self._serves(asked, told) and self._has_passed(asked, data)
            case "RolledBack" | "Failed", "UpdateFailed":
                was_wanted = word == "Failed" or bool(asked.most("rollback"))
                return was_wanted and any(self._has_failed_update(one, asked) for one in told)
            case "RolledBack", "SmokeTestFailed":
                was_former = any(data["formerModelArn"] in self._served(one, asked) for one in told)
                return bool(asked.most("rollback")) and was_former and self._has_failed_smoke(asked, data)
            case "Failed", "RollbackFailed" | "SmokeTestFailed":
                is_back = reason == "RollbackFailed"
                return self._has_failed_smoke(asked, data) and (
                    not is_back or any(one.update and one.update.fails for one in told)
                )
            case "Failed", "DeploymentFailed":
                return any(self._has_failed(one, asked) for one in told)
            case "Failed", "DeploymentNotFound":
                return self._was_absent(asked)
            case "Failed", "NotOurs" | "ForceNotAllowed":
                return any(request_of(one) is None for one in told)
            case _:
                return word == "Failed" and self._is_refused(asked, reason, told)

    def _of_delete(self, asked: Asked, word: str, reason: str | None, data: Mapping[str, Any]) -> bool:
        told, now = self._told(asked, data), self._books.world.accounts[asked.target].now()
        match word, reason:
            case "Deleted", None | "Expired" if "customModelDeploymentArn" in data:
                gone = [one for one in self._there(asked) if one.arn == data["customModelDeploymentArn"]]
                is_unseen = bool(data.get("alreadyGone")) and self._was_absent(asked)
                return is_unseen or (all(not one.exists(now) for one in gone) and bool(gone))
            case "Deleted", None | "Expired":
                return bool(data["alreadyGone"]) and (self._was_absent(asked) or self._came_later(asked, self._there(asked)))
            case "Failed", "NotOurs" | "ForceNotAllowed":
                return any(request_of(one) is None for one in told)
            case "Failed", "Superseded":
                return self._came_later(asked, told)
            case "Failed", "InternalError":
                return self._is_refused(asked, reason, told)
            case "Failed", "NotExpired":
                return any((expires := tag_of(one, EXPIRES_TAG)) is None or seconds(expires) > now - 60.0 for one in told)
            case _:
                return False

    def _of_cancel(self, asked: Asked, word: str, reason: str | None, _: Mapping[str, Any]) -> bool:
        meant = [one for one in self._books.asked.values() if one.request_id == asked.name]
        match word, reason:
            case "CancelTaken", None:
                return any(begun in self._books.cancelled for one in meant for begun in one.origins)
            case "Failed", "InternalError":
                return self._is_refused(asked, reason, [])
            case "Failed", "NothingToCancel":
                is_late = self._books.now >= self._books.first_of(asked) + asked.timeout - 1.0
                return is_late or any(one.key in self._books.said for one in meant)
            case _:
                return False

    def _is_cancelled(self, asked: Asked) -> bool:
        """Somebody wanted it no more; and where its deployment is to go too, it has gone."""
        cancels = [one for one in self._books.asked.values() if one.action == "cancel" and one.name == asked.request_id]
        if not cancels or not any(begun in self._books.cancelled for begun in asked.origins):
            return False
        if asked.action != "deploy" or not all(one.says("deployment", "delete") for one in cancels):
            return True
        now = self._books.world.accounts[asked.target].now()
        there = [one for one in self._there(asked) if one.exists(now) and request_of(one) == asked.request_id]
        own = [one for one in there if self._books.owners.get(one.arn) == asked.whose]  # a stranger's may have the same id
        return not any(self._served(one, asked) == {asked.model} for one in own)

    def _is_refused(self, asked: Asked, reason: str | None, told: list[StandInDeployment]) -> bool:
        rules, models = self._books.world.accounts[asked.target].rules, self._books.model_changes
        match reason:
            case "ModelNotFound" | "ModelFailed":
                kind = ModelState.MISSING if reason == "ModelNotFound" else ModelState.FAILED
                return rules.models.get(asked.model) == kind or asked.model in models
            case "InvalidRequest":
                return bool(re.search(rules.invalid_names or "(?!)", asked.name)) or (
                    # Where the model cannot be read, Bedrock's refusal to deploy it is all there is.
                    rules.model_shown != "" and rules.models.get(asked.model) in {ModelState.MISSING, ModelState.FAILED}
                )
            case "Superseded":
                return self._came_later(asked, told)
            case "InternalError":
                begun = self._books.deaths.keys() & set(asked.origins)
                return asked.name in self._books.raising or self._books.calls_raised > 0 or bool(begun)
            case _:
                return False

    # What is so.

    def _there(self, asked: Asked) -> list[StandInDeployment]:
        return [one for one in self._books.world.accounts[asked.target].made if asked.is_about(one)]

    def _told(self, asked: Asked, data: Mapping[str, Any]) -> list[StandInDeployment]:
        """Return the deployment that an event tells of, if it exists, or did when the deliveries that may say so came."""
        arn, since = data.get("customModelDeploymentArn"), self._since(asked)
        return [one for one in self._there(asked) if one.arn == arn and one.deleted - EPOCH >= since]

    def _serves(self, asked: Asked, told: list[StandInDeployment]) -> bool:
        account = self._books.world.accounts[asked.target]
        return any(
            asked.model in self._served(one, asked) and request_of(one) is not None and account.status(one) == Status.ACTIVE
            for one in told
        )

    def _served(self, made: StandInDeployment, asked: Asked) -> set[str]:
        return served(self._books, made, self._since(asked) + EPOCH)

    def _has_failed(self, made: StandInDeployment, asked: Asked) -> bool:
        return self._books.world.accounts[asked.target].status(made) == Status.FAILED

    @staticmethod
    def _has_passed(asked: Asked, data: Mapping[str, Any]) -> bool:
        """Whether the smoke test was passed, where there is one: then the event has its answer."""
        if not all("smokeTest" in body for body in asked.bodies):
            return True
        return bool(data["smokeTest"]["passed"] or not all(body["smokeTest"].get("gate", True) for body in asked.bodies))

    def _has_failed_smoke(self, asked: Asked, data: Mapping[str, Any]) -> bool:
        rules = self._books.world.accounts[asked.target].rules
        is_tested = any("smokeTest" in body for body in asked.bodies) and not data["smokeTest"]["passed"]
        return is_tested and (is_dull(asked.model, rules) or data["smokeTest"]["text"].startswith("no answer"))

    @staticmethod
    def _has_failed_update(made: StandInDeployment, asked: Asked) -> bool:
        update = made.update
        while update is not None:
            if update.model_arn == asked.model and update.fails:
                return True
            update = update.before
        return False

    def _was_absent(self, asked: Asked) -> bool:
        account, since = self._books.world.accounts[asked.target], self._since(asked) + EPOCH
        lag, now = account.rules.get_lag_seconds, account.now()
        return not any(one.created + lag <= since and one.exists(now) for one in self._there(asked))

    def _came_later(self, asked: Asked, there: list[StandInDeployment]) -> bool:
        """Whether what there is was made, or updated, for a request that was received after this one was first."""
        return any(received_of(one) - EPOCH > self._books.first_of(asked) for one in there)

    def _since(self, asked: Asked) -> float:
        """Return from when on what was so may be told, by the loop's clock."""
        books = self._books
        letters = {
            letter.message_id
            for letter in [*books.world.sqs.all, *books.world.control.all]
            if origin(letter)[0] in asked.origins
        }
        all_of_them = [each for one in letters for each in books.deliveries.get(one, ())]
        # Another replica may have received it since: an observation of the one that announces is older.
        own = [each for each in all_of_them if each.process == self._process] or all_of_them
        last = max((each.at for each in own), default=0.0)
        return last - OLDEST_NEWS_SECONDS

    def has_changed(self, asked: Asked, since: float) -> bool:
        """Whether the world is another than it was when something was announced then."""
        recent = self._books.world.sqs.visibility * 2
        if any(begun in self._books.cancelled for begun in asked.origins):
            return True  # an older message, which a kill has left, knows nothing of the cancel
        if asked.action == "cancel":  # what was cancelled has ended, or left for another replica: nothing is there to cancel
            meant = [one for one in self._books.asked.values() if one.request_id == asked.name]
            return any(one.key in self._books.said or not self._books.cancelled.isdisjoint(one.origins) for one in meant)
        return self._books.model_changes.get(asked.model, -1e9) >= since - recent or any(
            one.token is None or one.deleted != NEVER or max(one.created, _updated(one)) - EPOCH >= since - recent
            for one in self._there(asked)
        )


def _updated(made: StandInDeployment) -> float:
    return made.update.ends if made.update is not None else 0.0
