"""Holds Slipway to its promises as things happen, on the world's side: nothing here is Slipway's own account of itself.

Each promise has a room of its own, and all write in the same books; the monitor shows each what it is to see.

What may legally differ. One request may end in two different ways only where the world itself changed between the two
announcements, and each was true when it was said, or where the first was a time-out:

* `TimedOut` beside another: a time-out says "not known to have ended by then". If the process dies, or the answer of SNS
  is lost, between announcing and deleting, the next owner looks, may find the deployment ended, and says so; and
  a duplicate that holds the message at the same time may have looked a second earlier. Without a database nobody
  can know what the other one said. So may a second message with the same identity, whose clock began later.
* A person deleted the deployment, or whoever held the name made way or came, or the model changed its state, in between.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from slipway.core.call_errors import CallFailed
from slipway.core.events.callbacks import Callback
from slipway.core.events.publish import Publication
from slipway.core.requests.targets import DEFAULT
from slipway.core.sqs.messages import CONTINUATION, AnyAttribute
from slipway.worker.kernel.lease import Lease
from tests.simulation.invariants import balance
from tests.simulation.invariants.call_rates import RateBounds
from tests.simulation.invariants.creates import CreateInvariants
from tests.simulation.invariants.fairness import Fairness
from tests.simulation.invariants.leases import Leases
from tests.simulation.invariants.outcomes import Outcomes
from tests.simulation.invariants.ownership import Ownership
from tests.simulation.recorder import Asked, Life, Recorder, is_slipways, origin, whose
from tests.simulator.bedrock import StandInDeployment
from tests.simulator.callbacks import Waiting
from tests.simulator.observer import Watching
from tests.simulator.simulation import Replica, World
from tests.simulator.sqs import Letter

MOST_CLOCK_ERROR_SECONDS = 1.0
_NAMES = ("modelDeploymentName", "customModelDeploymentIdentifier", "cancels")


class Monitor(Watching):
    """Sees everything."""

    def __init__(self, world: World, lines: int = 50, on_early: Callable[[], None] = lambda: None) -> None:
        self._on_early = on_early
        self.on_received: Callable[[Letter, str | None], None] = lambda _letter, _process: None
        """Called when a message has been handed over."""
        self.books = books = Recorder(world, lines)
        self._calm = RateBounds(books)
        self.leases = Leases(books)
        self._creates = CreateInvariants(books, self.leases)
        self.announced = Outcomes(books, self.leases)
        self._touches = Ownership(books)
        weights = world.terms.get("tenant_weights", {})
        self._fairness = Fairness(weights, lambda text: books.breaks("fair", text), self.happened)
        self.busiest = self._calm.busiest

    # What those who ask and those who make trouble tell.

    def ask(
        self,
        letter: Letter,
        body: Mapping[str, Any],
        timeout: float,
        target: str = DEFAULT,
        event_id: str | None = None,
    ) -> Asked | None:
        """Note a request that somebody has sent; None for an event that asks for nothing.

        `event_id` is that of the event it came in, where a rule makes it.
        """
        books = self.books
        name = next((body[key] for key in _NAMES if key in body), None)
        if name is None:
            self.announced.unmatched.add(letter.message_id)
            return None
        identity = body.get("clientRequestToken") or body.get("requestId") or event_id or letter.message_id
        owner = whose(letter.sender, body, is_event=event_id is not None)
        full = (identity, body.get("action", "deploy"), name, body.get("modelArn", ""), owner)
        known = next((one for one in books.requests(target) if one.key == full), None)
        asked = known or Asked(full, body.get("requestId") or identity, timeout, target=target)
        asked.timeout = min(asked.timeout, timeout)
        asked.origins.append(letter.message_id)
        asked.bodies.append(body)
        books.asked[letter.message_id] = asked
        books.last_deadline = max(books.last_deadline, books.now + timeout)
        return asked

    def wait(self, letter: Letter, token: str, waiting: Waiting) -> None:
        """Note that somebody waits at a token for the answer to a request that was sent."""
        self.announced.wait(letter, token, waiting)

    def left(self, life: Life) -> None:
        """Note that a process has ended after SIGTERM."""
        self.leases.left(life)

    def check_end(self, last: Replica) -> None:
        """Balance the books."""
        balance.check_end(self.books, self.announced, self.leases, last)

    # What the world tells.

    def began(self, operation: str, process: str | None, target: str = DEFAULT) -> None:
        self._calm.began(operation, process, target)

    def fired(self, fault: str, operation: str, target: str = DEFAULT) -> None:
        self.books.faults[fault] += 1
        self.books.last_fault[operation] = self.books.now
        self._calm.fired(operation, target)
        self.books.note(f"fault    {fault} on {operation}")

    def happened(self, what: str) -> None:
        self.books.faults[what] += 1
        if what == "model not Active yet":
            self._on_early()

    def received(self, letter: Letter, process: str | None) -> None:
        self.books.note(f"receive  {letter.message_id} #{letter.receive_count} by {process}")
        begun, _ = origin(letter)
        self.books.first.setdefault(begun, self.books.now)
        self.leases.received(letter, process)
        self.on_received(letter, process)

    def lapsed(self, letter: Letter) -> None:
        self.leases.lapsed(letter)

    def changed(self, letter: Letter, seconds: float, process: str | None) -> None:
        self.leases.changed(letter, seconds, process)

    def lease_gone(self, receipt: str, process: str | None) -> None:
        self.leases.gone(receipt, process)

    def buried(self, letter: Letter) -> None:
        self.announced.buried(letter)

    def put(self, letter: Letter | None, body: str, attributes: dict[str, AnyAttribute]) -> None:
        self.books.note(f"put      {letter and letter.message_id} {len(body)} {attributes.get(CONTINUATION, '')}")
        if letter is not None and is_slipways(letter) and CONTINUATION not in attributes:
            self._ask_to_expire(letter, json.loads(body))
        self.announced.put(letter, attributes)

    def _ask_to_expire(self, letter: Letter, body: Mapping[str, Any]) -> None:
        """Note what Slipway itself has asked for: only ever that what has expired is deleted."""
        self.happened("expired")
        target = body.get("target", DEFAULT)
        self.ask(letter, body, self.books.world.terms["timeout"], target)
        self._touches.expires(body["customModelDeploymentIdentifier"], target)

    def deleted(self, letter: Letter, process: str | None) -> None:
        self.books.note(f"delete   {letter.message_id} by {process}")
        self.announced.deleted(letter, process)

    def creating(self, name: str, token: str, lease: object, process: str | None, target: str = DEFAULT) -> None:
        assert isinstance(lease, Lease) or self.books.loop.is_dead(process)
        if isinstance(lease, Lease):
            self._creates.creating(name, token, lease, process, target)

    def created(self, made: StandInDeployment, token: str, process: str | None) -> None:
        self._creates.created(made, token, process)

    def removed(self, made: StandInDeployment, process: str | None, target: str = DEFAULT) -> None:
        self._touches.removed(made, process, target)

    def updated(self, made: StandInDeployment, model_arn: str, process: str | None, target: str = DEFAULT) -> None:
        self._touches.updated(made, model_arn, process, target)

    def create_answered(self, name: str, failed: CallFailed | None, lease: object, process: str | None) -> None:
        if isinstance(lease, Lease):
            self._creates.answered(failed, lease, process)

    def looking(self, name: str, process: str | None, target: str = DEFAULT) -> None:
        self._creates.looking(name, process, target)

    def lined_up(self, lease: object, process: str) -> None:
        assert isinstance(lease, Lease)
        self._fairness.lined_up(lease, process)

    def went_next(self, lease: object, process: str) -> None:
        assert isinstance(lease, Lease)
        self._fairness.went_next(lease, process)

    def left_line(self, lease: object, process: str) -> None:
        assert isinstance(lease, Lease)
        self._fairness.left(lease, process)

    def lost_turn(self, lease: object, process: str) -> None:
        assert isinstance(lease, Lease)
        self._fairness.lost_turn(lease, process)

    def reckoned(self, error: float, process: str | None) -> None:
        if abs(error) > MOST_CLOCK_ERROR_SECONDS:
            self.books.breaks("I5", f"{process} is wrong about AWS's clock by {error:.1f} s")

    def sweeping(self, process: str | None) -> None:
        self._calm.sweeping(process)

    def sweep_failed(self, process: str | None) -> None:
        self._calm.sweep_failed(process)

    def publishing(self, publication: Publication, process: str | None) -> None:
        self.announced.publishing(publication, process)

    def published(self, publication: Publication, process: str | None) -> None:
        self.announced.published(publication, process)

    def replied(self, reply: Callback, process: str | None) -> None:
        self.books.note(f"reply    {type(reply).__name__} by {process}")
        self.announced.replied(reply)
