"""`slipway dlq`: what is in the dead-letter queue and why, and sending it back."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from service.aws.visiting import Visit
from service.core.dead_letters import DeadLetter, Why, again, why
from service.core.iso import iso
from service.edge.errands import CannotDo, say
from service.edge.exits import Exit
from service.edge.printing import print_facts, print_json, print_line, print_table
from service.settings import Settings, load_triggers

MOST: Final = 1000


async def list_letters(visit: Visit, settings: Settings, *, limit: int, as_json: bool) -> Exit:
    """Print the letters, and why each is there."""
    reason_of = _reading(visit, settings)
    async with visit.dead_letters.looking(limit) as letters:
        pairs = [(letter, reason_of(letter)) for letter in letters]
    if as_json:
        print_json([_json(letter, reason) for letter, reason in pairs])
        return Exit.OK
    rows = [(letter.message_id, iso(letter.sent_at), reason.code, reason.about, reason.text) for letter, reason in pairs]
    print_table(("letter", "sent", "code", "request", "why"), rows)
    return Exit.OK


async def show_letter(visit: Visit, settings: Settings, message_id: str, *, as_json: bool) -> Exit:
    """Print one letter with its body."""
    async with visit.dead_letters.looking(MOST) as letters:
        letter = next((one for one in letters if one.message_id == message_id), None)
    if letter is None:
        raise _no_such(message_id)
    reason = _reading(visit, settings)(letter)
    if as_json:
        print_json(_json(letter, reason) | {"body": letter.body, "attributes": _shown(letter)})
        return Exit.OK
    facts = {"letter": letter.message_id, "sent": iso(letter.sent_at), "code": reason.code, "why": reason.text}
    facts["if sent again"] = "it is understood" if reason.is_sound else "it is rejected again"
    print_facts(facts | dict(sorted(_shown(letter).items())) | {"body": letter.body})
    return Exit.OK


async def redrive(visit: Visit, settings: Settings, named: Sequence[str], *, unsound: bool) -> Exit:
    """Send back those that are named, or else all that would be understood; with `unsound` the others too."""
    sent = left = 0
    reason_of = _reading(visit, settings)
    async with visit.dead_letters.looking(MOST) as letters:
        by_id = {letter.message_id: letter for letter in letters}
        if missing := [each for each in named if each not in by_id]:
            raise _no_such(missing[0])
        for letter in [by_id[each] for each in named] or letters:
            if not named and not unsound and not reason_of(letter).is_sound:
                left += 1
                continue
            await visit.dead_letters.send_back(letter, again(letter, is_fifo=settings.is_fifo_queue))
            print_line(letter.message_id)
            sent += 1
    rest = f", and left, for what would be rejected again: {left}; name these by their ids, or say --unsound" if left else ""
    say(f"sent back: {sent}{rest}")
    return Exit.NOT_WELL if left else Exit.OK


def _reading(visit: Visit, settings: Settings) -> Callable[[DeadLetter], Why]:
    """Answer what says why a letter is dead, by these settings and their rules. Raises WrongSetting."""
    return partial(why, known=visit.targets, triggers=load_triggers(settings.triggers))


def _no_such(message_id: str) -> CannotDo:
    return CannotDo(f"there is no letter {message_id!r}, or somebody else looks at it just now; slipway dlq list shows them")


def _shown(letter: DeadLetter) -> dict[str, str]:
    """Return the attributes as texts: bytes in base64, as the AWS CLI shows them."""
    plain = {name: each if isinstance(each, str) else each.value for name, each in letter.attributes.items()}
    return {name: each if isinstance(each, str) else b64encode(each).decode() for name, each in plain.items()}


def _json(letter: DeadLetter, reason: Why) -> dict[str, object]:
    return {
        "messageId": letter.message_id,
        "sentAt": iso(letter.sent_at),
        "code": reason.code,
        "message": reason.text,
        "isSound": reason.is_sound,
    }
