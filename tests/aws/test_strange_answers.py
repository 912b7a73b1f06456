"""Answers that read as JSON and are nonsense all the same (found by tests/simulation/wire_answers): never taken for a value."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.core.call_errors import UnknownResult
from tests.aws.conftest import Open, make_bedrock, make_caller, make_queue
from tests.aws.servers import ARN, answer, serving

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
DEPLOYMENT = {
    "customModelDeploymentArn": ARN,
    "modelDeploymentName": "n",
    "modelArn": MODEL,
    "createdAt": "2026-11-23T10:00:00Z",
    "status": "Active",
}
MESSAGE = {
    "MessageId": "m",
    "ReceiptHandle": "r",
    "Body": "b",
    "Attributes": {"ApproximateReceiveCount": "1", "ApproximateFirstReceiveTimestamp": "1795428000000"},
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"modelArn": []},
        {"modelArn": {"a": MODEL}},
        {"customModelDeploymentArn": ""},
        {"modelDeploymentName": 7},
        {"status": None},
    ],
)
async def test_a_deployment_whose_parts_are_no_texts_is_unknown(clients_at: Open, wrong: dict[str, Any]) -> None:
    async with serving(answer(200, DEPLOYMENT | wrong)) as server, clients_at(server.url) as clients:
        with pytest.raises(UnknownResult):
            await make_bedrock(clients, make_caller(attempts=1)).get("n")


async def test_a_reason_that_is_no_text_is_left_out(clients_at: Open) -> None:
    async with serving(answer(200, DEPLOYMENT | {"failureMessage": ["a"]})) as server, clients_at(server.url) as clients:
        deployment = await make_bedrock(clients, make_caller(attempts=1)).get("n")
        assert deployment is not None
        assert deployment.failure_message is None


@pytest.mark.parametrize("tags", [[{"key": "a", "value": 1}], [{"key": None, "value": "b"}]])
async def test_tags_that_are_no_texts_are_unknown(clients_at: Open, tags: object) -> None:
    async with serving(answer(200, {"tags": tags})) as server, clients_at(server.url) as clients:
        with pytest.raises(UnknownResult):
            await make_bedrock(clients, make_caller(attempts=1)).tags(ARN)


@pytest.mark.parametrize(
    "policy",
    [
        "null",
        "[]",
        "7",
        "{",
        '{"maxReceiveCount": "often"}',
        '{"deadLetterTargetArn": "somewhere"}',
        '{"deadLetterTargetArn": 1}',
    ],
)
async def test_a_redrive_policy_that_is_none_is_unknown(clients_at: Open, policy: str) -> None:
    async with serving(answer(200, {"Attributes": {"RedrivePolicy": policy}})) as server, clients_at(server.url) as clients:
        queue = make_queue(clients, caller=make_caller(attempts=1))
        with pytest.raises(UnknownResult):
            await queue.traits()


@pytest.mark.parametrize(
    "wrong",
    [
        {"Body": 7},
        {"Body": None},
        {"MessageId": []},
        {"ReceiptHandle": ""},
    ],
)
async def test_a_message_that_cannot_be_read_is_unknown_alone_and_left_out_among_others(
    clients_at: Open, wrong: dict[str, Any]
) -> None:
    async with serving(answer(200, {"Messages": [MESSAGE | wrong]})) as server, clients_at(server.url) as clients:
        with pytest.raises(UnknownResult):
            await make_queue(clients, caller=make_caller(attempts=1)).receive(10, wait_seconds=0, attempt=None)
    async with (
        serving(answer(200, {"Messages": [MESSAGE, MESSAGE | wrong, MESSAGE | {"MessageId": "n"}]})) as server,
        clients_at(server.url) as clients,
    ):
        received = await make_queue(clients, caller=make_caller(attempts=1)).receive(10, wait_seconds=0, attempt=None)
        assert [one.message_id for one in received] == ["m", "n"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"Attributes": None},
        {"Attributes": {}},
        {"Attributes": {"ApproximateReceiveCount": "1"}},
        {"Attributes": {"ApproximateFirstReceiveTimestamp": "1795428000000"}},
        {"Attributes": {"ApproximateReceiveCount": "often", "ApproximateFirstReceiveTimestamp": "now"}},
        {"Attributes": {"ApproximateReceiveCount": "0", "ApproximateFirstReceiveTimestamp": "9" * 30}},
        {"Attributes": {"ApproximateReceiveCount": "NaN", "ApproximateFirstReceiveTimestamp": "-1"}},
        {"Attributes": {"ApproximateReceiveCount": "1" * 5000, "MessageGroupId": [], "SenderId": 7}},
        {"MessageAttributes": {"a": {"StringValue": 1}, "b": {}, "c": None, "d": {"DataType": "Odd", "StringValue": "x"}}},
    ],
)
async def test_what_a_queue_that_resembles_sqs_leaves_out_is_the_first_receive_and_now(
    clients_at: Open, wrong: dict[str, Any]
) -> None:
    given = {key: value for key, value in (MESSAGE | wrong).items() if value is not None}
    async with serving(answer(200, {"Messages": [given]})) as server, clients_at(server.url) as clients:
        (one,) = await make_queue(clients, caller=make_caller(attempts=1)).receive(10, wait_seconds=0, attempt=None)
        assert (one.message_id, one.body, one.receive_count) == ("m", "b", 1)
        assert one.first_received_at <= one.received_at + 1.0
        if "ApproximateFirstReceiveTimestamp" not in (wrong.get("Attributes") or {}) and "Attributes" in wrong:
            assert one.first_received_at == one.received_at
        assert not one.attributes
        assert one.group is None
