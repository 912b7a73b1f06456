"""What has been seen in a world, and by whom: what every part of the monitor writes, and reads.

All of it is seen on the world's side: nothing here is Slipway's own account of itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.core.requests.targets import DEFAULT
from slipway.core.sqs.messages import CONTINUATION
from tests.simulator.bedrock import StandInDeployment
from tests.simulator.simulation import Replica, World
from tests.simulator.sqs import OWN_ROLE, Letter
from tests.simulator.virtual_loop import VirtualLoop
from tests.simulator.wire_faults import Fault

ANSWER_LOST = frozenset({Fault.RESPONSE_LOST, Fault.ERROR_AFTER, Fault.LATE, Fault.ZOMBIE})

Key = tuple[str, str, str, str, str]
"""Identity, action, name (or ARN, or the id of what is cancelled), model (or nothing), and whose: sender and payload."""
HANDLING = frozenset(
    {"timeout", "priority", "tenant", "taskToken", "callbackToken", "replyTo", "requestId", "clientRequestToken"}
)
"""What a body says of how it is handled, and not of what is asked for."""


@dataclass
class Asked:
    """One request, as whoever sent it knows it."""

    key: Key
    request_id: str
    timeout: float
    origins: list[str] = field(default_factory=list)
    bodies: list[Mapping[str, Any]] = field(default_factory=list)
    """How it was asked, each time."""
    is_excused: bool = False
    """Its message went to the dead-letter queue in a way that no process could have prevented."""
    target: str = DEFAULT
    is_stuck: bool = False
    """A person took its deployment away: it may be waited for until its deadline."""
    is_decided: bool = False
    """A process has tried to publish its outcome."""

    @property
    def whose(self) -> str:
        """Its sender and its payload: what owns a deployment."""
        return self.key[4]

    @property
    def action(self) -> str:
        return self.key[1]

    @property
    def name(self) -> str:
        """The deployment's name or ARN; of a cancel, the id of what it cancels."""
        return self.key[2]

    @property
    def model(self) -> str:
        return self.key[3]

    def says(self, key: str, value: object) -> bool:
        """Whether it was asked so, at least once."""
        return any(body.get(key) == value for body in self.bodies)

    def most(self, key: str) -> int:
        """Return the largest number that it was asked with."""
        return max((body.get(key, 0) for body in self.bodies), default=0)

    def is_about(self, made: StandInDeployment) -> bool:
        """Whether it names a deployment, by its name or its ARN."""
        return self.name in {made.name, made.arn}

    def is_told_by(self, data: Mapping[str, Any]) -> bool:
        """Whether an event is of it."""
        head = (data["action"], data["requestId"], data.get("target", DEFAULT))
        if head != (self.action, self.request_id, self.target):
            return False
        if self.action == "cancel":
            return bool(data.get("cancels", self.name) == self.name)
        shown = "customModelDeploymentArn" if self.name.startswith("arn:") else "modelDeploymentName"
        is_of_model = not self.model or data.get("modelArn", self.model) == self.model  # an event's smallest form has none
        return bool(data.get(shown) == self.name and is_of_model)


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


