"""AWS's own words for what the models do: SQS in JSON, SNS in XML, Bedrock in REST-JSON. No network: requests to answers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from slipway.aws.adapters.serialization import read_attributes, write_attributes
from slipway.core.call_errors import CallFailed, ReceiptExpired
from slipway.core.sqs.messages import Message
from slipway.local import bedrock_operations
from slipway.local.bedrock_account import Account
from slipway.local.behaviour import Behaviour
from slipway.local.validation import Refusal
from tests.simulator.network import Asked, Call
from tests.simulator.sqs import SqsQueue

QUEUE_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/requests"
DEAD_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters"
DEAD_ARN = "arn:aws:sqs:us-east-1:123456789012:dead-letters"
TOPIC_ARN = "arn:aws:sns:us-east-1:123456789012:events"
_DEPLOYMENTS = "/model-customization/custom-model-deployments"
_XML = 'xmlns="http://sns.amazonaws.com/doc/2010-03-31/"'


@dataclass
class Answer:
    """What goes back, before the wire has its way with it."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def head(self, length: int | None = None) -> bytes:
        """Return the status line and headers."""
        fields = {"Content-Length": str(len(self.body) if length is None else length)} | self.headers
        return "\r\n".join([f"HTTP/1.1 {self.status} X", *(f"{k}: {v}" for k, v in fields.items()), "", ""]).encode()

    def whole(self) -> bytes:
        """Return all of it, as it goes over the wire."""
        return self.head() + self.body


def operation_of(call: Call | Asked) -> str:
    """Return which operation a request is for."""
    headers = {name.lower(): value for name, value in call.headers.items()}
    if target := headers.get("x-amz-target"):
        return target.rsplit(".", 1)[-1]
    path = urlsplit(call.url).path if isinstance(call, Call) else call.path.partition("?")[0]
    if path.startswith(_DEPLOYMENTS):
        if call.method == "POST":
            return "CreateCustomModelDeployment"
        if call.method in {"DELETE", "PATCH"}:
            return f"{'Delete' if call.method == 'DELETE' else 'Update'}CustomModelDeployment"
        return "GetCustomModelDeployment" if path[len(_DEPLOYMENTS) :].strip("/") else "ListCustomModelDeployments"
    if path.startswith("/custom-models/"):
        return "GetCustomModel"
    if path in {"/listTagsForResource", "/tagResource"}:
        return "ListTagsForResource" if path == "/listTagsForResource" else "TagResource"
    return parse_qs(call.body.decode())["Action"][0]


