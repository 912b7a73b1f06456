"""One asyncio task for each message: create, Get each second until it has ended, publish, delete. aioboto3 as it comes."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import aioboto3


async def serve(message: dict[str, Any], sqs: Any, bedrock: Any, sns: Any) -> None:
    request = json.loads(message["Body"])
    await bedrock.create_custom_model_deployment(
        modelDeploymentName=request["modelDeploymentName"], modelArn=request["modelArn"]
    )
    while True:
        await asyncio.sleep(1)
        deployment = await bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=request["modelDeploymentName"])
        if deployment["status"] != "Creating":
            break
    event = {"data": {"requestId": request["requestId"], "outcome": deployment["status"]}}
    await sns.publish(TopicArn=os.environ["SLIPWAY_TOPIC_ARN"], Message=json.dumps(event))
    await sqs.delete_message(QueueUrl=os.environ["SLIPWAY_QUEUE_URL"], ReceiptHandle=message["ReceiptHandle"])


async def main() -> None:
    session, tasks = aioboto3.Session(), set()
    async with session.client("sqs") as sqs, session.client("bedrock") as bedrock, session.client("sns") as sns:
        while True:
            answer = await sqs.receive_message(
                QueueUrl=os.environ["SLIPWAY_QUEUE_URL"], MaxNumberOfMessages=10, WaitTimeSeconds=20
            )
            for message in answer.get("Messages", ()):
                task = asyncio.create_task(serve(message, sqs, bedrock, sns))
                tasks.add(task)
                task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    asyncio.run(main())
