"""`slipway dlq`: the messages in the dead-letter queue with their reasons, and their redrive."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Final

from slipway.aws.connect import CallerIdentity
from slipway.aws.operator.operator_session import OperatorSession
from slipway.aws.operator.queues import DeadLetters
from slipway.aws.sdk.regions import learn_account
from slipway.cli.output import Exit, Output, age_since, print_facts, print_line
from slipway.cli.runner import say
from slipway.core.call_errors import CallFailed
from slipway.core.dead_letters import DeadLetter, DeadLetterCause, dead_letter_cause, redriven_message
from slipway.core.parsing import Admission
from slipway.core.time_format import format_time
from slipway.settings.load import Settings, load_permissions, load_triggers

COLUMNS: Final = ("id", "code", "age", "request", "reason")


async def list_letters(session: OperatorSession, settings: Settings, limit: int | None, output: Output) -> Exit:
    """Print the dead-lettered messages, at most `limit`, with the reason of each."""
    cause_of = await _cause_reader(session, settings)
    pairs: list[tuple[DeadLetter, DeadLetterCause]] = []
    async with aclosing(session.dead_letters.each()) as letters:
        async for letter in letters:
            pairs.append((letter, cause_of(letter)))
            if len(pairs) == limit:
                break
    if output.is_document:
        output.print_document([_json(letter, cause) for letter, cause in pairs])
        return Exit.OK
    rows = [(letter.message_id, cause.code, age_since(letter.sent_at), cause.about, cause.text) for letter, cause in pairs]
    output.print_table(COLUMNS, rows)
    return Exit.OK


async def show_letter(session: OperatorSession, settings: Settings, message_id: str, output: Output) -> Exit:
    """Print one dead-lettered message with its body; return whether there is one."""
    letter: DeadLetter | None = None
    async with aclosing(session.dead_letters.each()) as letters:
        async for one in letters:
            if one.message_id == message_id:
                letter = one
                break
    if letter is None:
        say(_not_found(message_id))
        return Exit.FAILURE
    cause = (await _cause_reader(session, settings))(letter)
    if output.is_document:
        output.print_document(_json(letter, cause) | {"body": letter.body, "attributes": _attributes(letter)})
        return Exit.OK
    facts = {"id": letter.message_id, "sent": format_time(letter.sent_at), "code": cause.code, "reason": cause.text}
    facts["after a redrive"] = "accepted" if cause.is_sound else f"rejected again ({cause.now})"
    print_facts(facts | dict(sorted(_attributes(letter).items())) | {"body": letter.body})
    return Exit.OK


async def redrive(
    session: OperatorSession, settings: Settings, named: Sequence[str], output: Output, *, unsound: bool, dry_run: bool
) -> Exit:
    """Send back the messages that are named, or else all that would be accepted; with `unsound` the others too.

    With `dry_run` nothing is sent. Prints how many messages remain and why.
    """
    cause_of = await _cause_reader(session, settings)
    run = _Redrive(session.dead_letters, named, output, is_fifo=settings.is_fifo_queue, dry_run=dry_run)
    try:
        async for letters in session.dead_letters.batches():
            wanted: list[DeadLetter] = []
            for letter in run.new(letters):
                code = "" if named or unsound or (cause := cause_of(letter)).is_sound else cause.now
                if (letter.message_id in named) if named else not code:
                    wanted.append(letter)
                else:
                    run.leave(letter, code)
            await run.send(wanted)
            if named and not run.missing:
                break
    finally:
        await run.release()
    return run.report()


class _Redrive:
    """One redrive: the messages that were sent, those that remain, and those that are leased."""

    def __init__(self, queue: DeadLetters, named: Sequence[str], output: Output, *, is_fifo: bool, dry_run: bool) -> None:
        self._queue = queue
        self._named = named
        self._output = output
        self._is_fifo = is_fifo
        self._dry_run = dry_run
        self._sent: set[str] = set()
        """The ids of the messages that were sent, and of the new messages."""
        self._leased: dict[str, DeadLetter] = {}
        self._remaining: Counter[str] = Counter()
        self._unsent: dict[str, CallFailed] = {}
        self._sent_ids: list[str] = []

    @property
    def missing(self) -> list[str]:
        """The named messages that were not found."""
        return [one for one in self._named if one not in self._sent and one not in self._unsent]

    def new(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Return those that were not received before, and that are not a message of this redrive that is dead again."""
        for one in letters:
            if one.message_id in self._leased:
                self._leased[one.message_id] = one
        return [
            one
            for one in letters
            if one.message_id not in self._leased
            and self._sent.isdisjoint({one.message_id, str(one.attributes.get("SlipwayMessageId"))})
        ]

    def leave(self, letter: DeadLetter, code: str) -> None:
        """Leave a message in the dead-letter queue."""
        self._leased[letter.message_id] = letter
        if code:
            self._remaining[code] += 1

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        """Send some messages back, then delete those that were sent."""
        outgoing = [(letter, redriven_message(letter, is_fifo=self._is_fifo)) for letter in letters]
        if self._dry_run:
            self._leased |= {letter.message_id: letter for letter in letters}
            results: list[str | CallFailed] = ["" for _ in letters]
        else:
            results = await self._queue.send_back(outgoing)
        sent: list[DeadLetter] = []
        for letter, result in zip(letters, results, strict=True):
            if isinstance(result, CallFailed):
                self._unsent[letter.message_id] = result
                self._leased[letter.message_id] = letter
                continue
            self._sent |= {letter.message_id, result}
            self._sent_ids.append(letter.message_id)
            sent.append(letter)
            if not self._output.is_document:
                print_line(letter.message_id)
        if not self._dry_run:
            await self._queue.delete(sent)

    async def release(self) -> None:
        """Make the messages that remain visible to other consumers."""
        await self._queue.release(list(self._leased.values()))

    def report(self) -> Exit:
        """Print what was sent and what remains, and return the exit code."""
        if self._output.is_document:
            document = {"sent": self._sent_ids, "dryRun": self._dry_run, "remaining": dict(sorted(self._remaining.items()))}
            document["failed"] = {message_id: str(failed) for message_id, failed in self._unsent.items()}
            self._output.print_document(document | {"notFound": self.missing})
        parts = [f"{'would be sent back' if self._dry_run else 'sent back'}: {len(self._sent_ids)}"]
        if self._remaining:
            codes = ", ".join(f"{code} {count}" for code, count in sorted(self._remaining.items()))
            parts.append(f"would be rejected again: {self._remaining.total()} ({codes}); name them or add --unsound")
        if self._unsent:
            parts.append(f"could not be sent: {len(self._unsent)} ({next(iter(self._unsent.values()))}); try again")
        say("; ".join([*parts, *map(_not_found, self.missing)]))
        return Exit.FAILURE if self._remaining or self._unsent or self.missing else Exit.OK


