"""Whatever SQS, SNS, Step Functions and SageMaker refuse here, they refuse with AWS's error document and a request id."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from slipway.local.callbacks import CallbackStandIn
from slipway.local.moto_protocol import AwsAnswers
from slipway.local.stack import LocalAws
from tests.local.conftest import fresh, open_client

pytestmark = pytest.mark.asyncio(loop_scope="package")

JSON = {"Content-Type": "application/x-amz-json-1.0"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def signed(service: str) -> dict[str, str]:
    scope = f"Credential=local/20260101/us-east-1/{service}/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"}


def sqs(operation: str) -> dict[str, str]:
    return JSON | signed("sqs") | {"X-Amz-Target": f"AmazonSQS.{operation}"}


SERIALIZATION, UNKNOWN = "com.amazon.coral.service#SerializationException", "com.amazon.coral.service#UnknownOperationException"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "code"),
    [
        ("POST", "/", sqs("Nothing"), b"{}", UNKNOWN),
        ("POST", "/", sqs("ListMessageMoveTasks"), b'{"SourceArn": "arn:aws:sqs:us-east-1:123456789012:q"}', UNKNOWN),
        ("POST", "/", JSON | signed("sqs"), b"{}", UNKNOWN),
        ("PUT", "/", JSON | signed("sqs"), b"{}", UNKNOWN),
        ("POST", "/no/such/path", sqs("Nothing"), b"{}", UNKNOWN),
        ("POST", "/", sqs("SendMessage"), b"{x", SERIALIZATION),
        ("POST", "/", sqs("SendMessage"), b"[]", SERIALIZATION),
        ("POST", "/", sqs("SendMessage"), b"\xff\xfe", SERIALIZATION),
        ("POST", "/", sqs("CreateQueue"), b'{"QueueName": 5, "Attributes": []}', SERIALIZATION),
        ("POST", "/", sqs("SendMessage"), b"", "com.amazonaws.sqs#MissingParameter"),
        ("POST", "/", sqs("GetQueueUrl"), b'{"QueueName": "none"}', "com.amazonaws.sqs#QueueDoesNotExist"),
    ],
)
async def test_sqs_refuses_in_json(
    box: LocalAws, method: str, path: str, headers: dict[str, str], body: bytes, code: str
) -> None:
    async with aiohttp.request(method, box.queues.url + path, headers=headers, data=body) as answer:
        assert answer.status == 400
        assert answer.headers["x-amzn-requestid"]
        assert answer.content_type == "application/x-amz-json-1.0"
        document = json.loads(await answer.read())
        assert document["__type"] == code
        assert document["message"]


@pytest.mark.parametrize(
    ("service", "method", "path", "body", "status", "code"),
    [
        ("sqs", "POST", "/", b"Action=Nothing&Version=2012-11-05", 400, "InvalidAction"),
        ("sqs", "POST", "/", b"Version=2012-11-05", 400, "MissingAction"),
        ("sqs", "GET", "/123456789012/none", b"", 400, "MissingAction"),
        ("sqs", "DELETE", "/a/b/c/d", b"", 400, "MissingAction"),
        ("sqs", "POST", "/", b"Action=SendMessage&MessageBody=b&Version=2012-11-05", 400, "MissingParameter"),
        (
            "sqs", "POST", "/", b"Action=GetQueueUrl&QueueName=none&Version=2012-11-05", 400,
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        ("sns", "POST", "/", b"Action=Nothing&Version=2010-03-31", 400, "InvalidAction"),
        ("sns", "POST", "/", b"Action=CreateTopic&Version=2010-03-31", 400, "ValidationError"),
        (
            "sns", "POST", "/",
            b"Action=Publish&TopicArn=arn:aws:sns:us-east-1:123456789012:none&Message=a&Version=2010-03-31", 404, "NotFound",
        ),
        ("sns", "POST", "/", b"\xff&&==%zz", 400, "MissingAction"),
        ("sts", "POST", "/", b"Action=Nothing&Version=2011-06-15", 400, "InvalidAction"),
        ("nonsense", "POST", "/", b"Action=Nothing", 400, "InvalidAction"),
    ],
)  # fmt: skip
async def test_the_query_protocol_refuses_in_xml(
    box: LocalAws, service: str, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    async with aiohttp.request(method, box.queues.url + path, headers=FORM | signed(service), data=body) as answer:
        text = await answer.text()
        assert (answer.status, re.findall("<Code>(.*?)</Code>", text)) == (status, [code])
        assert answer.headers["x-amzn-requestid"]
        assert re.search(r"<ErrorResponse xmlns=.*<Type>Sender</Type>.*<RequestId>[\w-]+</RequestId>", text, re.DOTALL)
        assert answer.content_type == "text/xml"


@pytest.mark.parametrize(
    ("service", "method", "arguments", "code"),
    [
        ("sqs", "list_message_move_tasks", {"SourceArn": "arn"}, "UnknownOperationException"),
        ("sqs", "get_queue_url", {"QueueName": "none"}, "AWS.SimpleQueueService.NonExistentQueue"),
        ("sns", "get_data_protection_policy", {"ResourceArn": "arn"}, "InvalidAction"),
        ("sns", "get_topic_attributes", {"TopicArn": "arn:aws:sns:us-east-1:123456789012:none"}, "NotFound"),
    ],
)
async def test_an_sdk_reads_code_and_request_id(
    box: LocalAws, service: str, method: str, arguments: dict[str, str], code: str
) -> None:
    async with open_client(service, box.queues.url) as client:
        with pytest.raises(ClientError) as refused:
            await getattr(client, method)(**arguments)
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["RequestId"]


class Faulty(CallbackStandIn):
    """One that meets an error of its own."""

    def _hear(self, operation: str, said: dict[str, Any]) -> dict[str, str]:
        raise RuntimeError(operation, said)


@pytest_asyncio.fixture(loop_scope="package")
async def askers() -> AsyncIterator[str]:
    made = CallbackStandIn()
    yield await made.start()
    await made.close()


@pytest.mark.parametrize(
    ("method", "path", "target", "body", "status", "code"),
    [
        ("POST", "/", "AWSStepFunctions.StartExecution", b"{}", 400, "UnknownOperationException"),
        ("POST", "/", "SageMaker.CreatePipeline", b"{}", 400, "UnknownOperationException"),
        ("POST", "/", "", b"{}", 400, "UnknownOperationException"),
        ("GET", "/", "", b"", 405, "UnknownOperationException"),
        ("POST", "/elsewhere", "", b"{}", 404, "UnknownOperationException"),
        ("POST", "/", "AWSStepFunctions.SendTaskSuccess", b"{", 400, "SerializationException"),
        ("POST", "/", "AWSStepFunctions.SendTaskSuccess", b"[]", 400, "SerializationException"),
        ("POST", "/", "AWSStepFunctions.SendTaskSuccess", b"\xff", 400, "SerializationException"),
        ("POST", "/", "AWSStepFunctions.SendTaskSuccess", b'{"taskToken": 1, "output": "{}"}', 400, "SerializationException"),
        ("POST", "/", "AWSStepFunctions.SendTaskSuccess", b'{"taskToken": "t"}', 400, "ValidationException"),
        (
            "POST", "/", "SageMaker.SendPipelineExecutionStepSuccess",
            b'{"CallbackToken": "aaaaaaaaaa", "OutputParameters": [{"Name": "n"}]}', 400, "ValidationException",
        ),
    ],
)  # fmt: skip
async def test_those_who_wait_refuse_in_json(
    askers: str, method: str, path: str, target: str, body: bytes, status: int, code: str
) -> None:
    async with aiohttp.request(method, askers + path, headers={"X-Amz-Target": target}, data=body) as answer:
        assert (answer.status, json.loads(await answer.read())["__type"]) == (status, code)
        assert answer.headers["x-amzn-requestid"]
        assert answer.content_type == "application/x-amz-json-1.1"


async def test_an_error_of_the_stand_in_is_a_document_too() -> None:
    made = Faulty()
    url = await made.start()
    try:
        async with open_client("stepfunctions", url) as client:
            with pytest.raises(ClientError, match="InternalFailure") as refused:
                await client.send_task_heartbeat(taskToken="t")
    finally:
        await made.close()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


WRONG_IDS = ["two words", "", "a" * 129, "é", "tab\t", "line\n"]


@pytest.mark.parametrize("name", ["MessageGroupId", "MessageDeduplicationId"])
@pytest.mark.parametrize("wrong", WRONG_IDS)
async def test_an_id_that_aws_refuses_is_refused(box: LocalAws, name: str, wrong: str) -> None:
    good = {"MessageGroupId": "!g~" + "a" * 125, "MessageDeduplicationId": fresh("d")}
    async with open_client("sqs", box.queues.url) as queues, open_client("sns", box.queues.url) as topics:
        fifo = {"FifoQueue": "true"}
        url = (await queues.create_queue(QueueName=fresh("ids") + ".fifo", Attributes=fifo))["QueueUrl"]
        topic = (await topics.create_topic(Name=fresh("ids") + ".fifo", Attributes={"FifoTopic": "true"}))["TopicArn"]
        bad = good | {name: wrong}
        with pytest.raises(ClientError, match=rf"{'' if wrong else 'Missing|'}{name}"):
            await queues.send_message(QueueUrl=url, MessageBody="b", **bad)
        with pytest.raises(ClientError, match=name):
            await topics.publish(TopicArn=topic, Message="b", **bad)
        entries = [{"Id": "good", "MessageBody": "b"} | good, {"Id": "bad", "MessageBody": "b"} | bad]
        sent = await queues.send_message_batch(QueueUrl=url, Entries=entries)
        assert [one["Id"] for one in sent["Successful"]] == ["good"]
        assert [(one["Id"], one["Code"], one["SenderFault"]) for one in sent["Failed"]] == [
            ("bad", "InvalidParameterValue", True)
        ]
        await topics.publish(TopicArn=topic, Message="b", **good)


def _fails(_: dict[str, Any], __: Any) -> list[bytes]:
    raise RuntimeError("an error of its own")


def _is_a_page(_: dict[str, Any], start: Any) -> list[bytes]:
    start("500 Internal Server Error", [("Content-Type", "text/html")])
    return [b"<html>"]


@pytest.mark.parametrize("application", [_fails, _is_a_page])
@pytest.mark.parametrize("is_json", [True, False])
async def test_an_error_of_moto_is_a_document_in_the_protocol_of_the_call(application: Any, *, is_json: bool) -> None:
    said = io.StringIO()
    body = b"{}" if is_json else b"Action=ListQueues&Version=2012-11-05"
    environ = {
        "wsgi.input": io.BytesIO(body), "wsgi.errors": said, "CONTENT_LENGTH": str(len(body)), "PATH_INFO": "/",
        "CONTENT_TYPE": "application/x-amz-json-1.0" if is_json else "application/x-www-form-urlencoded",
    } | ({"HTTP_X_AMZ_TARGET": "AmazonSQS.ListQueues"} if is_json else {})  # fmt: skip
    begun: list[Any] = []
    text = b"".join(AwsAnswers(application)(environ, lambda *given: begun.extend(given))).decode()
    assert begun[0] == "500 Internal Server Error"
    assert dict(begun[1])["x-amzn-RequestId"]
    assert "InternalFailure" in text
    assert "<html>" not in text
    assert text.startswith("{" if is_json else "<?xml")
    assert ("RuntimeError" in said.getvalue()) is (application is _fails)
