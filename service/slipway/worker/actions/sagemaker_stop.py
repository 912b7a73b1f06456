"""A pipeline that is being stopped: its step is answered at once, and what the step had asked for is cancelled."""

from __future__ import annotations

from dataclasses import replace

import structlog

from slipway.core.events.callbacks import callbacks_for_stop
from slipway.core.lifecycle.outcomes import Done, Outcome, OutcomeKind, Reason, Release
from slipway.core.parsing.callback_tokens import PipelineStopping
from slipway.core.requests.ownership import owner_of
from slipway.core.rules.permissions import check_permission
from slipway.core.schema.rejection import RequestRejected
from slipway.worker.actions.cancel import CancelAction
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.policy import WorkerPolicy
from slipway.worker.publishing.callbacks import CallbackSender

log = structlog.get_logger()


class PipelineStops:
    """Lets pipelines stop."""

    def __init__(self, policy: WorkerPolicy, callbacks: CallbackSender, cancel_action: CancelAction) -> None:
        self._policy = policy
        self._callbacks = callbacks
        self._cancel_action = cancel_action

    async def stop(self, stopping: PipelineStopping, lease: Lease) -> Done | Release:
        """Say the one word that the pipeline waits for, and let what the step had asked for be handed on as cancelled.

        That has a message, and an event, of its own. Where it is not held here, this message is given back, as a cancel is.
        Raises `Interrupted`.
        """
        callback = callbacks_for_stop(stopping.callback_token)
        is_first = not lease.delivery.is_in_doubt
        if is_first:
            await self._callbacks.say(callback, lease)
        ended = await self._cancel(stopping, lease)
        if isinstance(ended, Release | Done):
            return ended
        if not is_first:
            await self._callbacks.say(callback, lease)  # whoever had the message before may have died before it did
        log.info("pipeline.stopped", outcome=ended.kind.value, reason=ended.reason and ended.reason.value, error=ended.message)
        return Done()

    async def _cancel(self, stopping: PipelineStopping, lease: Lease) -> Outcome | Release | Done:
        sender = lease.delivery.first_sender
        asked = stopping.cancel(lease.delivery.origin, owner_of(sender, None))
        rules, own = self._policy.permissions, self._policy.own_sender
        try:
            try:
                request = check_permission(asked, sender, rules, own)
            except RequestRejected:
                request = check_permission(replace(asked, delete=False), sender, rules, own)  # a rule that lets it cancel only
        except RequestRejected as rejected:
            return Outcome(OutcomeKind.REJECTED, Reason.NOT_ALLOWED, rejected.reason)
        received = lease.delivery.first_received_at
        return await self._cancel_action.cancel(request, lease, lease.loop_time(received + request.timeout))
