"""Bugs seeded_bugs into the real code on purpose: what shows that the proof can see.

Each is a piece of a module, found exactly once or the bug has rotted, and what is put in its place while the module is
imported, in a process of its own. `caught_by` says where it is known to be caught: a seed, or a lifetime's misfortune.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

MOST_SEEDS = 200
_LARGE = "a thousand large messages"
RECORD = Path(__file__).with_name("seeded_bugs.json")


class Rotten(Exception):
    """What was to be replaced is no longer there, exactly once."""


@dataclass(frozen=True)
class SeededBug:
    """One bug."""

    name: str
    module: str
    old: str
    new: str


SEEDED_BUGS = (
    SeededBug(
        "delete before publish",
        "slipway.worker.runtime.processor",
        "                publication = await self._announce(publication, lease)\n                lease.is_announced = True\n",
        "                self._publisher.publish_best_effort(publication)\n                lease.is_announced = True\n",
    ),
    SeededBug(
        "absent means failed",
        "slipway.worker.scheduling.watcher",
        "                watched.is_missing = True\n",
        "                watched.is_missing = True\n"
        "                if watched.ended is not None and not watched.ended.done():\n"
        "                    watched.ended.set_result(Deployment(arn, '', '', Status.FAILED, 'Failed', 0.0))\n",
    ),
    SeededBug(
        "a token for each call",
        "slipway.core.parsing",
        "        [request.identity, request.name, request.requested_model, generation,",
        '        [__import__("uuid").uuid4().hex, request.name, request.requested_model, generation,',
    ),
    SeededBug(
        "create again after no answer, without a look",
        "slipway.core.lifecycle.deploy",
        "            in_doubt=self.in_doubt or is_unknown,\n",
        "            in_doubt=self.in_doubt,\n",
    ),
    SeededBug(
        "a redelivery creates without a look",
        "slipway.worker.actions.deploy",
        "            in_doubt=lease.is_in_doubt,\n",
        "",
    ),
    SeededBug(
        "a full quota is a failure",
        "slipway.core.lifecycle.deploy",
        "        case None | QuotaFull():\n",
        "        case QuotaFull() as full:\n"
        "            return Finish(Outcome(OutcomeKind.FAILED, Reason.NO_SLOT, str(full)))\n"
        "        case None:\n",
    ),
    SeededBug(
        "throttled is a failure",
        "slipway.core.lifecycle.deploy",
        "        case CallFailed() as failed:\n            return Pause(reason_for(failed), str(failed))\n",
        "        case CallFailed() as failed:\n"
        "            return Finish(Outcome(OutcomeKind.FAILED, reason_for(failed), str(failed)))\n",
    ),
    SeededBug(
        "what waits is not extended",
        "slipway.worker.queue.leases",
        "and not lease.is_extending and not lease.is_lost:",
        "and not lease.is_extending and not lease.is_lost and lease.dead_letter_cause is None:",
    ),
    SeededBug(
        "a lost lease interrupts nothing",
        "slipway.worker.queue.leases",
        "            lease.interrupt(LeaseLost)\n",
        "            pass\n",
    ),
    SeededBug(
        "a lost lease is announced",
        "slipway.worker.publishing.publisher",
        "            lease.check_lease()\n",
        "            pass\n",
    ),
    SeededBug(
        "nothing is given back on stop",
        "slipway.worker.runtime.worker",
        "                await self.leases.release(lease, after)\n",
        "                pass\n",
    ),
    SeededBug(
        "stop waits for the deployment",
        "slipway.worker.runtime.worker",
        "        for lease in held:\n            lease.interrupt(Stopping)\n",
        "",
    ),
    SeededBug(
        "the deadline runs from this delivery",
        "slipway.worker.runtime.processor",
        "    received = lease.delivery.first_received_at\n",
        "    received = lease.message.received_at\n",
    ),
    SeededBug(
        "a random event id",
        "slipway.core.events.publish",
        "str(uuid.uuid5(_NAMESPACE, json.dumps([*identity, word])))",
        "str(uuid.uuid4())",
    ),
    SeededBug(
        "a word of the update tag that the former version does not write is required",
        "slipway.core.lifecycle.tags",
        "                return cls(key, received, tags.get(FORMER_TAG) or None, _AGAIN in rest, by)\n",
        "                if by:\n"
        "                    return cls(key, received, tags.get(FORMER_TAG) or None, _AGAIN in rest, by)\n",
    ),
    SeededBug(
        "anybody's deployment is adopted",
        "slipway.core.lifecycle.deploy",
        "    if tags.request is None:\n        return _name_conflict",
        "    if tags is None:\n        return _name_conflict",
    ),
    SeededBug(
        "a failed batch is taken for done",
        "slipway.worker.kernel.batches",
        "            answers = [failed.with_traceback(None)] * len(batch)",
        "            answers = [None] * len(batch)",
    ),
    SeededBug(
        "an entry that failed alone is taken for published",
        "slipway.worker.publishing.publisher",
        "            if failed is None:\n",
        "            if True:\n",
    ),
    SeededBug(
        "a hand-over that failed is taken for done",
        "slipway.worker.queue.leases",
        "            if is_over or not await self._may_try_again(lease, next(failures)):\n",
        "            if True:\n                await self.delete(lease)\n                return None\n            if is_over:\n",
    ),
    SeededBug(
        "delete before the hand-over",
        "slipway.worker.queue.leases",
        "            failed = await self._sends.put(continuation)\n",
        "            await self.delete(lease)\n            failed = await self._sends.put(continuation)\n",
    ),
    SeededBug(
        "the last life is lived like any other",
        "slipway.worker.runtime.worker",
        "        if is_last and near_max_receives and (deaths <= 1",
        "        if False and (deaths <= 1",
    ),
    SeededBug(
        "a release of the last life",
        "slipway.worker.runtime.worker",
        "if self._is_last_receive(lease) or self._must_keep_failure_counts(lease, after):",
        "if self._must_keep_failure_counts(lease, after):",
    ),
    SeededBug(
        "a duplicate of the last life is held on to",
        "slipway.worker.queue.leases",
        "                    held.interrupt(ContinuationDue)  # if this",
        "                    pass  # if this",
    ),
    SeededBug(
        "an unknown status is Active",
        "slipway.core.bedrock",
        "        return _BY_WORD.get(text.lower(), cls.UNKNOWN)\n",
        "        return _BY_WORD.get(text.lower(), cls.ACTIVE)\n",
    ),
    SeededBug(
        "an interrupted turn leaks its slot",
        "slipway.worker.scheduling.slots",
        "                self._finished(entry, None)\n",
        "                pass\n",
    ),
    SeededBug(
        "the turn is not passed on",
        "slipway.worker.scheduling.ordering",
        "            line[0]._become_first()  # noqa: SLF001  another one of the same class\n",
        "            pass\n",
    ),
    SeededBug(
        "poison is rejected in silence",
        "slipway.worker.runtime.processor",
        "        publication = await self._announce(publication, lease)\n        await self._callbacks",
        "        await self._callbacks",
    ),
    SeededBug(
        "poison is not buried",
        "slipway.worker.runtime.processor",
        "        if self._traits.has_dead_letter_queue:\n            await self._dead_letter_sender.send_dead_letter(\n                rejected_copy(",
        "        if False:\n            await self._dead_letter_sender.send_dead_letter(\n                rejected_copy(",
    ),
    SeededBug(
        "as much is held as comes",
        "slipway.worker.queue.intake",
        "        return self._max_held - self._leases.places - self._reserved\n",
        "        return 10\n",
    ),
    SeededBug(
        "bytes are not counted",
        "slipway.worker.queue.leases",
        "        lease.places = math.ceil(message.held_bytes / self._place_bytes)\n",
        "",
    ),
    SeededBug(
        "a hand-over resets the clock",
        "slipway.core.sqs.continuations",
        '"firstReceivedAt": delivery.first_received_at',
        '"firstReceivedAt": delivery.message.received_at',
    ),
    SeededBug(
        "the watch of another request is forgotten",
        "slipway.worker.actions.deploy",
        "        if lease.watched is not None:\n            self._watcher.forget(lease.watched)\n",
        "        if lease.arn is not None:\n            self._watcher.forget(lease.arn)\n",
    ),
    SeededBug(
        "a refusal from before the model was Active is believed",
        "slipway.core.lifecycle.deploy",
        "    if facts.model is ModelState.ACTIVE and not facts.is_model_proven:\n",
        "    if facts.model is None:\n",
    ),
    SeededBug(
        "nothing says whose deployment it is",
        "slipway.core.lifecycle.tags",
        "    own = [(REQUEST_TAG, request.request_id), ",
        "    own = [",
    ),
    SeededBug(
        "a refusal is tried again at once",
        "slipway.worker.kernel.retry",
        "            report_progress(Progress.WAITING, step.reason, step.message)\n"
        "            await lease.pause(pause_seconds(failures, self._rng))\n",
        "            report_progress(Progress.WAITING, step.reason, step.message)\n            await lease.pause(0.0)\n",
    ),
    SeededBug(
        "reply before publish",
        "slipway.worker.runtime.processor",
        "                publication = await self._announce(publication, lease)\n                lease.is_announced = True\n"
        "            await self._callbacks.reply(request.reply_target, publication, lease)\n",
        "                await self._callbacks.reply(request.reply_target, publication, lease)\n"
        "                publication = await self._announce(publication, lease)\n",
    ),
    SeededBug(
        "delete before reply",
        "slipway.worker.runtime.processor",
        "            await self._callbacks.reply(request.reply_target, publication, lease)\n        self._record_end(",
        "            lease._loop.create_task(self._callbacks.reply(request.reply_target, publication, lease))\n        self._record_end(",
    ),
    SeededBug(
        "a dead token fails the request",
        "slipway.worker.publishing.callbacks",
        "        except _NOBODY_THERE as failed:\n            self._counters",
        "        except _NOBODY_THERE:\n            raise\n        except KeyError as failed:\n            self._counters",
    ),
    SeededBug(
        "a reply that failed is taken for heard",
        "slipway.worker.publishing.callbacks",
        "            lease.check_lease()\n            await self._targets.reply(reply)\n",
        "            with __import__('contextlib').suppress(CallFailed):\n                await self._targets.reply(reply)\n",
    ),
    SeededBug(
        "a task hears good news of whatever came",
        "slipway.core.events.callbacks",
        '    is_good = OutcomeKind(str(data["outcome"])) in GOOD\n',
        "    is_good = True\n",
    ),
    SeededBug(
        "a tenant's turn is never charged",
        "slipway.core.scheduling.fair_queue",
        "        queue.time += queue.step\n",
        "        pass\n",
    ),
    SeededBug(
        "who comes late has saved up turns",
        "slipway.core.scheduling.fair_queue",
        "queue.time = max(queue.time, level.now)",
        "queue.time = 0",
    ),
    SeededBug("priorities are forgotten", "slipway.worker.scheduling.slots", "priority=request.priority", "priority=0"),
    SeededBug(
        "age counts from this delivery",
        "slipway.worker.scheduling.slots",
        "        first_received = lease.delivery.first_received_at\n",
        "        first_received = lease.message.received_at\n",
    ),
    SeededBug(
        "what is asked of another target is done in the default",
        "slipway.worker.runtime.processor",
        "        runtime = self._runtimes[request.target]\n        bind_contextvars(request_id",
        '        runtime = self._runtimes["default"]\n        bind_contextvars(request_id',
    ),
    SeededBug(
        "one watcher for all targets",
        "slipway.worker.runtime.worker",
        "        self._processor = MessageProcessor(\n",
        "        for runtime in self.runtimes.values():\n"
        "            runtime.actions._deploy._watcher = self.watcher\n"
        "        self._processor = MessageProcessor(\n",
    ),
    SeededBug(
        "deploys take the places that are reserved",
        "slipway.worker.queue.intake",
        "    return min(MOST_RESERVED, max(max_held // 4, int(max_held > 1)))\n",
        "    return 0\n",
    ),
    SeededBug(
        "a deploy waits for a slot though its name exists",
        "slipway.worker.scheduling.slots",
        "            if entry.waiter.lease.what in names and not entry.waiter.grant.done():\n",
        "            if False:\n",
    ),
    SeededBug(
        "a replacement waits for the slot of what it replaces",
        "slipway.core.lifecycle.deploy",
        "        return replace(self, observation=None, in_doubt=True)\n",
        "        return self\n",
    ),
    SeededBug(
        "the messages of the control queue are settled on the first queue",
        "slipway.worker.runtime.worker",
        "        self.leases = Leases(\n            queue,\n",
        "        self.leases = Leases(\n            queue if primary is None else primary._queue,\n",
    ),
    SeededBug(
        "what gives its place up spends its receives",
        "slipway.worker.runtime.capacity",
        "        return Release(after) if self._is_fifo else Continue(after=after)\n",
        "        return Release(after)\n",
    ),
    SeededBug(
        "the time in a tag is read once",
        "slipway.worker.scheduling.reaper",
        "                if is_next or is_due or position > newest:\n",
        "                if is_due or position > newest:\n",
    ),
    SeededBug(
        "what has expired is deleted without its record",
        "slipway.worker.scheduling.reaper",
        "        if self._loop.time() - self._recorded.get(arn, -math.inf) >= AGAIN_SECONDS:\n",
        "        if False:\n",
    ),
    SeededBug(
        "sweeps keep no distance",
        "slipway.worker.scheduling.watcher",
        "self._sweep_started_at + self._interval / 5",
        "self._sweep_started_at",
    ),
    SeededBug(
        "a rollback forgets the former model",
        "slipway.core.lifecycle.tags",
        'return {UPDATE_TAG: " ".join(words), FORMER_TAG: former}',
        'return {UPDATE_TAG: " ".join(words)}',
    ),
    SeededBug(
        "what a smoke test came to is not written down",
        "slipway.worker.actions.smoke_test",
        "            await self._bedrock.tag(arn, mark.tags, wait=lease.wait_to_call)\n",
        "            pass\n",
    ),
    SeededBug(
        "stale details of an update are believed",
        "slipway.core.lifecycle.update",
        "    return (not tag.had_failed_update and facts.sends <= 1) or _has_ended(facts, request.model_arn)\n",
        "    return True\n",
    ),
    SeededBug(
        "an update leaves no mark",
        "slipway.worker.actions.update",
        "                await self._bedrock.tag(arn, tag.tags, wait=lease.wait_to_call)\n",
        "                await self._bedrock.tag(arn, {}, wait=lease.wait_to_call)\n",
    ),
    SeededBug(
        "a retry has the token of the attempt before",
        "slipway.worker.actions.deploy",
        "token=client_token(request, facts.decisions.attempt - 1, facts.spent_tokens),",
        "token=client_token(request),",
    ),
    SeededBug(
        "a failure is deleted before that is handed on",
        "slipway.core.sqs.continuations",
        "OLDER_VISIBILITIES: Final = 1.5\n",
        "OLDER_VISIBILITIES: Final = 0.0\n",
    ),
    SeededBug(
        "a replacement replaces its own new deployment",
        "slipway.core.lifecycle.deploy",
        "        return _delete(facts, deployment) if tags.attempt < facts.decisions.attempt else None\n",
        "        return _on_other_request(request, facts, found, is_copy=False)\n",
    ),
    SeededBug(
        "what has no tag of Slipway's expires",
        "slipway.worker.scheduling.reaper",
        "            if slipway_tags.request is None or slipway_tags.expires is None:\n",
        "            if slipway_tags.expires is None:\n",
    ),
    SeededBug(
        "what is not ours is deleted by force alone",
        "slipway.core.lifecycle.steps",
        "    if is_forced and may_force:\n",
        "    if is_forced:\n",
    ),
    SeededBug(
        "a cancelled request is forgotten in the hand-over",
        "slipway.core.sqs.continuations",
        '        if self.cancelled is not None:\n            fields["cancelled"] = self.cancelled\n',
        "",
    ),
    SeededBug(
        "a forged continuation is believed",
        "slipway.core.sqs.continuations",
        "    if CONTINUATION not in message.attributes or (own is not None and is_sent_by(message.sender, own)):\n",
        "    if True:\n",
    ),
    SeededBug(
        "only the same session's hand-over is believed",
        "slipway.core.sqs.messages",
        "stable_sender_id(sender) == stable_sender_id(other)",
        "sender == other",
    ),
    SeededBug(
        "what is handed on is Slipway's own request",
        "slipway.core.sqs.continuations",
        '        fields["sender"] = sender\n',
        '        fields["sender"] = message.sender\n',
    ),
    SeededBug(
        "tags that a rule forces are dropped",
        "slipway.core.rules.permissions",
        "        request = replace(request, tags=rule.tagged(request))\n",
        "        pass\n",
    ),
    SeededBug(
        "the end of a pipeline cancels nothing",
        "slipway.worker.actions.cancel",
        "        ended = await self._cancel(stopping, lease)\n",
        "        ended = Outcome(OutcomeKind.CANCEL_TAKEN)\n",
    ),
    SeededBug(
        "whoever died with the end of a pipeline has answered it",
        "slipway.worker.actions.cancel",
        "        if not is_sent:\n",
        "        if False:\n",
    ),
    SeededBug(
        "whom no rule is for may ask for anything",
        "slipway.core.rules.permissions",
        "    if rule is None:\n",
        "    if rule is None:\n        return request\n    if rule is None:\n",
    ),
    SeededBug(
        "a token that was answered before is asked again",
        "slipway.core.bedrock",
        "        elif token in self._seen:\n",
        "        elif False:\n",
    ),
    SeededBug(
        "what an endless listing does not show is not looked for",
        "slipway.worker.scheduling.watcher",
        "            await self._get_each(self._missed(observation.found, number))\n            raise endless\n",
        "            raise endless\n",
    ),
    SeededBug(
        "an old Date is believed",
        "slipway.aws.adapters.clock",
        "        if at_once or (self._rivals >= enough and now - self._rival_since >= RIVAL_SECONDS):\n",
        "        if True:\n",
    ),
    SeededBug(
        "requests that died together are received together again",
        "slipway.core.sqs.continuations",
        "MOST_SECONDS_APART: Final = 60\n",
        "MOST_SECONDS_APART: Final = 0\n",
    ),
    SeededBug(
        "the requests of a broken target keep the places of a healthy one",
        "slipway.worker.runtime.capacity",
        "        target = max(counts, key=lambda name: (counts[name], name == request.target))\n",
        "        target = request.target\n",
    ),
    SeededBug(
        "missing credentials are final",
        "slipway.aws.adapters.error_translation",
        "        return Denied(operation, name, text)\n",
        "        return Refused(operation, name, text)\n",
    ),
    SeededBug(
        "a first Date is certain",
        "slipway.aws.adapters.clock",
        "        dates = [_Witness(source.bounds(now), 1.0, 1 + source.is_confirmed) for source in self._dates.values()]\n",
        "        dates = [_Witness(source.bounds(now), 1.0, 2) for source in self._dates.values()]\n",
    ),
    SeededBug(
        "the latest Date is the present",
        "slipway.aws.adapters.clock",
        "        if (both := self.bounds(now).within(bounds)) is not None:\n",
        "        if both := bounds:\n",
    ),
    SeededBug(
        "a request that timed out forgets what it waited for",
        "slipway.worker.kernel.lease",
        "        if self.why is not None:\n            return self.why, self.wait_text\n        if self.is_in_doubt:\n",
        "        if False:\n",
    ),
    SeededBug(
        "a call that waits does not say why",
        "slipway.worker.kernel.lease",
        "        self.why, self.wait_text = reason_for(failed), str(failed)\n",
        "",
    ),
    SeededBug(
        "requestId is proof of ownership",
        "slipway.core.lifecycle.deploy",
        '    if (tags.owner or "") == request.owner or _is_of_former_version(request, facts, tags):\n',
        "    if True:\n",
    ),
    SeededBug(
        "an update may have the id of the deploy",
        "slipway.core.lifecycle.update",
        "    if not is_tagged and not facts.may_be_tagged and _is_reused(request, found):\n",
        "    if False:\n",
    ),
    SeededBug(
        "an ARN is taken for a name by the rules",
        "slipway.core.rules.permissions",
        '        return "*" in self.names if request.is_by_arn else _matches_any(request.name, self.names)\n',
        "        return _matches_any(request.name, self.names)\n",
    ),
    SeededBug(
        "another payload under one requestId is not refused",
        "slipway.core.lifecycle.deploy",
        "    if relation is _Relation.REUSE or is_update_reused:\n",
        "    if False:\n",
    ),
    SeededBug(
        "permission ignores onFailure",
        "slipway.core.rules.permissions",
        "            if request.on_failure is OnFailure.DELETE:\n",
        "            if False:\n",
    ),
    SeededBug(
        "absent tags are believed at once",
        "slipway.core.lifecycle.deploy",
        "    if not facts.created_by_this_delivery and tags.request is None and facts.times_found < ABSENCES_TO_BELIEVE:\n",
        "    if not facts.created_by_this_delivery and tags.request is None and facts.times_found < 1:\n",
    ),
    SeededBug(
        "an ARN that is never shown is waited for",
        "slipway.worker.scheduling.watcher",
        "                    watched.ended.set_result(None)\n",
        "                    pass\n",
    ),
    SeededBug(
        "a spent token is sent again",
        "slipway.core.parsing",
        '    void_part = [f"void {spent_tokens}"] if spent_tokens else []\n',
        "    void_part: list[str] = []\n",
    ),
    SeededBug(
        "faults are counted anew in each process",
        "slipway.worker.runtime.worker",
        "            faults=before.faults + lease.faults,\n",
        "            faults=0,\n",
    ),
    SeededBug(
        "a message is continued while it can be received",
        "slipway.worker.queue.leases",
        "count(1), self._traits.is_fifo\n",
        "count(1), True\n",
    ),
    SeededBug(
        "a refused event is published without end",
        "slipway.worker.publishing.publisher",
        "            elif retries.is_over(failed):\n",
        "            elif False:\n",
    ),
    SeededBug(
        "a refused dead letter is sent without end",
        "slipway.worker.queue.dead_letter",
        "await Retries(lease, self._rng).until_done(",
        "await Retries.without_limit(lease, self._rng).until_done(",
    ),
    SeededBug(
        "deploys take every place",
        "slipway.worker.runtime.capacity",
        "        self._most_deploys = max_held - reserved\n",
        "        self._most_deploys = 10 * max_held\n",
    ),
    SeededBug(
        "the control queue is not received from",
        "slipway.worker.runtime.worker",
        "group.create_task(self.control.intake.run())\n",
        "group.create_task(self.control.intake._stopped.wait())\n",
    ),
    SeededBug(
        "a denied reply keeps its place",
        "slipway.worker.publishing.callbacks",
        ", is_short=self._is_full)",
        ")",
    ),
    SeededBug(
        "a log line that cannot be written ends the request",
        "slipway.logs",
        "            except Exception:  # noqa: BLE001  whatever a processor or a stream raises\n",
        "            except ZeroDivisionError:\n",
    ),
    SeededBug(
        "a request that raises is tried without end",
        "slipway.worker.runtime.worker",
        "        if (faults := lineage.faults + lease.faults) >= MOST_FAULTS or (lease.is_announced and lease.faults):\n",
        "        if (faults := lineage.faults + lease.faults) < 0:\n",
    ),
    SeededBug(
        "a programming error is taken for the network's",
        "slipway.aws.adapters.error_translation",
        "    return UnknownResult(operation, name, text) if isinstance(exc, _OUTSIDE) else None\n",
        "    return UnknownResult(operation, name, text)\n",
    ),
    SeededBug(
        "an event that SNS refuses is dropped",
        "slipway.worker.runtime.processor",
        'is_there = self._traits.has_dead_letter_queue and await self._send_dead_letter(lease, "Unpublishable", text)\n',
        "is_there = True\n",
    ),
)
BY_NAME = {bug.name: bug for bug in SEEDED_BUGS}


class _Planter(importlib.machinery.SourceFileLoader):
    """Loads a module with a bug in it."""

    def __init__(self, bug: SeededBug, path: str) -> None:
        super().__init__(bug.module, path)
        self._plant = bug

    def get_code(self, fullname: str) -> CodeType:
        return compile(bugged(self._plant, Path(self.path).read_text()), self.path, "exec")


class _Finder:
    def __init__(self, bug: SeededBug) -> None:
        self._plant = bug

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._plant.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.origin is not None
        return importlib.util.spec_from_file_location(name, spec.origin, loader=_Planter(self._plant, spec.origin))


def bugged(bug: SeededBug, source: str) -> str:
    """Return a module's source with the bug in it."""
    if source.count(bug.old) != 1:
        raise Rotten(f"{bug.name}: {source.count(bug.old)} times in {bug.module}: {bug.old!r}")
    return source.replace(bug.old, bug.new)


