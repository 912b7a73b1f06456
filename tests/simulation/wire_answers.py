"""Answers of AWS, pulled about and read by the real client and the real adapters: a good value, or a `CallFailed`."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from slipway.aws.adapters.bedrock import Bedrock
from slipway.aws.adapters.clock import AwsClock
from slipway.aws.adapters.publishing import Topic
from slipway.aws.adapters.queue import Queue
from slipway.aws.adapters.retry import Caller
from slipway.core.bedrock import Created, Deployment, ModelState, Page, Status
from slipway.core.call_errors import CallFailed
from slipway.core.events.publish import Publication
from slipway.core.parsing import parse_request
from slipway.core.requests.envelopes import PipelineStopping
from slipway.core.schema.rejection import RequestRejected
from slipway.core.sqs.messages import Attribute, Message, Outgoing, QueueTraits
from tests.fuzz import mutate
from tests.simulation.faults import machine_time
from tests.simulation.quiet_logs import quietly
from tests.simulation.real_client import clients_in_memory
from tests.simulator.aws import QUEUE_URL, TOPIC_ARN, Answer, Aws, operation_of
from tests.simulator.network import Asked, Call, InMemory, Line
from tests.simulator.simulation import HOME, MODEL
from tests.simulator.virtual_loop import run

DEPLOYMENT = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
KEYS = (
    "customModelDeploymentArn", "modelDeploymentName", "customModelDeploymentName", "modelArn", "createdAt", "status", "tags",
    "lastUpdatedAt", "failureMessage", "nextToken", "modelDeploymentSummaries", "modelStatus", "key", "value", "Messages",
    "MessageId", "Body", "ReceiptHandle", "Attributes", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp",
    "MessageGroupId", "AWSTraceHeader", "MessageAttributes", "StringValue", "DataType", "Successful", "Failed", "Id", "Code",
    "SenderFault", "Message", "QueueUrl", "RedrivePolicy", "maxReceiveCount", "deadLetterTargetArn", "__type", "message",
)  # fmt: skip
STATUSES = (200, 200, 200, 200, 200, 202, 204, 299, 300, 302, 400, 400, 403, 404, 408, 409, 413, 418, 429, 500, 503, 599)
CODES = (
    "ThrottlingException", "ValidationException", "AccessDeniedException", "ResourceNotFoundException", "ConflictException",
    "ServiceQuotaExceededException", "ReceiptHandleIsInvalid", "InternalError", "KMS.DisabledException", "", "x" * 3000, "a#b",
    "AWS.SimpleQueueService.NonExistentQueue", "\u00e9", "500", "InvalidParameterValue",
)  # fmt: skip


class Answers:
    """So many answers, one after another, of operations in turn."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rng = random.Random(f"answers {seed}")
        self.accepted = 0
        self.failed: Counter[str] = Counter()
        self.violations: list[str] = []
        self._sent: Answer | None = None

    def run(self, count: int) -> None:
        """Let the adapters read so many answers."""
        if count:
            with quietly():
                run(self._main(count))

    async def _main(self, count: int) -> None:
        async with clients_in_memory() as clients:
            InMemory.conduct = self
            caller = Caller(most_open=5, call_timeout=10.0, rng=self._rng, tally=Counter(), attempts=1)
            calls = _calls(
                Bedrock(clients.bedrock, caller, clock=AwsClock(lambda: 5.0)),
                lambda: Queue(
                    QUEUE_URL, visibility_seconds=60, receiver=clients.receive, custodian=clients.leases,
                    receiving=caller, leases=caller, clock=AwsClock(lambda: 5.0),
                ),
                Topic(TOPIC_ARN, clients.topic, caller),
            )  # fmt: skip
            names = list(calls)
            for number in range(count):
                if number % 100 == 0:
                    self._aws = Aws(seed=self._seed)
                    self._aws.sqs.max_receive_count = 1_000
                    self._aws.sqs.put(json.dumps({"modelDeploymentName": "bot", "modelArn": MODEL}), {"a": "b"})
                    self._aws.account.add(self._aws.now(), "n", MODEL, None, [{"key": "a", "value": "b"}])
                caller.limiters.clear()  # its lines are not what is tried here
                with machine_time(self._aws.now):
                    await self._one(number, names[number % len(names)], *calls[names[number % len(names)]])

    async def _one(self, number: int, name: str, call: Callable[[], Awaitable[object]], judge: Callable[[Any], bool]) -> None:
        self._is_first = True
        try:
            answer = await call()
            _expect(judge(answer), f"{name} answers {answer!r}")
        except CallFailed as failed:
            self.failed[type(failed).__name__] += 1
            if len(str(failed)) > 4000 or not failed.code:
                self._breaks(number, name, failed)
        except Exception as exc:  # noqa: BLE001  whatever it is, it is what was looked for
            self._breaks(number, name, exc)
        else:
            self.accepted += 1

    def _breaks(self, number: int, name: str, exc: Exception) -> None:
        sent = self._sent.whole() if self._sent else b""
        replay = f"python -m tests.fuzz.inputs {self._seed}"
        self.violations.append(f"{exc!r}\n  answer #{number} of {name}: {sent[:1500]!r}\nreplay: {replay}")

    def refusal(self, call: Call) -> None:
        """Every connection is made."""

    def answer(self, asked: Asked, line: Line) -> None:
        """Answer as AWS does, and then not quite."""
        for letter in self._aws.sqs.letters.values():
            letter.visible_at = 0.0
        real = self._aws.apply(asked)
        self._sent = real if self._rng.random() < 0.1 else self._pulled(real, operation_of(asked))
        line.say(self._sent.whole())
        if self._rng.random() < 0.02:
            line.end()

    def _pulled(self, real: Answer, operation: str) -> Answer:
        rng = self._rng
        status, headers = real.status, dict(real.headers)
        if rng.random() < 0.25:
            status = rng.choice(STATUSES)
        if rng.random() < 0.15:
            code = rng.choice(CODES)
            real = self._aws.error(max(status, 400), code.encode("ascii", "replace").decode(), "no", operation)
            status, headers = real.status, dict(real.headers)
        if rng.random() < 0.1:
            headers["Date"] = mutate.text(rng, headers.get("Date", ""), ["Mon"]).encode("ascii", "ignore").decode()
            headers["Date"] = "".join(letter for letter in headers["Date"] if letter.isprintable())
        if rng.random() < 0.05:
            headers["Content-Type"] = rng.choice(("text/html", "application/xml", "", "application/x-amz-json-1.1"))
        body = real.body.decode()
        if rng.random() < 0.85:
            body = mutate.json_text(rng, body, [body, "{}", "<a/>", "null"], KEYS)
        raw = body.encode(errors="surrogatepass")
        if rng.random() < 0.05:
            raw = bytes(rng.randrange(256) for _ in range(rng.randrange(60)))
        return Answer(status, b"" if status == 204 else raw, headers)


