"""Commands that submit a request: each makes the body of one request, which is sent to the queue."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from slipway.cli.options import (
    Daemons,
    Target,
    as_duration,
    choice,
    duration,
    option_of,
    refuse_without,
    whole_number,
    with_connection,
    with_output,
)
from slipway.cli.output import Output
from slipway.core.requests.models import IfExists, OnFailure

Body = Mapping[str, object]
"""The body of a request. What is None was not given, and is omitted."""

_SMOKE: Final = "Smoke test of the deployment before the outcome"
_CALLBACK: Final = "Further recipients of the outcome"
_FOLLOW: Final = "Following the request"
Force = Annotated[
    bool, typer.Option("--force", help="Also if Slipway did not create it. The daemon's setting allow_force must permit it.")
]
Prompt = Annotated[
    str | None, typer.Option("--smoke-test", metavar="PROMPT", help="Prompt for the deployment.", rich_help_panel=_SMOKE)
]
Expect = Annotated[
    str | None,
    typer.Option(
        "--smoke-expect", metavar="TEXT", help="Text that the answer must contain. Default: any.", rich_help_panel=_SMOKE
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--smoke-max-tokens",
        metavar="NUMBER",
        parser=whole_number(1, 1024),
        help="Longest answer, in tokens, 1 to 1024. Default: 64.",
        rich_help_panel=_SMOKE,
    ),
]
NoGate = Annotated[
    bool,
    typer.Option("--smoke-no-gate", help="Report a failed test without failing the request.", rich_help_panel=_SMOKE),
]

app = typer.Typer()


class OnCancel(StrEnum):
    """What becomes of a deployment whose request is cancelled."""

    KEEP = "keep"
    DELETE = "delete"


def _submits(make: Callable[..., Body]) -> Callable[..., None]:
    """Make a command of a function that returns the body of a request, and give it the options that all requests have."""

    @wraps(make)
    def command(**given: Any) -> None:  # noqa: ANN401  the options, by name
        common = {name: given.pop(name) for name in _COMMON}
        _submit(make.__name__, make(**given), **common)

    own = inspect.signature(make, eval_str=True)
    whole = own.replace(parameters=[*own.parameters.values(), *_COMMON.values()], return_annotation=None)
    command.__signature__ = whole  # type: ignore[attr-defined]  # where typer reads the options
    return with_output(with_connection(command))


def _submit(
    action: str,
    body: Body,
    *,
    request_id: Annotated[str | None, typer.Option(metavar="ID", help="Id of the request. Default: a new UUID.")] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long to try, like 90m, 2h, PT90M or 5400.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(metavar="NAME", help="Tenant used for fair scheduling.")] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="JSON file with the request; - reads standard input. Options override its keys.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and print the request without sending it.")] = False,
    reply_to: Annotated[
        str | None,
        typer.Option(metavar="URL|ARN", help="Queue or topic. The daemon must permit it.", rich_help_panel=_CALLBACK),
    ] = None,
    task_token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="Token of a waiting Step Functions task.", rich_help_panel=_CALLBACK)
    ] = None,
    callback_token: Annotated[
        str | None,
        typer.Option(metavar="TOKEN", help="Token of a SageMaker pipeline's callback step.", rich_help_panel=_CALLBACK),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the outcome, which the exit code reports.", rich_help_panel=_FOLLOW)
    ] = False,
    at_most: Annotated[
        float | None,
        typer.Option(metavar="DURATION", parser=duration, help="With --wait: the longest wait.", rich_help_panel=_FOLLOW),
    ] = None,
    events_queue: Annotated[
        str | None,
        typer.Option(metavar="URL", help="With --wait: your own queue, subscribed to the topic.", rich_help_panel=_FOLLOW),
    ] = None,
    daemon: Daemons = None,
    config: Path | None,
    output: Output,
) -> None:
    from slipway.cli.runner import run_command
    from slipway.cli.submit import FollowOptions, read_body, send_request

    if file is None:
        _refuse_missing(body)
    refuse_without("--wait", is_given=wait, at_most=at_most, events_queue=events_queue)
    if dry_run and wait:
        raise typer.BadParameter("it has no effect with --dry-run, which sends nothing; omit one of them", param_hint="--wait")
    given = {
        **body,
        "requestId": request_id,
        "timeout": as_duration(timeout),
        "tenant": tenant,
        "replyTo": reply_to,
        "taskToken": task_token,
        "callbackToken": callback_token,
    }
    whole = read_body(file, action) | {key: value for key, value in given.items() if value is not None}
    follow = FollowOptions(wait=wait, at_most=at_most, daemons=daemon or (), events_queue=events_queue, dry_run=dry_run)
    raise run_command(config, lambda session, settings: send_request(session, settings, whole, follow, output))


def _refuse_missing(body: Body) -> None:
    """Name every required argument that is missing. A customization job stands for the model."""
    required = ("modelDeploymentName", "customModelDeploymentIdentifier", "cancels", "modelArn")
    given = {**body, "modelArn": body.get("modelArn") or body.get("customizationJob")} if "modelArn" in body else {**body}
    if missing := [option_of(key) for key in required if key in given and given[key] is None]:
        raise typer.BadParameter(
            "give each of them, or a file with -f" if missing[1:] else "give it, or a file with -f",
            param_hint=f"{' and '.join(missing)} missing",
        )


_COMMON: Final = {
    name: each for name, each in inspect.signature(_submit, eval_str=True).parameters.items() if each.kind is each.KEYWORD_ONLY
}


@app.command()
@_submits
def deploy(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of the deployment.")] = None,
    model: Annotated[str | None, typer.Argument(metavar="MODEL_ARN", help="ARN of the custom model.")] = None,
    *,
    customization_job: Annotated[
        str | None,
        typer.Option(metavar="JOB", help="Customization job that makes the model, instead of MODEL_ARN. Slipway waits for it."),
    ] = None,
    target: Target = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="Description that Bedrock shows.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Tag of the deployment. Repeat for more.")] = None,
    if_exists: Annotated[
        IfExists | None, typer.Option(help="What to do if the name is taken. Default: adopt.", **choice(IfExists))
    ] = None,
    retries: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", parser=whole_number(0, 10), help="Further attempts after a failed one. Default: 0."),
    ] = None,
    on_failure: Annotated[
        OnFailure | None, typer.Option(help="What to do with a failed deployment. Default: keep.", **choice(OnFailure))
    ] = None,
    expires_after: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Delete the deployment after this time, like 12h, 7d or P7D.")
    ] = None,
    prompt: Prompt = None,
    expect: Expect = None,
    max_tokens: MaxTokens = None,
    no_gate: NoGate = False,
    priority: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            parser=whole_number(-100, 100),
            help="Requests with a higher priority get slots first, -100 to 100. Default: 0.",
        ),
    ] = None,
    client_request_token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="Token that makes two messages one request. Default: the request's id.")
    ] = None,
) -> Body:
    """Submit a request for a deployment.

    Prints the request's id. With --wait the command follows the request to its outcome. It asks the daemons (--daemon,
    else the one on this machine), reads the events (--events-queue), and asks Bedrock. If it has neither events nor a
    daemon, it cannot tell an outcome that leaves no deployment, and exits with 6.

    Examples: slipway deploy support-bot-v42 arn:aws:bedrock:…:custom-model/… --wait --tag team=support

    slipway deploy preview arn:aws:bedrock:…:custom-model/… --expires-after 1d --smoke-test "Say ready." --smoke-expect ready

    slipway deploy -f request.json --dry-run

    ID=$(slipway deploy support-bot-v42 arn:aws:bedrock:…:custom-model/…)
    """
    return {
        "modelDeploymentName": name,
        "modelArn": model,
        "customizationJob": customization_job,
        "target": target,
        "description": description,
        "tags": _tags(tag),
        "ifExists": if_exists and if_exists.value,
        "retries": retries,
        "onFailure": on_failure and on_failure.value,
        "expiresAfter": as_duration(expires_after),
        "smokeTest": _smoke_test(prompt, expect, max_tokens, no_gate=no_gate),
        "priority": priority,
        "clientRequestToken": client_request_token,
    }


@app.command()
@_submits
def update(
    identifier: Annotated[str | None, typer.Argument(metavar="NAME_OR_ARN", help="Name or ARN of the deployment.")] = None,
    model: Annotated[str | None, typer.Argument(metavar="MODEL_ARN", help="ARN of the custom model to serve.")] = None,
    *,
    target: Target = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Return to the former model if the update fails.")] = False,
    force: Force = False,
    prompt: Prompt = None,
    expect: Expect = None,
    max_tokens: MaxTokens = None,
    no_gate: NoGate = False,
) -> Body:
    """Submit a request to serve another model from a deployment.

    Prints the request's id. With --wait the command follows the request to its outcome, as slipway deploy does.

    Example: slipway update support-bot arn:aws:bedrock:…:custom-model/… --rollback --smoke-test "Say ready." --wait
    """
    return {
        "action": "update",
        "customModelDeploymentIdentifier": identifier,
        "modelArn": model,
        "target": target,
        "rollback": rollback or None,
        "force": force or None,
        "smokeTest": _smoke_test(prompt, expect, max_tokens, no_gate=no_gate),
    }


@app.command()
@_submits
def delete(
    identifier: Annotated[str | None, typer.Argument(metavar="NAME_OR_ARN", help="Name or ARN of the deployment.")] = None,
    *,
    target: Target = None,
    force: Force = False,
) -> Body:
    """Submit a request to delete a deployment.

    Prints the request's id. With --wait the command follows the request to its outcome, as slipway deploy does.

    Example: slipway delete support-bot-v42 --wait
    """
    return {
        "action": "delete",
        "customModelDeploymentIdentifier": identifier,
        "target": target,
        "force": force or None,
    }


@app.command()
@_submits
def cancel(
    request: Annotated[
        str | None, typer.Argument(metavar="REQUEST_ID", help="Id of the request, as its events show it.")
    ] = None,
    *,
    deployment: Annotated[
        OnCancel | None, typer.Option(help="What to do with the deployment if it exists. Default: keep.", **choice(OnCancel))
    ] = None,
) -> Body:
    """Submit a request to cancel another request.

    The other request may wait or be in creation, in any target. Prints the id of the cancel, which is a request too. With
    --wait the command follows the cancel: exit code 0 if the other request is cancelled, 1 if it had already ended. A
    command that follows the cancelled request exits with 5.

    Example: slipway cancel train-2026-11-23-42 --deployment delete --wait
    """
    return {"action": "cancel", "cancels": request, "deployment": deployment and deployment.value}


def _tags(given: list[str] | None) -> list[dict[str, str]] | None:
    if not given:
        return None
    for each in given:
        if "=" not in each:
            raise typer.BadParameter(f"{each!r} has no =; give it as KEY=VALUE, like team=support", param_hint="--tag")
    return [{"key": key, "value": value} for key, _, value in (each.partition("=") for each in given)]


def _smoke_test(prompt: str | None, expect: str | None, max_tokens: int | None, *, no_gate: bool) -> dict[str, object] | None:
    refuse_without(
        "--smoke-test",
        is_given=prompt is not None,
        smoke_expect=expect is not None,
        smoke_max_tokens=max_tokens is not None,
        smoke_no_gate=no_gate,
    )
    given = {"prompt": prompt, "expect": expect, "maxTokens": max_tokens, "gate": False if no_gate else None}
    return {key: value for key, value in given.items() if value is not None} or None
