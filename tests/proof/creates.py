"""Whether one request makes one deployment, marked as its own: I2, I3, and that nothing is made which nobody asked for: I11."""

from __future__ import annotations

from service.core.calls import CallFailed
from service.core.messages import CONTINUATION
from service.flow.hold import Hold
from tests.proof.books import Books, Key, origin_of
from tests.proof.leases import Leases
from tests.world.bedrock import Made, request_of
from tests.world.wire import Fault


class Creates:
    """Follows each create from who asks for it to what comes of it."""

    def __init__(self, books: Books, leases: Leases) -> None:
        self._books = books
        self._leases = leases
        rules = books.world.terms.get("permissions", ())
        self._forced_tags = [{"key": key, "value": value} for rule in rules for key, value in rule.force_tags]
        self._tokens: dict[Key, str] = {}
        self._made: dict[str, list[Made]] = {}
        """By token."""
        self._looked: dict[tuple[str | None, str, str], float] = {}
        """By process, name, and target."""
        self._unknown: dict[tuple[str | None, str], float] = {}
        """When a process was last left in doubt about a create, by the message that brought the request first."""

    def creating(self, name: str, token: str, hold: Hold, process: str | None, target: str) -> None:
        """A create is sent: of what was asked for, with the token of all its creates, under a lease, and in no doubt."""
        books = self._books
        if books.loop.is_dead(process):
            return
        begun, hops = origin_of(hold.message.message_id, hold.message.attributes.get(CONTINUATION))
        books.note(f"create   {name} for {hold.message.message_id} by {process}")
        asked = books.asked.get(begun)
        if asked is None or asked.name != name:
            books.breaks("I11", f"{process} creates {name}, which {begun} did not ask for")
            return
        if asked.target != target:
            books.breaks("I11", f"{process} creates {name} in {target}, and was asked to in {asked.target}")
            return
        if self._tokens.setdefault(asked.key, token) != token:
            books.breaks("I2", f"{name} is created with a second token")
        self._leases.check(hold, process, 0.0, f"creates {name}")
        first = next(each for each in books.deliveries[hold.message.message_id] if each.process == process)
        since = max(first.at if first.count > 1 or hops else -1.0, self._unknown.get((process, begun), -1.0))
        if since >= 0 and self._looked.get((process, name, target), -1.0) < since:
            books.breaks("I2", f"{process} creates {name} in doubt, without a look")

    def created(self, made: Made, token: str, process: str | None) -> None:
        """A deployment is there: with the tags of its request, and no other of that request beside it."""
        books = self._books
        books.note(f"created  {made.name} {made.arn[-12:-8]} for {process}")
        asked = next((one for one in books.asked.values() if self._tokens.get(one.key) == token), None)
        if asked is None:
            return
        if request_of(made) != asked.request_id:
            books.breaks("I3", f"{made.name} is made without the tag of its request: {made.tags}")
        if any(tag not in made.tags for tag in self._forced_tags):
            books.breaks("I3", f"{made.name} is made without the tags that are forced: {made.tags}")
        earlier = self._made.setdefault(token, [])
        # A request that AWS applies a minute later, with its token forgotten and its name free, nobody can call back.
        wire, account = books.world.wires[asked.target], books.world.accounts[asked.target]
        is_unstoppable = wire.fault is Fault.ZOMBIE and not account.rules.failed_holds_name
        if not is_unstoppable and any(one.exists(account.now()) for one in earlier):
            books.breaks("I2", f"{made.name} is made twice")
        earlier.append(made)

    def answered(self, failed: CallFailed | None, hold: Hold, process: str | None) -> None:
        """A process learns what came of its create, or does not."""
        if failed is not None and failed.may_have_applied:
            message = hold.message
            begun, _ = origin_of(message.message_id, message.attributes.get(CONTINUATION))
            self._unknown[process, begun] = self._books.now

    def looking(self, name: str, process: str | None, target: str) -> None:
        """A Get begins: of what somebody asked for."""
        books = self._books
        is_asked = name.startswith("arn:") or any((one.name, one.target) == (name, target) for one in books.asked.values())
        if not is_asked and not books.loop.is_dead(process):
            books.breaks("I11", f"{process} looks for {name} in {target}, where nobody asked for it")
        self._looked[process, name, target] = books.now