async def _cause_reader(session: OperatorSession, settings: Settings) -> Callable[[DeadLetter], DeadLetterCause]:
    """Return a function that finds why a message is dead, by these settings and their rules. Raises WrongSetting.

    After a redrive the operator is the sender. If there are permission rules, AWS is asked for the operator's identity.
    """
    permissions = load_permissions(settings.permissions)
    own = await _own_identity(session, is_needed=bool(permissions))
    admission = Admission(
        targets=session.targets,
        timeout=settings.timeout,
        triggers=load_triggers(settings.triggers),
        reply_to=settings.reply_to,
        permissions=permissions,
    )
    return partial(dead_letter_cause, admission=admission, sender=own.sender if own else None)


async def _own_identity(session: OperatorSession, *, is_needed: bool) -> CallerIdentity | None:
    """Return whose credentials these are; None if STS does not answer and `is_needed` is not set.

    Without an answer no message is judged by its account.
    """
    try:
        own = await session.identity.get()
    except CallFailed:
        if is_needed:
            raise
        return None
    learn_account(own.account, session.targets)
    return own


def _not_found(message_id: str) -> str:
    return (
        f'message "{message_id}" is not in the dead-letter queue, or another consumer has received it; '
        "slipway dlq list shows all messages"
    )


def _attributes(letter: DeadLetter) -> dict[str, str]:
    """Return the attributes as texts: bytes in base64, as in the AWS CLI."""
    plain = {name: each if isinstance(each, str) else each.value for name, each in letter.attributes.items()}
    return {name: each if isinstance(each, str) else b64encode(each).decode() for name, each in plain.items()}


def _json(letter: DeadLetter, cause: DeadLetterCause) -> dict[str, object]:
    return {
        "messageId": letter.message_id,
        "sentAt": format_time(letter.sent_at),
        "code": cause.code,
        "message": cause.text,
        "isSound": cause.is_sound,
    }
