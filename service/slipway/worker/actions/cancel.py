"""Cancel requests: find the request among the leases of this process, and continue it as cancelled.

Only the replica that leases a request knows it, and SQS decides which replica receives the cancel. If the request is not leased
here, the cancel is released for another replica, until its deadline, with growing delays.

A SageMaker pipeline that is stopped gets the callback of its step at once, and the step's request is cancelled.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from slipway.core.events.callbacks import callbacks_for_stop
from slipway.core.lifecycle.outcomes import Done, Outcome, OutcomeKind, Reason, Release
from slipway.core.requests.envelopes import PipelineStopping
from slipway.core.requests.models import Cancel
from slipway.core.requests.ownership import owner_of
from slipway.core.rules.permissions import PermissionRule, check_permission, may_cancel
from slipway.core.schema.rejection import RequestRejected
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.policy import WorkerPolicy
from slipway.worker.publishing.callbacks import CallbackSender
from slipway.worker.publishing.publisher import History

log = structlog.get_logger()

BACK_SECONDS: Final = 10
LONGEST_BACK_SECONDS: Final = 60
"""The longest delay of a cancel whose request is not leased here: at first, and when it is old."""
MOST_REMEMBERED: Final = 1000


class CancelAction:
    """Applies cancels to leased requests."""

    def __init__(
        self, held: Callable[[], Iterable[Lease]], history: History, rules: Sequence[PermissionRule] = (), *, rng: random.Random
    ) -> None:
        self._held = held
        self._rules = rules
        self._history = history
        self._rng = rng
        self._hops: dict[tuple[str, str, str], int] = {}
        """The hop count of each cancel at its last delivery here. The owner is part of the key: an origin may be forged."""
        self._pending: dict[str, tuple[Cancel, float]] = {}
        """Cancels that found no request here, by the name of the request, and their deadlines."""
        self._applied_to_later_requests: set[tuple[str, str]] = set()
        """The cancels that were applied to a request which arrived later and was postponed."""
        self._in_progress: set[tuple[str, str, str]] = set()
        """The cancels that wait until their request has continued as cancelled: request id, name and owner."""

    async def cancel(self, request: Cancel, lease: Lease, deadline: float) -> Outcome | Release | Done:
        """Return the cancel's outcome, or the settlement that leaves it to another replica. Raises `Interrupted`."""
        if self._is_outdated_copy(request, lease):
            log.info("cancel.outrun", cancels=request.name)
            return Done()
        found = [each for each in self._held() if each is not lease and self._applies_to(request, each)]
        if found:
            log.info("cancel.passed_on", cancels=request.name, count=len(found))
            if await self._cancel_found(request, lease, found):
                return Outcome(OutcomeKind.CANCEL_TAKEN, message=f"{request.name} is handed on as cancelled")
        elif (request.request_id, request.name, request.owner) in self._in_progress:
            return Release(BACK_SECONDS)  # a copy of a cancel that is in progress: its result is known soon
        if self._was_taken(request) or (request.request_id, request.name) in self._applied_to_later_requests:
            return Outcome(
                OutcomeKind.CANCEL_TAKEN, message=f"{request.name} was handed on as cancelled, for this very request"
            )
        ended = self._ended_as(request)
        if ended == OutcomeKind.CANCELLED:
            return Outcome(OutcomeKind.CANCEL_TAKEN, message=f"{request.name} is cancelled already")
        if ended is not None:
            return Outcome(OutcomeKind.FAILED, Reason.NOTHING_TO_CANCEL, f"{request.name!r} has ended already: {ended}")
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            text = f"no request {request.name!r} that its sender may cancel is held here, nor by whoever had this cancel before"
            return Outcome(OutcomeKind.FAILED, Reason.NOTHING_TO_CANCEL, f"{text}; it may have ended, or not been received")
        age = lease.now() - lease.delivery.first_received_at
        self._pending[request.pipeline_step_token or request.name] = (request, deadline)
        if len(self._pending) > MOST_REMEMBERED:
            del self._pending[next(iter(self._pending))]
        longest = min(LONGEST_BACK_SECONDS, max(BACK_SECONDS, age / 2), math.ceil(left))
        return Release(1 + self._rng.randrange(int(longest)))

    def _applies_to(self, request: Cancel, lease: Lease) -> bool:
        """Return whether a leased request is the one to cancel, has no outcome, and may be cancelled by this sender."""
        asked = lease.request
        return asked is not None and lease.can_be_cancelled(request) and may_cancel(request, asked, self._rules)

    def apply_pending_cancel(self, lease: Lease) -> None:
        """Raise `Cancelled` if an earlier cancel applies to a request that is about to be postponed.

        The two may never be leased at the same time. The cancel gets its outcome when it is received next.
        """
        request = lease.request
        names = (request.request_id, request.reply_target.callback_token) if request is not None else ()
        for name in names:
            cancel, deadline = self._pending.get(name or "", (None, 0.0))
            if cancel is None or deadline <= asyncio.get_running_loop().time() or not self._applies_to(cancel, lease):
                continue
            log.info("cancel.passed_on", cancels=cancel.name, count=1)
            which = (cancel.request_id, cancel.name)
            lease.cancel(delete=cancel.delete).add_done_callback(partial(self._note_applied, which))
            lease.check()

    def _note_applied(self, which: tuple[str, str], taken: asyncio.Future[bool]) -> None:
        if taken.result():
            self._applied_to_later_requests.add(which)
            if len(self._applied_to_later_requests) > MOST_REMEMBERED:
                self._applied_to_later_requests.pop()

    async def _cancel_found(self, request: Cancel, lease: Lease, found: Iterable[Lease]) -> bool:
        """Interrupt the found requests so that they continue as cancelled; return whether any did."""
        which = (request.request_id, request.name, request.owner)
        self._in_progress.add(which)
        try:
            taken = [await lease.wait(each.cancel(delete=request.delete)) for each in found]
            return any(taken)
        finally:
            self._in_progress.discard(which)

    def _was_taken(self, request: Cancel) -> bool:
        """Return whether this cancel has an outcome here already: its message is a copy, or received again."""
        return any(
            each.outcome == OutcomeKind.CANCEL_TAKEN and (each.request_id, each.name) == (request.request_id, request.name)
            for each in (story.finished for story in self._history)
        )

    def _ended_as(self, request: Cancel) -> str | None:
        """Return the outcome of the request to cancel; None if it is not known here.

        A rejected message is ignored: a valid request may have the same id.
        """
        if request.pipeline_step_token is not None:
            return None
        ends = (story.finished for story in self._history if story.finished.request_id == request.name)
        return next((each.outcome for each in ends if each.outcome != OutcomeKind.REJECTED), None)

    def _is_outdated_copy(self, request: Cancel, lease: Lease) -> bool:
        """Return whether a later continuation of the same cancel was received here.

        A continuation whose response is lost is sent again, and both copies continue for as long as no request is found.
        Copies with fewer hops are dropped, so that they do not multiply.
        """
        which = (lease.delivery.origin, request.name, request.owner)
        hops, most = lease.delivery.hops, self._hops.pop(which, 0)
        self._hops[which] = max(hops, most)
        if len(self._hops) > MOST_REMEMBERED:
            del self._hops[next(iter(self._hops))]
        return hops < most


