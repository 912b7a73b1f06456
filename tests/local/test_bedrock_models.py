"""Custom models, tags that are taken away, and what no operation answers: as an SDK sees them."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError

from slipway.local.bedrock_account import Account
from slipway.local.bedrock_operations import partition_of
from slipway.local.bedrock_server import BedrockStandIn
from slipway.local.behaviour import Behaviour
from slipway.local.validation import Refusal
from tests.local.conftest import make_account

OWN = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"


async def test_a_model_is_created_found_and_deployed(bedrock: Any) -> None:
    arn = (
        await bedrock.create_custom_model(
            modelName="bot",
            modelSourceConfig=SOURCE,
            modelTags=[{"key": "a", "value": "b"}],
        )
    )["modelArn"]
    assert (await bedrock.get_custom_model(modelIdentifier="bot"))["modelArn"] == arn
    assert (await bedrock.get_custom_model(modelIdentifier=arn))["modelStatus"] == "Active"
    assert [one["modelArn"] for one in (await bedrock.list_custom_models(nameContains="bo"))["modelSummaries"]] == [arn]
    made = (await bedrock.create_custom_model_deployment(modelDeploymentName="d", modelArn=arn))["customModelDeploymentArn"]
    assert (await bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=made))["modelArn"] == arn
    assert (await bedrock.list_tags_for_resource(resourceARN=arn))["tags"] == [{"key": "a", "value": "b"}]
    await bedrock.untag_resource(resourceARN=arn, tagKeys=["a", "none"])
    assert (await bedrock.list_tags_for_resource(resourceARN=arn))["tags"] == []
    with pytest.raises(ClientError, match="ConflictException"):
        await bedrock.create_custom_model(modelName="bot", modelSourceConfig=SOURCE)


SOURCE = {"s3DataSource": {"s3Uri": "s3://bucket/model"}}
BASE = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0"


async def _names(bedrock: Any, **filters: object) -> list[str]:
    """Return the names on all pages, in order."""
    pages = bedrock.get_paginator("list_custom_models").paginate(**filters)
    return [model["modelName"] async for page in pages for model in page["modelSummaries"]]


async def test_models_are_listed_in_pages_and_by_every_filter_of_the_api(bedrock: Any) -> None:
    """It answered everything in one page, and took no filter but the name and the status."""
    names = ["bot-a", "bot-b", "other", "bot-c"]
    arns = {name: (await bedrock.create_custom_model(modelName=name, modelSourceConfig=SOURCE))["modelArn"] for name in names}
    first = await bedrock.list_custom_models(maxResults=3)
    assert [model["modelName"] for model in first["modelSummaries"]] == ["bot-c", "other", "bot-b"]
    last = await bedrock.list_custom_models(maxResults=3, nextToken=first["nextToken"])
    assert [model["modelName"] for model in last["modelSummaries"]] == ["bot-a"]
    assert "nextToken" not in last
    assert await _names(bedrock, sortOrder="Ascending", PaginationConfig={"PageSize": 1}) == names
    assert await _names(bedrock, nameContains="bot", PaginationConfig={"PageSize": 2}) == ["bot-c", "bot-b", "bot-a"]
    created = {model["modelName"]: model["creationTime"] for model in (await bedrock.list_custom_models())["modelSummaries"]}
    assert await _names(bedrock, creationTimeAfter=created["bot-c"]) == []
    assert await _names(bedrock, creationTimeBefore=created["bot-a"]) == []
    assert await _names(bedrock, baseModelArnEquals=BASE) == await _names(bedrock, foundationModelArnEquals=BASE) == names[::-1]
    assert await _names(bedrock, baseModelArnEquals=arns["bot-a"]) == await _names(bedrock, isOwned=False) == []
    assert await _names(bedrock, isOwned=True, modelStatus="Active") == names[::-1]
    assert await _names(bedrock, modelStatus="Failed") == []
    with pytest.raises(ClientError, match="nextToken is not valid"):
        await bedrock.list_custom_models(nextToken="nonsense")


async def test_an_operation_that_is_not_known_answers_an_error_document(bedrock: Any) -> None:
    """A JavaScript SDK threw SyntaxError at "404: Not Found"."""
    with pytest.raises(ClientError, match="UnknownOperationException") as refused:
        await bedrock.list_guardrails()
    assert refused.value.response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("PUT", "/tagResource", 405), ("GET", "/", 404)]
)
async def test_every_answer_is_a_document_with_a_request_id(method: str, path: str, status: int) -> None:
    stand_in = BedrockStandIn()
    url = await stand_in.start()
    try:
        async with aiohttp.ClientSession() as session, session.request(method, url + path) as answer:
            assert answer.status == status
            assert answer.headers["x-amzn-RequestId"]
            assert answer.headers["x-amzn-ErrorType"] == "UnknownOperationException"
            assert (await answer.json())["message"]
    finally:
        await stand_in.close()


@pytest.mark.parametrize(
    "model",
    [
        OWN.replace("us-east-1", "us-west-2"),
        OWN.replace("123456789012", "210987654321"),
        OWN.replace("arn:aws:", "arn:aws-cn:"),
    ],
)
def test_a_model_of_another_account_or_region_is_refused_unless_a_term_allows_it(model: str) -> None:
    with pytest.raises(Refusal, match="not of this account and Region"):
        make_account().create(0.0, "bot", model)
    assert make_account(foreign_models=True).create(0.0, "bot", model).name == "bot"


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn"), ("eu-west-1", "aws"), ("eusc-de-east-1", "aws-eusc")],
)
def test_a_deployment_has_the_arn_of_its_partition(region: str, partition: str) -> None:
    stand_in = BedrockStandIn(Behaviour())
    account: Account = stand_in.account(region)
    model = OWN.replace("arn:aws:", f"arn:{partition}:").replace("us-east-1", region)
    made = account.create(0.0, "bot", model)
    assert made.arn.startswith(f"arn:{partition}:bedrock:{region}:123456789012:custom-model-deployment/")
    assert account.get(0.0, made.arn) is made
    assert partition_of(region) == partition
