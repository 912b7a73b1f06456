"""64 threads: each Gets what is due, a second after it was last looked at, else receives and creates. boto3 as it comes."""

from __future__ import annotations

import heapq
import json
import os
import threading
import time
from typing import Any

import boto3
from botocore.exceptions import ClientError

THREADS = 64


class Line:
    """What is to be looked at, and when."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: list[tuple[float, str, dict[str, Any]]] = []

    def put(self, message: dict[str, Any], at: float) -> None:
        with self._lock:
            heapq.heappush(self._due, (at, message["ReceiptHandle"], message))

    def take(self) -> dict[str, Any] | None:
        with self._lock:
            is_due = self._due and self._due[0][0] <= time.monotonic()
            return heapq.heappop(self._due)[2] if is_due else None


def work(line: Line, sqs: Any, bedrock: Any, sns: Any) -> None:
    while True:
        message = line.take()
        try:
            if message is not None:
                look(message, line, sqs, bedrock, sns)
                continue
            answer = sqs.receive_message(QueueUrl=os.environ["SLIPWAY_QUEUE_URL"], MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for received in answer.get("Messages", ()):
                request = json.loads(received["Body"])
                bedrock.create_custom_model_deployment(
                    modelDeploymentName=request["modelDeploymentName"], modelArn=request["modelArn"]
                )
                line.put(received, time.monotonic() + 1)
        except ClientError:
            if message is not None:
                line.put(message, time.monotonic() + 1)


def look(message: dict[str, Any], line: Line, sqs: Any, bedrock: Any, sns: Any) -> None:
    request = json.loads(message["Body"])
    deployment = bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=request["modelDeploymentName"])
    if deployment["status"] == "Creating":
        line.put(message, time.monotonic() + 1)
        return
    event = {"data": {"requestId": request["requestId"], "outcome": deployment["status"]}}
    sns.publish(TopicArn=os.environ["SLIPWAY_TOPIC_ARN"], Message=json.dumps(event))
    sqs.delete_message(QueueUrl=os.environ["SLIPWAY_QUEUE_URL"], ReceiptHandle=message["ReceiptHandle"])


def main() -> None:
    line = Line()
    clients = [boto3.client("sqs"), boto3.client("bedrock"), boto3.client("sns")]
    threads = [threading.Thread(target=work, args=(line, *clients), daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
