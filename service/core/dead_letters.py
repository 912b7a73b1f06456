"""Dead letters: why each is where it is, and what is sent when one is to be tried again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from service.core.admission import Admission
from service.core.messages import CONTINUATION, AnyAttribute, Message, Outgoing, group_of
from service.core.misunderstood import Misunderstood
from service.core.requests import PipelineStopping, Unmatched

OWN_ATTRIBUTES: Final = frozenset({"SlipwayReason", "SlipwayCode", "SlipwayField", "SlipwayMessageId", CONTINUATION})
"""What `burial` wrote beside a rejected body, and what was handed on with it: a request that is sent again begins anew."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message in the dead-letter queue, for as long as it is looked at."""

    message_id: str
    body: str = field(repr=False)
    receipt: str = field(repr=False)
    sent_at: float
    """When it was sent to where it is, or (what SQS itself moved) to the request queue; seconds since the epoch."""
    attributes: Mapping[str, AnyAttribute] = field(default_factory=dict, repr=False)
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Why:
    """Why a letter is dead. `is_sound` says that the body would be understood now."""

    code: str
    text: str
    about: str
    """The request's id, the deployment's name and the target, as far as they can be read, and are not the default."""
    is_sound: bool
    now: str = ""
    """The code with which the body would be rejected now, if it would be."""


def why(letter: DeadLetter, admission: Admission, sender: str | None = None) -> Why:
    """Say why a letter is dead: in the words that stand beside it, else by admitting the body again, as the daemon does.

    `sender` is the one who would send it again. Where the settings are not the daemon's, the daemon may decide otherwise.
    """
    about, code, is_sound = "", "ReceivedTooOften", True
    text = "a sound request, received more often than maxReceiveCount allows: its readers died, or were stopped, with it"
    try:
        message = Message(letter.message_id, letter.body, "", 1, letter.sent_at, letter.sent_at)
        request = admission.admit(message, sender)
        where = [f"target {request.target_shown}"] if request.target_shown else []
        about = " ".join([request.request_id, request.name, *where])
    except Misunderstood as wrong:
        about, code, text, is_sound = wrong.request_id or "", wrong.code.value, wrong.reason, False
    except Unmatched as unmatched:
        code, text, is_sound = "Unmatched", f"{unmatched}: sent again, it is counted, and deleted", False
    except PipelineStopping as stopping:
        text = f"{stopping}, and its step waits for the answer; received more often than maxReceiveCount allows"
    now = "" if is_sound else code
    return Why(_said(letter, "SlipwayCode") or code, _said(letter, "SlipwayReason") or text, about, is_sound, now)


def _said(letter: DeadLetter, name: str) -> str | None:
    value = letter.attributes.get(name)
    return value if isinstance(value, str) else None


def again(letter: DeadLetter, *, is_fifo: bool) -> Outgoing:
    """Answer what to send to the request queue so that the letter's request is tried anew. Safe to send twice."""
    attributes = {name: value for name, value in letter.attributes.items() if name not in OWN_ATTRIBUTES}
    if not is_fifo:
        return Outgoing(letter.body, attributes)
    deduplication_id = hashlib.sha256(f"again {letter.message_id}".encode()).hexdigest()
    return Outgoing(letter.body, attributes, letter.group or group_of(letter.message_id), deduplication_id)