def bug(name: str) -> None:
    """Put a bug into this process, before anything of the service is imported."""
    if BY_NAME[name].module in sys.modules:
        raise RuntimeError(f"{BY_NAME[name].module} is imported already")
    sys.meta_path.insert(0, _Finder(BY_NAME[name]))


def catch(name: str, known: str | None = None) -> str | None:
    """SeededBug a bug in this process and say what caught it: `seed 7`, or a misfortune; None when nothing did."""
    bug(name)
    # Only now: what they import has the bug in it.
    from tests.simulation import one_lifetime as lifetime
    from tests.simulation import scenarios as stories
    from tests.simulation import soak as bounded
    from tests.simulation import worlds

    if known is not None and known.startswith("the story of "):
        return known if stories.breaks(known.removeprefix("the story of ")) else None
    if known == _LARGE:
        return known if bounded.large().violations else None
    if known is not None and known.startswith("seed "):
        return known if worlds.run_world(int(known.removeprefix("seed "))).broken else None
    if known is not None:
        return known if lifetime.live(*lifetime.spoken(known)).broken else None
    if BY_NAME[name].module in stories.MODULES and (told_by := stories.first_broken()):
        return f"the story of {told_by}"
    if BY_NAME[name].module == bounded.OF_BYTES and bounded.large().violations:
        return _LARGE
    for seed in range(MOST_SEEDS):
        if worlds.run_world(seed).broken:
            return f"seed {seed}"
    told = lifetime.first_broken(lifetime.threes()) or lifetime.first_broken(lifetime.singles())
    return None if told is None else " and ".join(map(str, told.misfortunes))


def catch_apart(name: str, known: str | None = None) -> str | None:
    """Do `catch` in a process of its own."""
    command = [sys.executable, "-m", "tests.simulation", "catch", name, *([known] if known else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    answer: str | None = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def catch_all(*, is_anew: bool = False, at_once: int = 2) -> dict[str, str | None]:
    """Return what catches each bug: where it is known to be caught if it still is, else by looking anew."""
    known: dict[str, str | None] = json.loads(RECORD.read_text()) if RECORD.exists() else {}

    def one(name: str) -> str | None:
        if not is_anew and (where := known.get(name)) and (caught := catch_apart(name, where)):
            return caught
        return catch_apart(name)

    with ThreadPoolExecutor(at_once) as pool:
        return dict(zip(BY_NAME, pool.map(one, BY_NAME), strict=True))


def in_table(caught: dict[str, str | None]) -> str:
    """Put what caught what below each other, as Markdown."""
    rows = [f"| {name} | {where or 'NOT CAUGHT'} |" for name, where in caught.items()]
    return "\n".join(["| seeded_bugs bug | caught by |", "|---|---|", *rows])
