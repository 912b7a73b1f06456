"""The command line. What a command does is in a module of its own, which is imported when the command runs."""

from __future__ import annotations

import asyncio
import json
import platform
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from slipway import __version__
from slipway.cli.commands import inspect as inspect_commands
from slipway.cli.commands import operate as operate_commands
from slipway.cli.commands import submit as submit_commands
from slipway.cli.options import CommandGroup, Config, choice, share, whole_number, with_connection, with_output
from slipway.cli.output import CommandError, Form, Output, checked_streams, print_line

app = typer.Typer(
    cls=CommandGroup,
    name="slipway",
    help="Create Amazon Bedrock custom model deployments from requests in an SQS queue, and publish every outcome to SNS.",
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(submit_commands.app)
app.add_typer(inspect_commands.app)
app.add_typer(operate_commands.app)


class Document(StrEnum):
    """The documents of `slipway schema`."""

    REQUEST = "request"
    EVENT = "event"
    ASYNCAPI = "asyncapi"


def run() -> None:
    """Run a command. Its help is drawn with colours at a terminal, and is plain in a pipe."""
    with checked_streams():
        if sys.stdout.isatty() and sys.stderr.isatty():
            app.rich_markup_mode = "markdown"
        app()


def _show_version(value: bool) -> None:  # noqa: FBT001  the form that typer calls
    if value:
        typer.echo(f"slipway {__version__}")
        raise typer.Exit


@app.callback()
def slipway(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Create Amazon Bedrock custom model deployments from requests in an SQS queue, and publish every outcome to SNS."""


@app.command()
@with_connection
def serve(config: Path | None) -> None:
    """Run the daemon until SIGTERM or SIGINT.

    A second signal ends it at once. config/slipway.toml lists all settings; each x_y is SLIPWAY_X_Y in the environment.
    SLIPWAY_QUEUE_URL and SLIPWAY_TOPIC_ARN are required. Region, credentials and endpoints are the AWS SDK's (AWS_REGION, …).

    Example: slipway serve --config slipway.toml
    """
    from slipway import daemon

    raise typer.Exit(daemon.main(config))


@app.command()
def health(
    *,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER", parser=whole_number(1, 65535), help="Port of the daemon. Default: that of the settings."
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Ask the daemon on this machine whether it is healthy.

    For health checks of containers. Reads http_host and http_port as slipway serve does. Exits 0 if it is healthy, else 1.

    Example: slipway health --port 8080
    """
    from slipway.cli.daemon_status import check_health

    raise typer.Exit(check_health(str(config) if config else None, port))


@app.command()
@with_output
def version(output: Output) -> None:
    """Print the versions of Slipway, of Python and of the AWS SDK.

    Example: slipway version -o json
    """
    from importlib.metadata import version as version_of

    versions = {"slipway": __version__, "python": platform.python_version()}
    versions |= {name: version_of(name) for name in ("aioboto3", "botocore")}
    if output.is_document:
        output.print_document(versions)
        return
    for name, number in versions.items():
        print_line(f"{name} {number}")


@app.command()
@with_output
def schema(
    document: Annotated[
        Document, typer.Argument(help="request, event or asyncapi.", **(choice(Document) | {"metavar": "DOCUMENT"}))
    ],
    output: Output,
) -> None:
    """Print the JSON Schema of requests or of events, or AsyncAPI.

    They are generated from the code that checks requests and writes events. AsyncAPI describes both, with queue and topic.

    Example: slipway schema request > request.schema.json
    """
    from slipway.core.events.schema import asyncapi_document, event_schema
    from slipway.core.parsing import request_schema

    makers: Mapping[Document, Callable[[], object]] = {
        Document.REQUEST: request_schema,
        Document.EVENT: event_schema,
        Document.ASYNCAPI: partial(asyncapi_document, __version__),
    }
    made = makers[document]()
    if output.form is Form.YAML or output.query is not None:
        output.print_document(made)
    else:
        typer.echo(json.dumps(made, indent=2, ensure_ascii=False))


triggers = typer.Typer(cls=CommandGroup)
app.add_typer(triggers, name="triggers", help="Rules that turn upstream events into requests.")


@triggers.command("test")
@with_output
def triggers_test(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON file with an event; - reads standard input.")] = "-",
    *,
    rules: Annotated[
        str | None, typer.Option("--triggers", metavar="FILE", help="TOML file with the rules. Default: SLIPWAY_TRIGGERS.")
    ] = None,
    config: Config = None,
    output: Output,
) -> None:
    """Show which rule matches a sample event, and its request.

    Calls nothing. Exits 0 with a request, 1 if no rule matches or the request would be rejected, 2 if a file cannot be read.

    Example: slipway triggers test event.json --triggers triggers.toml
    """
    from slipway.cli.config import try_triggers

    raise typer.Exit(try_triggers(file, rules, str(config) if config else None, output))


permissions = typer.Typer(cls=CommandGroup)
app.add_typer(permissions, name="permissions", help="Rules that restrict what senders may request.")


@permissions.command("test")
@with_output
def permissions_test(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON file with a request; - reads standard input.")] = "-",
    *,
    sender: Annotated[
        str, typer.Option(metavar="ID", help="SenderId that SQS gives to the message, like AROAEXAMPLEROLEID0001:ci.")
    ],
    rules: Annotated[
        str | None,
        typer.Option("--permissions", metavar="FILE", help="TOML file with the rules. Default: SLIPWAY_PERMISSIONS."),
    ] = None,
    config: Config = None,
    output: Output,
) -> None:
    """Show which rule permits a request of a sender, and its tags.

    Calls nothing. Exits 0 if it is permitted, 1 if it would be rejected, 2 if a file cannot be read.

    Example: slipway permissions test request.json --sender AROAEXAMPLEROLEID0001:ci --permissions permissions.toml
    """
    from slipway.cli.config import try_permissions

    raise typer.Exit(try_permissions(file, sender, rules, str(config) if config else None, output))


_OF_LOCAL = ("moto", "flask", "flask_cors", "werkzeug")
"""Packages of the extra `local`."""
_LOCAL_REMEDY = "run pip install 'slipway-bedrock[local]'"
_PORT = {"metavar": "NUMBER", "parser": whole_number(0, 65535)}
_QUOTA = {"metavar": "NUMBER", "parser": whole_number(0, 1_000_000)}


@app.command()
def local(
    *,
    port: Annotated[int, typer.Option(help="Port of SQS and SNS; 0 for any free one.", **_PORT)] = 4566,
    bedrock_port: Annotated[int, typer.Option(help="Port of Bedrock; 0 for any free one.", **_PORT)] = 4567,
    max_creating: Annotated[int, typer.Option(help="Quota of deployments in creation.", **_QUOTA)] = 2,
    max_total: Annotated[int, typer.Option(help="Quota of deployments in total.", **_QUOTA)] = 10,
    creation_seconds: Annotated[
        tuple[str, str], typer.Option(metavar="FROM TO", help="Shortest and longest creation, in seconds.")
    ] = ("15", "25"),
    failing: Annotated[
        float, typer.Option(metavar="SHARE", parser=share, help="Share of deployments that fail, 0 to 1.")
    ] = 0.0,
    fifo: Annotated[bool, typer.Option("--fifo", help="FIFO queue and topic.")] = False,
    env_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the variables to a file, one NAME=VALUE on each line.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Run in the background; return when it serves.")] = False,
) -> None:
    """Serve a local AWS stand-in with SQS, SNS and Bedrock.

    Serves until SIGTERM or SIGINT. Prints the variables to export, after which slipway serve, boto3 and the AWS CLI use it.

    Examples: slipway local --max-creating 5 --creation-seconds 5 10

    eval "$(slipway local --detach)"
    """
    _require_local()
    from slipway.local.behaviour import Behaviour, WrongBehaviour
    from slipway.local.stack import detach_local_aws, serve_local_aws

    try:
        seconds = tuple(float(each) for each in creation_seconds)
        behaviour = Behaviour(max_creating=max_creating, max_total=max_total, failing=failing).changed(
            {"creation_seconds": seconds}
        )
    except (WrongBehaviour, ValueError):
        text = "not two numbers of at least 0, the shorter first; give them like 15 25"
        raise typer.BadParameter(text, param_hint="--creation-seconds") from None
    if detach:
        raise typer.Exit(detach_local_aws(sys.argv[1:], env_file=env_file))
    serving = serve_local_aws(terms=behaviour, port=port, bedrock_port=bedrock_port, fifo=fifo, env_file=env_file)
    raise typer.Exit(asyncio.run(serving))


@app.command()
def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Continue to serve the page until Ctrl-C.")] = False,
) -> None:
    """Show Slipway at work for half a minute, without an account.

    Runs a local AWS stand-in, the daemon, and a few requests, and shows what becomes of them. The address of the daemon's
    page is printed first.

    Example: slipway demo --keep
    """
    _require_local()
    from slipway.local.demo import run_demo

    raise typer.Exit(asyncio.run(run_demo(keep=keep)))


def _require_local() -> None:
    """Refuse to start a stand-in whose process of SQS and SNS could not import what it needs."""
    missing = [name for name in _OF_LOCAL if find_spec(name) is None]
    if missing:
        raise CommandError(f"{' and '.join(missing)} {'are' if missing[1:] else 'is'} not installed", _LOCAL_REMEDY)