class Aws:
    """One queue with its dead-letter queue, one topic, one account. Must be made within a running loop."""

    def __init__(self, *, seed: int = 1, max_receive_count: int = 5, terms: Behaviour | None = None) -> None:
        self.dead = SqsQueue()
        self.sqs = SqsQueue(dead_letters=self.dead, max_receive_count=max_receive_count)
        self.account = Account("123456789012", "us-east-1", terms or Behaviour(), random.Random(seed))
        self.notices: list[dict[str, Any]] = []
        self.deleted_unsaid: list[str] = []
        """Messages that were deleted although nothing had been published since they came first."""
        self.calls: Counter[str] = Counter()
        self.is_partial = False
        """Whether every other entry of the batch that is being applied is to fail alone."""
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        """Return AWS's clock."""
        return self.sqs.now()

    def seconds_of_poll(self, asked: Asked) -> float:
        """Return how long a receive may wait for a message."""
        return float(json.loads(asked.body).get("WaitTimeSeconds", 0)) if operation_of(asked) == "ReceiveMessage" else 0.0

    def apply(self, asked: Asked) -> Answer:
        """Do what a request asks for, and answer as AWS does."""
        operation = operation_of(asked)
        self.calls[operation] += 1
        if "x-amz-target" in asked.headers:
            return self._sqs(operation, json.loads(asked.body))
        if operation in _BEDROCK:
            return self._bedrock(operation, asked)
        return self._sns(operation, dict(parse_qsl(asked.body.decode())))

    def _dated(self, status: int, body: bytes, **headers: str) -> Answer:
        usual = {"Content-Type": "application/json", "Date": formatdate(self.now(), usegmt=True)}
        return Answer(status, body, usual | headers)

    # Bedrock.

    def _bedrock(self, operation: str, asked: Asked) -> Answer:
        act, status = _BEDROCK[operation]
        path, _, query = asked.path.partition("?")
        identifier = unquote(path.removeprefix(_DEPLOYMENTS).removeprefix("/custom-models")).strip("/")
        body = json.loads(asked.body) if asked.body else {}
        try:
            document = act(self.account, self.now(), bedrock_operations.Asked(identifier, dict(parse_qsl(query)), body))
        except Refusal as refusal:
            said = json.dumps({"message": refusal.text}).encode()
            return self._dated(refusal.status, said, **{"x-amzn-ErrorType": refusal.code})
        return self._dated(status, json.dumps(document).encode())

    # SQS.

    def _sqs(self, operation: str, given: dict[str, Any]) -> Answer:
        queue = self.dead if given.get("QueueUrl") == DEAD_URL else self.sqs
        try:
            document = self._of_queue(operation, queue, given)
        except CallFailed as failed:
            return self.error(400, failed.code, str(failed))
        return self._dated(200, json.dumps(document).encode(), **{"Content-Type": "application/x-amz-json-1.0"})

    def _of_queue(self, operation: str, queue: SqsQueue, given: dict[str, Any]) -> dict[str, Any]:
        match operation:
            case "ReceiveMessage":
                queue.visibility = float(given["VisibilityTimeout"])
                taken = queue.take(given["MaxNumberOfMessages"])
                return {"Messages": [_shown(message) for message in taken]} if taken else {}
            case "ChangeMessageVisibilityBatch":
                return self._each(given["Entries"], lambda one: queue.change(one["ReceiptHandle"], one["VisibilityTimeout"]))
            case "DeleteMessageBatch":
                return self._each(given["Entries"], lambda one: self._delete(queue, one["ReceiptHandle"]))
            case "SendMessage":
                return _sent(queue, given)
            case "SendMessageBatch":
                return self._each(given["Entries"], lambda one: _sent(queue, one))
            case "GetQueueAttributes":
                redrive = {"deadLetterTargetArn": DEAD_ARN, "maxReceiveCount": self.sqs.max_receive_count}
                return {"Attributes": {"QueueArn": "arn:q", "RedrivePolicy": json.dumps(redrive)}}
            case "GetQueueUrl":
                return {"QueueUrl": DEAD_URL}
        raise AssertionError(operation)

    def _delete(self, queue: SqsQueue, receipt: str) -> None:
        letter = queue.letters.get(receipt.split("/", maxsplit=1)[0])
        if letter is not None and letter.receipt == receipt and not self.notices and len(queue.all) == 1:
            self.deleted_unsaid.append(letter.message_id)
        queue.remove(receipt)

    def _each(self, entries: list[dict[str, Any]], act: Callable[[dict[str, Any]], dict[str, Any] | None]) -> dict[str, Any]:
        answer: dict[str, Any] = defaultdict(list)
        for place, entry in enumerate(entries):
            if self.is_partial and place % 2 == 0:
                wrong = {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False, "Message": "this entry alone"}
                answer["Failed"].append(wrong)
                continue
            try:
                told = act(entry) or {}
            except ReceiptExpired as failed:
                wrong = {"Id": entry["Id"], "Code": failed.code, "SenderFault": True, "Message": failed.text}
                answer["Failed"].append(wrong)
            else:
                answer["Successful"].append({"Id": entry["Id"]} | told)
        return dict(answer)

    # SNS.

    def _sns(self, operation: str, given: Mapping[str, str]) -> Answer:
        if operation == "GetTopicAttributes":
            content = "<Attributes><entry><key>TopicArn</key><value>t</value></entry></Attributes>"
        else:
            content = self._publish(given)
        said = f"<{operation}Result>{content}</{operation}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
        body = f"<{operation}Response {_XML}>{said}</{operation}Response>"
        return self._dated(200, body.encode(), **{"Content-Type": "text/xml"})

    def _publish(self, given: Mapping[str, str]) -> str:
        good, bad = [], []
        number = 1
        while f"PublishBatchRequestEntries.member.{number}.Id" in given:
            prefix = f"PublishBatchRequestEntries.member.{number}."
            name = given[prefix + "Id"]
            if self.is_partial and number % 2 == 1:
                wrong = "<Code>InternalError</Code><SenderFault>false</SenderFault><Message>this entry alone</Message>"
                bad.append(f"<member><Id>{name}</Id>{wrong}</member>")
            else:
                self.notices.append(json.loads(given[prefix + "Message"]))
                good.append(f"<member><Id>{name}</Id><MessageId>m</MessageId></member>")
            number += 1
        return f"<Successful>{''.join(good)}</Successful><Failed>{''.join(bad)}</Failed>"

    def error(self, status: int, code: str, text: str = "no", operation: str = "") -> Answer:
        """Return an error document, in the words of the service that the operation is of."""
        if operation in _BEDROCK:
            return self._dated(status, json.dumps({"message": text}).encode(), **{"x-amzn-ErrorType": code})
        if operation in {"PublishBatch", "GetTopicAttributes"}:
            fault = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error><RequestId>r</RequestId>"
            return self._dated(status, f"<ErrorResponse {_XML}>{fault}</ErrorResponse>".encode())
        return self._dated(status, json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": text}).encode())


_BEDROCK: dict[str, tuple[Callable[[Account, float, bedrock_operations.Asked], dict[str, Any]], int]] = {
    "CreateCustomModelDeployment": (bedrock_operations.create_deployment, 202),
    "GetCustomModelDeployment": (bedrock_operations.get_deployment, 200),
    "ListCustomModelDeployments": (bedrock_operations.list_deployments, 200),
    "ListTagsForResource": (bedrock_operations.list_tags, 200),
    "DeleteCustomModelDeployment": (bedrock_operations.delete_deployment, 200),
    "UpdateCustomModelDeployment": (bedrock_operations.update_deployment, 202),
    "TagResource": (bedrock_operations.tag_resource, 200),
    "GetCustomModel": (bedrock_operations.get_model, 200),
}


def _sent(queue: SqsQueue, given: Mapping[str, Any]) -> dict[str, Any]:
    letter = queue.put(given["MessageBody"], read_attributes(given), given.get("MessageGroupId"))
    assert letter is not None
    digest = hashlib.md5(given["MessageBody"].encode(), usedforsecurity=False).hexdigest()
    return {"MessageId": letter.message_id, "MD5OfMessageBody": digest}


def _shown(message: Message) -> dict[str, Any]:
    attributes = write_attributes(message.attributes)
    shown: dict[str, Any] = {
        "MessageId": message.message_id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "MD5OfBody": hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest(),
        "Attributes": {
            "ApproximateReceiveCount": str(message.receive_count),
            "ApproximateFirstReceiveTimestamp": str(int(message.first_received_at * 1000)),
        },
    }
    return shown | ({"MessageAttributes": attributes} if attributes else {})
