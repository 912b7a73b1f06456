"""What is sent, checked by botocore's stubber against the service model, without a network."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from aiobotocore.stub import AioStubber

from slipway.core.bedrock import CustomizationJob, Deployment, JobStatus, ModelState, Page, Status, UpdateDetails, UpdateStatus
from slipway.core.call_errors import Refused, ResourceMissing, UnknownResult
from slipway.core.events.publish import Publication
from slipway.core.sqs.messages import AnyAttribute, Attribute, Message, Outgoing, QueueTraits
from tests.aws.conftest import QUEUE_URL, TOPIC_ARN, Open, make_bedrock, make_queue, make_topic
from tests.aws.servers import ARN, DATE, DATE_SECONDS

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
JOB = MODEL.replace("custom-model", "model-customization-job")
NOWHERE = "http://127.0.0.1:9"
AT = datetime.fromtimestamp(DATE_SECONDS, UTC)


def dated(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {"ResponseMetadata": {"HTTPHeaders": {"date": DATE}}} | dict(answer)


async def test_create(clients_at: Open) -> None:
    async with clients_at(NOWHERE) as clients:
        with AioStubber(clients.bedrock) as stub:
            stub.add_response(
                "create_custom_model_deployment",
                dated({"customModelDeploymentArn": ARN}),
                {
                    "modelDeploymentName": "n",
                    "modelArn": MODEL,
                    "description": "nightly",
                    "tags": [{"key": "slipway:request", "value": "r"}, {"key": "team", "value": ""}],
                    "clientRequestToken": "t",
                },
            )
            made = await make_bedrock(clients).create(
                name="n",
                model_arn=MODEL,
                description="nightly",
                tags=[("slipway:request", "r"), ("team", "")],
                token="t",
            )
        assert made.arn == ARN
        assert made.at == pytest.approx(DATE_SECONDS + 0.5, abs=0.5)


async def test_what_is_not_asked_for_is_not_sent_and_an_answer_without_a_date_is_dated_here(clients_at: Open) -> None:
    async with clients_at(NOWHERE) as clients:
        with AioStubber(clients.bedrock) as stub:
            stub.add_response(
                "create_custom_model_deployment",
                {"customModelDeploymentArn": ARN},
                {"modelDeploymentName": "n", "modelArn": MODEL, "clientRequestToken": "t"},
            )
            made = await make_bedrock(clients).create(name="n", model_arn=MODEL, description=None, tags=[], token="t")
        assert made.arn == ARN
        assert made.at == pytest.approx(5.0, abs=0.5)


async def test_get_and_tags(clients_at: Open) -> None:
    async with clients_at(NOWHERE) as clients:
        bedrock = make_bedrock(clients)
        with AioStubber(clients.bedrock) as stub:
            stub.add_response(
                "get_custom_model_deployment",
                {
                    "customModelDeploymentArn": ARN,
                    "modelDeploymentName": "n",
                    "modelArn": MODEL,
                    "createdAt": AT,
                    "lastUpdatedAt": AT,
                    "status": "Failed",
                    "failureMessage": "out of luck",
                },
                {"customModelDeploymentIdentifier": "n"},
            )
            stub.add_response("list_tags_for_resource", {"tags": [{"key": "team", "value": "x"}]}, {"resourceARN": ARN})
            assert await bedrock.get("n") == Deployment(
                ARN, "n", MODEL, Status.FAILED, "Failed", DATE_SECONDS, DATE_SECONDS, "out of luck"
            )
            assert await bedrock.tags(ARN) == {"team": "x"}


async def test_what_is_not_there_is_none(clients_at: Open) -> None:
    async with clients_at(NOWHERE) as clients:
        bedrock = make_bedrock(clients)
        with AioStubber(clients.bedrock) as stub:
            for operation in (
                "get_custom_model_deployment",
                "list_tags_for_resource",
                "get_custom_model",
                "get_model_customization_job",
            ):
                stub.add_client_error(operation, "ResourceNotFoundException", http_status_code=404)
            assert await bedrock.get("n") is None
            assert await bedrock.tags(ARN) is None
            assert await bedrock.model_state(MODEL) is ModelState.MISSING
            assert await bedrock.job("tune-7") is None


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Active", ModelState.ACTIVE),
        ("CREATING", ModelState.CREATING),
        ("Failed", ModelState.FAILED),
        ("Resting", ModelState.UNKNOWN),
        (None, ModelState.ACTIVE),
    ],
)
async def test_the_state_of_a_model(clients_at: Open, word: str | None, state: ModelState) -> None:
    known = {"modelArn": MODEL, "modelName": "m", "creationTime": AT} | ({"modelStatus": word} if word else {})
    async with clients_at(NOWHERE) as clients:
        with AioStubber(clients.bedrock) as stub:
            stub.add_response("get_custom_model", known, {"modelIdentifier": MODEL})
            assert await make_bedrock(clients).model_state(MODEL) is state


@pytest.mark.parametrize(
    ("told", "job"),
    [
        ({"status": "Completed", "outputModelArn": MODEL}, CustomizationJob(JOB, JobStatus.COMPLETED, MODEL)),
        ({"status": "Failed", "failureMessage": "no data"}, CustomizationJob(JOB, JobStatus.FAILED, None, "no data")),
        ({}, CustomizationJob(JOB, JobStatus.UNKNOWN)),
    ],
)
async def test_a_customization_job(clients_at: Open, told: dict[str, str], job: CustomizationJob) -> None:
    needed = {"jobName": "tune-7", "outputModelName": "m", "roleArn": "arn:aws:iam::123456789012:role/r", "creationTime": AT}
    data: dict[str, Any] = {"trainingDataConfig": {}, "validationDataConfig": {"validators": []}}
    needed |= data | {
        "outputDataConfig": {"s3Uri": "s3://b/k"},
        "baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/m",
    }
    async with clients_at(NOWHERE) as clients:
        with AioStubber(clients.bedrock) as stub:
            stub.add_response("get_model_customization_job", needed | {"jobArn": JOB} | told, {"jobIdentifier": "tune-7"})
            assert await make_bedrock(clients).job("tune-7") == job


async def test_pages(clients_at: Open) -> None:
    oldest_first = {"sortBy": "CreationTime", "sortOrder": "Ascending"}
    summary = {
        "customModelDeploymentArn": ARN,
        "customModelDeploymentName": "n",
        "modelArn": MODEL,
        "createdAt": AT,
        "status": "Active",
    }
    async with clients_at(NOWHERE) as clients:
        bedrock = make_bedrock(clients)
        with AioStubber(clients.bedrock) as stub:
            stub.add_response(
                "list_custom_model_deployments",
                {"modelDeploymentSummaries": [summary], "nextToken": "more"},
                {"maxResults": 1000, "createdAfter": AT, "statusEquals": "Active", **oldest_first},
            )
            stub.add_response(
                "list_custom_model_deployments",
                {"modelDeploymentSummaries": []},
                {"maxResults": 10, "nextToken": "more", **oldest_first},
            )
            first = await bedrock.page(created_after=DATE_SECONDS, status=Status.ACTIVE, token=None)
            assert first == Page((Deployment(ARN, "n", MODEL, Status.ACTIVE, "Active", DATE_SECONDS),), "more")
            assert await bedrock.page(created_after=None, status=None, token="more", size=10) == Page((), None)


async def test_receive(clients_at: Open) -> None:
    async with clients_at(NOWHERE) as clients:
        with AioStubber(clients.receive) as stub:
            stub.add_response(
                "receive_message",
                dated(
                    {
                        "Messages": [
                            {
                                "MessageId": "m",
                                "ReceiptHandle": "r",
                                "Body": "",
                                "Attributes": {
                                    "ApproximateReceiveCount": "3",
                                    "ApproximateFirstReceiveTimestamp": "1795427000123",
                                    "MessageGroupId": "g",
                                    "AWSTraceHeader": "Root=1",
                                },
                                "MessageAttributes": {
                                    "said": {"DataType": "String", "StringValue": "so"},
                                    "number": {"DataType": "Number", "StringValue": "7"},
                                    "bytes": {"DataType": "Binary", "BinaryValue": b"x"},
                                },
                            }
                        ]
                    }
                ),
                {
                    "QueueUrl": QUEUE_URL,
                    "MaxNumberOfMessages": 7,
                    "WaitTimeSeconds": 20,
                    "VisibilityTimeout": 120,
                    "MessageSystemAttributeNames": [
                        "ApproximateReceiveCount",
                        "ApproximateFirstReceiveTimestamp",
                        "MessageGroupId",
                        "AWSTraceHeader",
                        "SenderId",
                    ],
                    "MessageAttributeNames": ["All"],
                    "ReceiveRequestAttemptId": "attempt",
                },
            )
            received = await make_queue(clients).receive(7, wait_seconds=20, attempt="attempt")
    assert received[0].received_at == pytest.approx(DATE_SECONDS + 0.5, abs=0.5)
    assert received == [
        Message(
            "m",
            "",
            "r",
            receive_count=3,
            received_at=received[0].received_at,
            first_received_at=1795427000.123,
            group="g",
            attributes={
                "said": "so",
                "number": Attribute("Number", "7"),
                "bytes": Attribute("Binary", b"x"),
                "AWSTraceHeader": "Root=1",
            },
        )
    ]


async def test_send(clients_at: Open) -> None:
    text = {"DataType": "String", "StringValue": "so"}
    async with clients_at(NOWHERE) as clients:
        queue = make_queue(clients)
        with AioStubber(clients.leases) as stub:
            stub.add_response(
                "send_message_batch",
                {"Successful": [{"Id": "0", "MessageId": "m", "MD5OfMessageBody": "x"}], "Failed": []},
                {
                    "QueueUrl": QUEUE_URL,
                    "Entries": [
                        {
                            "Id": "0",
                            "MessageBody": "b",
                            "MessageAttributes": {
                                "said": text,
                                "number": {"DataType": "Number.int", "StringValue": "7"},
                                "bytes": {"DataType": "Binary.png", "BinaryValue": b"x"},
                            },
                            "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}},
                            "MessageGroupId": "g",
                            "MessageDeduplicationId": "d",
                        },
                        {"Id": "1", "MessageBody": "c", "MessageAttributes": {}},
                    ],
                },
            )
            said: dict[str, AnyAttribute] = {
                "said": "so",
                "number": Attribute("Number.int", "7"),
                "bytes": Attribute("Binary.png", b"x"),
                "AWSTraceHeader": "Root=1",
                "nothing": "",
            }
            first, second = await queue.send([Outgoing("b", said, "g", "d"), Outgoing("c")])
            assert first is None
            assert isinstance(second, UnknownResult)


async def test_traits_and_burying(clients_at: Open) -> None:
    asked = {"QueueUrl": QUEUE_URL, "AttributeNames": ["QueueArn", "RedrivePolicy"]}
    policy = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead", "maxReceiveCount": "5"}
    dead = "https://sqs.us-east-1.amazonaws.com/123456789012/dead"
    async with clients_at(NOWHERE) as clients:
        queue = make_queue(clients)
        with AioStubber(clients.leases) as stub:
            stub.add_response("get_queue_attributes", {"Attributes": {"RedrivePolicy": json.dumps(policy)}}, asked)
            assert await queue.traits() == QueueTraits(False, 5, has_dead_letter_queue=True)  # noqa: FBT003

            stub.add_response("get_queue_attributes", {"Attributes": {"RedrivePolicy": json.dumps(policy)}}, asked)
            stub.add_response(
                "get_queue_url", {"QueueUrl": dead}, {"QueueName": "dead", "QueueOwnerAWSAccountId": "123456789012"}
            )
            for body in "ab":
                stub.add_response(
                    "send_message",
                    {"MessageId": "m"},
                    {"QueueUrl": dead, "MessageBody": body, "MessageAttributes": {}},
                )
                await queue.send_dead_letter(Outgoing(body))


async def test_a_queue_without_a_dead_letter_queue(clients_at: Open) -> None:
    async with clients_at(NOWHERE) as clients:
        queue = make_queue(clients, url="https://sqs.us-east-1.amazonaws.com/123456789012/requests.fifo")
        with AioStubber(clients.leases) as stub:
            for _ in range(2):
                stub.add_response("get_queue_attributes", {"Attributes": {"QueueArn": "arn"}})
            assert await queue.traits() == QueueTraits(is_fifo=True)
            with pytest.raises(ResourceMissing):
                await queue.send_dead_letter(Outgoing("b"))


@pytest.mark.parametrize(("arn", "is_fifo"), [(TOPIC_ARN, False), (TOPIC_ARN + ".fifo", True)])
async def test_publish(clients_at: Open, arn: str, is_fifo: bool) -> None:  # noqa: FBT001  a table's column
    entry: dict[str, Any] = {
        "Id": "0",
        "Message": "{}",
        "MessageAttributes": {"status": {"DataType": "String", "StringValue": "Active"}},
    }
    if is_fifo:
        entry |= {"MessageGroupId": "n", "MessageDeduplicationId": "e"}
    async with clients_at(NOWHERE) as clients:
        with AioStubber(clients.topic) as stub:
            stub.add_response(
                "publish_batch",
                {"Successful": [{"Id": "0", "MessageId": "m"}], "Failed": []},
                {"TopicArn": arn, "PublishBatchRequestEntries": [entry]},
            )
            topic = make_topic(clients, arn=arn)
            assert await topic.publish([Publication("e", {}, {"status": "Active"}, "n")]) == [None]


async def test_a_topic_can_be_checked(clients_at: Open) -> None:
    async with clients_at(NOWHERE) as clients:
        topic = make_topic(clients)
        with AioStubber(clients.topic) as stub:
            stub.add_response("get_topic_attributes", {"Attributes": {"Owner": "me"}}, {"TopicArn": TOPIC_ARN})
            await topic.check()
            stub.add_client_error("get_topic_attributes", "InvalidParameter", http_status_code=400)
            with pytest.raises(Refused):
                await topic.check()


async def test_update_delete_and_tag(clients_at: Open) -> None:
    async with clients_at(NOWHERE) as clients:
        bedrock = make_bedrock(clients)
        with AioStubber(clients.bedrock) as stub:
            stub.add_response(
                "update_custom_model_deployment",
                {"customModelDeploymentArn": ARN},
                {"customModelDeploymentIdentifier": ARN, "modelArn": MODEL},
            )
            stub.add_response("delete_custom_model_deployment", {}, {"customModelDeploymentIdentifier": ARN})
            stub.add_response("tag_resource", {}, {"resourceARN": ARN, "tags": [{"key": "slipway:former", "value": MODEL}]})
            await bedrock.update(ARN, MODEL)
            await bedrock.delete(ARN)
            await bedrock.tag(ARN, {"slipway:former": MODEL})
            stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("word", "status"),
    [("Updating", UpdateStatus.UPDATING), ("UPDATEFAILED", UpdateStatus.FAILED), ("?", UpdateStatus.UNKNOWN)],
)
async def test_get_tells_of_an_update(clients_at: Open, word: str, status: UpdateStatus) -> None:
    told = {
        "customModelDeploymentArn": ARN,
        "modelDeploymentName": "n",
        "modelArn": MODEL,
        "createdAt": AT,
        "status": "Active",
        "updateDetails": {"modelArn": MODEL, "updateStatus": word},
    }
    async with clients_at(NOWHERE) as clients:
        with AioStubber(clients.bedrock) as stub:
            stub.add_response("get_custom_model_deployment", told, {"customModelDeploymentIdentifier": "n"})
            deployment = await make_bedrock(clients).get("n")
        assert deployment is not None
        assert deployment.update == UpdateDetails(MODEL, status)
