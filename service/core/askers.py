"""Who waits for the answer: a Step Functions task, a SageMaker pipeline, a queue or a topic; or nobody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Asker:
    """Where the answer is to go, beside the topic: to nobody, or to several."""

    task_token: str | None = field(default=None, repr=False)
    callback_token: str | None = field(default=None, repr=False)
    reply_to: str | None = None
    """A queue's URL or a topic's ARN."""


NOBODY: Final = Asker()
