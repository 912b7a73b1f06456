"""What SQS, SNS and Bedrock know during one run of the bench: as little as will do, and what it noted for the report."""

from __future__ import annotations

import json
import random
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Any

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
DEPLOYMENTS = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/"
FAILING_ONE_IN = 10


@dataclass(frozen=True)
class Terms:
    """How the service behaves. A `rate` of 0 throttles nothing; `is_shared` is one bucket for all of Bedrock's operations."""

    number: int
    creation_seconds: tuple[float, float] = (15.0, 25.0)
    latency_seconds: tuple[float, float] = (0.02, 0.04)
    rate: float = 0.0
    burst: float = 1.0
    is_shared: bool = False
    most_creating: int = 0
    """The account's quota of deployments in creation; 0 for none."""


class QuotaExceeded(Exception):
    """As many are in creation as may be."""


@dataclass
class Bucket:
    """A token bucket: `burst` calls at once, then `rate` a second."""

    rate: float
    burst: float
    tokens: float = field(init=False)
    filled_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def lets_in(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        is_let_in = self.tokens >= 1
        self.tokens -= is_let_in
        return is_let_in


@dataclass(slots=True)
class Made:
    """One deployment, and both of its faces in a List, ready to be sent."""

    number: int
    arn: str
    created_at: float
    ends_at: float
    creating: str
    ended: str
    end: str


class Cloud:
    """One queue with `number` requests, one topic, one account."""

    def __init__(self, terms: Terms, seed: int = 1) -> None:
        self.terms = terms
        self.rng = random.Random(seed)
        self.calls: Counter[tuple[str, str]] = Counter()
        self.is_open = False
        self._waiting: deque[int] = deque(range(terms.number))
        self._delayed: list[tuple[float, int]] = []
        """Continuations that cannot be received yet: from when, and of which request."""
        self._attributes: dict[int, dict[str, Any]] = {}
        """Of the message that carries a request on."""
        self._ends: list[float] = []
        """When what is in creation ends, the first to end first."""
        self.by_client: dict[str, Counter[str]] = {}
        """Calls of each client, by its access key."""
        self.released_at = 0.0
        """When the latest message was given back."""
        self._held: dict[str, int] = {}
        self._leases: list[tuple[float, str]] = []
        self._until: dict[str, float] = {}
        self._receipts = 0
        self._polls: deque[tuple[int, float, Callable[[bytes], None]]] = deque()
        self._made: list[Made] = []
        self._created: list[float] = []
        self._by_name: dict[str, Made] = {}
        self.tags: dict[str, list[dict[str, str]]] = {}
        """By ARN."""
        self._by_arn: dict[str, Made] = {}
        self._buckets: dict[str, Bucket] = {}
        self.first_poll_at = 0.0
        self.first_create_at = 0.0
        self.last_create_at = 0.0
        self.accepted = 0
        """Calls to Bedrock that were let in until the last create was."""
        self._let_in = 0
        self._received: dict[int, float] = {}
        self._published: dict[int, float] = {}
        self._said: dict[int, set[str]] = {}
        self.deleted: set[int] = set()
        self.redelivered = 0
        self.extended = 0
        self.continued = 0

    def is_too_fast(self, operation: str) -> bool:
        """Take a token for a call; answer whether there was none."""
        if not self.terms.rate:
            self._let_in += 1
            return False
        now = time.monotonic()
        key = "all" if self.terms.is_shared else operation
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self.terms.rate, self.terms.burst)
        if operation == "CreateCustomModelDeployment" and not self.first_create_at:
            self.first_create_at = now
        is_let_in = bucket.lets_in(now)
        self._let_in += is_let_in
        return not is_let_in

    def note(self, client: str, what: str) -> None:
        """Count a call of a client."""
        self.by_client.setdefault(client, Counter())[what] += 1

    def poll(self, most: int, seconds: int, visibility: float, answer: Callable[[bytes], None]) -> float | None:
        """Receive: answer at once where there is something, else within so many seconds, which are returned."""
        self.first_poll_at = self.first_poll_at or time.monotonic()
        self._expire()
        if self.is_open and self._waiting:
            answer(self._take(most, visibility))
            return None
        self._polls.append((most, visibility, answer))
        return seconds

    def open(self) -> None:
        """Let the requests be received from now on."""
        self.is_open = True
        self._answer_polls()

    def send(self, body: str, attributes: dict[str, Any], delay: float) -> None:
        """Take a message that carries a request on."""
        number = int(json.loads(body)["requestId"].removeprefix("bench-"))
        self._attributes[number] = attributes
        self.continued += 1
        heappush(self._delayed, (time.monotonic() + delay, number))
        self._answer_polls()

    def _answer_polls(self) -> None:
        self._expire()
        while self.is_open and self._polls and self._waiting:
            most, visibility, answer = self._polls.popleft()
            answer(self._take(most, visibility))

    def end_poll(self, answer: Callable[[bytes], None]) -> None:
        """A long poll's time is over, if it is still going on."""
        for poll in self._polls:
            if poll[2] is answer:
                self._polls.remove(poll)
                answer(b"{}")
                return

    def _take(self, most: int, visibility: float) -> bytes:
        now = time.time()
        messages: list[dict[str, Any]] = []
        while self._waiting and len(messages) < most:
            number = self._waiting.popleft()
            self.redelivered += number in self._received
            first = self._received.setdefault(number, now)
            self._receipts += 1
            receipt = f"receipt-{self._receipts}-{number:06}" + "x" * 150
            self._held[receipt] = number
            self._hide(receipt, visibility)
            name = f"bench-{number:06}"
            messages.append(
                {
                    "MessageId": f"5fea7756-0ea4-451a-a703-{number:012}",
                    "ReceiptHandle": receipt,
                    "MessageAttributes": self._attributes.get(number, {}),
                    "Body": f'{{"modelDeploymentName":"{name}","modelArn":"{MODEL}","requestId":"{name}"}}',
                    "Attributes": {
                        "ApproximateReceiveCount": "1",
                        "ApproximateFirstReceiveTimestamp": str(int(first * 1000)),
                    },
                }
            )
        return json.dumps({"Messages": messages}).encode()

    def extend(self, receipt: str, seconds: float) -> None:
        """Hide a message that is held for so long from now."""
        if receipt not in self._held:
            return
        self.extended += 1
        self._hide(receipt, seconds)
        if not seconds:
            self.released_at = time.monotonic()
            self._answer_polls()

    def _hide(self, receipt: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._until[receipt] = until
        heappush(self._leases, (until, receipt))

    def delete(self, receipt: str) -> None:
        """Delete a message."""
        self._until.pop(receipt, None)
        number = self._held.pop(receipt, None)
        if number is not None and number in self._published:
            self.deleted.add(number)  # else its continuation carries it on

    def _expire(self) -> None:
        now = time.monotonic()
        while self._leases and self._leases[0][0] <= now:
            until, receipt = heappop(self._leases)
            if self._until.get(receipt) == until:
                del self._until[receipt]
                number = self._held.pop(receipt)
                if number not in self.deleted:
                    self._waiting.append(number)
        while self._delayed and self._delayed[0][0] <= now:
            self._waiting.append(heappop(self._delayed)[1])

    def create(self, name: str, tags: list[dict[str, str]]) -> str | None:
        """Make a deployment, and answer its ARN; None when the name is taken. Raises QuotaExceeded."""
        if name in self._by_name:
            return None
        now = time.time()
        while self._ends and self._ends[0] <= now:
            heappop(self._ends)
        if self.terms.most_creating and len(self._ends) >= self.terms.most_creating:
            raise QuotaExceeded
        number = int(name.removeprefix("bench-"))
        arn = f"{DEPLOYMENTS}{number:012}"
        ends_at = now + self.rng.uniform(*self.terms.creation_seconds)
        heappush(self._ends, ends_at)
        end = "Failed" if number % FAILING_ONE_IN == 0 else "Active"
        trouble = ',"failureMessage":"The model artifacts could not be loaded"' if end == "Failed" else ""
        start = (
            f'{{"customModelDeploymentArn":"{arn}","customModelDeploymentName":"{name}","modelDeploymentName":"{name}",'
            f'"modelArn":"{MODEL}","createdAt":"{iso(now)}",'
        )
        made = Made(
            number,
            arn,
            now,
            ends_at,
            f'{start}"status":"Creating","lastUpdatedAt":"{iso(now)}"}}',
            f'{start}"status":"{end}","lastUpdatedAt":"{iso(ends_at)}"{trouble}}}',
            end,
        )
        self.tags[arn] = tags
        self._made.append(made)
        self._created.append(now)
        self._by_name[name] = self._by_arn[arn] = made
        self.accepted, self.last_create_at = self._let_in, time.monotonic()
        return arn

    def get(self, identifier: str) -> str | None:
        """Return a deployment's document."""
        made = self._by_name.get(identifier) or self._by_arn.get(identifier)
        return None if made is None else made.ended if made.ends_at <= time.time() else made.creating

    def page(self, since: float | None, status: str | None, size: int, begin: int | None) -> bytes:
        """Return one page of a List, oldest first."""
        now = time.time()
        place = begin if begin is not None else 0 if since is None else bisect_left(self._created, since)
        found: list[str] = []
        while place < len(self._made) and len(found) < size:
            made = self._made[place]
            place += 1
            has_ended = made.ends_at <= now
            if status is None or status == (made.end if has_ended else "Creating"):
                found.append(made.ended if has_ended else made.creating)
        more = f',"nextToken":"{place}"' if place < len(self._made) else ""
        return f'{{"modelDeploymentSummaries":[{",".join(found)}]{more}}}'.encode()

    def published(self, body: str) -> None:
        """Note an event; what is looked at is whose it is and what it says."""
        event = json.loads(body)
        number = int(event["data"]["requestId"].removeprefix("bench-"))
        self._published.setdefault(number, time.time())
        self._said.setdefault(number, set()).add(event["data"]["outcome"])

    def progress(self) -> dict[str, Any]:
        """Return how far it is, cheaply: this is asked several times a second."""
        return {
            "polled": bool(self.first_poll_at),
            "clients": sum(bool(counts["ReceiveMessage"]) for counts in self.by_client.values()),
            "received": len(self._received),
            "created": len(self._made),
            "published": len(self._published),
            "deleted": len(self.deleted),
            "extended": self.extended,
        }

    def report(self) -> dict[str, Any]:
        """Return everything that was noted."""
        lags = [at - made.ends_at for made in self._made if (at := self._published.get(made.number)) is not None]
        created = [made.created_at - self._received[made.number] for made in self._made]
        ends = {made.number: made.end for made in self._made}
        return self.progress() | {
            "terms": asdict(self.terms),
            "calls": {f"{operation} {answer}": count for (operation, answer), count in self.calls.items()},
            "ended_to_published": spread(lags),
            "received_to_created": spread(created),
            "creating_seconds": self.last_create_at - self.first_create_at,
            "accepted_while_creating": self.accepted,
            "first_poll_at": self.first_poll_at,
            "redelivered": self.redelivered,
            "continued": self.continued,
            "by_client": {name: dict(counts) for name, counts in self.by_client.items()},
            "released_at": self.released_at,
            "wrong": sum(said != {ends.get(number)} for number, said in self._said.items()),
        }


def spread(values: list[float]) -> dict[str, float]:
    """Return median, 99th percentile and greatest of some values."""
    ordered = sorted(values) or [0.0]
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[len(ordered) * 99 // 100], "most": ordered[-1]}


def iso(seconds: float) -> str:
    """Write a time as Bedrock does."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
