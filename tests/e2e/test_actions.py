"""Every action and option from end to end: a boto3 program sends it, the real daemon does it, its event comes out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import boto3
import pytest
import pytest_asyncio
from botocore.config import Config

from slipway.local.behaviour import Behaviour
from slipway.local.demo import sample
from slipway.local.stack import LocalAws
from tests.e2e.daemons import MODEL, Daemon, Results, a_request, daemon, listening

QUICK = Behaviour(max_creating=5, max_total=100, creation_seconds=(0.1, 0.3), update_seconds=(0.1, 0.3))

OTHER = MODEL[: -len("abcdefghijkl")] + "zyxwvutsrqpo"
DULL = MODEL[: -len("abcdefghijkl")] + "dulldulldull"
BAD = MODEL[: -len("abcdefghijkl")] + "badbadbadbad"


class ReplyTo:
    """A user's program: boto3 and the queue's URL, nothing of Slipway's."""

    def __init__(self, box: LocalAws, process: Daemon, results: Results) -> None:
        self.box = box
        self.daemon = process
        self.results = results
        names = box.environment()
        self._sqs = boto3.client(
            "sqs",
            endpoint_url=names["AWS_ENDPOINT_URL"],
            region_name=names["AWS_REGION"],
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def send(self, body: str) -> None:
        """Send a request."""
        self._sqs.send_message(QueueUrl=self.box.queue_url, MessageBody=body)

    async def ask(self, body: str) -> dict[str, Any]:
        """Send a request, and answer the data of the event that ends it."""
        self.send(body)
        return await self.answer(json.loads(body)["requestId"])

    async def answer(self, request_id: str) -> dict[str, Any]:
        """Return the data of the event that ends a request, when it has come."""
        await self.results.until(lambda: request_id in self.results.outcomes())
        return self.event(request_id)

    def event(self, request_id: str) -> dict[str, Any]:
        """Return the data of the event that ended a request."""
        (_, event_id), *others = self.results.outcomes()[request_id]
        assert not others, "one result"
        return next(dict(event["data"]) for event in self.results.events if event["id"] == event_id)


@pytest_asyncio.fixture
async def reply_target() -> AsyncIterator[ReplyTo]:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process, listening(box) as results:
        yield ReplyTo(box, process, results)


async def test_a_name_that_is_taken(reply_target: ReplyTo) -> None:
    await reply_target.ask(a_request("bot", requestId="r-0"))
    other = {"modelDeploymentName": "bot", "modelArn": OTHER}
    data = await reply_target.ask(json.dumps(other | {"requestId": "r-1", "ifExists": "fail"}))
    assert (data["outcome"], data["reason"]) == ("Failed", "AlreadyExists")
    data = await reply_target.ask(json.dumps(other | {"requestId": "r-2", "ifExists": "update"}))
    assert (data["outcome"], data["adopted"], data["modelArn"]) == ("Active", True, OTHER)
    assert len(reply_target.box.bedrock.account().made) == 1
    data = await reply_target.ask(a_request("bot", requestId="r-3", ifExists="replace"))
    first, second = reply_target.box.bedrock.account().made
    assert (data["outcome"], data["customModelDeploymentArn"]) == ("Active", second.arn)
    assert not first.exists(reply_target.box.bedrock.now())


async def test_a_deployment_that_fails_is_tried_again_or_deleted() -> None:
    # A decision is acted on one and a half visibility timeouts later.
    terms = QUICK.changed({"failing_attempts": 1})
    async with LocalAws(terms=terms) as box, daemon(box, SLIPWAY_VISIBILITY_TIMEOUT="10") as process, listening(box) as results:
        reply_target = ReplyTo(box, process, results)
        reply_target.send(a_request("bot", retries=1))
        data = await reply_target.ask(a_request("other", onFailure="delete"))
        assert (data["outcome"], data["reason"]) == ("Failed", "DeploymentFailed")
        assert terms.failure_message in data["message"]
        data = await reply_target.answer("bot")
        assert (data["outcome"], data["attempt"]) == ("Active", 2)
        now = box.bedrock.now()
        assert [one.name for one in box.bedrock.account().made if one.exists(now)] == ["bot"]


async def test_update_and_back(reply_target: ReplyTo) -> None:
    await reply_target.ask(a_request("support-bot-v42"))
    data = await reply_target.ask(sample("update.json"))
    new = json.loads(sample("update.json"))["modelArn"]
    assert (data["action"], data["outcome"]) == ("update", "Updated")
    assert (data["modelArn"], data["formerModelArn"], data["deploymentStatus"]) == (new, MODEL, "Active")
    made = reply_target.box.bedrock.account().made[0]
    assert made.model_arn(reply_target.box.bedrock.now()) == new
    body = {"action": "update", "customModelDeploymentIdentifier": made.arn, "modelArn": MODEL, "requestId": "back"}
    data = await reply_target.ask(json.dumps(body))
    assert (data["outcome"], data["formerModelArn"]) == ("Updated", new)


@pytest.mark.parametrize(("rollback", "outcome"), [(False, "Failed"), (True, "RolledBack")])
async def test_update_that_fails(reply_target: ReplyTo, *, rollback: bool, outcome: str) -> None:
    await reply_target.ask(a_request("bot"))
    body = {"action": "update", "customModelDeploymentIdentifier": "bot", "modelArn": BAD, "requestId": "u"}
    data = await reply_target.ask(json.dumps(body | {"rollback": rollback}))
    assert (data["outcome"], data["reason"], data["formerModelArn"]) == (outcome, "UpdateFailed", MODEL)
    assert reply_target.box.bedrock.account().made[0].model_arn(reply_target.box.bedrock.now()) == MODEL


async def test_a_smoke_test_and_a_rollback(reply_target: ReplyTo) -> None:
    test = {"prompt": "Reply with the word ready.", "expect": "ready"}
    data = await reply_target.ask(a_request("bot", smokeTest=test))
    assert (data["outcome"], data["smokeTest"]) == ("Active", {"passed": True, "text": "ready"})
    body = {"action": "update", "customModelDeploymentIdentifier": "bot", "modelArn": DULL, "requestId": "u"}
    data = await reply_target.ask(json.dumps(body | {"rollback": True, "smokeTest": test}))
    assert (data["outcome"], data["reason"], data["formerModelArn"]) == ("RolledBack", "SmokeTestFailed", MODEL)
    assert data["smokeTest"] == {"passed": False, "text": "…"}
    assert reply_target.box.bedrock.account().made[0].model_arn(reply_target.box.bedrock.now()) == MODEL


async def test_expiry() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box, SLIPWAY_REAP_INTERVAL="0.5") as process, listening(box) as results:
        reply_target = ReplyTo(box, process, results)
        reply_target.send(a_request("other"))
        body = json.loads(sample("expiring.json")) | {"expiresAfter": 20}
        data = await reply_target.ask(json.dumps(body))
        assert data["outcome"] == "Active"
        made = next(one for one in box.bedrock.account().made if one.name == body["modelDeploymentName"])
        data = await reply_target.answer(f"expired-{made.arn.rsplit('/', 1)[-1]}")
        assert (data["outcome"], data["reason"], data["customModelDeploymentArn"]) == ("Deleted", "Expired", made.arn)
        assert made.deleted >= made.created + 15
        assert [one.name for one in box.bedrock.account().made if one.exists(box.bedrock.now())] == ["other"]


