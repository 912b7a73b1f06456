"""A topic in a central account, and replies to queues and topics in other Regions, with real processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3
from aiohttp import web
from botocore.config import Config

from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.daemons import MODEL, Daemon, a_request, daemon

QUICK = Behaviour(max_creating=5, max_total=100, creation_seconds=(0.1, 0.3))
CENTRAL = "210987654321"
NS = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'


def client(box: LocalAws, service: str, region: str = "us-east-1", **credentials: str) -> Any:
    keys = credentials or {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    endpoint = box.environment()["AWS_ENDPOINT_URL"]
    return boto3.client(
        service, endpoint_url=endpoint, region_name=region, config=Config(retries={"total_max_attempts": 1}), **keys
    )


def central(box: LocalAws, service: str) -> Any:
    role = f"arn:aws:iam::{CENTRAL}:role/platform"
    assumed = client(box, "sts").assume_role(RoleArn=role, RoleSessionName="platform")["Credentials"]
    return client(
        box,
        service,
        aws_access_key_id=assumed["AccessKeyId"],
        aws_secret_access_key=assumed["SecretAccessKey"],
        aws_session_token=assumed["SessionToken"],
    )


def received(sqs: Any, url: str) -> list[dict[str, Any]]:
    """Return what arrives within the longest poll: bodies as JSON."""
    found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in found.get("Messages", [])]


async def test_a_topic_in_a_central_account_rejects_no_request_of_the_daemons_own_account() -> None:
    async with LocalAws(terms=QUICK) as box:
        topic = central(box, "sns").create_topic(Name="events")["TopicArn"]
        assert CENTRAL in topic
        async with daemon(box, SLIPWAY_TOPIC_ARN=topic) as process:
            await process.until(lambda: bool(process.lines("daemon.started")))
            await box.send(a_request("bot"))
            await box.send(a_request("theirs", modelArn=MODEL.replace("123456789012", CENTRAL)))
            await process.until(lambda: bool(process.lines("request.finished") and process.lines("request.rejected")))
            (bot,), (theirs,) = process.lines("request.finished"), process.lines("request.rejected")
            assert (bot["request_id"], bot["outcome"]) == ("bot", "Active")
            assert (theirs["reason"], theirs["field"]) == ("WrongAccount", "modelArn")


class Sts:
    """An STS endpoint that refuses everything until it is told to answer."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.is_answering = False
        self.asked = 0

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        if not self.is_answering:
            error = "<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not reachable from here</Message></Error>"
            return web.Response(status=403, text=f"<ErrorResponse {NS}>{error}</ErrorResponse>", content_type="text/xml")
        told = f"<UserId>AIDAlocal</UserId><Account>{self.account}</Account><Arn>arn:aws:iam::{self.account}:user/local</Arn>"
        result = f"<GetCallerIdentityResult>{told}</GetCallerIdentityResult>"
        text = f"<GetCallerIdentityResponse {NS}>{result}</GetCallerIdentityResponse>"
        return web.Response(text=text, content_type="text/xml")


@asynccontextmanager
async def sts_at(sts: Sts) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", sts.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield str(site.name)
    finally:
        await runner.cleanup()


async def test_without_an_answer_of_sts_no_account_is_judged_and_sts_is_asked_again() -> None:
    theirs = MODEL.replace("123456789012", CENTRAL)
    sts = Sts("123456789012")
    async with sts_at(sts) as url, LocalAws(terms=QUICK) as box:
        topic = central(box, "sns").create_topic(Name="events")["TopicArn"]
        async with daemon(box, SLIPWAY_TOPIC_ARN=topic, AWS_ENDPOINT_URL_STS=url) as process:
            await process.until(lambda: bool(process.lines("daemon.started")))
            await box.send(a_request("bot"))
            await process.until(lambda: len(process.lines("request.finished")) == 1)
            assert process.lines("request.finished")[0]["outcome"] == "Active"
            await process.until(lambda: len(process.lines("sender.unknown")) >= 3)
            sts.is_answering = True
            await process.until(lambda: bool(process.lines("sender.known")))
            answered = sts.asked
            await box.send(a_request("theirs", modelArn=theirs))
            await process.until(lambda: bool(process.lines("request.rejected")))
            assert process.lines("request.rejected")[0]["reason"] == "WrongAccount"
            assert sts.asked == answered, "what is known is asked no more"


async def test_the_daemons_own_account_and_a_target_there_are_one_place(tmp_path: Path) -> None:
    """The topic's account is another one: only STS shows that both watch the same deployments."""
    settings = tmp_path / "own.toml"
    settings.write_text('[targets.same]\nrole_arn = "arn:aws:iam::123456789012:role/slipway"\n', "utf-8")
    async with LocalAws(terms=QUICK) as box:
        topic = central(box, "sns").create_topic(Name="events")["TopicArn"]
        process = Daemon(box, {"SLIPWAY_TOPIC_ARN": topic, "SLIPWAY_CONFIG": str(settings)})
        await process.start()
        assert await process.process.wait() == 2
        await process.end()
        (line,) = process.lines("daemon.refused")
        assert "target default is account 123456789012 in Region us-east-1, as target same is" in line["message"]


async def test_a_reply_reaches_queues_and_topics_in_other_regions() -> None:
    async with LocalAws(terms=QUICK) as box:
        west_queues, west_topics = client(box, "sqs", "us-west-2"), client(box, "sns", "us-west-2")
        queue = west_queues.create_queue(QueueName="answers")["QueueUrl"]
        topic = west_topics.create_topic(Name="answers")["TopicArn"]
        behind = west_queues.create_queue(QueueName="behind")["QueueUrl"]
        west_topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-west-2:123456789012:behind")
        named = "https://sqs.us-west-2.amazonaws.com/123456789012/answers"
        gone = "https://sqs.eu-west-1.amazonaws.com/123456789012/nobody"
        async with daemon(box, SLIPWAY_REPLY_TO="*") as process:
            await process.until(lambda: bool(process.lines("daemon.started")))
            await box.send(a_request("to-queue", replyTo=named))
            await box.send(a_request("to-topic", replyTo=topic))
            await box.send(a_request("to-nobody", replyTo=gone))
            await process.until(lambda: len(process.lines("request.finished")) == 3)
            (event,) = await asyncio.to_thread(received, west_queues, queue)
            assert event["data"]["modelDeploymentName"] == "to-queue"
            (notice,) = await asyncio.to_thread(received, west_queues, behind)
            assert json.loads(notice["Message"])["data"]["modelDeploymentName"] == "to-topic"
            (line,) = process.lines("reply.unheard")
            assert line["level"] == "warning"
            assert "correct replyTo" in line["remedy"]
