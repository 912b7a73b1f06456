"""Commands that check Slipway and its account, and that repair what they find."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.options import (
    CommandGroup,
    Config,
    Daemons,
    Target,
    custom_model,
    duration,
    refuse_without,
    whole_number,
    with_connection,
    with_output,
)
from slipway.cli.output import Exit, Output

app = typer.Typer()
dlq = typer.Typer(cls=CommandGroup)
app.add_typer(dlq, name="dlq", help="Inspect the dead-letter queue, and redrive its messages.")


@app.command()
@with_output
@with_connection
def audit(
    *,
    target: Target = None,
    daemon: Daemons = None,
    events: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Archived events of the topic, one on each line; - reads standard input."),
    ] = None,
    config: Path | None,
    output: Output,
) -> None:
    """Compare deployments with requests in progress and events.

    Covers one target, and changes nothing. Finds: orphan (created, and no outcome was published), late (published as
    TimedOut, and Active or Failed since), leftover (Failed, and not deleted), twin (one request, several deployments),
    conflict (a request's name is taken).

    Bedrock alone shows leftovers and twins. Daemons (--daemon for each) add conflicts, and orphans in creation. Archived
    events (--events) add late ones, and all other orphans created since the first event. What cannot be known is listed
    as such. Exits 0 if nothing was found, 1 if something was found, 2 if the audit failed.

    Example: slipway audit --daemon http://10.0.0.1:8080 --daemon http://10.0.0.2:8080 --events events.jsonl
    """
    from slipway.cli.checks import audit_account, read_events
    from slipway.cli.runner import run_command

    archived = None if events is None else read_events(events)
    raise run_command(
        config,
        lambda session, settings: audit_account(session, settings, daemon or [], archived, output),
        target=target,
    )


@app.command()
@with_output
@with_connection
def doctor(
    *,
    model: Annotated[
        str | None, typer.Option(metavar="ARN", help="Also check that this model can be deployed.", callback=custom_model)
    ] = None,
    daemon: Daemons = None,
    config: Path | None,
    output: Output,
) -> None:
    """Check everything that Slipway depends on.

    Settings, rules, credentials, queues, topic, permissions, clock, Region and slots; of every target the role, the
    permissions and the slots. Changes nothing: permissions are checked by calls with values that AWS must refuse, so
    receiving, sending and publishing are not checked. Exits 0 if all is well, else 1.

    Example: slipway doctor --daemon http://127.0.0.1:8080
    """
    from slipway.cli.checks import report, run_doctor
    from slipway.cli.runner import run_command
    from slipway.core.diagnostics.doctor import Check, DoctorFinding

    def on_error(problem: str, remedy: str) -> Exit:
        return report([DoctorFinding("settings", problem, remedy)], [Check("settings")], output)

    raise run_command(config, lambda session, settings: run_doctor(session, settings, daemon or [], model, output), on_error)


@app.command()
@with_output
@with_connection
def probe(
    *,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="ARN", help="Also create deployments of this model, observe them, and delete them.", callback=custom_model
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --model: do not ask for confirmation.")] = False,
    slots: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            parser=whole_number(1, 20),
            help="With --model: deployments in creation at once, 1 to 20. Default: 1.",
        ),
    ] = None,
    patience: Annotated[
        float | None,
        typer.Option(metavar="DURATION", parser=duration, help="With --model: the longest wait for one answer. Default: 2h."),
    ] = None,
    target: Target = None,
    config: Path | None,
    output: Output,
) -> None:
    """Measure undocumented Bedrock behaviour on a real account.

    Delays, quotas, tokens, names, errors. Without --model it only reads. With --model it says what it will create and how
    many slots that takes, and asks for confirmation. It deletes what it created, also after Ctrl-C or a failure, and says
    what it could not delete. --slots 3 finds a quota of two. Each answer has the calls that showed it, the part of Slipway
    that it affects, and the settings with which slipway local behaves alike. Exits 0 if all is as Slipway expects, 1 if
    something is not or could not be deleted, 2 if nothing could be created, 130 after Ctrl-C.

    Example: slipway probe --model arn:aws:bedrock:us-east-1:123456789012:custom-model/… --yes -o json
    """
    import secrets

    from slipway.cli.probe.client import Plan
    from slipway.cli.probe.command import probe_account
    from slipway.cli.runner import BEDROCK_ONLY, run_command

    refuse_without("--model", is_given=model is not None, yes=yes, slots=slots, patience=patience)
    plan = None if model is None else Plan(model, slots or 1, patience or 7200, secrets.token_hex(3))
    raise run_command(
        config,
        lambda session, _: probe_account(session, plan, is_sure=yes, output=output),
        target=target,
        optional=BEDROCK_ONLY,
    )


@dlq.command("list")
@with_output
@with_connection
def dlq_list(
    *,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER", parser=whole_number(1, 120_000), help="Most messages to list, 1 to 120000; default: all."
        ),
    ] = None,
    config: Path | None,
    output: Output,
) -> None:
    """List the dead-lettered messages with their reasons.

    Example: slipway dlq list -o json
    """
    from slipway.cli.dead_letters import list_letters
    from slipway.cli.runner import run_command

    raise run_command(config, lambda session, settings: list_letters(session, settings, limit, output))


@dlq.command("show")
@with_output
@with_connection
def dlq_show(
    message_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the message.")],
    *,
    config: Path | None,
    output: Output,
) -> None:
    """Show one dead-lettered message with its reason and its body.

    Exits 1 if there is none.

    Example: slipway dlq show 0d6d9d2e-5b4c-4b8c-9a3e-2f6f0c7d1e5a
    """
    from slipway.cli.dead_letters import show_letter
    from slipway.cli.runner import run_command

    raise run_command(config, lambda session, settings: show_letter(session, settings, message_id, output))


@dlq.command("redrive")
@with_output
@with_connection
def dlq_redrive(
    message_ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of the messages.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All messages that would be accepted.")] = False,
    unsound: Annotated[bool, typer.Option("--unsound", help="With --all: also messages that would be rejected again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the ids without sending anything.")] = False,
    config: Path | None,
    output: Output,
) -> None:
    """Send dead-lettered messages back to the queue.

    Each message is checked as the daemon would check it, by the targets, triggers, permissions and reply_to of the
    settings, with you as its sender. Its request starts again from the beginning. Prints the id of each message that was
    sent. A message is sent before it is deleted: after a crash it may be in both queues, which does no harm. Exits 1 if
    messages remain, and says why.

    Examples: slipway dlq redrive --all; slipway dlq redrive 0d6d9d2e-5b4c-4b8c-9a3e-2f6f0c7d1e5a
    """
    from slipway.cli.dead_letters import redrive
    from slipway.cli.runner import run_command

    if bool(message_ids) == everything:
        raise typer.BadParameter("name messages by their ids, or use --all; not both", param_hint="ID / --all")
    refuse_without("--all", is_given=everything, unsound=unsound)
    raise run_command(
        config,
        lambda session, settings: redrive(session, settings, message_ids or [], output, unsound=unsound, dry_run=dry_run),
    )


@app.command()
@with_output
def config(*, config: Config = None, output: Output) -> None:
    """Print the settings in force, and the origin of each.

    Includes the variables of the AWS SDK. Secrets are not shown.

    Example: slipway config -o json
    """
    from slipway.cli.config import print_config

    raise typer.Exit(print_config(config, output))