def _calls(
    bedrock: Bedrock, queue: Callable[[], Queue], topic: Topic
) -> dict[str, tuple[Callable[[], Awaitable[object]], Callable[[Any], bool]]]:
    """Return every call that Slipway makes, and what a good value of it is. A queue remembers where its dead letters go."""
    event = Publication("e", {}, {"outcome": "Active"}, "g")
    return {
        "create": (
            lambda: bedrock.create(name="n", model_arn=MODEL, description=None, tags=[("a", "b")], token="one"),
            lambda made: isinstance(made, Created) and DEPLOYMENT[:40] in made.arn and _is_time(made.at),
        ),
        "get": (lambda: bedrock.get("n"), lambda one: one is None or _is_deployment(one)),
        "list": (
            lambda: bedrock.page(created_after=1.0, status=None, token=None),
            lambda page: isinstance(page, Page) and all(map(_is_deployment, page.deployments)) and _is_text(page.next_token),
        ),
        "tags": (
            lambda: bedrock.tags(DEPLOYMENT),
            lambda tags: tags is None or all(isinstance(each, str) for pair in tags.items() for each in pair),
        ),
        "take away": (lambda: bedrock.delete("n"), lambda said: said is None),
        "update": (lambda: bedrock.update(DEPLOYMENT, MODEL), lambda said: said is None),
        "tag": (lambda: bedrock.tag(DEPLOYMENT, {"a": "b"}), lambda said: said is None),
        "model": (lambda: bedrock.model_state(MODEL), lambda state: isinstance(state, ModelState)),
        "receive": (
            lambda: queue().receive(10, wait_seconds=0, attempt=None),
            lambda messages: all(map(_is_message, messages)),
        ),
        "extend": (lambda: queue().extend(["a", "b"], 30), lambda said: _are_answers(said, 2)),
        "delete": (lambda: queue().delete(["a", "b", "c"]), lambda said: _are_answers(said, 3)),
        "send": (lambda: queue().send([Outgoing("b", {"a": "b"}), Outgoing("c")]), lambda said: _are_answers(said, 2)),
        "traits": (lambda: queue().traits(), _are_traits),
        "bury": (lambda: queue().send_dead_letter(Outgoing("b")), lambda said: said is None),
        "publish": (lambda: topic.publish([event, event]), lambda said: _are_answers(said, 2)),
        "check": (topic.check, lambda said: said is None),
    }


def _expect(is_so: bool, otherwise: str) -> None:  # noqa: FBT001  what is checked stands first, as in an assertion
    if not is_so:
        raise AssertionError(otherwise)


def _is_time(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value) and abs(value) < 1e12


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _are_texts(*values: object) -> bool:
    return all(isinstance(value, str) and value for value in values)


def _is_whole(value: object) -> bool:
    return isinstance(value, int)


def _is_deployment(one: Any) -> bool:
    return bool(
        isinstance(one, Deployment)
        and _are_texts(one.arn, one.name, one.model_arn, one.status_text)
        and one.status in Status
        and _is_time(one.created_at)
        and (one.updated_at is None or _is_time(one.updated_at))
        and _is_text(one.failure_message)
    )


def _is_message(message: Any) -> bool:
    with suppress(RequestRejected, PipelineStopping):
        parse_request(message, HOME)
    return bool(
        isinstance(message, Message)
        and _are_texts(message.message_id, message.receipt, *message.attributes)
        and _is_whole(message.receive_count)
        and _is_time(message.received_at)
        and _is_time(message.first_received_at)
        and _is_text(message.group)
        and all(isinstance(each, str | Attribute) for each in message.attributes.values())
    )


def _are_answers(said: object, size: int) -> bool:
    return isinstance(said, list) and len(said) == size and all(one is None or isinstance(one, CallFailed) for one in said)


def _are_traits(traits: object) -> bool:
    most = traits.max_receive_count if isinstance(traits, QueueTraits) else "none"
    return most is None or isinstance(most, int)
