"""Bedrock's operations from request to response document, in REST-JSON. No I/O: the HTTP server is in `bedrock_server`."""

from __future__ import annotations

import hashlib
import re
from base64 import b32decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from slipway.local.bedrock_account import LARGEST_PAGE, Account, StandInDeployment
from slipway.local.validation import Refusal, invalid, missing, read_tags

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """The content of a request: the identifier in its path, its query, its body."""

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
    """GetCustomModelDeployment, which has more keys than List, and another key for the name."""
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
    """CreateCustomModel. The source of the model is not read."""
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
    """ListCustomModels: the models that were created here."""
    query = asked.query
    page, following = account.list_models(
        created_before=_seconds(query.get("creationTimeBefore")),
        created_after=_seconds(query.get("creationTimeAfter")),
        name_contains=query.get("nameContains", ""),
        status=query.get("modelStatus"),
        max_results=int(query.get("maxResults", LARGEST_PAGE)),
        next_token=query.get("nextToken"),
        ascending=query.get("sortOrder") == "Ascending",
    )
    base = f"arn:{account.partition}:bedrock:{account.region}::foundation-model/amazon.nova-lite-v1:0"
    is_shown = query.get("isOwned", "true").lower() == "true" and all(
        query.get(name, base) == base for name in ("baseModelArnEquals", "foundationModelArnEquals")
    )
    shown = [
        {
            "modelArn": one.arn, "modelName": one.name, "creationTime": _iso(one.created), "ownerAccountId": account.account_id,
            "baseModelArn": base, "baseModelName": "Nova Lite", "customizationType": "IMPORTED",
            "modelStatus": account.model_status(one.arn),
        }
        for one in page
    ]  # fmt: skip
    return {"modelSummaries": shown if is_shown else []} | ({"nextToken": following} if following and is_shown else {})


def get_job(account: Account, now: float, asked: Asked) -> Document:
    """GetModelCustomizationJob, with the keys that a deployment needs."""
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


def summarise(one: StandInDeployment, at: float, status_text: str = "") -> Document:
    """Return a deployment as List shows it; `status_text`, if any, replaces Creating."""
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
        raise invalid(f"{text!r} is not a timestamp") from error


ACCOUNT_ID: Final = "123456789012"
REGION: Final = "us-east-1"
_SCOPE: Final = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[a-z0-9-]+)/")
_TEMPORARY: Final = re.compile(r"ASIA(?P<half>[A-Z2-7]{8})(?P<odd>[A-Z2-7]).*")
_OFFSET: Final = 1 << 39
_PARTITIONS: Final = {
    "us-gov-": "aws-us-gov",
    "cn-": "aws-cn",
    "eusc-": "aws-eusc",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
}


class Place(NamedTuple):
    """One account and Region."""

    account_id: str = ACCOUNT_ID
    region: str = REGION

    def __str__(self) -> str:
        """Return its name in records: only the Region for the default account."""
        return self.region if self.account_id == ACCOUNT_ID else f"{self.account_id}/{self.region}"


def signed_for(authorization: str) -> Place:
    """Return the account and Region of a call's signature. All long-lived keys belong to the default account."""
    found = _SCOPE.search(authorization)
    return Place(account_of(found["key"]), found["region"]) if found else Place()


def account_of(key: str) -> str:
    """Return the account of a role's temporary key, which contains the account number at AWS and in moto."""
    found = _TEMPORARY.fullmatch(key)
    half = int.from_bytes(b32decode(found["half"]), "big") - _OFFSET if found else -1
    if found is None or half < 0:
        return ACCOUNT_ID
    return f"{2 * half + (not 'A' <= found['odd'] <= 'P'):012d}"


def named_in(query: Mapping[str, str]) -> Place | None:
    """Return the place that `?account=…&region=…` names; None, which means all, if neither is given."""
    if not {"account", "region"} & set(query):
        return None
    return Place(query.get("account", ACCOUNT_ID), query.get("region", REGION))


def partition_of(region: str) -> str:
    """Return the partition that a Region is in, by its prefix."""
    return next((partition for prefix, partition in _PARTITIONS.items() if region.startswith(prefix)), "aws")
