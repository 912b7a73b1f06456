"""Running a command against AWS: settings, a session, and one sentence on standard error for whatever goes wrong."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from pathlib import Path

import typer

from slipway import __version__, logs
from slipway.aws.operator.operator_session import OperatorSession, open_operator_session
from slipway.cli.output import CommandError, Exit, paragraph
from slipway.core.call_errors import CallFailed, Denied, Refused, ResourceMissing, Throttled
from slipway.core.requests.targets import DEFAULT
from slipway.core.schema.rejection import ErrorWithRemedy, quote
from slipway.settings.load import NO_QUEUE, Settings, load

BEDROCK_ONLY = NO_QUEUE
"""For `run_command`: the settings that a command does without which calls Bedrock alone."""


def run_command(
    config: Path | None,
    command: Callable[[OperatorSession, Settings], Awaitable[Exit]],
    on_error: Callable[[str, str], Exit] | None = None,
    *,
    target: str | None = None,
    optional: Collection[str] = (),
) -> typer.Exit:
    """Run a command and return how to exit. A failure is printed on standard error, and the exit code is `USAGE`.

    `on_error` gets the problem and the remedy of a failure instead. `target` is the one that the command is about, if that was
    named; `optional` are settings that it does not need.
    """
    try:
        settings = load(os.environ, str(config) if config else None, optional=optional)
        logs.configure("error", "console", sys.stderr)
        return typer.Exit(asyncio.run(_run(settings, command, _known_target(target, settings))))
    except KeyboardInterrupt:
        return typer.Exit(Exit.STOPPED_WATCHING)
    except CallFailed as failed:
        wrong = ErrorWithRemedy(*error_text(failed))
    except ErrorWithRemedy as failed:
        wrong = failed
    if on_error is not None:
        return typer.Exit(on_error(wrong.problem, wrong.remedy))
    say(str(wrong))
    return typer.Exit(Exit.USAGE)


def _known_target(target: str | None, settings: Settings) -> str:
    names = [each.name for each in settings.targets]
    if target is None or target in names:
        return target or DEFAULT
    raise unknown_target(target, names)


def unknown_target(target: str, names: Collection[str]) -> CommandError:
    """Return the error about a target that the settings do not have."""
    remedy = "use one of them, or name the daemon's settings file with --config"
    return CommandError(f"--target: the settings have no target {quote(target)}, only {', '.join(names)}", remedy)


def say(sentence: str) -> None:
    """Print a sentence that does not belong to the result on standard error. If that is closed the command continues."""
    text = f"slipway: {sentence}"
    with suppress(OSError):
        typer.echo(paragraph(text) if sys.stderr.isatty() else text, err=True)


async def _run(settings: Settings, command: Callable[[OperatorSession, Settings], Awaitable[Exit]], target: str) -> Exit:
    connection = open_operator_session(
        queue_url=settings.queue_url,
        topic_arn=settings.topic_arn,
        version=__version__,
        wanted=settings.targets,
        about=target,
    )
    async with connection as session:
        return await command(session, settings)


def error_text(failed: CallFailed) -> tuple[str, str]:
    """Return what AWS said of a call that failed, and the remedy."""
    return str(failed).rstrip("."), _remedy_of(failed)


def _remedy_of(failed: CallFailed) -> str:
    match failed:
        case Denied() if "AssumeRole" in f"{failed.code} {failed.text}":
            return (
                "allow the identity of Slipway in the role's trust policy (with the external_id), and allow it sts:AssumeRole"
            )
        case Denied():
            return "check the credentials (AWS_PROFILE, AWS_REGION) and their permissions"
        case ResourceMissing():
            return "check SLIPWAY_QUEUE_URL, SLIPWAY_TOPIC_ARN and the Region"
        case Throttled():
            return "try again in a minute"
        case Refused():
            return "correct the value that AWS names"
        case _:
            return "check the network and the endpoints (AWS_ENDPOINT_URL), then try again"
