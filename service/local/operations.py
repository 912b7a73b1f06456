"""Bedrock's operations from request to document, in the words of its REST-JSON. No I/O: the HTTP face is in `bedrock`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from service.local.account import LARGEST_PAGE, Account
from service.local.checks import Refusal, invalid, missing, read_tags
from service.local.made import Made

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says: the identifier in its path, its query, its body."""

    identifier: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)


def create_deployment(account: Account, now: float, asked: Asked) -> Document:
    """CreateCustomModelDeployment."""
    one = account.create(
        now,
        asked.body.get("modelDeploymentName", ""),
        asked.body.get("modelArn", ""),
        asked.body.get("description"),
        read_tags(asked.body.get("tags")),
        asked.body.get("clientRequestToken"),
    )
    return {"customModelDeploymentArn": one.arn}


def get_deployment(account: Account, now: float, asked: Asked) -> Document:
    """GetCustomModelDeployment, which tells more than List does, and has another name for the name."""
    one = account.get(now, asked.identifier)
    shown = summarise(one, now, account.terms.status_text)
    shown["modelDeploymentName"] = shown.pop("customModelDeploymentName")
    if one.description is not None:
        shown["description"] = one.description
    if (update := account.shown_update(now, one)) is not None:
        shown["updateDetails"] = {"modelArn": update.model_arn, "updateStatus": update.status(now)}
    return shown


def list_deployments(account: Account, now: float, asked: Asked) -> Document:
    """ListCustomModelDeployments."""
    query = asked.query
    page, following = account.list_all(
        now,
        created_before=_seconds(query.get("createdBefore")),
        created_after=_seconds(query.get("createdAfter")),
        name_contains=query.get("nameContains"),
        status_equals=query.get("statusEquals"),
        model_arn_equals=query.get("modelArnEquals"),
        max_results=int(query.get("maxResults", LARGEST_PAGE)),
        next_token=query.get("nextToken"),
        ascending=query.get("sortOrder") == "Ascending",
    )
    at = now - account.terms.list_lag_seconds
    summaries = [summarise(one, at, account.terms.status_text) for one in page]
    return {"modelDeploymentSummaries": summaries} | ({"nextToken": following} if following else {})


def delete_deployment(account: Account, now: float, asked: Asked) -> Document:
    """DeleteCustomModelDeployment."""
    account.delete(now, asked.identifier)
    return {}


def update_deployment(account: Account, now: float, asked: Asked) -> Document:
    """UpdateCustomModelDeployment."""
    return {"customModelDeploymentArn": account.update(now, asked.identifier, asked.body.get("modelArn", "")).arn}


def list_tags(account: Account, now: float, asked: Asked) -> Document:
    """ListTagsForResource."""
    return {"tags": account.tags(now, str(asked.body.get("resourceARN", "")))}


def tag_resource(account: Account, now: float, asked: Asked) -> Document:
    """TagResource."""
    account.tag(now, str(asked.body.get("resourceARN", "")), read_tags(asked.body.get("tags")))
    return {}


def converse(account: Account, now: float, asked: Asked) -> Document:
    """Converse, of the runtime, with a deployment."""
    messages = asked.body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages must not be empty")
    said = {"role": "assistant", "content": [{"text": account.converse(now, asked.identifier)}]}
    usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
    return {"output": {"message": said}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1}}


def untag_resource(account: Account, now: float, asked: Asked) -> Document:
    """UntagResource."""
    keys = asked.body.get("tagKeys")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Refusal("SerializationException", 400, "tagKeys must be a list of texts")
    account.untag(now, str(asked.body.get("resourceARN", "")), keys)
    return {}


def create_model(account: Account, now: float, asked: Asked) -> Document:
    """CreateCustomModel. What the model is made of is not read."""
    if not any(isinstance(asked.body.get(key), dict) for key in ("modelSourceConfig", "customModelDataSource")):
        raise invalid("Value null at 'modelSourceConfig' failed to satisfy constraint: Member must not be null")
    name, tags = asked.body.get("modelName", ""), read_tags(asked.body.get("modelTags"))
    return {"modelArn": account.create_model(now, name, tags).arn}


def get_model(account: Account, now: float, asked: Asked) -> Document:
    """GetCustomModel, by ARN, or by the name of a model that was created here."""
    made = next((one for one in account.models.values() if asked.identifier in {one.arn, one.name}), None)
    arn = made.arn if made else asked.identifier
    name, created = (made.name, made.created) if made else ("model", now)
    return {"modelArn": arn, "modelName": name, "modelStatus": account.model_status(arn), "creationTime": _iso(created)}


def list_models(account: Account, _: float, asked: Asked) -> Document:
    """ListCustomModels: the models that were created here, the newest first."""
    contains, status = asked.query.get("nameContains", ""), asked.query.get("modelStatus")
    shown = [
        {
            "modelArn": one.arn, "modelName": one.name, "creationTime": _iso(one.created), "ownerAccountId": account.account_id,
            "baseModelArn": f"arn:{account.partition}:bedrock:{account.region}::foundation-model/amazon.nova-lite-v1:0",
            "baseModelName": "Nova Lite", "customizationType": "IMPORTED", "modelStatus": account.model_status(one.arn),
        }
        for one in reversed(account.models.values())
        if contains in one.name and status in {None, account.model_status(one.arn)}
    ]  # fmt: skip
    return {"modelSummaries": shown}


def get_job(account: Account, now: float, asked: Asked) -> Document:
    """GetModelCustomizationJob, as far as deploying goes."""
    status = account.terms.jobs.get(asked.identifier, "Completed")
    if status == "Missing":
        raise missing("Could not find the model customization job.")
    head = f"arn:{account.partition}:bedrock:{account.region}:{account.account_id}:model-customization-job/"
    made_up = hashlib.sha256(asked.identifier.encode()).hexdigest()[:12]
    arn = asked.identifier if asked.identifier.startswith("arn:") else f"{head}amazon.nova-lite-v1:0:300k/{made_up}"
    shown = {"jobArn": arn, "jobName": asked.identifier.rpartition("/")[2], "status": status, "creationTime": _iso(now)}
    if status == "Completed":
        shown |= {"outputModelName": "model", "outputModelArn": arn.replace(":model-customization-job/", ":custom-model/")}
    if status == "Failed":
        shown["failureMessage"] = "The training data could not be read."
    return shown


def summarise(one: Made, at: float, status_text: str = "") -> Document:
    """Answer a deployment as List shows it; `status_text`, if any, stands for Creating."""
    status = one.status(at)
    shown = {
        "customModelDeploymentArn": one.arn,
        "customModelDeploymentName": one.name,
        "modelArn": one.model_arn(at),
        "createdAt": _iso(one.created),
        "status": status_text if status_text and status == "Creating" else status,
        "lastUpdatedAt": _iso(one.updated(at)),
    }
    if status == "Failed":
        shown["failureMessage"] = one.failure_message
    return shown


@lru_cache(maxsize=65_536)
def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise invalid(f"{text!r} is no timestamp") from error
