"""Every wire fault at every operation that Slipway calls, through the real adapters: what each call is then said to mean."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import pytest

from slipway.aws.adapters.bedrock import Bedrock
from slipway.aws.adapters.publishing import CallbackSender, Topic
from slipway.aws.adapters.queue import Queue
from slipway.aws.adapters.retry import Caller
from slipway.aws.sdk.clients import Clients
from slipway.core.bedrock import ModelState
from slipway.core.call_errors import (
    CallFailed,
    Conflicting,
    Denied,
    QuotaFull,
    Refused,
    ResourceMissing,
    Throttled,
    UnknownResult,
)
from slipway.core.events.callbacks import EventCopy, StepFailed, StepSucceeded, TaskFailed, TaskSucceeded
from slipway.core.events.publish import Publication
from slipway.core.sqs.messages import Outgoing
from tests.aws.conftest import QUEUE_URL, Open, make_bedrock, make_caller, make_queue, make_topic
from tests.aws.servers import ARN, Behaviour, Seen, answer, head, raw, serving, trickle

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
BURYING_URL = f"{QUEUE_URL}-that-buries"
DEAD_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters"
KNOWN_DEAD_URL = f"{DEAD_URL}-known"
ANSWERS_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/answers"
ANSWERS_TOPIC = "arn:aws:sns:us-east-1:123456789012:answers"
DEAD_LETTERS = "arn:aws:sqs:us-east-1:123456789012:dead-letters"
CALL_SECONDS = 10.0
"""Never reached, however busy the machine is: what answers, or breaks, does so at once."""
SILENT_SECONDS = 2.0
TOKEN = "made-up-session-token"


@dataclass(frozen=True)
class Adapters:
    """What Slipway calls AWS with. The queue that buries is another one, for its first call is to succeed."""

    bedrock: Bedrock
    queue: Queue
    burying: Queue
    knowing: Queue
    """It has buried before, and knows where."""
    topic: Topic
    replies: CallbackSender

    @classmethod
    def of(cls, clients: Clients, caller: Caller) -> Adapters:
        knowing = make_queue(clients, caller=caller)
        knowing._dead_letter_url = KNOWN_DEAD_URL  # noqa: SLF001  as it is once something has been buried
        return cls(
            make_bedrock(clients, caller),
            make_queue(clients, caller=caller),
            make_queue(clients, url=BURYING_URL, caller=caller),
            knowing,
            make_topic(clients, caller=caller),
            CallbackSender(clients.open, queues=clients.leases, topics=clients.topic, caller=caller),
        )


Call = Callable[[Adapters], Awaitable[object]]


@dataclass(frozen=True)
class Operation:
    """One operation: how Slipway calls it, a proper answer, and a success without the fields that it must have."""

    name: str
    call: Call
    good: bytes
    lacking: bytes
    status: int = 200
    is_xml: bool = False
    is_rest: bool = False

    def error(self, status: int, code: str) -> Behaviour:
        """Answer with an error document as this service writes it."""
        if self.is_xml:
            fault = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error><RequestId>r</RequestId>"
            return answer(status, f"<ErrorResponse>{fault}</ErrorResponse>".encode())
        if self.is_rest:
            return answer(status, {"message": "no"}, headers={"x-amzn-ErrorType": code})
        return answer(status, {"__type": f"com.amazonaws.sqs#{code}", "message": "no"})


def _json(body: object) -> bytes:
    return json.dumps(body).encode()


def _xml(name: str, content: str) -> bytes:
    said = f"<{name}Result>{content}</{name}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
    return f'<{name}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/">{said}</{name}Response>'.encode()


async def _first(answers: Awaitable[list[CallFailed | None]]) -> object:
    (first,) = await answers
    if first is not None:
        raise first
    return first


JOB = MODEL.replace("custom-model", "model-customization-job")
DEPLOYMENT = {"customModelDeploymentArn": ARN, "modelArn": MODEL, "createdAt": "2026-11-23T10:00:00Z", "status": "Active"}
LISTED = DEPLOYMENT | {"customModelDeploymentName": "n", "lastUpdatedAt": "2026-11-23T10:00:00Z"}
MESSAGE = {
    "MessageId": "m",
    "ReceiptHandle": "r",
    "Body": "b",
    "Attributes": {"ApproximateReceiveCount": "1", "ApproximateFirstReceiveTimestamp": "1795428000000"},
}
BATCH = _json({"Successful": [{"Id": "0"}], "Failed": []})
ATTRIBUTES = _json({"Attributes": {"RedrivePolicy": json.dumps({"deadLetterTargetArn": DEAD_LETTERS, "maxReceiveCount": 5})}})
PUBLISHED = "<Successful><member><Id>0</Id><MessageId>m</MessageId></member></Successful><Failed/>"
EVENT = Publication("e", {}, {"outcome": "Active"}, "g")
TASK, STEP, ONCE = "AQCEAAAAKgAAAAMAAAAA", "Qk3vX9aZ1b", "o" * 64
EXECUTION = _json({"PipelineExecutionArn": "arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/e"})

COPY = "SendMessage of a reply"

OPERATIONS: Mapping[str, Operation] = {
    each.name: each
    for each in (
        Operation(
            "CreateCustomModelDeployment",
            lambda at: at.bedrock.create(name="n", model_arn=MODEL, description="d", tags=[("a", "b")], token="one"),
            good=_json({"customModelDeploymentArn": ARN}),
            lacking=b"{}",
            status=202,
            is_rest=True,
        ),
        Operation(
            "GetCustomModelDeployment",
            lambda at: at.bedrock.get("n"),
            good=_json(DEPLOYMENT | {"modelDeploymentName": "n"}),
            lacking=_json(DEPLOYMENT),
            is_rest=True,
        ),
        Operation(
            "ListCustomModelDeployments",
            lambda at: at.bedrock.page(created_after=1.0, status=None, token=None),
            good=_json({"modelDeploymentSummaries": [LISTED]}),
            lacking=_json({"modelDeploymentSummaries": [LISTED, {"customModelDeploymentArn": ARN}]}),
            is_rest=True,
        ),
        Operation(
            "ListTagsForResource",
            lambda at: at.bedrock.tags(ARN),
            good=_json({"tags": [{"key": "a", "value": "b"}]}),
            lacking=b"{}",
            is_rest=True,
        ),
        Operation(
            "GetCustomModel",
            lambda at: at.bedrock.model_state(MODEL),
            good=_json({"modelArn": MODEL, "modelStatus": "Active"}),
            lacking=_json({"modelStatus": "Active"}),
            is_rest=True,
        ),
        Operation(
            "GetModelCustomizationJob",
            lambda at: at.bedrock.job(JOB),
            good=_json({"jobArn": JOB, "status": "Completed", "outputModelArn": MODEL}),
            lacking=_json({"status": "Completed", "outputModelArn": MODEL}),
            is_rest=True,
        ),
        Operation(
            "ReceiveMessage",
            lambda at: at.queue.receive(10, wait_seconds=0, attempt=None),
            good=_json({"Messages": [MESSAGE]}),
            lacking=_json({"Messages": [{"MessageId": "m", "Body": "b"}]}),
        ),
        Operation("ChangeMessageVisibilityBatch", lambda at: _first(at.queue.extend(["r"], 30)), good=BATCH, lacking=b"{}"),
        Operation("DeleteMessageBatch", lambda at: _first(at.queue.delete(["r"])), good=BATCH, lacking=b"{}"),
        Operation("SendMessageBatch", lambda at: _first(at.queue.send([Outgoing("b", {"a": "b"})])), good=BATCH, lacking=b"{}"),
        Operation(
            "SendMessage", lambda at: at.knowing.send_dead_letter(Outgoing("b")), good=_json({"MessageId": "m"}), lacking=b"{}"
        ),
        Operation("GetQueueAttributes", lambda at: at.queue.traits(), good=ATTRIBUTES, lacking=b"{}"),
        Operation(
            "GetQueueUrl",
            lambda at: at.burying.send_dead_letter(Outgoing("b")),
            good=_json({"QueueUrl": DEAD_URL}),
            lacking=b"{}",
        ),
        Operation(
            COPY, lambda at: at.replies.reply(EventCopy(ANSWERS_URL, EVENT)), good=_json({"MessageId": "m"}), lacking=b"{}"
        ),
        Operation(
            "PublishBatch",
            lambda at: _first(at.topic.publish([EVENT])),
            good=_xml("PublishBatch", PUBLISHED),
            lacking=_xml("PublishBatch", "<Successful/><Failed/>"),
            is_xml=True,
        ),
        Operation(
            "GetTopicAttributes",
            lambda at: at.topic.check(),
            good=_xml("GetTopicAttributes", "<Attributes><entry><key>a</key><value>b</value></entry></Attributes>"),
            lacking=_xml("GetTopicAttributes", ""),
            is_xml=True,
        ),
        Operation(
            "Publish",
            lambda at: at.replies.reply(EventCopy(ANSWERS_TOPIC, EVENT)),
            good=_xml("Publish", "<MessageId>m</MessageId>"),
            lacking=_xml("Publish", ""),
            is_xml=True,
        ),
        Operation("SendTaskHeartbeat", lambda at: at.replies.heartbeat(TASK), good=b"{}", lacking=b""),
        Operation("SendTaskSuccess", lambda at: at.replies.reply(TaskSucceeded(TASK, "{}")), good=b"{}", lacking=b""),
        Operation("SendTaskFailure", lambda at: at.replies.reply(TaskFailed(TASK, "e", "c")), good=b"{}", lacking=b""),
        Operation(
            "SendPipelineExecutionStepSuccess",
            lambda at: at.replies.reply(StepSucceeded(STEP, ONCE, (("a", "b"),))),
            good=EXECUTION,
            lacking=b"{}",
        ),
        Operation(
            "SendPipelineExecutionStepFailure",
            lambda at: at.replies.reply(StepFailed(STEP, ONCE, "why")),
            good=EXECUTION,
            lacking=b"{}",
        ),
    )
}

APPLIED = "applied"
Meaning = str | type[CallFailed]
Fault = Callable[[Operation], Behaviour]


def _well(operation: Operation) -> Behaviour:
    return answer(operation.status, operation.good)


def _chunk(operation: Operation) -> bytes:
    start = f"HTTP/1.1 {operation.status} X\r\nTransfer-Encoding: chunked\r\n\r\n{len(operation.good):x}\r\n"
    return start.encode() + operation.good[:-5]


def _head(operation: Operation) -> bytes:
    return head(operation.status, len(operation.good))


def _with(body: bytes) -> Fault:
    return lambda operation: answer(operation.status, body)


def _always(data: bytes, then: str) -> Fault:
    return lambda _: raw(data, then=then)


UNKNOWN: Mapping[str, Fault] = {
    "accepted and never answered": _always(b"", "silence"),
    "reset before the response": _always(b"", "reset"),
    "FIN before the response": _always(b"", "end"),
    "reset within the headers": lambda operation: raw(_head(operation)[:40], then="reset"),
    "FIN within the headers": lambda operation: raw(_head(operation)[:40], then="end"),
    "silence within the headers": lambda operation: raw(_head(operation)[:40], then="silence"),
    "truncated body": lambda operation: raw(_head(operation) + operation.good[:-5], then="end"),
    "reset within the body": lambda operation: raw(_head(operation) + operation.good[:-5], then="reset"),
    "silence within the body": lambda operation: raw(_head(operation) + operation.good[:-5], then="silence"),
    "truncated chunk": lambda operation: raw(_chunk(operation), then="end"),
    "no last chunk": lambda operation: raw(_chunk(operation) + operation.good[-5:] + b"\r\n", then="end"),
    "trickle": lambda operation: trickle(head(operation.status, 10_000_000) + operation.good),
    "garbage status line": _always(b"?!\x00\xff garbage\r\n\r\n", "end"),
    "oversized header": _always(b"HTTP/1.1 200 X\r\nX-Big: " + b"x" * 100_000 + b"\r\n\r\n", "end"),
    "200 with nothing": _with(b""),
    "200 with HTML": _with(b"<html><body>It works!</body></html>"),
    "200 with half a page of HTML": _with(b"<html><body><p>It works"),
    "200 cut short": lambda operation: answer(operation.status, operation.good[: len(operation.good) // 2]),
    "200 with broken JSON": _with(b'{"a": }'),
    "200 with a JSON list": _with(b"[1]"),
    "200 with null": _with(b"null"),
    "200 without what it must have": lambda operation: answer(operation.status, operation.lacking),
    "204": _always(b"HTTP/1.1 204 X\r\n\r\n", "keep"),
    "304": _always(b"HTTP/1.1 304 X\r\n\r\n", "keep"),
    "400 without a document": lambda _: answer(400, b""),
    "404 with HTML": lambda _: answer(404, b"<html><body>Not Found</body></html>"),
    "429 without a document": lambda _: answer(429, b""),
    "500": lambda operation: operation.error(500, "InternalServerException"),
    "500 without a document": lambda _: answer(500, b""),
    "502 with HTML": lambda _: answer(502, b"<html><body>Bad Gateway</body></html>"),
    "503 that names a throttle": lambda operation: operation.error(503, "ThrottlingException"),
}
"""What nobody can tell the outcome of: `UnknownResult`, whatever the operation."""

NOT_APPLIED: Mapping[str, tuple[int, str, type[CallFailed]]] = {
    "429": (429, "ThrottlingException", Throttled),
    "400 of a throttle": (400, "Throttling", Throttled),
    "400": (400, "ValidationException", Refused),
    "400 of an unknown code": (400, "SomethingNewException", Refused),
    "402 of a quota": (402, "ServiceQuotaExceededException", QuotaFull),
    "403": (403, "AccessDeniedException", Denied),
    "403 of old credentials": (403, "ExpiredTokenException", Denied),
    "404": (404, "ResourceNotFoundException", ResourceMissing),
    "409": (409, "ConflictException", Conflicting),
}
"""What a parsed error document says: not applied, and why."""

NOT_THERE: Mapping[str, object] = {
    "GetCustomModelDeployment": None,
    "ListTagsForResource": None,
    "GetCustomModel": ModelState.MISSING,
    "GetModelCustomizationJob": None,
}
"""To these, Bedrock's 404 is an answer."""

