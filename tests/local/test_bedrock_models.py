"""Custom models, tags that are taken away, and what no operation answers: as an SDK sees them."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError

from slipway.local.account import Account
from slipway.local.bedrock_server import BedrockStandIn
from slipway.local.behaviour import Behaviour
from slipway.local.operations import partition_of
from slipway.local.validation import Refusal
from tests.local.conftest import make_account

OWN = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"


async def test_a_model_is_created_found_and_deployed(bedrock: Any) -> None:
    arn = (
        await bedrock.create_custom_model(
            modelName="bot",
            modelSourceConfig={"s3DataSource": {"s3Uri": "s3://bucket/model"}},
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
        await bedrock.create_custom_model(modelName="bot", modelSourceConfig={"s3DataSource": {"s3Uri": "s3://bucket/model"}})


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