class Recorder:
    """Everything that was seen; `broken` has each broken promise in one line, first things first."""

    def __init__(self, world: World, lines: int) -> None:
        self.world = world
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.broken: list[str] = []
        self.trace: deque[str] = deque(maxlen=lines)
        self._digest = hashlib.sha256()
        self.lives: dict[str, Life] = {}
        self.asked: dict[str, Asked] = {}
        """By the id of the message that brought it first."""
        self.said: dict[Key, dict[str, float]] = {}
        """When each outcome of a request was announced last."""
        self.owners: dict[str, str] = {}
        """Whose request made each deployment, by ARN."""
        self.former: dict[str, str] = {}
        """Which model each deployment was made with, by ARN."""
        self.cancelled: set[str] = set()
        """What was handed on as cancelled, by the id of the message that came first."""
        self.last_deadline = 0.0
        self.continued: dict[str, set[int]] = {}
        """The hops of what was handed on, by the id of the message that came first."""
        self.first: dict[str, float] = {}
        """When each request was first received."""
        self.deliveries: dict[str, list[Delivery]] = {}
        self.last_fault: dict[str, float] = {}
        """By operation."""
        self.model_changes: dict[str, float] = {}
        self.outages: list[tuple[float, float]] = []
        self.denied: dict[str, float] = {}
        """Since when what is not permitted."""
        self.raised: Counter[str | None] = Counter()
        """Exceptions put into each process on purpose."""
        self.calls_raised = 0
        """How many of them in place of a call."""
        self.raising: set[str] = set()
        """The names of deployments whose requests always raise."""
        self.deaths: Counter[str] = Counter()
        """How many readers a request has ended, by the id of the message that came first."""
        self.refused_events: Callable[[str], bool] = lambda _: False
        """Of which requests the topic never takes an outcome."""
        self.has_refused_events = False
        """Whether there are any."""
        self.reasons: dict[Key, set[str]] = {}
        """With which reasons a request has ended."""
        self.faults: Counter[str] = Counter()
        """What befell calls, and what came about by itself."""

    @property
    def now(self) -> float:
        """The event loop's clock."""
        return self.loop.time()

    def note(self, text: str) -> None:
        """Keep a line of what happened."""
        line = f"{self.now - 1000.0:12.3f} {text}"
        self.trace.append(line)
        self._digest.update(line.encode())

    @property
    def digest(self) -> str:
        """Return what tells two runs apart."""
        return self._digest.hexdigest()[:16]

    def breaks(self, promise: str, text: str) -> None:
        """Note a broken promise."""
        self.broken.append(f"{promise}: {text}")
        self.note(f"BROKEN {promise}: {text}")

    def live(self) -> list[Life]:
        """Return the processes that are there."""
        return [life for life in self.lives.values() if life.killed_at is None and not life.replica.task.done()]

    def life_of(self, process: str | None) -> Life | None:
        """Return the life of a process; None for the world's own."""
        return self.lives.get(process or "")

    def is_faulty_at(self, begin: float, end: float) -> bool:
        """Whether everything was refused at some time between."""
        return any(since <= end and until >= begin for since, until in self.outages)

    def is_denied_for(self, what: str, seconds: float) -> bool:
        """Whether something is not permitted, and has not been for so long; or everything was refused for a time."""
        since = self.denied.get(what, math.inf)
        return self.now - since >= seconds or self.is_faulty_at(self.now - seconds, self.now)

    def is_event_refused(self, request_id: str) -> bool:
        """Whether the topic never takes an outcome of this request."""
        return self.refused_events(request_id)

    def requests(self, target: str) -> list[Asked]:
        """Return what was asked of a target, each once."""
        return [one for one in {id(one): one for one in self.asked.values()}.values() if one.target == target]

    def first_of(self, asked: Asked) -> float:
        """Return when a request was first received; never, if it was not."""
        return min((self.first[one] for one in asked.origins if one in self.first), default=math.inf)

    def unanswered(self) -> list[Asked]:
        """Return the requests that have not ended, and are owed an end."""
        unique = {id(one): one for one in self.asked.values()}
        return [one for one in unique.values() if one.key not in self.said and not one.is_excused]


def letter_text(letter: Letter, name: str) -> str:
    """Return an attribute that is a plain text; an empty text where there is none."""
    value = letter.attributes.get(name, "")
    return value if isinstance(value, str) else ""


def whose(sender: str, body: Mapping[str, Any], *, is_event: bool) -> str:
    """Return what owns what a request makes, by the words of the documentation: its sender, and all that it asks for."""
    asked = "event" if is_event else json.dumps({key: body[key] for key in sorted(body) if key not in HANDLING})
    return f"{sender.partition(':')[0]} {asked}"


def is_slipways(letter: Letter) -> bool:
    """Whether Slipway has sent it: what anybody else says of where it began is a lie."""
    return letter.sender.startswith(OWN_ROLE)


def origin(letter: Letter) -> tuple[str, int]:
    """Return the message that brought a letter's request first, and how often that was handed on."""
    if not is_slipways(letter):
        return letter.message_id, 0
    return origin_of(letter.message_id, letter_text(letter, CONTINUATION))


def origin_of(message_id: str, continuation: str) -> tuple[str, int]:
    """As `origin`, of a message that is held."""
    if not continuation:
        return message_id, 0
    told = json.loads(continuation)
    return told["origin"], told["hops"]
