"""A pipeline that is being stopped: its step is answered at once, and what the step had asked for is cancelled."""

from __future__ import annotations

from dataclasses import replace

import structlog

from slipway.core.events.callbacks import stopped
from slipway.core.lifecycle.outcomes import Done, Ending, Outcome, Reason, Release
from slipway.core.parsing.callback_tokens import PipelineStopping
from slipway.core.requests.ownership import owner_of
from slipway.core.rules.permissions import permit
from slipway.core.schema.rejection import Misunderstood
from slipway.core.sqs import continuations
from slipway.worker.actions.cancel import Cancelling
from slipway.worker.kernel.lease import Hold
from slipway.worker.kernel.policy import Terms
from slipway.worker.publishing.callbacks import Replies

log = structlog.get_logger()


class Pipelines:
    """Lets pipelines stop."""

    def __init__(self, terms: Terms, replies: Replies, cancelling: Cancelling) -> None:
        self._terms = terms
        self._replies = replies
        self._cancelling = cancelling

    async def let_stop(self, stopping: PipelineStopping, hold: Hold) -> Done | Release:
        """Say the one word that the pipeline waits for, and let what the step had asked for be handed on as cancelled.

        That has a message, and an event, of its own. Where it is not held here, this message is given back, as a cancel is.
        Raises `Interrupted`.
        """
        word = stopped(stopping.callback_token)
        is_first = not continuations.is_in_doubt(hold.message)
        if is_first:
            await self._replies.say(word, hold)
        ended = await self._cancel(stopping, hold)
        if isinstance(ended, Release | Done):
            return ended
        if not is_first:
            await self._replies.say(word, hold)  # whoever had the message before may have died before it did
        log.info(
            "pipeline.stopped", outcome=ended.ending.value, reason=ended.reason and ended.reason.value, error=ended.message
        )
        return Done()

    async def _cancel(self, stopping: PipelineStopping, hold: Hold) -> Outcome | Release | Done:
        sender = continuations.first_sender(hold.message)
        asked = stopping.cancel(continuations.origin(hold.message), owner_of(sender, None))
        rules, own = self._terms.permissions, self._terms.own_sender
        try:
            try:
                request = permit(asked, sender, rules, own)
            except Misunderstood:
                request = permit(replace(asked, delete=False), sender, rules, own)  # a rule that lets it cancel only
        except Misunderstood as misunderstood:
            return Outcome(Ending.REJECTED, Reason.NOT_ALLOWED, misunderstood.reason)
        received = continuations.first_received_at(hold.message)
        return await self._cancelling.cancel(request, hold, hold.loop_time(received + request.timeout))
