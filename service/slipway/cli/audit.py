"""`slipway audit`: collects the evidence that the audit compares, and prints what was found."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from slipway.aws.operator.operator_session import OperatorSession
from slipway.cli.exit_codes import Exit
from slipway.cli.output import CommandError, Output, print_finding, print_line, print_sentence
from slipway.client.daemons import query_all
from slipway.core.diagnostics.audit import AuditFinding, Evidence, FindingKind, Report, audit
from slipway.core.events.parse import NotAnEvent, ParsedEvent, read_archive
from slipway.settings.load import Settings

CONFIRMATION_SECONDS: Final = 3.0
"""SQS counts approximately, and a request may be between two daemons: an orphan must be found again after this time."""


async def audit_account(
    session: OperatorSession, settings: Settings, daemons: Sequence[str], events: Sequence[ParsedEvent] | None, output: Output
) -> Exit:
    """Print what the audit finds; return whether it found anything."""
    report = audit(await _evidence(session, settings, daemons, events))
    if any(finding.kind is FindingKind.ORPHAN for finding in report.findings):
        await asyncio.sleep(CONFIRMATION_SECONDS)
        report = _in_both(report, audit(await _evidence(session, settings, daemons, events)))
    _print(report, output)
    return Exit.FAILURE if report.findings else Exit.OK


def read_events(path: str) -> list[ParsedEvent]:
    """Read the archive at this path, `-` being standard input. Raises `CommandError`."""
    try:
        if path == "-":
            return list(read_archive(sys.stdin))
        with Path(path).open(encoding="utf-8") as lines:
            return list(read_archive(lines))
    except NotAnEvent as wrong:
        raise CommandError(f"--events: {path}: {wrong}") from wrong
    except (OSError, UnicodeDecodeError) as wrong:
        why = wrong.strerror if isinstance(wrong, OSError) else "it is not UTF-8"
        raise CommandError(f"--events: {path} cannot be read ({why}); name a file of events, one on each line") from wrong


async def _evidence(
    session: OperatorSession, settings: Settings, daemons: Sequence[str], events: Sequence[ParsedEvent] | None
) -> Evidence:
    """Ask Bedrock, then the daemons, then the queue: in this order a request that moves meanwhile is not missed.

    Other targets are other accounts; but their requests are in the same queue, and are subtracted from its counts.
    """
    catalogue, target = session.here.catalogue, session.here.target.label
    existing = await catalogue.with_tags(await catalogue.all())
    reported = await query_all(daemons, token=settings.http_token)
    held = [one for one in reported.held if one.target == target]
    backlog = await session.inspector.backlog(settings.queue_url)
    return Evidence(
        existing=existing,
        backlog=replace(backlog, in_flight=max(0, backlog.in_flight - (len(reported.held) - len(held)))),
        held=held if daemons else None,
        finished=[one for one in reported.finished if one.target == target],
        events=None if events is None else [one for one in events if one.target == target],
    )


def _in_both(first: Report, second: Report) -> Report:
    """Return what the second audit found; of orphans only those that the first one found too."""
    orphans = {finding.arn for finding in first.findings if finding.kind is FindingKind.ORPHAN}
    kept = [one for one in second.findings if one.kind is not FindingKind.ORPHAN or one.arn in orphans]
    return Report(tuple(kept), second.unknown)


def _print(report: Report, output: Output) -> None:
    if output.is_document:
        output.print_document({"findings": [_json(finding) for finding in report.findings], "unknown": list(report.unknown)})
        return
    for one in report.findings:
        request = f"request {one.request_id}" if one.request_id else ""
        print_finding(one.kind.value, one.name, request, text=one.text, remedy=one.remedy)
    if not report.findings:
        print_line("Nothing found.")
    for sentence in report.unknown:
        print_sentence(f"Not known: {sentence}")


def _json(finding: AuditFinding) -> dict[str, object]:
    return {
        "kind": finding.kind.value,
        "modelDeploymentName": finding.name,
        "customModelDeploymentArn": finding.arn,
        "requestId": finding.request_id,
        "message": finding.text,
        "remedy": finding.remedy,
    }
