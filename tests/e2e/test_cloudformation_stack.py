"""The CloudFormation template, deployed on an emulator: what it creates is what the daemon works with, beside other stacks.

The emulator takes part of AWS's word for it: IAM policies are not enforced, tasks and alarms are recorded and do not run.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway.local.behaviour import Behaviour
from tests.e2e.daemons import MODEL, daemon, listening
from tests.e2e.ministack import ACCOUNT, REGION, Ministack
from tests.support.cloudformation import TEMPLATE

QUICK = Behaviour(max_creating=50, max_total=500, creation_seconds=(0.2, 0.5))
DESIRED_COUNT = "DesiredCount: !Ref DesiredCount"
"""AWS makes a number of a parameter of type Number; the emulator leaves it text."""
OFTEN = {"Delay": 1, "MaxAttempts": 60}
"""How a waiter of the SDK polls: each second, for a minute."""


async def deployed(aws: Ministack, name: str, **parameters: str) -> dict[str, str]:
    """Create a stack and return its outputs."""
    text = TEMPLATE.read_text("utf-8")
    assert DESIRED_COUNT in text
    async with aws.client("cloudformation") as stacks:
        await stacks.create_stack(
            StackName=name,
            TemplateBody=text.replace(DESIRED_COUNT, "DesiredCount: 2"),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        await stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=OFTEN)
        (stack,) = (await stacks.describe_stacks(StackName=name))["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


async def test_a_daemon_works_with_what_a_stack_puts_out(tmp_path: Path) -> None:
    async with Ministack(tmp_path, QUICK) as aws:
        outputs = await deployed(aws, "shipping")
        settings = dict(line.split("=", 1) for line in outputs["Settings"].splitlines())
        assert (settings["SLIPWAY_QUEUE_URL"], settings["SLIPWAY_TOPIC_ARN"]) == (outputs["QueueUrl"], outputs["TopicArn"])
        async with aws.client("sns") as topics:
            results = f"arn:aws:sqs:{REGION}:{ACCOUNT}:slipway-results"
            await topics.subscribe(
                TopicArn=outputs["TopicArn"], Protocol="sqs", Endpoint=results, Attributes={"RawMessageDelivery": "true"}
            )
        async with daemon(aws, **settings) as process, listening(aws) as heard:
            await process.until(lambda: bool(process.lines("daemon.started")))
            asked = {"modelDeploymentName": "bot", "modelArn": MODEL, "requestId": "r-1"}
            await aws.sqs.send_message(QueueUrl=outputs["QueueUrl"], MessageBody=json.dumps(asked))
            await aws.sqs.send_message(QueueUrl=outputs["QueueUrl"], MessageBody="poison")
            await heard.until(lambda: bool(heard.outcomes().get("r-1")))
            assert {outcome for outcome, _ in heard.outcomes()["r-1"]} == {"Active"}
            await heard.until(lambda: any(event["data"]["outcome"] == "Rejected" for event in heard.events))
            got = await aws.sqs.receive_message(QueueUrl=outputs["DeadLettersUrl"], WaitTimeSeconds=10)
            assert [message["Body"] for message in got["Messages"]] == ["poison"]


async def test_stacks_stand_side_by_side_and_leave_their_messages_behind(tmp_path: Path) -> None:
    async with Ministack(tmp_path, QUICK) as aws, aws.client("cloudformation") as stacks, aws.client("ec2") as ec2:
        vpc = (await ec2.create_vpc(CidrBlock="10.0.0.0/16"))["Vpc"]["VpcId"]
        subnet = (await ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24"))["Subnet"]["SubnetId"]
        service = {"ImageUri": "slipway:0.1.0", "VpcId": vpc, "SubnetIds": subnet}
        everything = {
            "QueueType": "fifo", "TopicType": "fifo", "KmsKeyArn": "create", "CustomizationJobRule": "true",
            "ControlQueue": "true",
            "TargetRoleArns": "arn:aws:iam::210987654321:role/slipway", "Callbacks": "true", "PageCidr": "10.0.0.0/8",
            "AlarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call", "NamePrefix": "models",
        }  # fmt: skip
        plain = await deployed(aws, "team-a", **service)
        full = await deployed(aws, "team-b", **service, **everything)
        assert full["QueueUrl"].endswith("/models-requests.fifo")
        assert full["ControlQueueUrl"].endswith("/models-control")
        assert f"SLIPWAY_CONTROL_QUEUE_URL={full['ControlQueueUrl']}\n" in full["Settings"]
        assert full["TopicArn"].endswith(":models-events.fifo")
        assert not set(plain.values()) & set(full.values()) - {plain["Settings"]}

        async with aws.client("ecs") as ecs:
            (running,) = (await ecs.describe_services(cluster="team-a", services=["team-a"]))["services"]
            assert (running["desiredCount"], running["deploymentConfiguration"]["minimumHealthyPercent"]) == (2, 100)
        async with aws.client("cloudwatch") as watch:
            alarms = {each["AlarmName"]: each for each in (await watch.describe_alarms())["MetricAlarms"]}
            words = {"dead-letters", "oldest-message", "no-task", "quota-full", "faults"}
            assert set(alarms) == {f"{prefix}-{word}" for prefix in ("team-a", "models") for word in words}
            body = (await watch.get_dashboard(DashboardName="team-b"))["DashboardBody"]
            assert len(json.loads(body)["widgets"]) == 6
        attributes = (await aws.sqs.get_queue_attributes(QueueUrl=full["QueueUrl"], AttributeNames=["All"]))["Attributes"]
        assert attributes["KmsMasterKeyId"].startswith("arn:aws:kms:")
        assert "events.amazonaws.com" in attributes["Policy"]

        for name in ("team-a", "team-b"):
            await stacks.delete_stack(StackName=name)
            await stacks.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig=OFTEN)
        for outputs in (plain, full):
            for url in (outputs["QueueUrl"], outputs["DeadLettersUrl"]):
                assert await aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])


async def test_a_service_without_its_network_is_refused_before_anything_is_created(tmp_path: Path) -> None:
    async with Ministack(tmp_path, QUICK) as aws, aws.client("cloudformation") as stacks:
        with pytest.raises(stacks.exceptions.ClientError, match="ImageUri needs VpcId and SubnetIds"):
            await deployed(aws, "alone", ImageUri="slipway:0.1.0")
