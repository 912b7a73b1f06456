"""Holds Slipway to its promises as things happen, on the world's side: nothing here is Slipway's own account of itself.

What may legally differ. One request may end in two different ways only where the world itself changed between the two
announcements, and each was true when it was said, or where the first was a time-out:

* `TimedOut` beside another: a time-out says "not known to have ended by then". If the process dies, or the answer of SNS
  is lost, between announcing and deleting, the next owner looks, may find the deployment ended, and says so; and
  a duplicate that holds the message at the same time may have looked a second earlier. Without a database nobody
  can know what the other one said. So may a second message with the same identity, whose clock began later.
* A person deleted the deployment, or whoever held the name made way or came, or the model changed its state, in between.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.core.calls import CallFailed
from service.core.deployments import ModelState, Status
from service.core.events import Publication
from service.core.messages import CONTINUATION
from service.core.outcomes import Ending
from service.core.replies import Copied, Reply, StepSucceeded, TaskSucceeded
from service.core.targets import DEFAULT
from service.flow.hold import Hold
from service.local.made import NEVER
from tests.proof.fairness import Fairness
from tests.world.askers import Waiting
from tests.world.bedrock import Made, request_of
from tests.world.loop import PROCESS, VirtualLoop
from tests.world.sqs import EPOCH, OWN_ROLE, Letter
from tests.world.watching import Watching
from tests.world.wire import Fault
from tests.world.world import Replica, World

ENDS = frozenset(Ending)
GOOD_NEWS = frozenset({"Active", "Updated", "Deleted"})
TOLD_SLACK = 10.0
"""How long an answer that says that a lease is gone may be on its way."""
PUBLISH_SLACK = 30.0
"""How long an event that was handed over for publishing may stand in line behind calls that time out."""
LEAVING_SECONDS = 25.0
LONGEST_SWEEP_INTERVAL_OF_OTHERS = 40.0
"""Replicas of another version sweep more often than some worlds say."""
KILLED_BEFORE_SECONDS = 12.0
"""A call may be under way for ten seconds, before which nothing can be handed on."""
MOST_CALLS_A_MINUTE = {"ReceiveMessage": 60}
MOST_OTHER_CALLS_A_MINUTE = 100
"""By one process. For each call that meets a fault there may be one more, up to as many again."""
_ANSWER_LOST = frozenset({Fault.RESPONSE_LOST, Fault.ERROR_AFTER, Fault.LATE, Fault.ZOMBIE})

_OF_LEAVING = ("ReceiveMessage", "ChangeMessageVisibilityBatch", "SendMessageBatch", "DeleteMessageBatch", "PublishBatch")

Key = tuple[str, str, str]


@dataclass
class Asked:
    """One request, as whoever sent it knows it."""

    key: Key
    """Identity, name, model."""
    request_id: str
    timeout: float
    origins: list[str] = field(default_factory=list)
    is_excused: bool = False
    """Its message went to the dead-letter queue in a way that no process could have prevented."""
    target: str = DEFAULT
    is_stuck: bool = False
    """A person took its deployment away: it may be waited for until its deadline."""

    @property
    def name(self) -> str:
        return self.key[1]


@dataclass
class Life:
    """One process from its start to its end."""

    replica: Replica
    began: float
    killed_at: float | None = None
    stopping_at: float | None = None
    has_heard: bool = False
    """The signal to stop has reached it."""
    is_hurried: bool = False
    halted_at: float = -1.0
    continued_at: float = -1.0
    is_halted: bool = False


@dataclass
class Delivery:
    """One receive."""

    at: float
    process: str | None
    count: int
    is_lost: bool
    """The answer that brought it never arrived."""


class Monitor(Watching):
    """Sees everything; `broken` has each broken promise in one line, first things first."""

    def __init__(self, world: World, lines: int = 50, on_early: Callable[[], None] = lambda: None) -> None:
        self._world = world
        self._on_early = on_early
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._loop = loop
        self.broken: list[str] = []
        self.trace: deque[str] = deque(maxlen=lines)
        self._digest = hashlib.sha256()
        self.lives: dict[str, Life] = {}
        self.asked: dict[str, Asked] = {}
        """By the id of the message that brought it first."""
        self.poison: set[str] = set()
        self.rejected: set[str] = set()
        self._forced_tags = [tag for rule in world.terms.get("permissions", ()) for tag in rule.force_tags]
        self.said: dict[Key, dict[str, float]] = {}
        self._ids: dict[tuple[Key, str], str] = {}
        self._continued: dict[str, set[int]] = {}
        self._first: dict[str, float] = {}
        self._deliveries: dict[str, list[Delivery]] = {}
        self._tokens: dict[Key, str] = {}
        self._made: dict[str, list[Made]] = {}
        self._told_gone: dict[tuple[str | None, str], float] = {}
        self._leased: dict[tuple[str | None, str], float] = {}
        self._looked: dict[tuple[str | None, str, str], float] = {}
        """By process, name, and target."""
        self._unknown: dict[tuple[str | None, str], float] = {}
        self._rates: dict[tuple[str | None, str, str], tuple[float, int]] = {}
        """By process, operation, and target."""
        self._met: Counter[tuple[str | None, str, str]] = Counter()
        """Faults that calls of this minute have met: each may be repeated."""
        self.busiest: Counter[str] = Counter()
        self._last_fault: dict[str, float] = {}
        self._swept: dict[str | None, float] = {}
        self._judged = 0
        """Messages that SQS has sent to the dead-letter queue; each was judged as it went."""
        self._released: dict[str, float] = {}
        self._lapsed: dict[str, float] = {}
        """When SQS forgot about a lease."""
        self.waiting: dict[str, list[Waiting]] = {}
        """Who waits for the answer to a request, by the id of the message that brought it first."""
        self._asked_at: dict[str, Asked] = {}
        self.model_changes: dict[str, float] = {}
        self.outages: list[tuple[float, float]] = []
        self.faults: Counter[str] = Counter()
        weights = world.terms.get("tenant_weights", {})
        self._fairness = Fairness(weights, lambda text: self.breaks("fair", text), self.happened)

    # What the world tells.

    def note(self, text: str) -> None:
        """Keep a line of what happened."""
        line = f"{self._loop.time() - 1000.0:12.3f} {text}"
        self.trace.append(line)
        self._digest.update(line.encode())

    @property
    def digest(self) -> str:
        """Answer what tells two runs apart."""
        return self._digest.hexdigest()[:16]

    def breaks(self, promise: str, text: str) -> None:
        """Note a broken promise."""
        self.broken.append(f"{promise}: {text}")
        self.note(f"BROKEN {promise}: {text}")

    def ask(
        self,
        letter: Letter,
        key: tuple[str | None, str, str],
        request_id: str | None,
        timeout: float,
        target: str = DEFAULT,
    ) -> Asked:
        """Note a request that somebody has sent."""
        identity = key[0] or letter.message_id
        full = (identity, key[1], key[2])
        known = next((one for one in self.asked.values() if one.key == full), None)
        asked = known or Asked(full, request_id or identity, timeout, target=target)
        asked.timeout = min(asked.timeout, timeout)
        asked.origins.append(letter.message_id)
        self.asked[letter.message_id] = asked
        return asked

    def wait(self, letter: Letter, token: str, waiting: Waiting) -> None:
        """Note that somebody waits at a token for the answer to a request that was sent."""
        self.waiting.setdefault(letter.message_id, []).append(waiting)
        self._asked_at[token] = self.asked[letter.message_id]

    def live(self) -> list[Life]:
        """Answer the processes that are there."""
        return [life for life in self.lives.values() if life.killed_at is None and not life.replica.task.done()]

    def began(self, operation: str, process: str | None, target: str = DEFAULT) -> None:
        now = self._loop.time()
        which = (process, operation, target)
        begin, count = self._rates.get(which, (now, 0))
        if now - begin >= 60.0:
            begin, count = now, 0
            self._met[which] = 0
        self._rates[which] = (begin, count + 1)
        self.busiest[operation] = max(self.busiest[operation], count + 1)
        most = self._most_calls(operation, target)
        if count + 1 > most + min(self._met[which], most):
            self.breaks("I12", f"{process} calls {operation} more than {count} times a minute")
        life = self.lives.get(process or "")
        if life is None:
            return
        if operation == "ReceiveMessage" and life.has_heard:
            self.breaks("I9", f"{process} receives after it was told to stop")
        if len(life.replica.slipway.custody) > self._world.terms["max_held"]:
            self.breaks("I7", f"{process} holds {len(life.replica.slipway.custody)}")

    def _most_calls(self, operation: str, target: str) -> int:
        if operation != "ListCustomModelDeployments":
            return MOST_CALLS_A_MINUTE.get(operation, MOST_OTHER_CALLS_A_MINUTE)
        # Sweeps keep a fifth of the interval between each other, and cost as many calls as there are pages.
        sweeps = 300 // self._world.terms["sweep_interval"] + 2
        return int(sweeps * (len(self._world.accounts[target].made) // self._world.rules.page_size + 2))

    def fired(self, fault: str, operation: str, target: str = DEFAULT) -> None:
        self.faults[fault] += 1
        self._last_fault[operation] = self._loop.time()
        self._met[PROCESS.get(), operation, target] += 1
        self.note(f"fault    {fault} on {operation}")

    def received(self, letter: Letter, process: str | None) -> None:
        now = self._loop.time()
        self.note(f"receive  {letter.message_id} #{letter.receive_count} by {process}")
        begun, _ = _origin(letter)
        self._first.setdefault(begun, now)
        self._deliveries.setdefault(letter.message_id, []).append(
            Delivery(now, process, letter.receive_count, self._world.wire.fault in _ANSWER_LOST)
        )
        self._leased[process, letter.message_id] = now

    def lapsed(self, letter: Letter) -> None:
        self._lapsed[letter.message_id] = self._loop.time()

    def put(self, letter: Letter | None, body: str, attributes: dict[str, str]) -> None:
        self.note(f"put      {letter and letter.message_id} {len(body)} {attributes.get(CONTINUATION, '')}")
        if CONTINUATION in attributes and (letter is None or _is_slipways(letter)):
            told = json.loads(attributes[CONTINUATION])
            self._continued.setdefault(told["origin"], set()).add(told["hops"])
            first = self._first.get(told["origin"], -1.0) + EPOCH
            if abs(told["firstReceivedAt"] - first) > 0.001:
                self.breaks("I10", f"{told['origin']} is handed on with another first receipt: {told} not {first}")

    def deleted(self, letter: Letter, process: str | None) -> None:
        self.note(f"delete   {letter.message_id} by {process}")
        begun, hops = _origin(letter)
        if hops + 1 in self._continued.get(begun, ()):
            return
        if begun in self.poison:
            if begun not in self.rejected:
                self.breaks("I1", f"poison {begun} deleted, and not announced as Rejected")
            elif not any(copy.attributes.get("SlipwayMessageId") == begun for copy in self._world.dead.all):
                self.breaks("I11", f"poison {begun} deleted, and not in the dead-letter queue")
            return
        asked = self.asked.get(begun)
        if asked is None:
            return  # poison that had gone to the dead-letter queue already
        if max(self.said.get(asked.key, {}).values(), default=-1.0) < self._first[begun]:
            self.breaks("I1", f"{letter.message_id} of {asked.name} deleted, and its outcome was not published")
        if any(one.heard is None and not one.is_over for one in self.waiting.get(begun, ())):
            self.breaks("I1", f"{letter.message_id} of {asked.name} deleted, and whoever waits for it was not answered")

    def replied(self, reply: Reply, process: str | None) -> None:
        self.note(f"reply    {type(reply).__name__} by {process}")
        asked = None if isinstance(reply, Copied) else self._asked_at.get(reply.token)
        if asked is None:
            return
        self.faults["an asker was answered"] += 1
        words = set(self.said.get(asked.key, ()))
        is_good = isinstance(reply, TaskSucceeded | StepSucceeded)
        if not (words & GOOD_NEWS if is_good else words - GOOD_NEWS):
            self.breaks("I1", f"{asked.name} is answered by {type(reply).__name__}, and was announced as {sorted(words)}")

    def buried(self, letter: Letter) -> None:
        self._judged += 1
        last = self._deliveries[letter.message_id][-1]
        self.note(f"too often {letter.message_id}, last by {last.process}")
        begun, hops = _origin(letter)
        is_answered = begun in self.rejected or (begun in self.asked and self.asked[begun].key in self.said)
        if is_answered or hops + 1 in self._continued.get(begun, ()):
            return
        life = self.lives.get(last.process or "")
        end = self._loop.time()
        leased = self._leased.get((last.process, letter.message_id), -1e9)
        excused = (
            life is None
            or last.is_lost
            or any(
                (
                    # It never came: the answer was lost, or the process ended or was halted before it could hand it on.
                    life.killed_at is not None and life.killed_at - last.at < KILLED_BEFORE_SECONDS,
                    life.is_halted or life.halted_at >= last.at - KILLED_BEFORE_SECONDS or life.continued_at >= last.at,
                    life.is_hurried,
                    self._faulty_at(last.at, end),
                    # SQS handed it out again although it was held, and nobody had given it back.
                    leased + self._world.sqs.visibility > end and self._released.get(letter.message_id, -1.0) < last.at,
                    # It could not be held: extending failed again and again.
                    self._last_fault.get("ChangeMessageVisibilityBatch", -1e9) > end - 1.5 * self._world.sqs.visibility,
                    self._lapsed.get(letter.message_id, -1.0) >= last.at,
                    # It could not be handed on: sending failed.
                    self._last_fault.get("SendMessageBatch", -1e9) > last.at,
                )
            )
        )
        if not excused:
            self.breaks("I9", f"{letter.message_id} was healthy, and went to the dead-letter queue")
        if begun in self.asked:
            self.asked[begun].is_excused = True
        self.poison.discard(begun)

    def _faulty_at(self, begin: float, end: float) -> bool:
        return any(since <= end and until >= begin for since, until in self.outages)

    def changed(self, letter: Letter, seconds: float, process: str | None) -> None:
        if seconds:
            self._leased[process, letter.message_id] = self._loop.time()
        else:
            self._released[letter.message_id] = self._loop.time()
            self.note(f"release  {letter.message_id} by {process}")

    def lease_gone(self, receipt: str, process: str | None) -> None:
        now = self._loop.time()
        if self._world.wire.fault in _ANSWER_LOST or self._world.wire.fault is Fault.SLOW:
            return  # it is not told
        self.faults["stale receipt handle"] += 1
        told = self._told_gone.setdefault((process, receipt), now)
        self.note(f"gone     {receipt} for {process}")
        life = self.lives.get(process or "")
        was_awake = life is not None and life.continued_at < told
        if was_awake and now - told > 3 * TOLD_SLACK + self._world.sqs.visibility / 10:
            self.breaks("I8", f"{process} goes on with {receipt}, {now - told:.1f} s after it was told that it is gone")

    def happened(self, what: str) -> None:
        self.faults[what] += 1
        if what == "model not Active yet":
            self._on_early()

    def holder(self, letter: Letter) -> str | None:
        """Answer who was handed a message last, if it still is hidden from others."""
        last = next(reversed(self._deliveries.get(letter.message_id, [])), None)
        return last.process if last is not None and letter.visible_at > self._world.sqs.now() else None

    def creating(self, name: str, token: str, hold: object, process: str | None, target: str = DEFAULT) -> None:
        if self._loop.is_dead(process):
            return
        assert isinstance(hold, Hold)
        begun, hops = _origin_of(hold.message.message_id, hold.message.attributes.get(CONTINUATION))
        self.note(f"create   {name} for {hold.message.message_id} by {process}")
        asked = self.asked.get(begun)
        if asked is None or asked.name != name:
            self.breaks("I11", f"{process} creates {name}, which {begun} did not ask for")
            return
        if asked.target != target:
            self.breaks("I11", f"{process} creates {name} in {target}, and was asked to in {asked.target}")
            return
        if self._tokens.setdefault(asked.key, token) != token:
            self.breaks("I2", f"{name} is created with a second token")
        self._check_lease(hold, process, 0.0, f"creates {name}")
        first = next(each for each in self._deliveries[hold.message.message_id] if each.process == process)
        since = max(first.at if first.count > 1 or hops else -1.0, self._unknown.get((process, begun), -1.0))
        if since >= 0 and self._looked.get((process, name, target), -1.0) < since:
            self.breaks("I2", f"{process} creates {name} in doubt, without a look")

    def _check_lease(self, hold: Hold, process: str | None, slack: float, doing: str) -> None:
        now = self._loop.time()
        told = self._told_gone.get((process, hold.receipt))
        leased = self._leased.get((process, hold.message.message_id), -1e9)
        if told is not None and now - told > TOLD_SLACK + slack:
            self.breaks("I8", f"{process} {doing} {now - told:.1f} s after it was told that its lease is gone")
        elif now - leased > self._world.sqs.visibility + TOLD_SLACK + slack:
            self.breaks("I8", f"{process} {doing} {now - leased:.1f} s after it last had a lease")
        elif not slack and (hold.is_lost or now >= hold.lease_until):
            self.breaks("I8", f"{process} {doing} and knows that its lease is lost")

    def created(self, made: Made, token: str, process: str | None) -> None:
        self.note(f"created  {made.name} {made.arn[-12:-8]} for {process}")
        asked = next((one for one in self.asked.values() if self._tokens.get(one.key) == token), None)
        if asked is None:
            return
        if request_of(made) != asked.request_id:
            self.breaks("I3", f"{made.name} is made without the tag of its request: {made.tags}")
        if any({"key": key, "value": value} not in made.tags for key, value in self._forced_tags):
            self.breaks("I3", f"{made.name} is made without the tags that are forced: {made.tags}")
        earlier = self._made.setdefault(token, [])
        # A request that AWS applies a minute later, with its token forgotten and its name free, nobody can call back.
        wire, account = self._world.wires[asked.target], self._world.accounts[asked.target]
        is_unstoppable = wire.fault is Fault.ZOMBIE and not account.rules.failed_holds_name
        if not is_unstoppable and any(one.exists(account.now()) for one in earlier):
            self.breaks("I2", f"{made.name} is made twice")
        earlier.append(made)

    def create_answered(self, name: str, failed: CallFailed | None, hold: object, process: str | None) -> None:
        if failed is not None and failed.may_have_applied:
            assert isinstance(hold, Hold)
            message = hold.message
            begun, _ = _origin_of(message.message_id, message.attributes.get(CONTINUATION))
            self._unknown[process, begun] = self._loop.time()

    def lined_up(self, hold: object, process: str) -> None:
        assert isinstance(hold, Hold)
        self._fairness.lined_up(hold, process)

    def went_next(self, hold: object, process: str) -> None:
        assert isinstance(hold, Hold)
        self._fairness.went_next(hold, process)

    def left_line(self, hold: object, process: str) -> None:
        assert isinstance(hold, Hold)
        self._fairness.left(hold, process)

    def lost_turn(self, hold: object, process: str) -> None:
        assert isinstance(hold, Hold)
        self._fairness.lost_turn(hold, process)

    def sweeping(self, process: str | None) -> None:
        operation, now = "ListCustomModelDeployments", self._loop.time()
        distance = now - self._swept.get(process, -1e9)
        interval = min(self._world.terms["sweep_interval"], LONGEST_SWEEP_INTERVAL_OF_OTHERS)
        # A list that was throttled, or asked for again after a halt, goes later than its sweep began: the next may come nearer.
        life = self.lives.get(process or "")
        was_calm = max(self._last_fault.get(operation, -1e9), life.continued_at if life else -1e9) < now - 60.0
        if was_calm and distance < interval / 5 - 0.5:
            self.breaks("I12", f"{process} sweeps again after {distance:.1f} s")
        self._swept[process] = now

    def sweep_failed(self, process: str | None) -> None:
        self._swept.pop(process, None)

    def looking(self, name: str, process: str | None, target: str = DEFAULT) -> None:
        is_asked = name.startswith("arn:") or any((one.name, one.target) == (name, target) for one in self.asked.values())
        if not is_asked and not self._loop.is_dead(process):
            self.breaks("I11", f"{process} looks for {name} in {target}, where nobody asked for it")
        self._looked[process, name, target] = self._loop.time()

    def publishing(self, publication: Publication, process: str | None) -> None:
        data = json.loads(publication.body)["data"]
        life = self.lives.get(process or "")
        if self._loop.is_dead(process) or data["outcome"] not in ENDS or life is None:
            return
        holds = [hold for hold in life.replica.slipway.custody if self._is_about(hold, data)]
        if not holds:
            self.breaks("I8", f"{process} publishes {data['outcome']} of {data['requestId']}, and holds nothing of it")
        elif life.continued_at < self._loop.time() - 0.001:
            worst = max(holds, key=lambda hold: self._leased.get((process, hold.message.message_id), 0.0))
            self._check_lease(worst, process, PUBLISH_SLACK, f"publishes {data['outcome']} of {data['requestId']}")

    def _is_about(self, hold: Hold, data: dict[str, Any]) -> bool:
        begun, _ = _origin_of(hold.message.message_id, hold.message.attributes.get(CONTINUATION))
        if data["outcome"] == "Rejected":
            return bool(begun == data["messageId"])
        asked = self.asked.get(begun)
        return asked is not None and self._tells_of(asked, data)

    @staticmethod
    def _tells_of(asked: Asked, data: dict[str, Any]) -> bool:
        return (asked.request_id, asked.name, asked.key[2]) == (
            data["requestId"],
            data["modelDeploymentName"],
            data["modelArn"],
        )

    def published(self, publication: Publication, process: str | None) -> None:
        event = json.loads(publication.body)
        data = event["data"]
        word = data["outcome"]
        now = self._loop.time()
        self.note(f"publish  {word} {data.get('reason', '')} of {data['requestId']} by {process} {publication.event_id[:8]}")
        if word not in ENDS:
            return
        if word == "Rejected":
            self.rejected.add(data["messageId"])
            if data["messageId"] in self.asked:
                self.breaks("I11", f"a good request is Rejected: {data}")
            return
        asked = next((one for one in self.asked.values() if self._tells_of(one, data)), None)
        if asked is None:
            self.breaks("I4", f"an event about nothing that was asked: {data}")
            return
        if self._ids.setdefault((asked.key, word), publication.event_id) != publication.event_id:
            self.breaks("I4", f"{word} of {asked.name} has a second id")
        before = self.said.setdefault(asked.key, {})
        for other, at in before.items():
            if {other, word} <= {"Active", "Failed"} and other != word and not self._world_changed(asked, at):
                self.breaks("I4", f"{asked.name} was {other}, and now is {word}")
        before[word] = now
        received = datetime.fromisoformat(data["times"]["receivedAt"]).timestamp() - EPOCH
        if not any(abs(self._first.get(one, -1.0) - received) < 0.01 for one in asked.origins):
            self.breaks("I10", f"{word} of {asked.name} counts from {received:.3f}, when it was not first received")
        self._check_truth(asked, word, data)

    def _world_changed(self, asked: Asked, since: float) -> bool:
        recent = self._world.sqs.visibility * 2
        return self.model_changes.get(asked.key[2], -1e9) >= since - recent or any(
            one.name == asked.name and (one.token is None or one.deleted != NEVER or one.created - EPOCH >= since - recent)
            for one in self._world.accounts[asked.target].made
        )

    def _check_truth(self, asked: Asked, word: str, data: dict[str, Any]) -> None:
        account = self._world.accounts[asked.target]
        now = account.now()
        reason = data.get("reason")
        arn = data.get("customModelDeploymentArn")
        begun = min((self._first[one] for one in asked.origins if one in self._first), default=0.0)
        made = [one for one in account.made if one.name == asked.name]
        is_true: bool
        match word, reason:
            case "Active", None:
                is_true = any(
                    one.arn == arn
                    and one.model_arn(now) == asked.key[2]
                    and request_of(one) is not None
                    and account.status(one) == Status.ACTIVE
                    and self._is_fresh(asked, one)
                    for one in made
                )
            case "Failed", "DeploymentFailed":
                is_true = any(
                    one.arn == arn and account.status(one) == Status.FAILED and self._is_fresh(asked, one) for one in made
                )
            case "Failed", "NameConflict":
                is_true = any(
                    one.arn == arn
                    and (request_of(one) is None or one.model_arn(now) != asked.key[2])
                    and self._is_fresh(asked, one)
                    for one in made
                )
            case "Failed", "ModelNotFound" | "ModelFailed":
                kind = ModelState.MISSING if reason == "ModelNotFound" else ModelState.FAILED
                is_true = account.rules.models.get(asked.key[2]) == kind or asked.key[2] in self.model_changes
            case "Failed", "InvalidRequest":
                is_true = bool(re.search(account.rules.invalid_names or "(?!)", asked.name)) or (
                    # Where the model cannot be read, Bedrock's refusal to deploy it is all there is.
                    account.rules.model_shown != ""
                    and account.rules.models.get(asked.key[2]) in {ModelState.MISSING, ModelState.FAILED}
                )
            case "TimedOut", _:
                deadline = begun + asked.timeout
                is_true = now - EPOCH >= deadline - 1.0
            case _:
                is_true = False
        if not is_true:
            self.breaks("I5", f"{word} {reason} of {asked.name} is not true: {data}")

    def _is_fresh(self, asked: Asked, made: Made) -> bool:
        """It exists, or did when the deliveries that may say so came."""
        last = max(
            (each.at for letter, all_of_it in self._deliveries.items() if letter in self._letters(asked) for each in all_of_it),
            default=0.0,
        )
        return made.deleted - EPOCH >= last - 60.0

    def _letters(self, asked: Asked) -> set[str]:
        return {letter.message_id for letter in self._world.sqs.all if _origin(letter)[0] in asked.origins}

    def left(self, life: Life) -> None:
        """Note that a process has ended after SIGTERM: nothing that it could give back is still hidden on its account."""
        self.note(f"ended    {life.replica.name}")
        since = life.stopping_at or 0.0
        was_hindered = life.is_hurried or life.continued_at >= since or self._faulty_at(since, self._loop.time())
        if was_hindered or any(self._last_fault.get(one, -1e9) >= since - TOLD_SLACK for one in _OF_LEAVING):
            return
        for letter in self._world.sqs.letters.values():
            last = next(reversed(self._deliveries.get(letter.message_id, [])), None)
            if last is None or last.process != life.replica.name or last.is_lost or life.continued_at >= last.at:
                continue
            # What it took for lost it does not touch: lapsed, or extended by a call whose answer was.
            was_lost = (life.replica.name, letter.receipt) in self._told_gone
            was_lost = was_lost or self._last_fault.get("ChangeMessageVisibilityBatch", -1e9) >= last.at
            if letter.visible_at > self._world.sqs.now() and not was_lost:
                self.breaks("I9", f"{life.replica.name} has ended, and has not given {letter.message_id} back")

    # What is asked at the end.

    def unanswered(self) -> list[Asked]:
        """Answer the requests that have not ended, and are owed an end."""
        unique = {id(one): one for one in self.asked.values()}
        return [one for one in unique.values() if one.key not in self.said and not one.is_excused]

    def check_end(self, last: Replica) -> None:
        """Balance the books."""
        for asked in self.unanswered():
            self.breaks("I1", f"{asked.name} of {asked.key[0]} has no outcome")
        for begun in sorted(self.poison - self.rejected):
            self.breaks("I1", f"poison {begun} has no outcome")
        self._check_answered()
        healthy = [letter for letter in self._world.dead.all if "SlipwayReason" not in letter.attributes]
        if len(healthy) != self._judged:
            self.breaks(
                "I9", f"{len(healthy)} messages without a reason are in the dead-letter queue, and {self._judged} came by SQS"
            )
        for one in (one for account in self._world.accounts.values() for one in account.made):
            owners = [asked for asked in self.asked.values() if asked.request_id == request_of(one)]
            if one.token is not None and not any(asked.key in self.said or asked.is_excused for asked in owners):
                self.breaks("I3", f"{one.name} is an orphan: {one.tags}")
        for life in self.lives.values():
            if life.replica.slipway.tally.faults:
                self.breaks("I11", f"{life.replica.name} met {life.replica.slipway.tally.faults} exceptions nobody expected")
        for life in self.lives.values():
            if life.killed_at is None and life.replica.task.done() and not life.is_hurried:
                self._check_empty(life.replica, frozenset({"held", "tasks", "turns", "under way"}))
        self._check_empty(last)

    def _check_answered(self) -> None:
        for begun, all_who_wait in self.waiting.items():
            if not self.asked[begun].is_excused and any(one.heard is None and not one.is_over for one in all_who_wait):
                self.breaks("I1", f"somebody still waits for the answer to {self.asked[begun].name}")

    def _check_empty(self, last: Replica, of: frozenset[str] | None = None) -> None:
        slipway = last.slipway
        left = {
            "held": len(slipway.custody),
            "tasks": len(slipway._tasks),  # noqa: SLF001  what is left over is the point
            "turns": len(slipway.turns._lines),  # noqa: SLF001  as above
            "in line": sum(len(site.slots._line) for site in slipway.sites.values()),  # noqa: SLF001  as above
            "under way": sum(site.slots.under_way for site in slipway.sites.values()),
            "watched": sum(site.watcher.in_flight for site in slipway.sites.values()),
            "reserved": slipway.intake._reserved,  # noqa: SLF001  as above
        }
        if any(count for what, count in left.items() if of is None or what in of):
            self.breaks("I7", f"something is left in {last.name}: {left}")


def _is_slipways(letter: Letter) -> bool:
    """Whether Slipway has sent it: what anybody else says of where it began is a lie."""
    return letter.sender.startswith(OWN_ROLE)


def _origin(letter: Letter) -> tuple[str, int]:
    if not _is_slipways(letter):
        return letter.message_id, 0
    return _origin_of(letter.message_id, letter.attributes.get(CONTINUATION))


def _origin_of(message_id: str, continuation: str | None) -> tuple[str, int]:
    if continuation is None:
        return message_id, 0
    told = json.loads(continuation)
    return told["origin"], told["hops"]


def in_lines(lines: Iterable[str]) -> str:
    """Put a trace below each other."""
    return "\n".join(lines)