WITHOUT_FIELDS = dict.fromkeys(("SendTaskHeartbeat", "SendTaskSuccess", "SendTaskFailure"), APPLIED)
"""To these, any success with nothing in it is the answer, as it has nothing to say."""
EMPTY = {"200 with nothing", "200 without what it must have", "204"}
ENDLESS = {"accepted and never answered", "silence within the headers", "silence within the body", "trickle"}
REPEATED_ONLY_IF_NOT_APPLIED = {"CreateCustomModelDeployment"}
NEVER_REPEATED = {"ReceiveMessage", "PublishBatch"}


@dataclass
class Wire:
    """Answers each operation as its fault has it, and well what is only called before or after one that is looked at."""

    fault: Fault
    seen: dict[str, list[Seen]] = field(default_factory=dict)

    async def __call__(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        operation = OPERATIONS[_name_of(seen)]
        is_aside = not operation.is_rest and not operation.is_xml and seen.json.get("QueueUrl") in {BURYING_URL, DEAD_URL}
        if not is_aside:
            self.seen.setdefault(operation.name, []).append(seen)
        await (_well if is_aside else self.fault)(operation)(seen, writer)


def _name_of(seen: Seen) -> str:
    if target := seen.headers.get("x-amz-target"):
        if seen.json.get("QueueUrl") == ANSWERS_URL:
            return COPY
        return next(name for name in OPERATIONS if name.lower() == target.rpartition(".")[2])
    if seen.path == "/":
        return parse_qs(seen.body.decode())["Action"][0]
    if seen.path == "/listTagsForResource":
        return "ListTagsForResource"
    if seen.path.startswith("/custom-models/"):
        return "GetCustomModel"
    if seen.path.startswith("/model-customization-jobs/"):
        return "GetModelCustomizationJob"
    if seen.method == "POST":
        return "CreateCustomModelDeployment"
    return "GetCustomModelDeployment" if seen.path.endswith("/n") else "ListCustomModelDeployments"


async def _meaning(operation: Operation, adapters: Adapters) -> Meaning:
    try:
        await operation.call(adapters)
    except CallFailed as failed:
        return type(failed)
    return APPLIED


async def meanings(clients: Clients, *, attempts: int = 1, call_seconds: float = CALL_SECONDS) -> dict[str, Meaning]:
    """Call every operation at the same time; answer what each is said to mean. Whatever is no `CallFailed` comes out."""
    adapters = Adapters.of(clients, make_caller(call_timeout=call_seconds, attempts=attempts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slipway.aws.adapters.queue.POLL_GRACE_SECONDS", call_seconds)
        said = await asyncio.gather(*(_meaning(operation, adapters) for operation in OPERATIONS.values()))
    return dict(zip(OPERATIONS, said, strict=True))


def each(meaning: Meaning) -> dict[str, Meaning]:
    return dict.fromkeys(OPERATIONS, meaning)


async def seen_of(clients_at: Open, fault: Fault, *, call_seconds: float = CALL_SECONDS) -> dict[str, Meaning]:
    """Return what each operation is said to mean under a fault; each was sent once, and each is applied when it is over."""
    wire = Wire(fault)
    async with serving(wire) as server, clients_at(server.url) as clients:
        said = await meanings(clients, call_seconds=call_seconds)
        sent = {name: len(seen) for name, seen in wire.seen.items()}
        assert sent == dict.fromkeys(OPERATIONS, 1)
        wire.fault = _well
        assert await meanings(clients) == each(APPLIED), "nothing of the fault is left over"
    return said


async def test_answered_well_all_is_applied(clients_at: Open) -> None:
    assert await seen_of(clients_at, _well) == each(APPLIED)


@pytest.mark.parametrize("fault", UNKNOWN)
async def test_what_cannot_be_read_is_unknown_and_was_sent_once(clients_at: Open, fault: str) -> None:
    call_seconds = SILENT_SECONDS if fault in ENDLESS else CALL_SECONDS
    said = await seen_of(clients_at, UNKNOWN[fault], call_seconds=call_seconds)
    assert said == each(UnknownResult) | (WITHOUT_FIELDS if fault in EMPTY else {})


@pytest.mark.parametrize("document", NOT_APPLIED)
async def test_an_error_document_says_that_nothing_was_applied(clients_at: Open, document: str) -> None:
    status, code, kind = NOT_APPLIED[document]
    expected = each(kind) | (dict.fromkeys(NOT_THERE, APPLIED) if kind is ResourceMissing else {})
    assert await seen_of(clients_at, lambda operation: operation.error(status, code)) == expected


async def test_what_is_not_there(clients_at: Open) -> None:
    wire = Wire(lambda operation: operation.error(404, "ResourceNotFoundException"))
    async with serving(wire) as server, clients_at(server.url) as clients:
        adapters = Adapters.of(clients, make_caller(attempts=1))
        assert {name: await OPERATIONS[name].call(adapters) for name in NOT_THERE} == NOT_THERE


async def test_nobody_listens(clients_at: Open) -> None:
    async with serving(Wire(_well)) as server:
        url = server.url
    async with clients_at(url) as clients:
        assert await meanings(clients) == each(UnknownResult)


async def test_no_such_host(clients_at: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def resolve(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with clients_at("http://nowhere.invalid") as clients:
        assert await meanings(clients) == each(UnknownResult)
    assert "nowhere.invalid" in asked


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_unknown_and_nothing_goes_where_it_points(clients_at: Open, status: int) -> None:
    elsewhere = Wire(_well)
    async with AsyncExitStack() as stack:
        away = {"Location": f"{(await stack.enter_async_context(serving(elsewhere))).url}/"}
        wire = Wire(lambda _: answer(status, b"", headers=away))
        server = await stack.enter_async_context(serving(wire))
        clients = await stack.enter_async_context(clients_at(server.url))
        assert await meanings(clients) == each(UnknownResult)
        assert all(request.headers["x-amz-security-token"] == TOKEN for seen in wire.seen.values() for request in seen)
        assert set(wire.seen) == set(OPERATIONS)
        assert elsewhere.seen == {}, "nor has the token gone there"


async def test_an_answer_after_the_time_out_is_nobodys(clients_at: Open) -> None:
    given_up = asyncio.Event()

    def late(operation: Operation) -> Behaviour:
        async def behave(seen: Seen, writer: asyncio.StreamWriter) -> None:
            await given_up.wait()
            await answer(operation.status, operation.good)(seen, writer)

        return behave

    wire = Wire(late)
    async with serving(wire) as server, clients_at(server.url) as clients:
        assert await meanings(clients, call_seconds=SILENT_SECONDS) == each(UnknownResult)
        wire.fault = lambda operation: operation.error(400, "ValidationException")
        given_up.set()
        assert await meanings(clients) == each(Refused), "each hears its own answer, and no late one"


async def test_a_stale_connection_is_unknown_and_the_next_one_is_fresh(clients_at: Open) -> None:
    stale: set[asyncio.StreamWriter] = set()

    def close_stale(operation: Operation) -> Behaviour:
        async def behave(seen: Seen, writer: asyncio.StreamWriter) -> None:
            await (raw(b"", then="end") if writer in stale else _well(operation))(seen, writer)

        return behave

    said: dict[str, list[Meaning]] = {}
    async with serving(Wire(close_stale)) as server, clients_at(server.url) as clients:
        for name, operation in OPERATIONS.items():
            said[name] = []
            for _ in range(3):
                adapters = Adapters.of(clients, make_caller(call_timeout=CALL_SECONDS, attempts=1))
                said[name].append(await _meaning(operation, adapters))
                stale |= set(server.connections) if len(said[name]) == 1 else set()
    assert said == {name: [APPLIED, UnknownResult, APPLIED] for name in OPERATIONS}


async def test_what_is_repeated_after_what(clients_at: Open) -> None:
    once = NEVER_REPEATED | REPEATED_ONLY_IF_NOT_APPLIED
    for fault, sent_once in (
        (UNKNOWN["truncated body"], once),
        (UNKNOWN["200 with nothing"], once | set(WITHOUT_FIELDS)),
        (UNKNOWN["500"], once),
        (lambda operation: operation.error(429, "ThrottlingException"), NEVER_REPEATED),
        (lambda operation: operation.error(400, "ValidationException"), set(OPERATIONS)),
    ):
        wire = Wire(fault)
        async with serving(wire) as server, clients_at(server.url) as clients:
            await meanings(clients, attempts=2)
        assert {name: len(seen) for name, seen in wire.seen.items()} == {
            name: 1 if name in sent_once else 2 for name in OPERATIONS
        }
        tokens = {seen.json["clientRequestToken"] for seen in wire.seen["CreateCustomModelDeployment"]}
        assert tokens == {"one"}
