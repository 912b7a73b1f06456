"""The control queue as a real daemon, the command line and the doctor use it."""

from __future__ import annotations

import json

import aioboto3

from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.commands import typed
from tests.e2e.daemons import a_request, daemon, listening

DEPLOYS = 40


async def control_queue(box: LocalAws) -> str:
    """Make a control queue beside the box's queue; return its URL."""
    given = box.environment()
    client = aioboto3.Session().client(
        "sqs",
        endpoint_url=given["AWS_ENDPOINT_URL"],
        region_name=given["AWS_REGION"],
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    async with client as sqs:
        return str((await sqs.create_queue(QueueName="slipway-control"))["QueueUrl"])


async def test_a_delete_from_the_command_line_overtakes_the_deploys_that_fill_the_daemon() -> None:
    terms = Behaviour(max_creating=1, max_total=1, creation_seconds=(0.2, 0.4))
    async with LocalAws(terms=terms) as box, listening(box) as results:
        control = {"SLIPWAY_CONTROL_QUEUE_URL": await control_queue(box)}
        async with daemon(box, SLIPWAY_MAX_HELD="4", **control) as process:
            await box.send(a_request("bot"))
            await results.until(lambda: any(event["type"] == "slipway.deployment.active.v1" for event in results.events))
            for number in range(DEPLOYS):
                await box.send(a_request(f"endless-{number}"))
            await process.until(lambda: len(process.lines("request.postponed")) > 5)
            near = {"SLIPWAY_HTTP_PORT": str(process.port)}
            ran = await typed(box, "delete", "bot", "--wait", "--at-most", "300", **near, **control)
            assert (ran.code, ran.lines[-1][0]) == (0, "Deleted"), ran
            ran = await typed(box, "doctor", "--json", **near, **control)
            found = json.loads(ran.out)
            assert "control queue" in [check["about"] for check in found["checked"]]
            about = {each["about"] for each in found["findings"]}
            assert "control dead-letter queue" in about, "this one has none"
            code, _ = await process.end()
            assert code == 0


async def test_a_daemon_says_which_queue_is_not_there() -> None:
    async with LocalAws() as box:
        url = f"{box.queue_url.rpartition('/')[0]}/no-such-queue"
        async with daemon(box, SLIPWAY_CONTROL_QUEUE_URL=url) as process:
            await process.until(lambda: bool(process.lines("daemon.refused")))
            assert "SLIPWAY_CONTROL_QUEUE_URL" in process.lines("daemon.refused")[0]["message"]
