"""Somebody who sends requests by boto3, under a key of his own, with attributes of his own."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from slipway.local.stack import LocalAws


def send(box: LocalAws, who: str, body: str, **attributes: str) -> None:
    """Send a request as a user whose key this is."""
    names = box.environment()
    sqs: Any = boto3.client(
        "sqs",
        endpoint_url=names["AWS_ENDPOINT_URL"],
        region_name=names["AWS_REGION"],
        aws_access_key_id=who,
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}),
    )
    sent = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    sqs.send_message(QueueUrl=box.queue_url, MessageBody=body, MessageAttributes=sent)
