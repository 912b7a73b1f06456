"""What may befall a call on the wire, and who sees to it: the other side of every connection of the real client."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import botocore.auth

from tests.simulator.aws import Answer, Aws, operation_of
from tests.simulator.network import CALL, LATENCY_SECONDS, Asked, Call, Line

LATE_SECONDS = 12.0
SLOW_SECONDS = 8.0
ZOMBIE_SECONDS = 60.0
CLOCK_SECONDS = 300.0
BLINK_SECONDS = 3.0
"""How long the machine's clock stays wrong: so long that nothing signed by it is let in, or so short that all is."""
TWO_DAYS = 172_800.0
SKEW_SECONDS = 300.0
"""AWS refuses what was signed at another time than this much around its own."""

NEVER_CONNECTED: dict[str, Exception | float] = {
    "refused": ConnectionRefusedError("Connect call failed"),
    "DNS failure": OSError("Name or service not known"),
    "no connection": 3600.0,
}
ERRORS: dict[str, tuple[int, str, str]] = {
    "throttled": (429, "ThrottlingException", "Rate exceeded"),
    "throttled with 400": (400, "ThrottlingException", "Too many requests"),
    "request throttled": (400, "RequestThrottled", "slow down"),
    "rate exceeded under another code": (400, "ValidationException", "Rate exceeded"),
    "too many requests": (429, "TooManyRequestsException", "no"),
    "slow down": (503, "SlowDown", "Please reduce your request rate."),
    "access denied": (403, "AccessDeniedException", "not authorized"),
    "expired token": (403, "ExpiredTokenException", "The security token included in the request is expired"),
    "unknown key": (403, "UnrecognizedClientException", "The security token included in the request is invalid"),
    "5xx before apply": (500, "InternalServerException", "An internal error occurred"),
    "unavailable": (503, "ServiceUnavailableException", "try later"),
    "request time-out": (408, "RequestTimeoutException", "no"),
}
UNDONE = (
    "request lost", "end before apply", "black hole", "zombie", "redirect", "moved", "unavailable, in HTML", "stale keep-alive",
)  # fmt: skip
SPOILT = (
    "reset after apply", "end after apply", "5xx after apply", "answer lost", "answer after the time-out", "slow answer",
    "trickle", "truncated body", "truncated chunk", "reset within the headers", "silence within the headers",
    "garbage status line", "oversized header", "empty 200", "HTML 200", "half of a document", "a list", "no fields",
    "null fields", "no Date", "garbage Date",
)  # fmt: skip
CLOCKS = {"clock two days ahead": TWO_DAYS, "clock two days behind": -TWO_DAYS}
CLOCKS_UNDATED = {f"{kind}, no Date": seconds for kind, seconds in CLOCKS.items()}
OF_BATCHES = ("partial batch", "entry in neither list", "stale receipt")
BATCHES = frozenset({"PublishBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessageBatch"})
LEASES = frozenset({"DeleteMessageBatch", "ChangeMessageVisibilityBatch"})
SHOWING = frozenset({"GetCustomModelDeployment", "ListCustomModelDeployments"})
FATES = (*NEVER_CONNECTED, *ERRORS, *UNDONE, *SPOILT, *CLOCKS, *CLOCKS_UNDATED, *OF_BATCHES, "unknown status")


def fits(fate: str, operation: str) -> bool:
    """Return whether this can befall such a call."""
    if fate in OF_BATCHES:
        return operation in BATCHES and (fate != "stale receipt" or operation in LEASES)
    if fate == "unknown status":
        return operation in SHOWING
    # A receive or a List that says it has nothing has not failed: what it has taken comes again by itself.
    return True


