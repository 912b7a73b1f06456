"""Who sent a message, as SQS says it (`SenderId`), which no sender can choose: the same as STS's `UserId` of the caller.

A user's is one id. Of a role it is the role's id and the name of the session, which every process and every hour may have
another of: `AROAEXAMPLEROLEID:session`. Services that send for others, SNS and EventBridge, have ids of their own.
"""

from __future__ import annotations

from typing import Final

_ROLE: Final = "AROA"


def is_same(sender: str | None, other: str) -> bool:
    """Whether both are the same user, or sessions of the same role."""
    return sender is not None and stable(sender) == stable(other)


def stable(sender: str) -> str:
    """Answer what stays the same of it. Not of a federated user, whose id begins with that of the whole account."""
    return sender.partition(":")[0] if sender.startswith(_ROLE) else sender
