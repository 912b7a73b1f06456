"""What askers are sent, checked by botocore's stubber against the service models; and what comes of a token that is dead."""

from __future__ import annotations

import pytest
from aiobotocore.stub import AioStubber

from slipway.aws.adapters.publishing import SAGEMAKER, STEP_FUNCTIONS, CallbackSender
from slipway.aws.sdk.clients import Clients
from slipway.core.call_errors import CallFailed, Conflicting, Denied, Refused, ResourceMissing, Throttled
from slipway.core.events.callbacks import EventCopy, StepFailed, StepSucceeded, TaskFailed, TaskSucceeded
from slipway.core.events.publish import Publication
from slipway.local.callbacks import CallbackStandIn
from tests.aws.conftest import Open, make_caller

NOWHERE = "http://127.0.0.1:9"
TASK, STEP, ONCE = "AQCEAAAAKgAAAAMAAAAA", "Qk3vX9aZ1b", "o" * 64
EVENT = Publication("e-1", {"id": "e-1"}, {"status": "Active"}, "bot")
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/answers"
TOPIC = "arn:aws:sns:us-east-1:123456789012:answers"
EXECUTION = {"PipelineExecutionArn": "arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/e"}
ATTRIBUTES = {"status": {"DataType": "String", "StringValue": "Active"}}


def make_replies(clients: Clients, *, attempts: int = 1) -> CallbackSender:
    return CallbackSender(clients.open, queues=clients.leases, topics=clients.topic, caller=make_caller(attempts=attempts))


async def test_step_functions_is_told(clients_at: Open) -> None:
    async with clients_at(NOWHERE) as clients:
        with AioStubber(await clients.open(STEP_FUNCTIONS)) as stub:
            stub.add_response("send_task_heartbeat", {}, {"taskToken": TASK})
            stub.add_response("send_task_success", {}, {"taskToken": TASK, "output": "{}"})
            stub.add_response("send_task_failure", {}, {"taskToken": TASK, "error": "Failed", "cause": "why"})
            replies = make_replies(clients)
            await replies.heartbeat(TASK)
            await replies.reply(TaskSucceeded(TASK, "{}"))
            await replies.reply(TaskFailed(TASK, "Failed", "why"))
            stub.assert_no_pending_responses()


async def test_a_pipeline_is_told(clients_at: Open) -> None:
    parameters = [{"Name": "outcome", "Value": "Active"}]
    async with clients_at(NOWHERE) as clients:
        with AioStubber(await clients.open(SAGEMAKER)) as stub:
            common = {"CallbackToken": STEP, "ClientRequestToken": ONCE}
            stub.add_response("send_pipeline_execution_step_success", EXECUTION, common | {"OutputParameters": parameters})
            stub.add_response("send_pipeline_execution_step_failure", EXECUTION, common | {"FailureReason": "why"})
            await make_replies(clients).reply(StepSucceeded(STEP, ONCE, (("outcome", "Active"),)))
            await make_replies(clients).reply(StepFailed(STEP, ONCE, "why"))
            stub.assert_no_pending_responses()


@pytest.mark.parametrize("suffix", ["", ".fifo"])
async def test_a_queue_and_a_topic_get_a_copy(clients_at: Open, suffix: str) -> None:
    fifo = {"MessageGroupId": "bot", "MessageDeduplicationId": "e-1"} if suffix else {}
    async with clients_at(NOWHERE) as clients:
        with AioStubber(clients.leases) as queues, AioStubber(clients.topic) as topics:
            to_queue = {"QueueUrl": QUEUE + suffix, "MessageBody": EVENT.body, "MessageAttributes": ATTRIBUTES}
            to_topic = {"TopicArn": TOPIC + suffix, "Message": EVENT.body, "MessageAttributes": ATTRIBUTES}
            queues.add_response("send_message", {"MessageId": "m"}, to_queue | fifo)
            topics.add_response("publish", {"MessageId": "m"}, to_topic | fifo)
            await make_replies(clients).reply(EventCopy(QUEUE + suffix, EVENT))
            await make_replies(clients).reply(EventCopy(TOPIC + suffix, EVENT))
            queues.assert_no_pending_responses()
            topics.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("TaskTimedOut", Refused),
        ("TaskDoesNotExist", Refused),
        ("InvalidToken", Refused),
        ("InvalidOutput", Refused),
        ("ValidationException", Refused),
        ("ResourceNotFound", ResourceMissing),
        ("ConflictException", Conflicting),
        ("AccessDeniedException", Denied),
        ("ThrottlingException", Throttled),
    ],
)
async def test_a_token_that_is_dead_is_told_from_trouble_that_passes(
    clients_at: Open, code: str, kind: type[CallFailed]
) -> None:
    async with clients_at(NOWHERE) as clients:
        with AioStubber(await clients.open(STEP_FUNCTIONS)) as stub:
            stub.add_client_error("send_task_success", code, http_status_code=400)
            with pytest.raises(kind):
                await make_replies(clients).reply(TaskSucceeded(TASK, "{}"))


async def test_over_http_an_answer_is_heard_once(clients_at: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    standin = CallbackStandIn()
    url = await standin.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SFN", url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", url)
    try:
        async with clients_at(NOWHERE) as clients:
            replies = make_replies(clients)
            assert await clients.open(SAGEMAKER) is await clients.open(SAGEMAKER), "opened once"
            await replies.heartbeat(TASK)
            await replies.reply(TaskSucceeded(TASK, "{}"))
            await replies.reply(StepSucceeded(STEP, ONCE, (("outcome", "Active"),)))
            await replies.reply(StepSucceeded(STEP, ONCE, (("outcome", "Active"),)))
            for dead in (TaskSucceeded(TASK, "{}"), TaskFailed(TASK, "x", "y")):
                with pytest.raises(Refused, match="TaskTimedOut"):
                    await replies.reply(dead)
            with pytest.raises(Refused, match="TaskTimedOut"):
                await replies.heartbeat(TASK)
            with pytest.raises(ResourceMissing):
                await replies.reply(StepFailed(STEP, ONCE, "why"))
    finally:
        await standin.close()
    assert [each.operation for each in standin.heard] == [
        "SendTaskHeartbeat",
        "SendTaskSuccess",
        "SendPipelineExecutionStepSuccess",
        "SendPipelineExecutionStepSuccess",
    ]