class PipelineStops:
    """Handles the stop messages of SageMaker pipelines."""

    def __init__(self, policy: WorkerPolicy, callbacks: CallbackSender, cancel_action: CancelAction) -> None:
        self._policy = policy
        self._callbacks = callbacks
        self._cancel_action = cancel_action

    async def stop(self, stopping: PipelineStopping, lease: Lease) -> Done | Release:
        """Send the callback that the pipeline waits for, and cancel the step's request, even if the callback is not accepted.

        That request has a message and an event of its own. If it is not leased here, this message is released, like a cancel.
        Raises `Interrupted`.
        """
        callback = callbacks_for_stop(stopping.callback_token)
        is_first = not lease.delivery.is_in_doubt
        is_sent = is_first and await self._callbacks.try_once(callback, lease)
        ended = await self._cancel(stopping, lease)
        if isinstance(ended, Release | Done):
            return ended
        if not is_sent:
            await self._callbacks.say(callback, lease)  # it was refused, or an earlier consumer may have died before it sent it
        log.info(
            "pipeline.stopped", outcome=ended.kind.value, reason=ended.reason and ended.reason.value, message=ended.message
        )
        return Done()

    async def _cancel(self, stopping: PipelineStopping, lease: Lease) -> Outcome | Release | Done:
        sender = lease.delivery.first_sender
        asked = stopping.cancel(lease.delivery.origin, owner_of(sender, None))
        rules, own = self._policy.permissions, self._policy.own_sender
        try:
            try:
                request = check_permission(asked, sender, rules, own)
            except RequestRejected:
                request = check_permission(
                    replace(asked, delete=False), sender, rules, own
                )  # the rules may permit a cancel without a delete
        except RequestRejected as rejected:
            return Outcome(OutcomeKind.REJECTED, Reason.NOT_ALLOWED, rejected.reason)
        received = lease.delivery.first_received_at
        return await self._cancel_action.cancel(request, lease, lease.loop_time(received + request.timeout))
