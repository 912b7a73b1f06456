"""Commands for whoever looks after Slipway: is all as it should be, and what is to be done where it is not."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Annotated

import typer

from slipway.cli.exit_codes import Exit
from slipway.cli.request_options import AsJson, Config, Daemons, Target, custom_model

if TYPE_CHECKING:
    from slipway.aws.operator.operator_session import OperatorSession
    from slipway.settings.load import Settings

app = typer.Typer()
dlq = typer.Typer(help="Look into the dead-letter queue, and send letters back.", no_args_is_help=True)
app.add_typer(dlq, name="dlq")


@app.command()
def audit(
    *,
    target: Target = None,
    config: Config = None,
    daemon: Daemons = None,
    events: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The topic's events as you archived them, one a line; - is standard input."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare what Slipway made with what it holds and announced.

    Of one target. Changes nothing. Finds: orphan (made, and nobody was told how it ended), late (announced as TimedOut, and
    Active or Failed since), leftover (Failed, and still there), twin (one request, several deployments), conflict (a
    request's name is taken).

    Bedrock alone shows leftovers and twins. Every daemon (--daemon) adds conflicts, and orphans that are still in
    creation. The archived events (--events) add all other orphans made since the first of them, and late ones. What
    cannot be known is said, not guessed. Exits 0 when nothing was found, 1 when something was, 2 when it could not look.

    Example: slipway audit --daemon http://10.0.0.1:8080 --daemon http://10.0.0.2:8080 --events events.jsonl
    """
    from slipway.cli.audit import audit_account, read_events
    from slipway.cli.runner import CommandError, run_command, say

    try:
        told = None if events is None else read_events(events)
    except CommandError as wrong:
        say(str(wrong))
        raise typer.Exit(Exit.USAGE) from wrong

    def errand(visit: OperatorSession, settings: Settings) -> Awaitable[Exit]:
        return audit_account(visit, settings, daemon or [], told, as_json=as_json)

    raise run_command(config, errand, target=target)


@app.command()
def doctor(
    *,
    model: Annotated[
        str | None, typer.Option(metavar="ARN", help="Also look at this model: can it be deployed?", callback=custom_model)
    ] = None,
    daemon: Daemons = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Check all that Slipway stands on, and say what to mend.

    Settings, rules, credentials, queues, topic, permissions, clock, Region, slots. Of every target: whether its role can be
    assumed, what may be done there, how full it is. Changes nothing: permissions are tried by calls that AWS must refuse
    for what they ask, so receiving, sending and publishing are not tried. Exits 0 when all is well, 1 when something is
    not.

    Example: slipway doctor --daemon http://127.0.0.1:8080
    """
    from slipway.cli.doctor import report, run_doctor
    from slipway.cli.runner import run_command
    from slipway.core.diagnostics.doctor import of_sentence

    def otherwise(sentence: str) -> Exit:
        return report([of_sentence("settings", sentence)], ["settings"], as_json=as_json)

    raise run_command(
        config, lambda visit, settings: run_doctor(visit, settings, daemon or [], model, as_json=as_json), otherwise
    )


@app.command()
def probe(
    *,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="ARN", help="Also make deployments of this model, look at them, and delete them.", callback=custom_model
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --model: do not ask whether that is all right.")] = False,
    slots: Annotated[int, typer.Option(help="With --model: how many may be in creation at once.", min=1, max=20)] = 1,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", help="With --model: how long any one thing is waited for.", min=1)
    ] = 7200,
    target: Target = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Find out on a real account what AWS documents nowhere.

    Lags, quotas, tokens, names, errors. Without --model only reads. With it, says what it will make and what that costs in
    slots, and asks; all that it made it deletes in the end, also after Ctrl-C or a failure, and says what it could not.
    --slots 3 finds a quota of two. Each answer comes with the calls that showed it, what of Slipway it touches, and the
    terms with which slipway local does alike. Exits 0 when all is as Slipway relies on, 1 when something is not or was
    left, 2 when nothing could be made, 130 after Ctrl-C.

    Example: slipway probe --model arn:aws:bedrock:us-east-1:123456789012:custom-model/… --yes --json
    """
    import secrets

    from slipway.cli.probe.client import Plan
    from slipway.cli.probe.command import probe_account
    from slipway.cli.runner import run_command

    plan = None if model is None else Plan(model, slots, patience, secrets.token_hex(3))
    raise run_command(config, lambda visit, _: probe_account(visit, plan, is_sure=yes, as_json=as_json), target=target)


@dlq.command("list")
def dlq_list(
    *,
    limit: Annotated[int, typer.Option(help="How many to look at.", min=1, max=1000)] = 100,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters, with the reason of each.

    Example: slipway dlq list --json
    """
    from slipway.cli.dead_letters import list_letters
    from slipway.cli.runner import run_command

    raise run_command(config, lambda visit, settings: list_letters(visit, settings, limit=limit, as_json=as_json))


@dlq.command("show")
def dlq_show(
    letter: Annotated[str, typer.Argument(metavar="ID", help="The letter, by its message id.")],
    *,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: why it is there, and its body.

    Example: slipway dlq show 0d6d9d2e-5b4c-4b8c-9a3e-2f6f0c7d1e5a
    """
    from slipway.cli.dead_letters import show_letter
    from slipway.cli.runner import run_command

    raise run_command(config, lambda visit, settings: show_letter(visit, settings, letter, as_json=as_json))


@dlq.command("redrive")
def dlq_redrive(
    letters: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Which letters, by message id.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All of them that would be accepted.")] = False,
    unsound: Annotated[bool, typer.Option("--unsound", help="With --all: also those that would be rejected again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent, and send nothing.")] = False,
    config: Config = None,
) -> None:
    """Send dead letters back to the queue, until none is left.

    Each is judged as the daemon would: by the targets, triggers, permissions and reply_to of the settings, with you as its
    sender. There each begins anew. Prints the id of each that was sent. Each is sent first and deleted then: a crash
    between leaves it in both, which is harmless. Exits 1 when some were left, and says why.

    Examples: slipway dlq redrive --all; slipway dlq redrive 0d6d9d2e-5b4c-4b8c-9a3e-2f6f0c7d1e5a
    """
    from slipway.cli.dead_letters import redrive
    from slipway.cli.runner import run_command

    if bool(letters) == everything:
        raise typer.BadParameter("name letters by their ids, or say --all; not both", param_hint="[ID]... / --all")
    raise run_command(config, lambda visit, settings: redrive(visit, settings, letters or [], unsound=unsound, dry_run=dry_run))


@app.command()
def config(
    *,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Print the settings in force, and where each came from.

    And the AWS SDK's variables. Secrets are not shown.

    Example: slipway config --json
    """
    from slipway.cli.config import print_config

    raise typer.Exit(print_config(config, as_json=as_json))
