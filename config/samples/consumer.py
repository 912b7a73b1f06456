"""Print outcomes from an SQS queue that is subscribed to Slipway's topic: `python consumer.py QUEUE_URL`."""

import json
import sys

import boto3


def read_event(body):
    """Return the event in a message body, with raw message delivery or in SNS's envelope."""
    document = json.loads(body)
    return json.loads(document["Message"]) if document.get("Type") == "Notification" else document


def handle(event):
    """Act on one outcome. Replace this by what your program does."""
    data = event["data"]
    print(data["outcome"], data.get("modelDeploymentName"), data.get("customModelDeploymentArn"), flush=True)


def main(queue_url):
    """Receive events until interrupted."""
    sqs = boto3.client("sqs")
    handled = set()  # An event may arrive twice with the same id. In production keep the ids in a table.
    while True:
        received = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        for message in received.get("Messages", []):
            event = read_event(message["Body"])
            if event["id"] not in handled:
                handle(event)
                handled.add(event["id"])
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


if __name__ == "__main__":
    main(sys.argv[1])
