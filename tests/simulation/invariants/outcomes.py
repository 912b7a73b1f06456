"""Whether every request ends in one result, said before its message goes, to all who wait: I1, I4, I8, I10."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any

from slipway.core.events.callbacks import Callback, EventCopy, StepSucceeded, TaskSucceeded
from slipway.core.events.publish import Publication
from slipway.core.lifecycle.outcomes import OutcomeKind
from slipway.core.sqs.continuations import MOST_COPIES
from slipway.core.sqs.messages import CONTINUATION, AnyAttribute
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.retry import REFUSED_SECONDS
from tests.simulation.invariants.leases import Leases
from tests.simulation.invariants.ownership import is_of_payload
from tests.simulation.invariants.truth import Truth
from tests.simulation.recorder import Asked, Key, Recorder, is_slipways, letter_text, origin, origin_of
from tests.simulator.bedrock import request_of
from tests.simulator.callbacks import Waiting
from tests.simulator.sqs import EPOCH, Letter

ENDS = frozenset(OutcomeKind)
GOOD_NEWS = frozenset({"Active", "Updated", "Deleted", "CancelTaken"})
GIVEN_UP = "GivenUp"
UNPUBLISHABLE = "Unpublishable"
INTERNAL_ERROR = "InternalError"
PUBLISH_SLACK = 30.0
"""How long an event that was handed over for publishing may stand in line behind calls that time out."""


class Outcomes:
    """Follows each request to its end."""

    def __init__(self, books: Recorder, leases: Leases) -> None:
        self._books = books
        self._leases = leases
        self._truth = Truth(books)
        self._ids: dict[tuple[Key, str], str] = {}
        self._published: set[str] = set()
        """The ids of all events."""
        self.poison: set[str] = set()
        self.brought_back: set[str] = set()
        """Messages that SQS has delivered after they were deleted."""
        self.unmatched: set[str] = set()
        """Events that ask for nothing."""
        self.rejected: set[str] = set()
        self.waiting: dict[str, list[Waiting]] = {}
        """Who waits for the answer to a request, by the id of the message that brought it first."""
        self._asked_at: dict[str, Asked] = {}
        self._sends: Counter[tuple[str, str]] = Counter()
        self._sent_again: Counter[str] = Counter()

    def wait(self, letter: Letter, token: str, waiting: Waiting) -> None:
        """Somebody waits at a token for the answer to a request that was sent."""
        self.waiting.setdefault(letter.message_id, []).append(waiting)
        self._asked_at[token] = self._books.asked[letter.message_id]

    def put(self, letter: Letter | None, attributes: dict[str, AnyAttribute]) -> None:
        """A message is sent. One that is handed on counts from when the request was first received."""
        books = self._books
        if CONTINUATION in attributes and (letter is None or is_slipways(letter)):
            told = json.loads(str(attributes[CONTINUATION]))
            books.continued.setdefault(told["origin"], set()).add(told["hops"])
            if "cancelled" in told:
                books.cancelled.add(told["origin"])
            first = books.first.get(told["origin"], -1.0) + EPOCH
            if abs(told["firstReceivedAt"] - first) > 0.001:
                books.breaks("I10", f"{told['origin']} is handed on with another first receipt: {told} not {first}")
            self._count_copies(told["origin"], str(attributes[CONTINUATION]))

    def _count_copies(self, begun: str, text: str) -> None:
        """A request has three messages at most: not counted what SQS has taken twice, or has brought back.

        One more for each continuation that arrived again because the answer to its send was lost: two processes may each
        receive one of the two. They count until the request has a single message again.
        """
        self._sends[begun, text] += 1
        self._sent_again[begun] += self._sends[begun, text] > 1
        letters = [letter for letter in self._books.world.letters.values() if origin(letter)[0] == begun]
        copies = {letter_text(letter, CONTINUATION) for letter in letters if letter.message_id not in self.brought_back}
        if len(letters) == 1:
            self._sent_again[begun] = 0
        if len(copies) > MOST_COPIES + self._sent_again[begun]:
            self._books.breaks("I14", f"{begun} has {len(copies)} messages at a time")

    def deleted(self, letter: Letter, process: str | None) -> None:
        """A message is gone: handed on, or its outcome was published before, and whoever waits was answered."""
        books = self._books
        begun, hops = origin(letter)
        if hops + 1 in books.continued.get(begun, ()) or self._is_carried_on(letter):
            return
        if begun in self.poison:
            self._check_rejected(begun, process)
            return
        asked = books.asked.get(begun)
        if asked is None or begun in self.unmatched:
            return  # poison that had gone to the dead-letter queue already
        if self._has_dead_letter(begun, UNPUBLISHABLE) and books.is_event_refused(asked.request_id):
            asked.is_excused = True  # the dead letter is all that tells of it
            return
        if max(books.said.get(asked.key, {}).values(), default=-1.0) < books.first[begun]:
            books.breaks("I1", f"{letter.message_id} of {asked.name} deleted, and its outcome was not published")
        if self._has_dead_letter(begun, INTERNAL_ERROR) and books.raised:
            asked.is_excused = True  # an exception in a reply ends it, and the dead letter says so
            return
        if INTERNAL_ERROR in books.reasons.get(asked.key, ()) and not self._is_refused_dead_letter(process):
            books.breaks("I14", f"{letter.message_id} of {asked.name} deleted, and not in the dead-letter queue")
        self._check_answered(letter, asked, process)

    def _check_rejected(self, begun: str, process: str | None) -> None:
        """A message that is no request was announced and is in the dead-letter queue before it was deleted."""
        books = self._books
        if self._has_dead_letter(begun, UNPUBLISHABLE) and books.has_refused_events:
            self.rejected.add(begun)  # the dead letter is all that tells of it
        elif begun not in self.rejected:
            books.breaks("I1", f"poison {begun} deleted, and not announced as Rejected")
        elif not self._dead_letters(begun) and not self._is_refused_dead_letter(process):
            books.breaks("I11", f"poison {begun} deleted, and not in the dead-letter queue")

    def _check_answered(self, letter: Letter, asked: Asked, process: str | None) -> None:
        """Whoever waits for the answer to a request was answered before its message was deleted."""
        books, begun = self._books, origin(letter)[0]
        if any(one.heard is None and not one.is_over for one in self.waiting.get(begun, ())):
            books.breaks("I1", f"{letter.message_id} of {asked.name} deleted, and whoever waits for it was not answered")
        copies = {(to, event_id) for to, event_id, _ in books.world.askers.copies}
        told = {event_id for (key, _), event_id in self._ids.items() if key == asked.key}
        to = asked.bodies[asked.origins.index(begun)].get("replyTo")
        if to and not {(to, each) for each in told} & copies and not self._is_refused_reply(process):
            books.breaks("I1", f"{letter.message_id} of {asked.name} deleted, and {to} was not told")

    def _has_dead_letter(self, begun: str, code: str) -> bool:
        """Whether a copy of a request is in the dead-letter queue with this code."""
        return any(copy.attributes["SlipwayCode"] == code for copy in self._dead_letters(begun))

    def _dead_letters(self, begun: str) -> list[Letter]:
        """Return the copies of a request, with a reason, in the dead-letter queues."""
        return [copy for copy in self._books.world.dead_letters if copy.attributes.get("SlipwayMessageId") == begun]

    def _is_refused_dead_letter(self, process: str | None) -> bool:
        """Whether a process has counted that it gave up sending a dead letter, for as long as none was taken."""
        life = self._books.life_of(process)
        has_counted = life is not None and life.replica.slipway.counters.dead_letters[GIVEN_UP] > 0
        return has_counted and self._books.is_denied_for("dead letters", REFUSED_SECONDS)

    def _is_refused_reply(self, process: str | None) -> bool:
        """Whether a process has counted that it gave up replying, for as long as no reply was taken."""
        life = self._books.life_of(process)
        has_counted = life is not None and life.replica.slipway.counters.replies[GIVEN_UP] > 0
        return has_counted and self._books.is_denied_for("replies", REFUSED_SECONDS)

    def _is_carried_on(self, letter: Letter) -> bool:
        """Whether a later message of the same request is in the queue: by hop count, then by id, as Slipway orders them."""
        begun, hops = origin(letter)
        others = [(*origin(other), other.message_id) for other in self._books.world.letters.values()]
        return any(other == begun and (its, name) > (hops, letter.message_id) for other, its, name in others)

    def replied(self, reply: Callback) -> None:
        """Somebody is answered: as was announced."""
        books = self._books
        if isinstance(reply, EventCopy):
            books.faults["a copy was sent"] += 1
            if reply.publication.event_id not in self._published:
                books.breaks("I1", f"{reply.address} is told of {reply.publication.body}, which was not announced")
            return
        asked = self._asked_at.get(reply.token)
        if asked is None:
            return
        books.faults["an asker was answered"] += 1
        words = set(books.said.get(asked.key, ()))
        is_good = isinstance(reply, TaskSucceeded | StepSucceeded)
        if not (words & GOOD_NEWS if is_good else words - GOOD_NEWS):
            books.breaks("I1", f"{asked.name} is answered by {type(reply).__name__}, and was announced as {sorted(words)}")

    def buried(self, letter: Letter) -> None:
        """A message went to the dead-letter queue by itself: where its request has not ended, nothing more will come of it.

        Nor will whoever waits for the answer hear one.
        """
        books = self._books
        begun, hops = origin(letter)
        is_told = begun in self.rejected or (begun in books.asked and books.asked[begun].key in books.said)
        is_heard = all(one.heard is not None or one.is_over for one in self.waiting.get(begun, ()))
        is_over = (is_told and is_heard) or hops + 1 in books.continued.get(begun, ())
        self._leases.buried(letter, is_over=is_over)
        if is_over:
            return
        if begun in books.asked:
            books.asked[begun].is_excused = True
        self.poison.discard(begun)

    def publishing(self, publication: Publication, process: str | None) -> None:
        """An outcome is being sent: by who holds its request."""
        books = self._books
        data = json.loads(publication.body)["data"]
        life = books.life_of(process)
        if books.loop.is_dead(process) or data["outcome"] not in ENDS or life is None:
            return
        holds = [lease for lease in life.replica.slipway.held_leases if self._is_about(lease, data)]
        for lease in holds:
            begun, _ = origin_of(lease.message.message_id, lease.message.text(CONTINUATION))
            if (asked := books.asked.get(begun)) is not None:
                asked.is_decided = True
        if not holds:
            books.breaks("I8", f"{process} publishes {data['outcome']} of {data['requestId']}, and holds nothing of it")
        elif life.continued_at < books.now - 0.001:
            latest = max(holds, key=lambda lease: self._leases.leased_until(process, lease.message.message_id))
            self._leases.check(latest, process, PUBLISH_SLACK, f"publishes {data['outcome']} of {data['requestId']}")

    def _is_about(self, lease: Lease, data: dict[str, Any]) -> bool:
        begun, _ = origin_of(lease.message.message_id, lease.message.text(CONTINUATION))
        if data["outcome"] == "Rejected":
            return bool(begun == data["messageId"])
        asked = self._books.asked.get(begun)
        if "action" not in data:
            return bool(begun == data["messageId"])
        return asked is not None and asked.is_told_by(data)

    def published(self, publication: Publication, process: str | None) -> None:
        """An event is on the topic: about what was asked, under its one id, and true."""
        books = self._books
        data = json.loads(publication.body)["data"]
        word = data["outcome"]
        books.note(f"publish  {word} {data.get('reason', '')} of {data['requestId']} by {process} {publication.event_id[:8]}")
        self._published.add(publication.event_id)
        if word not in ENDS:
            return
        if word == "Failed" and "action" not in data:
            self._published_failure(data)
            return
        if word == "Rejected":
            self._published_rejection(data, publication.event_id)
            return
        asked = self._asked_by(data, publication.event_id, process)
        if asked is None:
            books.breaks("I4", f"an event about nothing that was asked: {data}")
            return
        self._ended(asked, word, word, publication.event_id)
        books.reasons.setdefault(asked.key, set()).add(data.get("reason", ""))
        if asked.action != "deploy" or word == "Cancelled":
            books.faults[f"{word} of {asked.action}"] += 1
        if not self._counts_from(asked, data):
            books.breaks("I10", f"{word} of {asked.name} counts from when it was not first received: {data['times']}")
        self._truth.check(asked, word, data, process)

    def _ended(self, asked: Asked, word: str, told: str, event_id: str) -> None:
        """Hold a request to its one outcome and the one id under which that is told."""
        books = self._books
        if self._ids.setdefault((asked.key, told), event_id) != event_id:
            books.breaks("I4", f"{told} of {asked.name} has a second id")
        before = books.said.setdefault(asked.key, {})
        for other, at in before.items():
            if "TimedOut" not in {other, word} and other != word and not self._truth.has_changed(asked, at):
                books.breaks("I4", f"{asked.name} was {other}, and now is {word}")
        before[word] = books.now

    def _published_failure(self, data: dict[str, Any]) -> None:
        """A request ends that was not read: only where reading or processing it has raised, or has ended its readers."""
        books, begun = self._books, data["messageId"]
        if not books.raised.total() and begun not in books.deaths:
            books.breaks("I11", f"a good request ends without being read: {data}")
        self.rejected.add(begun)
        if (asked := books.asked.get(begun)) is not None:
            asked.is_excused = True

    def _published_rejection(self, data: dict[str, Any], event_id: str) -> None:
        """A message is rejected: a good request only where its id was used for another payload, which made what is there."""
        books = self._books
        self.rejected.add(data["messageId"])
        asked = books.asked.get(data["messageId"])
        if asked is None:
            return
        there = [one for one in books.world.accounts[asked.target].made if asked.is_about(one)]
        used = [one for one in there if request_of(one) == asked.request_id and not is_of_payload(books, one, asked)]
        if data["code"] != "RequestIdReused" or not used:
            books.breaks("I11", f"a good request is Rejected: {data}")
        books.faults["an id used again"] += 1
        self._ended(asked, "Rejected", f"Rejected {data['messageId']}", event_id)  # an id for each message, not request

    def _asked_by(self, data: dict[str, Any], event_id: str, process: str | None) -> Asked | None:
        """Return the request that an event is about: of several with one id, one that ends in this process just now."""
        life, kind = self._books.life_of(process), list[Asked]()
        for lease in (lease for lease in (life.replica.slipway.held_leases if life else ()) if lease.is_ending):
            begun, _ = origin_of(lease.message.message_id, lease.message.text(CONTINUATION))
            if (asked := self._books.asked.get(begun)) is not None and asked.is_told_by(data):
                kind.append(asked)
        kind.sort(key=lambda one: not self._counts_from(one, data))  # two senders' requests of one id may end at once
        others = [one for one in {id(one): one for one in self._books.asked.values()}.values() if one.is_told_by(data)]
        found = [*kind, *(one for one in others if self._counts_from(one, data)), *others]
        free = (one for one in found if self._ids.get((one.key, data["outcome"]), event_id) == event_id)
        return next(free, found[0] if found else None)

    def _counts_from(self, asked: Asked, data: dict[str, Any]) -> bool:
        received = datetime.fromisoformat(data["times"]["receivedAt"]).timestamp() - EPOCH
        return any(abs(self._books.first.get(one, -1.0) - received) < 0.01 for one in asked.origins)
