"""`slipway probe`: asks for confirmation, probes the account, and prints what was found and what could not be deleted."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import typer

from slipway.aws.operator.operator_session import OperatorSession
from slipway.cli.output import CommandError, Exit, Output, paragraph, print_line, print_sentence
from slipway.cli.probe.client import PREFIX, Plan, ProbeClient, Target
from slipway.cli.probe.questions import ProbeRun, read_account
from slipway.cli.runner import say
from slipway.core.bedrock import Deployment, Status
from slipway.core.diagnostics.probe import ProbeFinding, Question, in_order, terms_of, unasked


async def probe_account(session: OperatorSession, plan: Plan | None, *, is_sure: bool, output: Output) -> Exit:
    """Read; with a plan that is confirmed, also create, observe and delete. Print what was found; return the exit code."""
    found, existing = await read_account(session.here.bedrock)
    if plan is None:
        show([*found, *unasked(found, "it makes deployments: --model says of what")], [], output)
        return smoke_result(found, [])
    if not is_sure:
        where = f"{(await session.here.rights.identity()).account} {session.here.target.home.region}"
        if not _is_confirmed(describe_plan(plan, existing, where)):
            return Exit.USAGE
    probe_run = await run_probe(session.here.bedrock, plan)
    every = list(({finding.question: finding for finding in found} | probe_run.found).values())
    show(in_order([*every, *unasked(every, "the probe ended before it")]), probe_run.left, output)
    if probe_run.client.is_stopped:
        return Exit.FAILURE if probe_run.left else Exit.STOPPED_WATCHING
    return smoke_result(every, probe_run.left) if Question.TAKEN in probe_run.found else Exit.USAGE


async def run_probe(target: Target, plan: Plan) -> ProbeRun:
    """Run the probe. The first SIGINT, SIGTERM or SIGHUP ends it and cleans up; a second one ends the clean-up."""
    probe_run = ProbeRun(ProbeClient(target, plan, say))
    loop, numbers = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, probe_run.client.stop)
    try:
        await probe_run.run()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
    return probe_run


def describe_plan(plan: Plan, existing: Sequence[Deployment], where: str) -> str:
    """Return what will be created, and how many slots that takes."""
    creating = sum(one.status is Status.CREATING for one in existing)
    return (
        f"This creates up to {plan.most} deployments of {plan.model_arn}, named {PREFIX}{plan.run}-…, in {where}, at most "
        f"{plan.slots} in creation at once. Each takes a slot in creation while Bedrock creates it (8 to 45 minutes), and a "
        f"slot of the total until it is deleted. There are {len(existing)} deployments now, {creating} of them in creation: "
        "other requests may wait for slots meanwhile. One deployment is invoked once. All of them are deleted at the end, "
        "also after Ctrl-C."
    )


def smoke_result(found: Sequence[ProbeFinding], left: Sequence[str]) -> Exit:
    """Return whether something is not as Slipway expects, or could not be deleted."""
    return Exit.FAILURE if left or any(finding.is_odd for finding in found) else Exit.OK


def show(found: Sequence[ProbeFinding], left: Sequence[str], output: Output) -> None:
    """Print what was found, and what could not be deleted."""
    terms = terms_of(found)
    if output.is_document:
        output.print_document({"findings": [_json(finding) for finding in found], "terms": terms, "left": list(left)})
        return
    for finding in found:
        _print_finding(finding)
    if terms:
        body = shlex.quote(json.dumps(terms, ensure_ascii=False))
        patch = f'curl -X PATCH "$AWS_ENDPOINT_URL_BEDROCK/_slipway/terms" -d {body}'
        print_line(f"To let slipway local behave as this account:\n    {patch}")
    endpoint = ' --endpoint-url "$AWS_ENDPOINT_URL_BEDROCK"' if "AWS_ENDPOINT_URL_BEDROCK" in os.environ else ""
    for one in left:
        remedy = f"aws bedrock{endpoint} delete-custom-model-deployment --custom-model-deployment-identifier {one}"
        say(f"{one} could not be deleted, and takes a slot; delete it when its creation has ended: {remedy}")


def _print_finding(finding: ProbeFinding) -> None:
    print_line(finding.question.text)
    answer = finding.answer or f"not measured: {finding.why}"
    print_sentence(f"{answer} (not what Slipway expects)" if finding.is_odd else answer, indent=4)
    for call in finding.evidence:
        print_sentence(f"Call: {call.text}", indent=4)
    print_sentence(f"Affects: {finding.question.touches}", indent=4)


def _json(finding: ProbeFinding) -> Mapping[str, object]:
    question = finding.question
    return {
        "id": question.name.lower(),
        "question": question.text,
        "answer": finding.answer,
        "why": finding.why,
        "evidence": [call.text for call in finding.evidence],
        "touches": question.touches,
        "terms": finding.terms,
        "isOdd": finding.is_odd,
    }


def _is_confirmed(text: str) -> bool:
    if not sys.stdin.isatty():
        raise CommandError(
            "--model: creates deployments, and there is no terminal to ask for confirmation", "add --yes, or omit --model"
        )
    typer.echo(paragraph(text), err=True)
    with _default_ctrl_c():
        try:
            return typer.confirm("Continue?", err=True)
        except typer.Abort:
            raise KeyboardInterrupt from None


@contextmanager
def _default_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end a prompt: asyncio would handle it only after the prompt is answered."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
