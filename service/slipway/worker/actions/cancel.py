"""One cancel request: find the request that it is about among those held here, and let that be handed on as cancelled.

A request is only in the memory of whoever holds it, and SQS decides who receives the cancel: where the request is not held
here, the cancel is given back, for another replica to receive, until its deadline: ever more rarely, the older it is.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

import structlog

from slipway.core.lifecycle.outcomes import Done, Outcome, OutcomeKind, Reason, Release
from slipway.core.requests.models import Cancel
from slipway.core.rules.permissions import PermissionRule, may_cancel
from slipway.worker.kernel.lease import Lease
from slipway.worker.publishing.history import History

log = structlog.get_logger()

BACK_SECONDS: Final = 10
LONGEST_BACK_SECONDS: Final = 60
"""How long a cancel stays invisible, at most, when what it is about is not held here: at first, and when it is old."""
MOST_REMEMBERED: Final = 1000


class CancelAction:
    """Passes cancels on to what is held."""

    def __init__(
        self, held: Callable[[], Iterable[Lease]], history: History, rules: Sequence[PermissionRule] = (), *, rng: random.Random
    ) -> None:
        self._held = held
        self._rules = rules
        self._history = history
        self._rng = rng
        self._hops: dict[tuple[str, str, str], int] = {}
        """How often each cancel had been handed on when it was here last. Whose it is counts: an origin may be forged."""
        self._pending: dict[str, tuple[Cancel, float]] = {}
        """By what they are about: cancels that found nothing here, and their deadlines."""
        self._applied_to_later_requests: set[tuple[str, str]] = set()
        """The cancels whose request came afterwards, was not held, and was handed on as cancelled."""
        self._in_progress: set[tuple[str, str, str]] = set()
        """The cancels that wait for what they are about to be handed on: their own ids, of what, and whose they are."""

    async def cancel(self, request: Cancel, lease: Lease, deadline: float) -> Outcome | Release | Done:
        """Answer how the cancel ended, or that another replica is to have it, or has. Raises `Interrupted`."""
        if self._is_outdated_copy(request, lease):
            log.info("cancel.outrun", cancels=request.name)
            return Done()
        found = [each for each in self._held() if each is not lease and self._applies_to(request, each)]
        if found:
            log.info("cancel.passed_on", cancels=request.name, count=len(found))
            if await self._cancel_found(request, lease, found):
                return Outcome(OutcomeKind.CANCEL_TAKEN, message=f"{request.name} is handed on as cancelled")
        elif (request.request_id, request.name, request.owner) in self._in_progress:
            return Release(BACK_SECONDS)  # a copy: the other one knows soon, and this one then knows from it
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
        self._pending[request.step or request.name] = (request, deadline)
        if len(self._pending) > MOST_REMEMBERED:
            del self._pending[next(iter(self._pending))]
        longest = min(LONGEST_BACK_SECONDS, max(BACK_SECONDS, age / 2), math.ceil(left))
        return Release(1 + self._rng.randrange(int(longest)))

    def _applies_to(self, request: Cancel, lease: Lease) -> bool:
        """Return whether what is held is what the cancel is about, has not ended, and may be cancelled by its sender."""
        asked = lease.request
        return asked is not None and lease.can_be_cancelled(request) and may_cancel(request, asked, self._rules)

    def apply_pending_cancel(self, lease: Lease) -> None:
        """Raise `Cancelled` where a cancel has been here for a request that there is no place for now.

        The two are never held at the same time where each goes away when it comes. The cancel learns of it when it comes next.
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
        """Ask for what was found to be handed on as cancelled; answer whether any of it was."""
        which = (request.request_id, request.name, request.owner)
        self._in_progress.add(which)
        try:
            taken = [await lease.wait(each.cancel(delete=request.delete)) for each in found]
            return any(taken)
        finally:
            self._in_progress.discard(which)

    def _was_taken(self, request: Cancel) -> bool:
        """Whether this cancel was answered here before: a copy of it, or its message is received again."""
        return any(
            each.outcome == OutcomeKind.CANCEL_TAKEN and (each.request_id, each.name) == (request.request_id, request.name)
            for each in (story.finished for story in self._history)
        )

    def _ended_as(self, request: Cancel) -> str | None:
        """Answer how the request that it is about ended here; None where that is not known.

        What was rejected was no request: one that was understood may have the same id.
        """
        if request.step is not None:
            return None
        ends = (story.finished for story in self._history if story.finished.request_id == request.name)
        return next((each.outcome for each in ends if each.outcome != OutcomeKind.REJECTED), None)

    def _is_outdated_copy(self, request: Cancel, lease: Lease) -> bool:
        """Whether the same cancel was here in a message that it was handed on in later.

        A hand-over whose answer is lost is sent again, and then there are two: both go on for as long as nothing is found,
        and are handed on often. Were the slower ones not dropped, they would become more and more.
        """
        which = (lease.delivery.origin, request.name, request.owner)
        hops, most = lease.delivery.hops, self._hops.pop(which, 0)
        self._hops[which] = max(hops, most)
        if len(self._hops) > MOST_REMEMBERED:
            del self._hops[next(iter(self._hops))]
        return hops < most
