"""`slipway probe`: asks first, then the account; prints what was found, and what could not be taken away."""

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
from slipway.cli.exit_codes import Exit
from slipway.cli.output import is_terminal, paragraph, print_json, print_line, print_table
from slipway.cli.probe.account import ProbeRun
from slipway.cli.probe.client import PREFIX, Plan, ProbeClient, Target
from slipway.cli.probe.readonly import look
from slipway.cli.runner import CommandError, say
from slipway.core.bedrock.deployments import Deployment, Status
from slipway.core.diagnostics.probe import ProbeFinding, Question, in_order, terms_of, unasked

COLUMNS = ("question", "answer", "seen in", "what it touches")


async def probe_account(visit: OperatorSession, plan: Plan | None, *, is_sure: bool, as_json: bool) -> Exit:
    """Look; with a plan, and if whoever asked is sure, also make, look and take away. Print, and answer how it ended."""
    found, existing = await look(visit.here.bedrock)
    if plan is None:
        show([*found, *unasked(found, "it makes deployments: --model says of what")], [], as_json=as_json)
        return smoke_result(found, [])
    home = visit.here.target.home
    if not is_sure and not _is_agreed(describe_plan(plan, existing, f"{home.account} {home.region}")):
        return Exit.USAGE
    experiment = await run_probe(visit.here.bedrock, plan)
    every = list(({finding.question: finding for finding in found} | experiment.found).values())
    show(in_order([*every, *unasked(every, "it did not come to that")]), experiment.left, as_json=as_json)
    if experiment.hands.is_stopped:
        return Exit.FAILURE if experiment.left else Exit.STOPPED_WATCHING
    return smoke_result(every, experiment.left) if Question.TAKEN in experiment.found else Exit.USAGE


async def run_probe(target: Target, plan: Plan) -> ProbeRun:
    """Do the experiment. The first SIGINT, SIGTERM or SIGHUP ends it and cleans up, a second one leaves the rest."""
    experiment = ProbeRun(ProbeClient(target, plan, say))
    loop, numbers = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, experiment.hands.stop)
    try:
        await experiment.run()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
    return experiment


def describe_plan(plan: Plan, existing: Sequence[Deployment], where: str) -> str:
    """Say what will be made, and what that costs."""
    creating = sum(one.status is Status.CREATING for one in existing)
    return (
        f"This makes up to {plan.most} deployments of {plan.model_arn}, named {PREFIX}{plan.run}-…, in {where}, not more than "
        f"{plan.slots} in creation at once. Each takes a slot in creation while Bedrock makes it, for minutes (8 to 45 were "
        f"seen), and a slot of the total until it is deleted, which Bedrock may allow only then. There are {len(existing)} "
        f"deployments now, {creating} of them in creation: whoever else wants a slot waits meanwhile. One is asked for one "
        "word. All are taken away in the end, also after Ctrl-C."
    )


def smoke_result(found: Sequence[ProbeFinding], left: Sequence[str]) -> Exit:
    """Answer whether something is not as Slipway relies on, or is still there."""
    return Exit.FAILURE if left or any(finding.is_odd for finding in found) else Exit.OK


def show(found: Sequence[ProbeFinding], left: Sequence[str], *, as_json: bool) -> None:
    """Print what was found, and what is left."""
    terms = terms_of(found)
    if as_json:
        print_json({"findings": [_json(finding) for finding in found], "terms": terms, "left": list(left)})
        return
    rows = [_row(finding) for finding in found]
    print_table(COLUMNS, rows)
    if terms:
        said = json.dumps(terms, ensure_ascii=False)
        patch = f'curl -X PATCH "$AWS_ENDPOINT_URL_BEDROCK/_slipway/terms" -d {shlex.quote(said)}'
        print_line(f"`slipway local` does as this account does, with:\n{patch}" if is_terminal() else f"terms\t{said}")
    endpoint = ' --endpoint-url "$AWS_ENDPOINT_URL_BEDROCK"' if "AWS_ENDPOINT_URL_BEDROCK" in os.environ else ""
    for one in left:
        remedy = f"aws bedrock{endpoint} delete-custom-model-deployment --custom-model-deployment-identifier {one}"
        print_line(f"left\t{one}")
        say(f"{one} is still there, and takes a slot; delete it when it has been made: {remedy}")


def _row(finding: ProbeFinding) -> tuple[str, str, str, str]:
    answer = finding.answer or f"not seen: {finding.why}"
    evidence = "; ".join(call.text for call in finding.evidence)
    return (
        finding.question.text,
        f"{answer} (not what Slipway relies on)" if finding.is_odd else answer,
        evidence,
        finding.question.touches,
    )


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


def _is_agreed(said: str) -> bool:
    if not sys.stdin.isatty():
        raise CommandError("--model makes deployments, and nobody is here to ask; say --yes, or leave --model out")
    typer.echo(paragraph(said), err=True)
    with _ctrl_c_as_usual():
        try:
            return typer.confirm("Go on?", err=True)
        except typer.Abort:
            raise KeyboardInterrupt from None


@contextmanager
def _ctrl_c_as_usual() -> Iterator[None]:
    """Within, Ctrl-C ends a question: asyncio would only note it until that is answered."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
