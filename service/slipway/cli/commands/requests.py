"""Commands that ask for something: each answers the body of one request, which is put on the queue."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from slipway.cli.request_options import Body, Target, asking, seconds
from slipway.core.requests.models import IfExists, OnFailure

_SMOKE: Final = "Smoke test, before it ends well"
Force = Annotated[bool, typer.Option("--force", help="Also if Slipway did not make it; the daemon must allow that.")]
Prompt = Annotated[
    str | None, typer.Option("--smoke-test", metavar="PROMPT", help="What the deployment is asked.", rich_help_panel=_SMOKE)
]
Expect = Annotated[
    str | None,
    typer.Option("--smoke-expect", metavar="TEXT", help="What it must answer; else any will do.", rich_help_panel=_SMOKE),
]
MaxTokens = Annotated[
    int | None,
    typer.Option("--smoke-max-tokens", metavar="NUMBER", help="How much it may answer; else 64.", rich_help_panel=_SMOKE),
]
NoGate = Annotated[
    bool, typer.Option("--smoke-no-gate", help="A test that fails is told, and is no failure.", rich_help_panel=_SMOKE)
]

app = typer.Typer()


class Begun(StrEnum):
    """What becomes of a deployment whose request is cancelled."""

    KEEP = "keep"
    DELETE = "delete"


@app.command()
@asking
def deploy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the deployment is to be called.")],
    model: Annotated[str | None, typer.Argument(metavar="MODEL_ARN", help="The custom model, by its ARN.")] = None,
    *,
    customization_job: Annotated[
        str | None, typer.Option(metavar="JOB", help="Instead of MODEL_ARN: the job that makes the model, which is waited for.")
    ] = None,
    target: Target = None,
    description: Annotated[str | None, typer.Option(help="A line for people, shown by Bedrock.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A tag of the deployment; again for more.")] = None,
    if_exists: Annotated[IfExists | None, typer.Option(help="What is done where the name is taken; else adopt.")] = None,
    retries: Annotated[int | None, typer.Option(help="How many attempts more, when one has failed.")] = None,
    on_failure: Annotated[OnFailure | None, typer.Option(help="What becomes of what has failed; else keep.")] = None,
    expires_after: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Delete it when so long is over: seconds, or like P7D.")
    ] = None,
    prompt: Prompt = None,
    expect: Expect = None,
    max_tokens: MaxTokens = None,
    no_gate: NoGate = False,
    priority: Annotated[int | None, typer.Option(help="Who goes first when slots are scarce: the higher number.")] = None,
    client_request_token: Annotated[
        str | None, typer.Option(help="What makes two messages the same request; else the request's id.")
    ] = None,
) -> Body:
    """Ask for a deployment.

    Prints the request's id; or, with --wait, follows the request to its end, through the daemons (--daemon, else one on this
    machine, if there is one), the events (--events-queue), and Bedrock. An end is said only when it is one. Without the
    events, and when no daemon can be asked, an end that leaves no deployment is not told from others: exit 6.

    Examples: slipway deploy support-bot-v42 arn:aws:bedrock:…:custom-model/… --wait --tag team=support

    slipway deploy preview arn:aws:bedrock:…:custom-model/… --expires-after P1D --smoke-test "Say ready." --smoke-expect ready

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
        "expiresAfter": seconds(expires_after),
        "smokeTest": _smoke_test(prompt, expect, max_tokens, no_gate=no_gate),
        "priority": priority,
        "clientRequestToken": client_request_token,
    }


@app.command()
@asking
def update(
    identifier: Annotated[str, typer.Argument(metavar="NAME_OR_ARN", help="The deployment.")],
    model: Annotated[str, typer.Argument(metavar="MODEL_ARN", help="The custom model that it is to serve.")],
    *,
    target: Target = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="If it fails, the former model is what is to be served.")
    ] = False,
    force: Force = False,
    prompt: Prompt = None,
    expect: Expect = None,
    max_tokens: MaxTokens = None,
    no_gate: NoGate = False,
) -> Body:
    """Ask for a deployment to serve another model.

    Prints the request's id; --wait follows it, as with slipway deploy.

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
@asking
def delete(
    identifier: Annotated[str, typer.Argument(metavar="NAME_OR_ARN", help="The deployment.")],
    *,
    target: Target = None,
    force: Force = False,
) -> Body:
    """Ask for a deployment to be deleted.

    Prints the request's id; --wait follows it, as with slipway deploy.

    Example: slipway delete support-bot-v42 --wait
    """
    return {
        "action": "delete",
        "customModelDeploymentIdentifier": identifier,
        "target": target,
        "force": force or None,
    }


@app.command()
@asking
def cancel(
    request: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="The request, by the id that its events show.")],
    *,
    deployment: Annotated[
        Begun | None, typer.Option(help="What becomes of the deployment that it has begun to make; else keep.")
    ] = None,
) -> Body:
    """Ask for a request to be cancelled, waiting or in creation.

    In whatever target it is. Prints the id of the cancel, which is a request too. With --wait that is followed to its end,
    as with slipway deploy: 0 when the other request is cancelled (whoever follows that one exits with 5), 1 when there was
    nothing to cancel any more.

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
    given = {"prompt": prompt, "expect": expect, "maxTokens": max_tokens, "gate": False if no_gate else None}
    return {key: value for key, value in given.items() if value is not None} or None
