"""Whether what is announced is so, by what the account itself knows: I5."""

from __future__ import annotations

import re
from typing import Any

from service.core.deployments import ModelState, Status
from service.local.made import NEVER
from tests.proof.books import Asked, Books, origin
from tests.world.bedrock import Made, request_of
from tests.world.sqs import EPOCH


class Truth:
    """Compares outcomes with the account."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def check(self, asked: Asked, word: str, data: dict[str, Any]) -> None:
        """An outcome is announced: it is to be true."""
        reason = data.get("reason")
        if not self._is_true(asked, word, reason, data.get("customModelDeploymentArn")):
            self._books.breaks("I5", f"{word} {reason} of {asked.name} is not true: {data}")

    def _is_true(self, asked: Asked, word: str, reason: str | None, arn: str | None) -> bool:
        books = self._books
        account = books.world.accounts[asked.target]
        now = account.now()
        told = [one for one in account.made if one.name == asked.name and one.arn == arn and self._is_fresh(asked, one)]
        match word, reason:
            case "Active", None:
                return any(
                    one.model_arn(now) == asked.key[2] and request_of(one) is not None and account.status(one) == Status.ACTIVE
                    for one in told
                )
            case "Failed", "DeploymentFailed":
                return any(account.status(one) == Status.FAILED for one in told)
            case "Failed", "NameConflict":
                return any(request_of(one) is None or one.model_arn(now) != asked.key[2] for one in told)
            case "Failed", "ModelNotFound" | "ModelFailed":
                kind = ModelState.MISSING if reason == "ModelNotFound" else ModelState.FAILED
                return account.rules.models.get(asked.key[2]) == kind or asked.key[2] in books.model_changes
            case "Failed", "InvalidRequest":
                return bool(re.search(account.rules.invalid_names or "(?!)", asked.name)) or (
                    # Where the model cannot be read, Bedrock's refusal to deploy it is all there is.
                    account.rules.model_shown != ""
                    and account.rules.models.get(asked.key[2]) in {ModelState.MISSING, ModelState.FAILED}
                )
            case "TimedOut", _:
                begun = min((books.first[one] for one in asked.origins if one in books.first), default=0.0)
                return now - EPOCH >= begun + asked.timeout - 1.0
            case _:
                return False

    def has_changed(self, asked: Asked, since: float) -> bool:
        """Whether the world is another than it was when something was announced then."""
        recent = self._books.world.sqs.visibility * 2
        return self._books.model_changes.get(asked.key[2], -1e9) >= since - recent or any(
            one.name == asked.name and (one.token is None or one.deleted != NEVER or one.created - EPOCH >= since - recent)
            for one in self._books.world.accounts[asked.target].made
        )

    def _is_fresh(self, asked: Asked, made: Made) -> bool:
        """It exists, or did when the deliveries that may say so came."""
        books = self._books
        letters = {letter.message_id for letter in books.world.sqs.all if origin(letter)[0] in asked.origins}
        last = max(
            (each.at for one, all_of_it in books.deliveries.items() if one in letters for each in all_of_it), default=0.0
        )
        return made.deleted - EPOCH >= last - 60.0
