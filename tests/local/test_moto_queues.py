"""SQS and SNS in the box: what Slipway relies on, through aioboto3."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from slipway.local.stack import LocalAws
from tests.local.conftest import fresh, open_client

CREDENTIALS = {"access_key_id": "AccessKeyId", "secret_access_key": "SecretAccessKey", "session_token": "SessionToken"}
RAW = {"RawMessageDelivery": "true"}

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(loop_scope="package")
async def sqs(box: LocalAws) -> AsyncIterator[Any]:
    async with open_client("sqs", box.queues.url) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="package")
async def sns(box: LocalAws) -> AsyncIterator[Any]:
    async with open_client("sns", box.queues.url) as client:
        yield client


async def make_queue(sqs: Any, *, fifo: bool = False, **attributes: str) -> str:
    name = fresh("queue") + (".fifo" if fifo else "")
    kind = {"FifoQueue": "true"} if fifo else {}
    return str((await sqs.create_queue(QueueName=name, Attributes=kind | attributes))["QueueUrl"])


async def arn_of(sqs: Any, url: str) -> str:
    return str((await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"]))["Attributes"]["QueueArn"])


async def receive(sqs: Any, url: str, *, count: int = 10, wait: int = 0, **more: Any) -> list[dict[str, Any]]:
    answer = await sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=count, WaitTimeSeconds=wait,
        AttributeNames=["All"], MessageAttributeNames=["All"], **more
    )  # fmt: skip
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


async def show(sqs: Any, url: str, message: dict[str, Any], seconds: int = 0) -> None:
    await sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds)


async def test_a_url_says_where_it_is(box: LocalAws, sqs: Any) -> None:
    url = await make_queue(sqs)
    assert url.startswith(f"{box.queues.url}/123456789012/")
    assert (await sqs.get_queue_url(QueueName=url.rsplit("/", 1)[1]))["QueueUrl"] == url


async def test_a_message_says_who_sent_it_as_sts_does(box: LocalAws, sqs: Any, sns: Any) -> None:
    """By made-up keys, by a role that is assumed, and by way of a topic."""
    url = await make_queue(sqs)
    async with open_client("iam", box.queues.url) as iam, open_client("sts", box.queues.url) as sts:
        await iam.create_role(RoleName="team", AssumeRolePolicyDocument="{}")
        role = await sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/team", RoleSessionName="monday")
    keys = {f"aws_{name}": role["Credentials"][key] for name, key in CREDENTIALS.items()}
    other = {"aws_access_key_id": "other"}
    told = {}
    for who, more in {"local": {}, "other": other, "role": keys}.items():
        async with open_client("sqs", box.queues.url, **more) as sender, open_client("sts", box.queues.url, **more) as sts:
            await sender.send_message(QueueUrl=url, MessageBody=who)
            await sender.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": who}])
            told[who] = (await sts.get_caller_identity())["UserId"]
    topic = (await sns.create_topic(Name=fresh("topic")))["TopicArn"]
    await sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=await arn_of(sqs, url), Attributes=RAW)
    await sns.publish(TopicArn=topic, Message="topic")
    messages = await receive(sqs, url)
    senders = {(message["Body"], message["Attributes"]["SenderId"]) for message in messages}
    assert senders == {*told.items(), ("topic", "AIDAIT2UOQQY3AUEKVGXU")}
    assert len(messages) == 7
    assert (told["local"], told["other"]) == ("AIDAlocal", "AIDAother")
    assert re.fullmatch(r"AROA\w+:monday", told["role"])


async def test_a_received_message_is_hidden_until_it_is_shown(sqs: Any) -> None:
    url = await make_queue(sqs)
    sent = await sqs.send_message(
        QueueUrl=url, MessageBody="b", MessageAttributes={"k": {"DataType": "String", "StringValue": "v"}}
    )
    (first,) = await receive(sqs, url)
    assert await receive(sqs, url) == []
    await show(sqs, url, first)
    (second,) = await receive(sqs, url)
    assert first["MessageId"] == second["MessageId"] == sent["MessageId"]
    assert first["ReceiptHandle"] != second["ReceiptHandle"]
    assert [one["Attributes"]["ApproximateReceiveCount"] for one in (first, second)] == ["1", "2"]
    times = {one["Attributes"]["ApproximateFirstReceiveTimestamp"] for one in (first, second)}
    assert len(times) == 1
    assert second["MessageAttributes"]["k"]["StringValue"] == "v"


async def test_counts(sqs: Any) -> None:
    url = await make_queue(sqs)
    await sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(at), "MessageBody": "b"} for at in range(5)])
    await sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=60)
    await receive(sqs, url, count=2)
    told = (await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))["Attributes"]
    assert {name: value for name, value in told.items() if name.startswith("Approximate")} == {
        "ApproximateNumberOfMessages": "3",
        "ApproximateNumberOfMessagesNotVisible": "2",
        "ApproximateNumberOfMessagesDelayed": "1",
    }
    assert told["VisibilityTimeout"] == "30"


async def test_the_visibility_timeout_runs_out_and_wakes_a_poll(sqs: Any) -> None:
    url = await make_queue(sqs)
    await sqs.send_message(QueueUrl=url, MessageBody="b")
    (first,) = await receive(sqs, url, VisibilityTimeout=1)
    (second,) = await receive(sqs, url, wait=10)
    assert second["MessageId"] == first["MessageId"]


async def test_received_too_often_goes_to_the_dead_letter_queue(sqs: Any) -> None:
    dead = await make_queue(sqs)
    redrive = {"deadLetterTargetArn": await arn_of(sqs, dead), "maxReceiveCount": 2}
    url = await make_queue(sqs, RedrivePolicy=json.dumps(redrive))
    sent = await sqs.send_message(QueueUrl=url, MessageBody="b")
    for _ in range(2):
        (message,) = await receive(sqs, url)
        await show(sqs, url, message)
    assert await receive(sqs, url) == []
    (buried,) = await receive(sqs, dead)
    assert buried["MessageId"] == sent["MessageId"]


async def test_batches_answer_for_each_entry(sqs: Any) -> None:
    url = await make_queue(sqs)
    await sqs.send_message(QueueUrl=url, MessageBody="b")
    (message,) = await receive(sqs, url)
    good, bad = {"Id": "good", "ReceiptHandle": message["ReceiptHandle"]}, {"Id": "bad", "ReceiptHandle": "made-up"}
    hidden = await sqs.change_message_visibility_batch(
        QueueUrl=url, Entries=[good | {"VisibilityTimeout": 60}, bad | {"VisibilityTimeout": 60}]
    )
    deleted = await sqs.delete_message_batch(QueueUrl=url, Entries=[good, bad])
    for answer in (hidden, deleted):
        assert [one["Id"] for one in answer["Successful"]] == ["good"]
        assert [(one["Id"], one["Code"]) for one in answer["Failed"]] == [("bad", "ReceiptHandleIsInvalid")]
    assert await receive(sqs, url) == []


async def test_a_batch_has_at_most_ten(sqs: Any) -> None:
    url = await make_queue(sqs)
    with pytest.raises(ClientError, match="TooManyEntries"):
        await sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(at), "MessageBody": "b"} for at in range(11)])


async def test_a_group_waits_for_its_message_in_flight(sqs: Any) -> None:
    url = await make_queue(sqs, fifo=True)
    for group, body in (("a", "a1"), ("a", "a2"), ("b", "b1")):
        await sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=body)
    (first,) = await receive(sqs, url, count=1)
    (other,) = await receive(sqs, url)
    assert (first["Body"], other["Body"]) == ("a1", "b1")
    waiting = asyncio.create_task(receive(sqs, url, wait=10))
    await sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    (second,) = await waiting
    assert (second["Body"], second["Attributes"]["MessageGroupId"]) == ("a2", "a")


async def test_a_deduplication_id_is_known_after_its_message_is_gone(sqs: Any) -> None:
    url = await make_queue(sqs, fifo=True)
    for _ in range(2):
        await sqs.send_message(QueueUrl=url, MessageBody="b", MessageGroupId="g", MessageDeduplicationId="d")
        for message in await receive(sqs, url):
            await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert await receive(sqs, url) == []
    await sqs.send_message(QueueUrl=url, MessageBody="b", MessageGroupId="g", MessageDeduplicationId="e")
    assert len(await receive(sqs, url)) == 1


async def test_many_callers_receive_each_message_once(sqs: Any) -> None:
    url = await make_queue(sqs)
    sends = (
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(at), "MessageBody": "b"} for at in range(10)])
        for _ in range(30)
    )
    polls = [asyncio.create_task(receive(sqs, url, wait=5)) for _ in range(20)]
    await asyncio.gather(*sends)
    got = [message["MessageId"] for poll in polls for message in await poll]
    while more := await receive(sqs, url):
        got += [message["MessageId"] for message in more]
    assert len(got) == len(set(got)) == 300


async def test_a_poll_that_nobody_waits_for_takes_nothing(box: LocalAws, sqs: Any) -> None:
    url = await make_queue(sqs)
    async with open_client("sqs", box.queues.url) as leaving:
        polling = asyncio.create_task(receive(leaving, url, wait=20))
        await _until_polled(sqs, url, polling)
        polling.cancel()
        await asyncio.wait([polling])
    await sqs.send_message(QueueUrl=url, MessageBody="b")
    assert len(await receive(sqs, url, wait=5)) == 1


async def _until_polled(sqs: Any, url: str, polling: asyncio.Task[Any]) -> None:
    """Return when the poll has had the time of twenty calls to reach the server, and has not ended."""
    for _ in range(20):
        await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    assert not polling.done()


async def test_a_topic_delivers_raw_and_wrapped_and_by_filter(sqs: Any, sns: Any) -> None:
    topic = (await sns.create_topic(Name=fresh("topic")))["TopicArn"]
    raw, wrapped = await make_queue(sqs), await make_queue(sqs)
    only_active = json.dumps({"outcome": ["Active"]})
    await sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=await arn_of(sqs, raw), Attributes={"RawMessageDelivery": "true"}
    )
    await sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=await arn_of(sqs, wrapped), Attributes={"FilterPolicy": only_active}
    )
    entries = [
        {"Id": outcome, "Message": outcome, "MessageAttributes": {"outcome": {"DataType": "String", "StringValue": outcome}}}
        for outcome in ("Active", "Failed")
    ]
    published = await sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert [one["Id"] for one in published["Successful"]] == ["Active", "Failed"]
    plain = await receive(sqs, raw)
    assert [(one["Body"], one["MessageAttributes"]["outcome"]["StringValue"]) for one in plain] == [
        ("Active", "Active"),
        ("Failed", "Failed"),
    ]
    (envelope,) = [json.loads(one["Body"]) for one in await receive(sqs, wrapped)]
    assert (envelope["Type"], envelope["Message"], envelope["TopicArn"]) == ("Notification", "Active", topic)
    assert envelope["MessageAttributes"] == {"outcome": {"Type": "String", "Value": "Active"}}