class Machine:
    """The machine that Slipway runs on, whose clock may be wrong."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self.is_wrong_by = 0.0

    def now(self) -> float:
        """Return the time, as the machine believes it to be."""
        return self._aws.now() + self.is_wrong_by


class Wire:
    """The other side of all connections: applies requests to the models, and spoils what it is told to."""

    def __init__(self, aws: Aws, machine: Machine, fates: dict[tuple[str, int], str]) -> None:
        self.aws = aws
        self.machine = machine
        self.fates = fates
        self.calls: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self.trace: deque[str] = deque(maxlen=200)
        self.valid_until: dict[str, float] = {}
        """When each access key expires; none is asked for when there are none."""
        self._loop = asyncio.get_running_loop()

    def note(self, text: str) -> None:
        """Add to the trace."""
        self.trace.append(f"{self._loop.time():10.2f}  {text}")

    def refusal(self, call: Call) -> Exception | float | None:
        """Begin a call: number it, and say what befalls it before it has a connection."""
        operation = operation_of(call)
        self.calls[operation] += 1
        call.fate = self.fates.get((operation, self.calls[operation]))
        self.note(f"{operation} #{self.calls[operation]}{f': {call.fate}' if call.fate else ''}")
        if call.fate is not None:
            self.fired[call.fate] += 1
        wrong = (CLOCKS | CLOCKS_UNDATED).get(call.fate or "")
        if wrong is not None:
            self.machine.is_wrong_by = wrong
            self._loop.call_later(CLOCK_SECONDS if call.fate in CLOCKS else BLINK_SECONDS, self._set_right)
        return NEVER_CONNECTED.get(call.fate or "")

    def answer(self, asked: Asked, line: Line) -> None:
        """Do what a request asks for, when a long poll is over, and answer it, or what its fate makes of that."""
        fate = CALL.get().fate
        refused = self._refused(asked)
        if refused is not None and fate is None:
            return line.say(refused.whole())
        return self._when_ready(asked, lambda: self._done(asked, line, fate, refused))

    def _set_right(self) -> None:
        self.machine.is_wrong_by = 0.0

    def _when_ready(self, asked: Asked, then: Callable[[], None]) -> None:
        queue, loop = self.aws.sqs, self._loop
        until = loop.time() + self.aws.seconds_of_poll(asked)

        def poll() -> None:
            if loop.time() >= until or queue.is_visible():
                loop.call_later(LATENCY_SECONDS, then)
                return
            queue.polls.append(poll)
            loop.call_at(min(until, loop.time() + queue.next_visible() + 0.001), again)

        def again() -> None:
            if poll in queue.polls:
                queue.polls.remove(poll)
                poll()

        poll()

    def _done(self, asked: Asked, line: Line, fate: str | None, refused: Answer | None) -> None:
        operation = operation_of(asked)
        if fate in ERRORS:
            status, code, text = ERRORS[fate]
            return line.say(self.aws.error(status, code, text, operation).whole())
        if fate in UNDONE:
            return self._ignore(asked, line, operation, fate)
        answer = refused
        if answer is None:
            self.aws.is_partial = fate == "partial batch"
            answer = self._stale(asked) if fate == "stale receipt" else self.aws.apply(asked)
            self.aws.is_partial = False
            self.note(f"    {operation} answers {answer.status} {answer.body[:300].decode(errors='replace')}")
        if fate in CLOCKS_UNDATED or fate == "no Date":
            answer.headers.pop("Date", None)
        return self._spoil(answer, line, fate, operation)

    def _refused(self, asked: Asked) -> Answer | None:
        """What was signed at a wrong time, or by a key that has expired, is not let in."""
        operation = operation_of(asked)
        signed = dt.datetime.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        if self.valid_until:
            key = asked.headers["authorization"].partition("Credential=")[2].partition("/")[0]
            if self.aws.now() >= self.valid_until[key]:
                return self.aws.error(403, "ExpiredTokenException", "The security token is expired", operation)
        if abs(signed.timestamp() - self.aws.now()) <= SKEW_SECONDS:
            return None
        return self.aws.error(403, "InvalidSignatureException", "Signature expired: it is now another time", operation)

    def _stale(self, asked: Asked) -> Answer:
        entries = json.loads(asked.body)["Entries"]
        wrong = {"Code": "ReceiptHandleIsInvalid", "SenderFault": True, "Message": "The receipt handle has expired"}
        said = {"Successful": [], "Failed": [{"Id": entry["Id"]} | wrong for entry in entries]}
        return Answer(200, json.dumps(said).encode(), {"Content-Type": "application/x-amz-json-1.0"})

    def _ignore(self, asked: Asked, line: Line, operation: str, fate: str) -> None:
        html = b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"
        away = {"Location": "https://elsewhere.example/", "Content-Type": "text/html"}
        match fate:
            case "request lost":
                line.reset()
            case "end before apply" | "stale keep-alive":
                line.end(after=0.0 if fate == "stale keep-alive" else LATENCY_SECONDS)
            case "zombie":
                self._loop.call_later(ZOMBIE_SECONDS, self.aws.apply, asked)
            case "redirect":
                line.say(Answer(307, b"", away).whole())
            case "moved":
                line.say(Answer(301, b"<html>moved</html>", away).whole())
            case "unavailable, in HTML":
                line.say(Answer(503, html, {"Content-Type": "text/html"}).whole())
            case _:
                pass  # for ever

    def _spoil(self, answer: Answer, line: Line, fate: str | None, operation: str) -> None:  # noqa: C901, PLR0912, PLR0915  one row each
        whole, body, good = answer.whole(), answer.body, Answer(answer.status, b"", answer.headers)
        match fate:
            case "reset after apply":
                line.reset()
            case "end after apply":
                line.end()
            case "5xx after apply":
                line.say(self.aws.error(500, "InternalServerException", "no", operation).whole())
            case "answer lost":
                pass
            case "answer after the time-out":
                line.say(whole, LATE_SECONDS)
            case "slow answer":
                line.say(whole, SLOW_SECONDS)
            case "trickle":
                line.say(answer.head())
                for place in range(len(body)):
                    line.say(body[place : place + 1], 2.0 * (place + 1))
            case "truncated body":
                line.say(answer.head() + body[:-5])
                line.end(2 * LATENCY_SECONDS)
            case "truncated chunk":
                head = answer.head().replace(f"Content-Length: {len(body)}".encode(), b"Transfer-Encoding: chunked")
                line.say(head + f"{len(body) + 9:x}\r\n".encode() + body)
                line.end(2 * LATENCY_SECONDS)
            case "reset within the headers":
                line.say(whole[:30])
                line.reset(2 * LATENCY_SECONDS)
            case "silence within the headers":
                line.say(whole[:30])
            case "garbage status line":
                line.say(b"SMTP/9 hello\r\n\r\n" + whole)
            case "oversized header":
                good.headers["X-Much"] = "x" * 70_000
                line.say(Answer(answer.status, body, good.headers).whole())
            case "empty 200":
                line.say(good.whole())
            case "HTML 200":
                line.say(Answer(answer.status, b"<html><body>It works!</body></html>", answer.headers).whole())
            case "half of a document":
                line.say(Answer(answer.status, body[: len(body) // 2], answer.headers).whole())
            case "a list":
                line.say(Answer(answer.status, b"[" + body + b"]", answer.headers).whole())
            case "no fields":
                line.say(Answer(answer.status, _without_fields(body, operation), answer.headers).whole())
            case "null fields":
                line.say(Answer(answer.status, _nulled(body), answer.headers).whole())
            case "garbage Date":
                line.say(Answer(answer.status, body, answer.headers | {"Date": "the day after tomorrow"}).whole())
            case "entry in neither list":
                line.say(Answer(answer.status, _without_fields(body, operation), answer.headers).whole())
            case "unknown status":
                said = body.replace(b'"Creating"', b'"HIBERNATING"').replace(b'"Active"', b'"HIBERNATING"')
                line.say(Answer(answer.status, said, answer.headers).whole())
            case _:
                line.say(whole)


def _without_fields(body: bytes, operation: str) -> bytes:
    """Return a success of the right form with nothing in it. For a receive or a List that is a true answer of its own."""
    if not body.startswith(b"<"):
        return b"{}"
    return f"<{operation}Response><{operation}Result></{operation}Result></{operation}Response>".encode()


def _nulled(body: bytes) -> bytes:
    return json.dumps(dict.fromkeys(json.loads(body))).encode() if body.startswith(b"{") else b"<R/>"


@contextmanager
def machine_time(machine: Callable[[], float]) -> Iterator[None]:
    """Within, the SDK signs by this clock: it has no other way to be told the time."""

    def now(remove_tzinfo: bool = True) -> dt.datetime:  # noqa: FBT001, FBT002  botocore's own signature
        told = dt.datetime.fromtimestamp(machine(), dt.UTC)
        return told.replace(tzinfo=None) if remove_tzinfo else told

    before = botocore.auth.get_current_datetime
    botocore.auth.get_current_datetime = now
    try:
        yield
    finally:
        botocore.auth.get_current_datetime = before
