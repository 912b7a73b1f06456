"""A Lambda function that receives outcomes, subscribed to the topic or with an SQS queue as its event source."""

import json


def read_events(records):
    """Yield the id of each record's message and its event: from SNS, or from SQS with raw delivery or SNS's envelope."""
    for record in records:
        if "Sns" in record:
            yield record["Sns"]["MessageId"], json.loads(record["Sns"]["Message"])
        else:
            document = json.loads(record["body"])
            event = json.loads(document["Message"]) if document.get("Type") == "Notification" else document
            yield record["messageId"], event


def handle(event):
    """Act on one outcome. Replace this by what your function does; it may be called twice with the same event id."""
    data = event["data"]
    print(data["outcome"], data.get("modelDeploymentName"), data.get("customModelDeploymentArn"))


def handler(batch, context):
    """Handle a batch. For SQS set ReportBatchItemFailures, so that only failed messages are received again."""
    failed = []
    for message_id, event in read_events(batch["Records"]):
        try:
            handle(event)
        except Exception as error:
            if "Sns" in batch["Records"][0]:
                raise
            print(f"{message_id}: {error!r}")
            failed.append({"itemIdentifier": message_id})
    return {"batchItemFailures": failed}
