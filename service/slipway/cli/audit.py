"""`slipway audit`: gathers what the audit compares, and prints what it found."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from slipway.aws.operator.operator_session import OperatorSession
from slipway.cli.exit_codes import Exit
from slipway.cli.output import is_terminal, print_json, print_line, print_sentence, print_table
from slipway.cli.runner import CommandError
from slipway.client.daemons import query_all
from slipway.core.diagnostics.audit import AuditFinding, Evidence, FindingKind, Report, audit
from slipway.core.events.parse import NotAnEvent, ParsedEvent, read_archive
from slipway.settings.load import Settings

SECOND_LOOK_SECONDS: Final = 3.0
"""SQS counts approximately, and a request may be between two daemons: an orphan is one only if it still is, so much later."""


async def audit_account(
    visit: OperatorSession, settings: Settings, daemons: Sequence[str], events: Sequence[ParsedEvent] | None, *, as_json: bool
) -> Exit:
    """Look, compare, print; answer whether anything was found."""
    report = audit(await _evidence(visit, settings, daemons, events))
    if any(finding.kind is FindingKind.ORPHAN for finding in report.findings):
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        report = _in_both(report, audit(await _evidence(visit, settings, daemons, events)))
    _print(report, as_json=as_json)
    return Exit.FAILURE if report.findings else Exit.OK


def read_events(path: str) -> list[ParsedEvent]:
    """Read the archive at this path, `-` being standard input. Raises CannotDo."""
    try:
        if path == "-":
            return list(read_archive(sys.stdin))
        with Path(path).open(encoding="utf-8") as lines:
            return list(read_archive(lines))
    except NotAnEvent as wrong:
        raise CommandError(f"--events {path}: {wrong}") from wrong
    except (OSError, UnicodeDecodeError) as wrong:
        why = wrong.strerror if isinstance(wrong, OSError) else "it is not UTF-8"
        raise CommandError(f"--events {path} cannot be read ({why}); name a file of events, one a line") from wrong


async def _evidence(
    visit: OperatorSession, settings: Settings, daemons: Sequence[str], events: Sequence[ParsedEvent] | None
) -> Evidence:
    """Bedrock first, the daemons then, the queue's counts last: what moves on meanwhile is seen where it went.

    What is said of other targets is about other accounts; but what is held for them is in the same queue.
    """
    catalogue, target = visit.here.catalogue, visit.here.target.label
    existing = await catalogue.with_tags(await catalogue.all())
    said = await query_all(daemons)
    held = [one for one in said.held if one.target == target]
    backlog = await visit.inspector.backlog(settings.queue_url)
    return Evidence(
        existing=existing,
        backlog=replace(backlog, in_flight=max(0, backlog.in_flight - (len(said.held) - len(held)))),
        held=held if daemons else None,
        finished=[one for one in said.finished if one.target == target],
        events=None if events is None else [one for one in events if one.target == target],
    )


def _in_both(first: Report, second: Report) -> Report:
    """What the second look found; but of orphans only those that the first one found too."""
    orphans = {finding.arn for finding in first.findings if finding.kind is FindingKind.ORPHAN}
    kept = [one for one in second.findings if one.kind is not FindingKind.ORPHAN or one.arn in orphans]
    return Report(tuple(kept), second.unknown)


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json({"findings": [_json(finding) for finding in report.findings], "unknown": list(report.unknown)})
        return
    rows = [
        (one.kind.value, one.name, one.request_id or "", f"{one.text.rstrip('.')}; {one.remedy}") for one in report.findings
    ]
    if rows:
        print_table(("what", "deployment", "request", "what is so, and what to do"), rows)
    elif is_terminal():
        print_line("Nothing found.")
    for sentence in report.unknown:
        if is_terminal():
            print_sentence(f"Not known: {sentence}")
        else:
            print_line(f"not known\t{sentence}")


def _json(finding: AuditFinding) -> dict[str, object]:
    return {
        "kind": finding.kind.value,
        "modelDeploymentName": finding.name,
        "customModelDeploymentArn": finding.arn,
        "requestId": finding.request_id,
        "message": finding.text,
        "remedy": finding.remedy,
    }
