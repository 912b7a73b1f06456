"""Whether calls stay few and memory bounded, whatever happens: I7, I12."""

from __future__ import annotations

from collections import Counter

from slipway.core.requests.targets import DEFAULT
from tests.simulation.recorder import Recorder
from tests.simulator.virtual_loop import PROCESS

LONGEST_SWEEP_INTERVAL_OF_OTHERS = 40.0
"""Replicas of another version sweep more often than some worlds say."""
MOST_CALLS_A_MINUTE = {
    "ReceiveMessage": 60,
    "PublishBatch": 100,
    "GetCustomModelDeployment": 100,
    "ListTagsForResource": 100,
    "SendMessage": 100,
    "SendMessageBatch": 100,
    "DeleteMessageBatch": 100,
    "ChangeMessageVisibilityBatch": 100,
}
"""A world has 40 requests at most, and what its conditions send. Each is received, published, sent on and deleted by itself if
it comes alone; an observation is two calls, repeated after a second or more; two replicas or a halt bring each twice."""
MOST_OTHER_CALLS_A_MINUTE = 50
"""By one process: one for each request, and a few again. For each call that meets a fault there may be one more, up to as many
again."""
MOST_RECEIVES_OF_CANCEL_A_MINUTE = 14
"""One that is about nothing that is held goes from hand to hand."""
_OF_CANCELS = ("ReceiveMessage", "ChangeMessageVisibilityBatch", "SendMessageBatch", "DeleteMessageBatch")
"""Where few receives are allowed, it is continued after every second one: by a send, and up to two deletes."""
MOST_RETURNS_A_MINUTE = 4
"""A request that gives its place up comes back after 15 s at the earliest."""
_OF_RETURNS = {"SendMessageBatch": 1, "DeleteMessageBatch": 2}
"""How many calls continue it."""
_LIST = "ListCustomModelDeployments"


class RateBounds:
    """Counts the calls of each process."""

    def __init__(self, books: Recorder) -> None:
        self._books = books
        self._rates: dict[tuple[str | None, str, str], tuple[float, int]] = {}
        """By process, operation, and target."""
        self._met: Counter[tuple[str | None, str, str]] = Counter()
        """Faults that calls of this minute have met: each may be repeated."""
        self._swept: dict[str | None, float] = {}
        self.busiest: Counter[str] = Counter()

    def began(self, operation: str, process: str | None, target: str) -> None:
        """A call begins: not one too many, and none of a process that should receive no more."""
        books, now = self._books, self._books.now
        which = (process, operation, target)
        begin, count = self._rates.get(which, (now, 0))
        if now - begin >= 60.0:
            begin, count = now, 0
            self._met[which] = 0
        self._rates[which] = (begin, count + 1)
        self.busiest[operation] = max(self.busiest[operation], count + 1)
        most = self._most_calls(operation, target)
        if count + 1 > most + min(self._met[which], most):
            books.breaks("I12", f"{process} calls {operation} more than {count} times a minute")
        life = books.life_of(process)
        if life is None:
            return
        if operation == "ReceiveMessage" and life.has_heard:
            books.breaks("I9", f"{process} receives after it was told to stop")
        if len(life.replica.slipway.leases) > books.world.terms["max_held"]:
            books.breaks("I7", f"{process} holds {len(life.replica.slipway.leases)}")

    def _most_calls(self, operation: str, target: str) -> int:
        asked = self._books.requests(DEFAULT)
        if operation in _OF_CANCELS:
            cancels = sum(one.action == "cancel" for one in asked)
            returns = MOST_RETURNS_A_MINUTE * _OF_RETURNS.get(operation, 0) * len(self._books.asked)
            usual = MOST_CALLS_A_MINUTE[operation] * (1 + self._books.world.has_control)
            return usual + returns + MOST_RECEIVES_OF_CANCEL_A_MINUTE * cancels
        if operation != _LIST:
            return MOST_CALLS_A_MINUTE.get(operation, MOST_OTHER_CALLS_A_MINUTE)
        # Sweeps keep a fifth of the interval between each other, and cost as many calls as there are pages.
        world = self._books.world
        sweeps = 300 // world.terms["sweep_interval"] + 2
        return int(sweeps * (len(world.accounts[target].made) // world.rules.page_size + 2))

    def fired(self, operation: str, target: str) -> None:
        """A call has met a fault, and may be repeated."""
        self._met[PROCESS.get(), operation, target] += 1

    def sweeping(self, process: str | None) -> None:
        """A sweep begins: not just after another."""
        books, now = self._books, self._books.now
        distance = now - self._swept.get(process, -1e9)
        interval = min(books.world.terms["sweep_interval"], LONGEST_SWEEP_INTERVAL_OF_OTHERS)
        # A list that was throttled, or asked for again after a halt, goes later than its sweep began: the next may come nearer.
        life = books.life_of(process)
        was_calm = max(books.last_fault.get(_LIST, -1e9), life.continued_at if life else -1e9) < now - 60.0
        if was_calm and distance < interval / 5 - 0.5:
            books.breaks("I12", f"{process} sweeps again after {distance:.1f} s")
        self._swept[process] = now

    def sweep_failed(self, process: str | None) -> None:
        """A sweep came to nothing, and may be repeated at once."""
        self._swept.pop(process, None)
