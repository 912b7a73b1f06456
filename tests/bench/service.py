"""The bench's service, in a process of its own: `python -m tests.bench.service '{"number": 1000}'`.

HTTP/1.1 with keep-alive over a bare protocol, cheap enough that the client is what is measured: SQS's JSON, SNS's query
and XML, Bedrock's REST-JSON, and beside them `/_bench/…` for the bench. Prints its port; ends when its input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, unquote

import uvloop

from tests.bench.cloud import Cloud, QuotaExceeded, Terms

CREATE, GET, LIST = "CreateCustomModelDeployment", "GetCustomModelDeployment", "ListCustomModelDeployments"
TAGS = "ListTagsForResource"
TRAITS = {
    "QueueArn": "arn:aws:sqs:us-east-1:123456789012:bench",
    "RedrivePolicy": '{"maxReceiveCount":5,"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead"}',
}
VISIBILITY_SECONDS = 900.0
"""The queue's own, for who names none."""
XML = '<{0}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><{0}Result>{1}</{0}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{0}Response>'

_QUOTA = b'{"message":"Too many deployments are in creation"}'
Answer = Callable[[bytes], None]


class Connection(asyncio.Protocol):
    """One connection: a request at a time."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._loop = asyncio.get_running_loop()
        self._data = b""
        self._client = ""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop does not say that its transports are writable

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].decode("latin-1")
            begin = end + 4
            lowered = head.lower()
            place = lowered.find("\r\ncontent-length:")
            size = int(lowered[place + 17 :].partition("\r\n")[0]) if place >= 0 else 0
            if "\r\nexpect:" in lowered and self._transport is not None and len(self._data) < begin + size:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if len(self._data) < begin + size:
                return
            body, self._data = self._data[begin : begin + size], self._data[begin + size :]
            self._serve(head, lowered, body)

    def _serve(self, head: str, lowered: str, body: bytes) -> None:
        method, target, _ = head.partition("\r\n")[0].split(" ")
        path, _, query = target.partition("?")
        self._client = head.partition("Credential=")[2].partition("/")[0]
        place = lowered.find("\r\nx-amz-target:")
        if place >= 0:
            operation = head[place + 15 :].partition("\r\n")[0].strip().partition(".")[2]
            self._sqs(operation, json.loads(body))
        elif path == "/":
            self._sns(parse_qs(body.decode()))
        elif path.startswith("/_bench/"):
            self._bench(path.removeprefix("/_bench/"))
        else:
            self._bedrock(method, unquote(path), parse_qs(query), body)

    def _sqs(self, operation: str, asked: dict[str, Any]) -> None:  # noqa: C901  one arm for each operation
        cloud = self._cloud
        cloud.calls[operation, "applied"] += 1
        cloud.note(self._client, operation)
        match operation:
            case "ReceiveMessage":
                visibility = asked.get("VisibilityTimeout", VISIBILITY_SECONDS)
                answer: Answer = self._ok
                longest = cloud.poll(asked.get("MaxNumberOfMessages", 1), asked.get("WaitTimeSeconds", 0), visibility, answer)
                if longest is not None:
                    self._loop.call_later(longest, cloud.end_poll, answer)
                return None
            case "DeleteMessage":
                cloud.delete(asked["ReceiptHandle"])
                return self._ok(b"{}")
            case "DeleteMessageBatch":
                for entry in asked["Entries"]:
                    cloud.delete(entry["ReceiptHandle"])
            case "ChangeMessageVisibilityBatch":
                for entry in asked["Entries"]:
                    cloud.extend(entry["ReceiptHandle"], entry["VisibilityTimeout"])
            case "SendMessageBatch":
                for entry in asked["Entries"]:
                    cloud.send(entry["MessageBody"], entry.get("MessageAttributes", {}), entry.get("DelaySeconds", 0))
            case "GetQueueAttributes":
                return self._ok(json.dumps({"Attributes": TRAITS}).encode())
            case _:
                return self._send(400, b'{"__type":"com.amazonaws.sqs#UnsupportedOperation","message":"not here"}')
        done = [{"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "m"} for entry in asked["Entries"]]
        return self._ok(json.dumps({"Successful": done, "Failed": []}).encode())

    def _sns(self, asked: dict[str, list[str]]) -> None:
        operation = asked["Action"][0]
        self._cloud.calls[operation, "applied"] += 1
        self._cloud.note(self._client, operation)
        if operation == "GetCallerIdentity":
            who = "<Arn>arn:aws:sts::123456789012:assumed-role/bench/one</Arn><UserId>AROABENCH:one</UserId>"
            return self._ok(XML.format(operation, f"{who}<Account>123456789012</Account>").encode())
        if operation == "Publish":
            self._cloud.published(asked["Message"][0])
            return self._ok(XML.format(operation, "<MessageId>m</MessageId>").encode())
        if operation == "PublishBatch":
            done = []
            for key, values in asked.items():
                if key.endswith(".Message"):
                    self._cloud.published(values[0])
                elif key.endswith(".Id"):
                    done.append(f"<member><Id>{values[0]}</Id><MessageId>m</MessageId></member>")
            return self._ok(XML.format(operation, f"<Successful>{''.join(done)}</Successful><Failed/>").encode())
        return self._ok(XML.format(operation, "<Attributes><entry><key>a</key><value>b</value></entry></Attributes>").encode())

    def _bedrock(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> None:
        rest = path.removeprefix("/model-customization/custom-model-deployments")
        is_of_tags = path == "/listTagsForResource"
        operation = TAGS if is_of_tags else CREATE if method == "POST" else GET if len(rest) > 1 else LIST
        delay = self._cloud.rng.uniform(*self._cloud.terms.latency_seconds)
        # It arrives after half of the way: that is when a bucket has a token, or has none.
        self._cloud.note(self._client, operation)
        self._loop.call_later(delay / 2, self._arrive, operation, rest[1:], query, body, delay / 2)

    def _arrive(self, operation: str, identifier: str, query: dict[str, list[str]], body: bytes, delay: float) -> None:
        cloud = self._cloud
        if cloud.is_too_fast(operation):
            cloud.calls[operation, "throttled"] += 1
            status, said = 429, b'{"message":"Too many requests"}'
        else:
            cloud.calls[operation, "applied"] += 1
            status, said = self._applied(operation, identifier, query, body)
            cloud.note(self._client, f"{operation} {status}")
        error = (
            "ServiceQuotaExceededException"
            if said == _QUOTA
            else {429: "ThrottlingException", 404: "ResourceNotFoundException", 400: "ValidationException"}.get(status, "")
        )
        self._loop.call_later(delay, self._send, status, said, f"x-amzn-ErrorType: {error}\r\n" if error else "")

    def _applied(self, operation: str, identifier: str, query: dict[str, list[str]], body: bytes) -> tuple[int, bytes]:
        cloud = self._cloud
        if operation == CREATE:
            try:
                asked = json.loads(body)
                arn = cloud.create(asked["modelDeploymentName"], asked.get("tags", []))
            except QuotaExceeded:
                return 400, _QUOTA
            if arn is None:
                return 400, b'{"message":"The name already exists"}'
            return 202, f'{{"customModelDeploymentArn":"{arn}"}}'.encode()
        if operation == TAGS:
            return 200, json.dumps({"tags": cloud.tags.get(json.loads(body)["resourceARN"], [])}).encode()
        if operation == GET:
            document = cloud.get(identifier)
            return (404, b'{"message":"none"}') if document is None else (200, document.encode())
        since = query.get("createdAfter")
        status = query.get("statusEquals", [None])[0]
        begin = query.get("nextToken")
        size = int(query.get("maxResults", ["100"])[0])
        return 200, cloud.page(seconds_of(since[0]) if since else None, status, size, int(begin[0]) if begin else None)

    def _bench(self, asked: str) -> None:
        if asked == "open":
            self._cloud.open()
        self._ok(json.dumps(self._cloud.report() if asked == "report" else self._cloud.progress()).encode())

    def _ok(self, body: bytes) -> None:
        self._send(200, body)

    def _send(self, status: int, body: bytes, headers: str = "") -> None:
        if self._transport is not None:
            head = f"HTTP/1.1 {status} X\r\nDate: {date()}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)


def seconds_of(text: str) -> float:
    """Read a time as botocore writes it in a query."""
    return datetime.fromisoformat(text).timestamp()


_date: tuple[int, str] = (0, "")


def date() -> str:
    """Return the present as an HTTP `Date`."""
    global _date  # noqa: PLW0603
    now = int(time.time())
    if _date[0] != now:
        _date = now, formatdate(now, usegmt=True)
    return _date[1]


async def main(terms: Terms) -> None:
    """Serve until the standard input ends."""
    loop = asyncio.get_running_loop()
    cloud = Cloud(terms)
    server = await loop.create_server(lambda: Connection(cloud), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(main(Terms(**json.loads(sys.argv[1]))))
