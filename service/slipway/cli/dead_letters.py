"""`slipway dlq`: what is in the dead-letter queue and why, and sending it back."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from slipway.aws.operator.dead_letter_queue import DeadLetters
from slipway.aws.operator.operator_session import OperatorSession
from slipway.cli.exit_codes import Exit
from slipway.cli.output import print_facts, print_json, print_line, print_table
from slipway.cli.runner import CommandError, say
from slipway.core.bedrock.errors import CallFailed
from slipway.core.dead_letters import DeadLetter, DeadLetterCause, dead_letter_cause, redriven_message
from slipway.core.parsing.parse import Admission
from slipway.core.time_format import format_time
from slipway.settings.load import Settings, load_permissions, load_triggers

MOST: Final = 1000


async def list_letters(visit: OperatorSession, settings: Settings, *, limit: int, as_json: bool) -> Exit:
    """Print the letters, and why each is there."""
    reason_of = await _reading(visit, settings)
    async with visit.dead_letters.looking(limit) as letters:
        pairs = [(letter, reason_of(letter)) for letter in letters]
    if as_json:
        print_json([_json(letter, reason) for letter, reason in pairs])
        return Exit.OK
    rows = [
        (letter.message_id, format_time(letter.sent_at), reason.code, reason.about, reason.text) for letter, reason in pairs
    ]
    print_table(("letter", "sent", "code", "request", "why"), rows)
    return Exit.OK


async def show_letter(visit: OperatorSession, settings: Settings, message_id: str, *, as_json: bool) -> Exit:
    """Print one letter with its body."""
    async with visit.dead_letters.looking(MOST) as letters:
        letter = next((one for one in letters if one.message_id == message_id), None)
    if letter is None:
        raise _no_such(message_id)
    reason = (await _reading(visit, settings))(letter)
    if as_json:
        print_json(_json(letter, reason) | {"body": letter.body, "attributes": _shown(letter)})
        return Exit.OK
    facts = {"letter": letter.message_id, "sent": format_time(letter.sent_at), "code": reason.code, "why": reason.text}
    facts["if sent again"] = "it is accepted" if reason.is_sound else f"it is not accepted ({reason.now})"
    print_facts(facts | dict(sorted(_shown(letter).items())) | {"body": letter.body})
    return Exit.OK


async def redrive(visit: OperatorSession, settings: Settings, named: Sequence[str], *, unsound: bool, dry_run: bool) -> Exit:
    """Send back those that are named, or else all that would be done now, until none is left; with `unsound` the others too.

    With `dry_run` nothing is sent. Says what was left and why.
    """
    reason_of = await _reading(visit, settings)
    run = _Redrive(visit.dead_letters, named, is_fifo=settings.is_fifo_queue, dry_run=dry_run)
    try:
        async for letters in visit.dead_letters.batches():
            wanted: list[DeadLetter] = []
            for letter in run.new(letters):
                code = "" if named or unsound or (reason := reason_of(letter)).is_sound else reason.now
                if (letter.message_id in named) if named else not code:
                    wanted.append(letter)
                else:
                    run.leave(letter, code)
            await run.send(wanted)
            if named and not run.missing:
                break
    finally:
        await run.release()
    if run.missing:
        raise _no_such(run.missing[0])
    return run.report()


class _Redrive:
    """One redrive: what was sent, what was left, and what is in hand."""

    def __init__(self, queue: DeadLetters, named: Sequence[str], *, is_fifo: bool, dry_run: bool) -> None:
        self._queue = queue
        self._named = named
        self._is_fifo = is_fifo
        self._dry_run = dry_run
        self._sent: set[str] = set()
        """The ids of letters that were sent, and those that their messages have now."""
        self._in_hand: dict[str, DeadLetter] = {}
        self._left: Counter[str] = Counter()
        self._unsent: dict[str, CallFailed] = {}
        self._count = 0

    @property
    def missing(self) -> list[str]:
        """The letters that are named and were not found."""
        return [one for one in self._named if one not in self._sent and one not in self._unsent]

    def new(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Return those that were not seen before, also not as a message that was sent back and is dead again."""
        for one in letters:
            if one.message_id in self._in_hand:
                self._in_hand[one.message_id] = one
        return [
            one
            for one in letters
            if one.message_id not in self._in_hand
            and self._sent.isdisjoint({one.message_id, str(one.attributes.get("SlipwayMessageId"))})
        ]

    def leave(self, letter: DeadLetter, code: str) -> None:
        """Keep a letter where it is."""
        self._in_hand[letter.message_id] = letter
        if code:
            self._left[code] += 1

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        """Send some letters back, then delete those that were sent."""
        outgoing = [(letter, redriven_message(letter, is_fifo=self._is_fifo)) for letter in letters]
        if self._dry_run:
            self._in_hand |= {letter.message_id: letter for letter in letters}
            answers: list[str | CallFailed] = ["" for _ in letters]
        else:
            answers = await self._queue.send_back(outgoing)
        gone: list[DeadLetter] = []
        for letter, answer in zip(letters, answers, strict=True):
            if isinstance(answer, CallFailed):
                self._unsent[letter.message_id] = answer
                self._in_hand[letter.message_id] = letter
                continue
            self._sent |= {letter.message_id, answer}
            self._count += 1
            gone.append(letter)
            print_line(letter.message_id)
        if not self._dry_run:
            await self._queue.delete(gone)

    async def release(self) -> None:
        """Show what was left to others again."""
        await self._queue.release(list(self._in_hand.values()))

    def report(self) -> Exit:
        """Say what was done and what was left, and return the exit code."""
        parts = [f"{'would be sent back' if self._dry_run else 'sent back'}: {self._count}"]
        if self._left:
            reasons = ", ".join(f"{code} {count}" for code, count in sorted(self._left.items()))
            parts.append(f"left, as they would be rejected again: {self._left.total()} ({reasons}); name them or add --unsound")
        if self._unsent:
            parts.append(
                f"left, as they could not be sent: {len(self._unsent)} ({next(iter(self._unsent.values()))}); try again"
            )
        say("; ".join(parts))
        return Exit.FAILURE if self._left or self._unsent else Exit.OK


async def _reading(visit: OperatorSession, settings: Settings) -> Callable[[DeadLetter], DeadLetterCause]:
    """Return what says why a letter is dead, by these settings and their rules. Raises WrongSetting.

    Who sends a letter again is its sender then: where there are rules, AWS is asked who that is.
    """
    admission = Admission(
        targets=visit.targets,
        timeout=settings.timeout,
        triggers=load_triggers(settings.triggers),
        reply_to=settings.reply_to,
        permissions=load_permissions(settings.permissions),
    )
    sender = await visit.identity.own_sender() if admission.permissions else None
    return partial(dead_letter_cause, admission=admission, sender=sender)


def _no_such(message_id: str) -> CommandError:
    return CommandError(
        f"there is no letter {message_id!r}, or somebody else looks at it just now; slipway dlq list shows them"
    )


def _shown(letter: DeadLetter) -> dict[str, str]:
    """Return the attributes as texts: bytes in base64, as the AWS CLI shows them."""
    plain = {name: each if isinstance(each, str) else each.value for name, each in letter.attributes.items()}
    return {name: each if isinstance(each, str) else b64encode(each).decode() for name, each in plain.items()}


def _json(letter: DeadLetter, reason: DeadLetterCause) -> dict[str, object]:
    return {
        "messageId": letter.message_id,
        "sentAt": format_time(letter.sent_at),
        "code": reason.code,
        "message": reason.text,
        "isSound": reason.is_sound,
    }
