"""One errand of the command line: settings, a connection, and whatever goes wrong said in one line, with what to do."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import typer

from slipway import __version__, logs
from slipway.aws.operator.operator_session import OperatorSession, open_operator_session
from slipway.aws.sdk.regions import NotConfigured
from slipway.cli.exit_codes import Exit
from slipway.cli.output import paragraph
from slipway.client.daemons import DaemonUnreachable
from slipway.core.bedrock.errors import CallFailed, Denied, Refused, ResourceMissing, Throttled
from slipway.core.requests.targets import DEFAULT
from slipway.core.schema.rejection import quote
from slipway.settings.load import Settings, WrongSetting, load


class CommandError(Exception):
    """What was asked cannot be done as it was asked: one sentence names the option, the problem and the remedy."""


def run_command(
    config: Path | None,
    errand: Callable[[OperatorSession, Settings], Awaitable[Exit]],
    otherwise: Callable[[str], Exit] | None = None,
    *,
    target: str | None = None,
) -> typer.Exit:
    """Do it and answer how to exit. What went wrong is said on standard error, and the exit is `USAGE`.

    `otherwise` is what to do with that sentence instead. `target` is the one that it is about, where that was named.
    """
    try:
        settings = load(os.environ, str(config) if config else None)
        logs.configure("error", "console", sys.stderr)
        return typer.Exit(asyncio.run(_visit(settings, errand, _known(target, settings))))
    except KeyboardInterrupt:
        return typer.Exit(Exit.STOPPED_WATCHING)
    except CallFailed as failed:
        sentence = "; ".join(error_text(failed))
    except (WrongSetting, NotConfigured, DaemonUnreachable, CommandError) as wrong:
        sentence = str(wrong)
    if otherwise is not None:
        return typer.Exit(otherwise(sentence))
    say(sentence)
    return typer.Exit(Exit.USAGE)


def _known(target: str | None, settings: Settings) -> str:
    names = [each.name for each in settings.targets]
    if target is None or target in names:
        return target or DEFAULT
    remedy = "name one of them, or with --config the settings file that has it, which is the daemon's"
    raise CommandError(f"--target: the settings have no target {quote(target)}, only {', '.join(names)}; {remedy}")


def say(sentence: str) -> None:
    """Tell the person at the terminal something that is not the answer. Without a terminal any more the work goes on."""
    said = f"slipway: {sentence}"
    with suppress(OSError):
        typer.echo(paragraph(said) if sys.stderr.isatty() else said, err=True)


async def _visit(settings: Settings, errand: Callable[[OperatorSession, Settings], Awaitable[Exit]], target: str) -> Exit:
    connection = open_operator_session(
        queue_url=settings.queue_url,
        topic_arn=settings.topic_arn,
        version=__version__,
        wanted=settings.targets,
        about=target,
    )
    async with connection as visit:
        return await errand(visit, settings)


def error_text(failed: CallFailed) -> tuple[str, str]:
    """Say of a call that failed what AWS said, and what a person can do."""
    return str(failed).rstrip("."), _remedy_of(failed)


def _remedy_of(failed: CallFailed) -> str:
    match failed:
        case Denied() if "AssumeRole" in f"{failed.code} {failed.text}":
            return "let the role's trust policy name whoever Slipway runs as (with the external_id), who needs sts:AssumeRole"
        case Denied():
            return "check the credentials (AWS_PROFILE, AWS_REGION) and their permissions"
        case ResourceMissing():
            return "check SLIPWAY_QUEUE_URL, SLIPWAY_TOPIC_ARN and the Region"
        case Throttled():
            return "try again in a minute"
        case Refused():
            return "AWS does not take what was given; mend that"
        case _:
            return "check the network and the endpoints (AWS_ENDPOINT_URL), then try again"
