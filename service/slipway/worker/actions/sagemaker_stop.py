"""SageMaker pipelines that are stopped: the step gets its callback at once, and the step's request is cancelled."""

from __future__ import annotations

from dataclasses import replace

import structlog

from slipway.core.events.callbacks import callbacks_for_stop
from slipway.core.lifecycle.outcomes import Done, Outcome, OutcomeKind, Reason, Release
from slipway.core.requests.envelopes import PipelineStopping
from slipway.core.requests.ownership import owner_of
from slipway.core.rules.permissions import check_permission
from slipway.core.schema.rejection import RequestRejected
from slipway.worker.actions.cancel import CancelAction
from slipway.worker.kernel.lease import Lease
from slipway.worker.kernel.policy import WorkerPolicy
from slipway.worker.publishing.callbacks import CallbackSender

log = structlog.get_logger()


class PipelineStops:
    """Handles the stop messages of SageMaker pipelines."""

    def __init__(self, policy: WorkerPolicy, callbacks: CallbackSender, cancel_action: CancelAction) -> None:
        self._policy = policy
        self._callbacks = callbacks
        self._cancel_action = cancel_action

    async def stop(self, stopping: PipelineStopping, lease: Lease) -> Done | Release:
        """Send the callback that the pipeline waits for, and cancel the step's request.

        That request has a message and an event of its own. If it is not leased here, this message is released, like a cancel.
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
            await self._callbacks.say(callback, lease)  # an earlier consumer may have died before it sent it
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
                request = check_permission(
                    replace(asked, delete=False), sender, rules, own
                )  # the rules may permit a cancel without a delete
        except RequestRejected as rejected:
            return Outcome(OutcomeKind.REJECTED, Reason.NOT_ALLOWED, rejected.reason)
        received = lease.delivery.first_received_at
        return await self._cancel_action.cancel(request, lease, lease.loop_time(received + request.timeout))
