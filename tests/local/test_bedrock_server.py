"""The HTTP face of the stand-in, driven by the clients that users have: aioboto3 and boto3."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import aioboto3
import aiohttp
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.iam.utils import generate_access_key_id_from_account_id

from slipway.core.requests.fields import MODEL_ARN
from slipway.local.bedrock_operations import account_of
from slipway.local.bedrock_server import BedrockStandIn
from tests.local.conftest import CREATE, MODEL, OTHER_MODEL, Clock, open_boto3

LIST = "ListCustomModelDeployments"


async def refused(call: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        await call
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


async def create(bedrock: Any, name: str = "support-bot", **more: Any) -> str:
    answer = await bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=MODEL, **more)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    return str(answer["customModelDeploymentArn"])


async def test_customization_jobs_are_completed_unless_the_terms_say_otherwise(bedrock: Any, standin: BedrockStandIn) -> None:
    arn = MODEL.replace("custom-model", "model-customization-job")
    standin.terms = standin.terms.changed({"jobs": {"late": "InProgress", "broken": "Failed", "gone": "Missing"}})
    shown = await bedrock.get_model_customization_job(jobIdentifier=arn)
    assert (shown["jobArn"], shown["status"], shown["outputModelArn"]) == (arn, "Completed", MODEL)
    by_name = await bedrock.get_model_customization_job(jobIdentifier="tune-7")
    assert re.fullmatch(MODEL_ARN, by_name["outputModelArn"])
    late = await bedrock.get_model_customization_job(jobIdentifier="late")
    assert (late["status"], "outputModelArn" in late) == ("InProgress", False)
    assert (await bedrock.get_model_customization_job(jobIdentifier="broken"))["failureMessage"]
    assert await refused(bedrock.get_model_customization_job(jobIdentifier="gone")) == ("ResourceNotFoundException", 404)


async def test_a_deployment_s_life(bedrock: Any, clock: Clock, http: aiohttp.ClientSession) -> None:
    arn = await create(bedrock, description="nightly", tags=[{"key": "team", "value": "support"}], clientRequestToken="t1")
    for identifier in (arn, "support-bot"):
        shown = await bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=identifier)
        del shown["ResponseMetadata"]
        assert shown == {
            "customModelDeploymentArn": arn,
            "modelDeploymentName": "support-bot",
            "modelArn": MODEL,
            "createdAt": datetime.fromtimestamp(clock.now, UTC),
            "lastUpdatedAt": datetime.fromtimestamp(clock.now, UTC),
            "status": "Creating",
            "description": "nightly",
        }
    clock.now += 60
    listed = await bedrock.list_custom_model_deployments()
    assert [(one["customModelDeploymentName"], one["status"]) for one in listed["modelDeploymentSummaries"]] == [
        ("support-bot", "Active")
    ]
    assert "description" not in listed["modelDeploymentSummaries"][0]
    told = await bedrock.list_tags_for_resource(resourceARN=arn)
    assert told["tags"] == [{"key": "team", "value": "support"}]
    await bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=arn)
    gone = bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)
    assert await refused(gone) == ("ResourceNotFoundException", 404)
    records = await (await http.get("/_slipway/records")).json()
    account = records["accounts"]["us-east-1"]
    assert account["calls"] == {
        f"{CREATE} OK": 1,
        "GetCustomModelDeployment OK": 2,
        f"{LIST} OK": 1,
        "ListTagsForResource OK": 1,
        "DeleteCustomModelDeployment OK": 1,
        "GetCustomModelDeployment ResourceNotFoundException": 1,
    }
    assert [one["deleted"] for one in account["deployments"]] == [True]


async def test_a_failed_one_says_why(bedrock: Any, clock: Clock) -> None:
    await create(bedrock, "fails-on-purpose")
    clock.now += 60
    shown = await bedrock.get_custom_model_deployment(customModelDeploymentIdentifier="fails-on-purpose")
    (listed,) = (await bedrock.list_custom_model_deployments(statusEquals="Failed"))["modelDeploymentSummaries"]
    assert shown["failureMessage"] == listed["failureMessage"] != ""


async def test_errors_are_botocore_s_own(standin: BedrockStandIn, bedrock: Any) -> None:
    standin.terms = standin.terms.changed({"denied": ["GetCustomModel"], "models": {OTHER_MODEL: "Missing"}})
    with pytest.raises(bedrock.exceptions.ValidationException):
        await create(bedrock, "a.b")
    with pytest.raises(bedrock.exceptions.TooManyTagsException):
        await create(bedrock, tags=[{"key": f"k{at}", "value": ""} for at in range(51)])
    with pytest.raises(bedrock.exceptions.ResourceNotFoundException):
        await bedrock.create_custom_model_deployment(modelDeploymentName="a", modelArn=OTHER_MODEL)
    with pytest.raises(bedrock.exceptions.AccessDeniedException):
        await bedrock.get_custom_model(modelIdentifier=MODEL)
    await create(bedrock, "a")
    with pytest.raises(bedrock.exceptions.ValidationException, match="already exists"):
        await create(bedrock, "a")
    with pytest.raises(bedrock.exceptions.ConflictException):
        await bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier="a")
    await create(bedrock, "b")
    with pytest.raises(bedrock.exceptions.ServiceQuotaExceededException):
        await create(bedrock, "c")


async def test_a_model_that_is_not_active_yet(standin: BedrockStandIn, bedrock: Any) -> None:
    standin.terms = standin.terms.changed({"models": {MODEL: "Creating"}})
    assert (await bedrock.get_custom_model(modelIdentifier=MODEL))["modelStatus"] == "Creating"
    assert (await bedrock.get_custom_model(modelIdentifier=OTHER_MODEL))["modelStatus"] == "Active"
    with pytest.raises(bedrock.exceptions.ValidationException):
        await create(bedrock)


async def test_pages_of_list(standin: BedrockStandIn, bedrock: Any, clock: Clock) -> None:
    account = standin.account()
    for at in range(2345):
        account.add(clock.now + at, f"bot-{at}", MODEL)
    clock.now += 3000
    pages = [
        page["modelDeploymentSummaries"] async for page in bedrock.get_paginator("list_custom_model_deployments").paginate()
    ]
    assert [len(page) for page in pages] == [1000, 1000, 345]
    names = [one["customModelDeploymentName"] for page in pages for one in page]
    assert names == [f"bot-{at}" for at in reversed(range(2345))]


async def test_filters_of_list(standin: BedrockStandIn, bedrock: Any, clock: Clock) -> None:
    account = standin.account()
    for at in range(5):
        account.add(clock.now + at, f"bot-{at}", OTHER_MODEL if at == 3 else MODEL)
    begin = clock.now
    clock.now += 62

    async def names(**filters: Any) -> list[str]:
        answer = await bedrock.list_custom_model_deployments(**filters)
        return [one["customModelDeploymentName"][4:] for one in answer["modelDeploymentSummaries"]]

    assert await names(sortBy="CreationTime", sortOrder="Ascending", maxResults=2) == ["0", "1"]
    assert await names(createdAfter=datetime.fromtimestamp(begin + 2, UTC)) == ["4", "3"]
    assert await names(createdBefore=datetime.fromtimestamp(begin + 2, UTC)) == ["1", "0"]
    assert await names(statusEquals="Active") == ["2", "1", "0"]
    assert await names(modelArnEquals=OTHER_MODEL, nameContains="bot") == ["3"]
    for wrong in (
        {"nextToken": "made-up"},
        {"statusEquals": "ACTIVE"},
        {"sortOrder": "down"},
        {"sortBy": "Name"},
        {"maxResults": 1001},
    ):
        assert await refused(bedrock.list_custom_model_deployments(**wrong)) == ("ValidationException", 400)


async def test_update_by_patch(http: aiohttp.ClientSession, bedrock: Any, clock: Clock) -> None:
    """With HTTP alone: the operation is newer than the botocore that aioboto3 pins."""
    arn = await create(bedrock)
    clock.now += 60
    path = f"/model-customization/custom-model-deployments/{arn.replace(':', '%3A').replace('/', '%2F')}"
    answer = await http.patch(path, json={"modelArn": OTHER_MODEL})
    assert (answer.status, await answer.json()) == (202, {"customModelDeploymentArn": arn})
    shown = await (await http.get(path)).json()
    assert (shown["modelArn"], shown["updateDetails"]) == (MODEL, {"modelArn": OTHER_MODEL, "updateStatus": "Updating"})
    clock.now += 30
    shown = await (await http.get(path)).json()
    assert (shown["modelArn"], shown["updateDetails"]["updateStatus"]) == (OTHER_MODEL, "UpdateCompleted")


async def test_regions_are_apart(url: str, standin: BedrockStandIn, bedrock: Any) -> None:
    await create(bedrock)
    assert len(standin.account("us-east-1").made) == 1
    assert standin.account("us-west-2").made == []


async def test_boto3_is_served_too(url: str, clock: Clock) -> None:
    def work() -> list[str]:
        client = open_boto3(url)
        arn = client.create_custom_model_deployment(modelDeploymentName="sync", modelArn=MODEL)["customModelDeploymentArn"]
        shown = client.get_custom_model_deployment(customModelDeploymentIdentifier=arn)
        listed = client.list_custom_model_deployments(statusEquals="Creating")["modelDeploymentSummaries"]
        client.close()
        return [shown["modelDeploymentName"], *(one["customModelDeploymentName"] for one in listed)]

    assert await asyncio.to_thread(work) == ["sync", "sync"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b'"a"', b"\xff"], ids=["cut", "list", "number", "string", "no text"])
async def test_a_body_that_is_no_object_is_an_error_document(http: aiohttp.ClientSession, body: bytes) -> None:
    answer = await http.post("/model-customization/custom-model-deployments", data=body)
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (400, "SerializationException")


@pytest.mark.parametrize("tags", [1, "team", [1], [["team", "support"]], [{"key": 1, "value": "support"}]])
async def test_tags_of_another_shape_are_an_error_document(http: aiohttp.ClientSession, tags: object) -> None:
    wanted = {"modelDeploymentName": "a", "modelArn": MODEL, "tags": tags}
    answer = await http.post("/model-customization/custom-model-deployments", json=wanted)
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (400, "SerializationException")


async def test_terms_change_while_it_runs(http: aiohttp.ClientSession, bedrock: Any) -> None:
    assert (await http.patch("/_slipway/terms", json={"max_creating": 0})).status == 200
    assert (await (await http.get("/_slipway/terms")).json())["max_creating"] == 0
    with pytest.raises(bedrock.exceptions.ServiceQuotaExceededException):
        await create(bedrock)
    wrong = await http.patch("/_slipway/terms", json={"max_creatign": 1})
    assert (wrong.status, "max_creatign" in (await wrong.json())["message"]) == (400, True)


async def test_reset_forgets_all(http: aiohttp.ClientSession, bedrock: Any) -> None:
    await create(bedrock)
    assert (await http.post("/_slipway/reset")).status == 200
    assert (await bedrock.list_custom_model_deployments())["modelDeploymentSummaries"] == []


RESEARCH = ("us-west-2", "210987654321")


def test_a_role_s_key_is_of_its_own_account_and_any_other_of_one() -> None:
    for account in ("210987654321", "000000000001", "999999999999", "123456789012"):
        assert account_of(generate_access_key_id_from_account_id(account, "ASIA")) == account
    for key in ("local", "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "ASIA", ""):
        assert account_of(key) == "123456789012"


async def test_each_account_and_region_has_deployments_terms_and_faults_of_its_own(
    standin: BedrockStandIn, url: str, bedrock: Any, http: Any
) -> None:
    where = {"account": RESEARCH[1], "region": RESEARCH[0]}
    changed = await http.patch("/_slipway/terms", params=where, json={"denied": ["GetCustomModel"], "max_creating": 1})
    assert (await changed.json())["max_creating"] == 1
    trouble = await http.patch("/_slipway/faults", params=where, json={LIST: {"rate": 0.001, "burst": 1}})
    assert trouble.status == 200
    key = generate_access_key_id_from_account_id(RESEARCH[1], "ASIA")
    there = aioboto3.Session().client(
        "bedrock", endpoint_url=url, region_name=RESEARCH[0], aws_access_key_id=key, aws_secret_access_key="made-up",
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip
    model = MODEL.replace("us-east-1:123456789012", ":".join(RESEARCH))
    async with there as theirs:
        await theirs.create_custom_model_deployment(modelDeploymentName="bot", modelArn=model)
        await create(bedrock, "bot")
        assert await refused(theirs.get_custom_model(modelIdentifier=model)) == ("AccessDeniedException", 403)
        await bedrock.get_custom_model(modelIdentifier=MODEL)
        await theirs.list_custom_model_deployments()
        assert await refused(theirs.list_custom_model_deployments()) == ("ThrottlingException", 429)
        for _ in range(2):
            await bedrock.list_custom_model_deployments()
    assert [len(standin.account(*place).made) for place in ((), RESEARCH)] == [1, 1]
    records = await (await http.get("/_slipway/records")).json()
    assert set(records["accounts"]) == {"us-east-1", "210987654321/us-west-2"}
    assert (await (await http.get("/_slipway/terms")).json())["max_creating"] == 2
    assert (await (await http.get("/_slipway/faults")).json())["troubles"] == {}