async def test_cancel(reply_target: ReplyTo) -> None:
    reply_target.box.bedrock.terms = QUICK.changed({"creation_seconds": [3600.0, 3600.0]})
    request_id = json.loads(sample("cancel.json"))["cancels"]
    reply_target.send(a_request("bot", requestId=request_id))
    account = reply_target.box.bedrock.account()
    await reply_target.daemon.until(lambda: bool(reply_target.daemon.lines("deployment.created")))
    kept = json.loads(sample("cancel.json")) | {"deployment": "keep"}
    data = await reply_target.ask(json.dumps(kept))
    assert (data["action"], data["outcome"], data["cancels"]) == ("cancel", "CancelTaken", request_id)
    data = await reply_target.answer(request_id)
    assert (data["outcome"], data["customModelDeploymentArn"]) == ("Cancelled", account.made[0].arn)
    assert account.made[0].exists(reply_target.box.bedrock.now())
    data = await reply_target.ask(sample("cancel.json").replace("cancel-2026-11-23-1", "again"))
    assert (data["outcome"], data["message"]) == ("CancelTaken", f"{request_id} is cancelled already")
    data = await reply_target.ask(json.dumps({"action": "cancel", "cancels": "again", "requestId": "too late"}))
    assert (data["outcome"], data["reason"]) == ("Failed", "NothingToCancel")
    step = json.loads(sample("sagemaker-callback.json"))
    reply_target.send(json.dumps(step))
    await reply_target.daemon.until(lambda: len(reply_target.daemon.lines("deployment.created")) == 2)
    reply_target.send(json.dumps(step | {"status": "Stopping"}))
    await reply_target.daemon.until(lambda: bool(reply_target.daemon.lines("pipeline.stopped")))
    assert reply_target.daemon.lines("pipeline.stopped")[0]["outcome"] == "CancelTaken", (
        "the pipeline's end is a cancel of its own"
    )
    assert [each.operation for each in reply_target.box.askers.heard] == ["SendPipelineExecutionStepFailure"]


