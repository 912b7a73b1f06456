"""Whether one request makes one deployment, marked as its own: I2, I3, and that nothing is made which nobody asked for: I11."""

from __future__ import annotations

import json

from slipway.core.bedrock import Status
from slipway.core.call_errors import CallFailed
from slipway.core.lifecycle.tags import EXPIRES_TAG, OWNER_TAG
from slipway.core.sqs.messages import CONTINUATION
from slipway.core.time_format import format_time
from slipway.worker.kernel.lease import Lease
from tests.simulation.invariants.leases import Leases
from tests.simulation.recorder import Key, Recorder, origin_of
from tests.simulator.bedrock import StandInDeployment, request_of, tag_of
from tests.simulator.sqs import EPOCH
from tests.simulator.wire_faults import Fault

LONGEST_LOOKS = 7.0
"""What Get shows later than that may be taken for gone: then the name alone keeps a second one from being made."""


class CreateInvariants:
    """Follows each create from who asks for it to what comes of it."""

    def __init__(self, books: Recorder, leases: Leases) -> None:
        self._books = books
        self._leases = leases
        rules = books.world.terms.get("permissions", ())
        self._forced_tags = [{"key": key, "value": value} for rule in rules for key, value in rule.force_tags]
        self._tokens: dict[Key, set[str]] = {}
        """One for each attempt."""
        self._made: dict[Key, list[StandInDeployment]] = {}
        self._looked: dict[tuple[str | None, str, str], float] = {}
        """By process, name, and target."""
        self._unknown: dict[tuple[str | None, str], float] = {}
        """When a process was last left in doubt about a create, by the message that brought the request first."""

    def creating(self, name: str, token: str, lease: Lease, process: str | None, target: str) -> None:
        """A create is sent: of what was asked for, with the token of all its creates, under a lease, and in no doubt."""
        books = self._books
        if books.loop.is_dead(process):
            return
        continuation = lease.message.text(CONTINUATION)
        begun, hops = origin_of(lease.message.message_id, continuation)
        books.note(f"create   {name} for {lease.message.message_id} by {process}")
        asked = books.asked.get(begun)
        if asked is None or asked.name != name or asked.action != "deploy":
            books.breaks("I11", f"{process} creates {name}, which {begun} did not ask for")
            return
        if asked.target != target:
            books.breaks("I11", f"{process} creates {name} in {target}, and was asked to in {asked.target}")
            return
        tokens = self._tokens.setdefault(asked.key, set())
        tokens.add(token)
        gone = sum(not one.exists(books.world.accounts[target].now()) for one in self._made.get(asked.key, ()))
        most = 1 + asked.most("retries") + gone  # a token is spent for each that was made with it, and deleted
        if len(tokens) > most and books.world.accounts[target].rules.get_lag_seconds < LONGEST_LOOKS:
            books.breaks("I2", f"{name} is created with {len(tokens)} tokens, for {most} attempts")
        if continuation and {"cancelled", "failure"} & set(json.loads(continuation)):
            books.breaks("I2", f"{process} creates {name}, of which nothing more is to be made: {continuation}")
        self._leases.check(lease, process, 0.0, f"creates {name}")
        first = next(each for each in books.deliveries[lease.message.message_id] if each.process == process)
        since = max(first.at if first.count > 1 or hops else -1.0, self._unknown.get((process, begun), -1.0))
        if since >= 0 and self._looked.get((process, name, target), -1.0) < since:
            books.breaks("I2", f"{process} creates {name} in doubt, without a look")

    def created(self, made: StandInDeployment, token: str, process: str | None) -> None:
        """A deployment is there: with the tags of its request, and no other of that request beside it."""
        books = self._books
        books.note(f"created  {made.name} {made.arn[-12:-8]} for {process}")
        books.former[made.arn] = made.first_model_arn
        asked = next((one for one in books.asked.values() if token in self._tokens.get(one.key, ())), None)
        if asked is None:
            return
        if request_of(made) != asked.request_id:
            books.breaks("I3", f"{made.name} is made without the tag of its request: {made.tags}")
        books.owners[made.arn] = asked.whose
        if not tag_of(made, OWNER_TAG):
            books.breaks("I13", f"{made.name} is made without its owner: {made.tags}")
        if any(tag not in made.tags for tag in self._forced_tags):
            books.breaks("I3", f"{made.name} is made without the tags that are forced: {made.tags}")
        wanted = {
            format_time(books.first[origin] + EPOCH + body["expiresAfter"])
            for origin, body in zip(asked.origins, asked.bodies, strict=True)
            if "expiresAfter" in body and origin in books.first
        }
        found = tag_of(made, EXPIRES_TAG)
        if found not in wanted and (found is not None or all("expiresAfter" in body for body in asked.bodies)):
            books.breaks("I3", f"{made.name} expires {found}, and not {wanted}")
        earlier = self._made.setdefault(asked.key, [])
        # A request that AWS applies a minute later, with its token forgotten and its name free, nobody can call back.
        wire, account = books.world.wires[asked.target], books.world.accounts[asked.target]
        is_unstoppable = wire.fault is Fault.ZOMBIE and not account.rules.failed_holds_name
        there = [one for one in earlier if one.exists(account.now())]
        # Nor does a second message of the same request find what has failed, where that holds neither its name nor its token.
        # Nor does anybody, before Get shows it, or when another one has had its name since.
        newest = next((one for one in reversed(account.made) if one.name == made.name and one is not made), None)
        is_unseen = newest not in there or account.now() < newest.created + account.rules.get_lag_seconds
        is_unfound = (len(asked.origins) > 1 or is_unseen) and not account.rules.failed_holds_name
        is_unfound = is_unfound and all(account.status(one) == Status.FAILED for one in there)
        if there and not is_unstoppable and not is_unfound:
            books.breaks("I2", f"{made.name} is made twice")
        earlier.append(made)

    def answered(self, failed: CallFailed | None, lease: Lease, process: str | None) -> None:
        """A process learns what came of its create, or does not."""
        if failed is not None and failed.may_have_applied:
            message = lease.message
            begun, _ = origin_of(message.message_id, message.text(CONTINUATION))
            self._unknown[process, begun] = self._books.now

    def looking(self, name: str, process: str | None, target: str) -> None:
        """A Get begins: of what somebody asked for."""
        books = self._books
        is_asked = name.startswith("arn:") or any((one.name, one.target) == (name, target) for one in books.asked.values())
        if not is_asked and not books.loop.is_dead(process):
            books.breaks("I11", f"{process} looks for {name} in {target}, where nobody asked for it")
        self._looked[process, name, target] = books.now