async def test_update_of_what_is_not_there(reply_target: ReplyTo) -> None:
    body = {"action": "update", "customModelDeploymentIdentifier": "nothing", "modelArn": MODEL, "requestId": "u"}
    data = await reply_target.ask(json.dumps(body))
    assert (data["outcome"], data["reason"]) == ("Failed", "DeploymentNotFound")


async def test_delete_by_name_and_again(reply_target: ReplyTo) -> None:
    await reply_target.ask(a_request("support-bot-v41"))
    data = await reply_target.ask(sample("delete.json"))
    account, now = reply_target.box.bedrock.account(), reply_target.box.bedrock.now()
    assert not account.made[0].exists(now)
    assert data["action"] == "delete"
    assert (data["outcome"], data["alreadyGone"]) == ("Deleted", False)
    assert (data["modelDeploymentName"], data["customModelDeploymentArn"]) == ("support-bot-v41", account.made[0].arn)
    assert "status" not in data, "it has none any more"


async def test_delete_by_arn_waits_until_the_creation_has_ended(reply_target: ReplyTo) -> None:
    reply_target.box.bedrock.terms = QUICK.changed({"creation_seconds": [3600.0, 3600.0]})
    account = reply_target.box.bedrock.account()
    made = account.create(reply_target.box.bedrock.now(), "bot", MODEL, tags=[{"key": "slipway:request", "value": "another"}])
    reply_target.send(json.dumps({"action": "delete", "customModelDeploymentIdentifier": made.arn, "requestId": "d"}))
    await reply_target.daemon.until(
        lambda: any(line.get("reason") == "Busy" for line in reply_target.daemon.lines("request.paused"))
    )
    assert made.exists(reply_target.box.bedrock.now())
    made.ends = reply_target.box.bedrock.now()
    data = await reply_target.answer("d")
    assert (data["outcome"], data["alreadyGone"]) == ("Deleted", False)
    assert not made.exists(reply_target.box.bedrock.now())


async def test_delete_of_what_is_not_there(reply_target: ReplyTo) -> None:
    data = await reply_target.ask(
        json.dumps({"action": "delete", "customModelDeploymentIdentifier": "nothing", "requestId": "d"})
    )
    assert (data["outcome"], data["alreadyGone"]) == ("Deleted", True)


async def test_delete_keeps_what_slipway_did_not_make(reply_target: ReplyTo) -> None:
    account = reply_target.box.bedrock.account()
    made = account.add(reply_target.box.bedrock.now(), "theirs", MODEL)
    request = {"action": "delete", "customModelDeploymentIdentifier": "theirs"}
    data = await reply_target.ask(json.dumps(request | {"requestId": "d-1"}))
    assert (data["outcome"], data["reason"]) == ("Failed", "NotOurs")
    data = await reply_target.ask(json.dumps(request | {"requestId": "d-2", "force": True}))
    assert (data["outcome"], data["reason"]) == ("Failed", "ForceNotAllowed")
    assert made.exists(reply_target.box.bedrock.now())


async def test_delete_by_force_where_the_settings_allow_it() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box, SLIPWAY_ALLOW_FORCE="true") as process, listening(box) as results:
        body = sample("delete-by-force.json")
        box.bedrock.account().add(box.bedrock.now() - 60, json.loads(body)["customModelDeploymentIdentifier"], MODEL)
        data = await ReplyTo(box, process, results).ask(body)
        assert (data["outcome"], data["alreadyGone"]) == ("Deleted", False)
