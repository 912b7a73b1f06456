"""Commands that ask for something: each puts one request on the queue."""

from __future__ import annotations

from typing import Annotated

import typer

from service.core.actions import IfExists, OnFailure
from service.edge.options import AsJson, AtMost, Config, Daemons, EventsQueue, Wait

app = typer.Typer()

RequestId = Annotated[str | None, typer.Option(help="Your own name for the request; else it gets one.")]
Timeout = Annotated[str | None, typer.Option(help="How long to try: seconds, or like PT90M.")]
Force = Annotated[bool, typer.Option("--force", help="Also if Slipway did not make it; the daemon must allow that.")]
Tenant = Annotated[str | None, typer.Option(help="For whom.")]


@app.command()
def deploy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the deployment is to be called.")],
    model: Annotated[str | None, typer.Argument(metavar="[MODEL_ARN]", help="The custom model, by its ARN.")] = None,
    *,
    customization_job: Annotated[
        str | None, typer.Option(metavar="JOB", help="Instead of MODEL_ARN: the job that makes the model, which is waited for.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="A line for people, shown by Bedrock.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A tag of the deployment; again for more.")] = None,
    if_exists: Annotated[IfExists | None, typer.Option(help="What is done where the name is taken; else adopt.")] = None,
    retries: Annotated[int | None, typer.Option(help="How many attempts more, when one has failed.")] = None,
    on_failure: Annotated[OnFailure | None, typer.Option(help="What becomes of what has failed; else keep.")] = None,
    request_id: RequestId = None,
    timeout: Timeout = None,
    priority: Annotated[int | None, typer.Option(help="Who goes first when slots are scarce: the higher number.")] = None,
    tenant: Tenant = None,
    wait: Wait = False,
    at_most: AtMost = None,
    daemon: Daemons = None,
    events_queue: EventsQueue = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a deployment.

    Prints the request's id. With --wait it follows the request to its end, through the daemons (--daemon, else one on this
    machine, if there is one), the events (--events-queue), and Bedrock. An end is said only when it is one. Without the
    events, and when no daemon can be asked, an end that leaves no deployment is not told from others: exit 6.

    Examples: slipway deploy support-bot-v42 arn:aws:bedrock:…:custom-model/… --wait --tag team=support

    ID=$(slipway deploy support-bot-v42 arn:aws:bedrock:…:custom-model/…)
    """
    from service.edge.asking import Manner, ask_for
    from service.edge.errands import run_errand

    body = {
        "modelDeploymentName": name,
        "modelArn": model,
        "customizationJob": customization_job,
        "description": description,
        "tags": _tags(tag),
        "ifExists": if_exists and if_exists.value,
        "retries": retries,
        "onFailure": on_failure and on_failure.value,
        "requestId": request_id,
        "timeout": _seconds(timeout),
        "priority": priority,
        "tenant": tenant,
    }
    options = {"modelDeploymentName": "NAME", "modelArn": "MODEL_ARN", "tags": "--tag", "requestId": "--request-id"}
    options |= {"customizationJob": "--customization-job", "ifExists": "--if-exists", "onFailure": "--on-failure"}
    options |= {word: f"--{word}" for word in ("description", "timeout", "priority", "tenant", "retries")}
    manner = Manner(wait=wait, at_most=at_most, daemons=daemon or (), events_queue=events_queue, as_json=as_json)
    raise run_errand(config, lambda visit, settings: ask_for(visit, settings, body, options, manner))


@app.command()
def update(
    identifier: Annotated[str, typer.Argument(metavar="NAME_OR_ARN", help="The deployment.")],
    model: Annotated[str, typer.Argument(metavar="MODEL_ARN", help="The custom model that it is to serve.")],
    *,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="If it fails, the former model is what is to be served.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also if Slipway did not make it; the daemon must allow that.")
    ] = False,
    request_id: RequestId = None,
    timeout: Timeout = None,
    tenant: Tenant = None,
    wait: Wait = False,
    at_most: AtMost = None,
    daemon: Daemons = None,
    events_queue: EventsQueue = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a deployment to serve another model.

    Prints the request's id; --wait follows it, as with slipway deploy.

    Example: slipway update support-bot arn:aws:bedrock:…:custom-model/… --rollback --wait
    """
    from service.edge.asking import Manner, ask_for
    from service.edge.errands import run_errand

    body = {
        "action": "update",
        "customModelDeploymentIdentifier": identifier,
        "modelArn": model,
        "rollback": rollback or None,
        "force": force or None,
        "requestId": request_id,
        "timeout": _seconds(timeout),
        "tenant": tenant,
    }
    options = {"customModelDeploymentIdentifier": "NAME_OR_ARN", "modelArn": "MODEL_ARN", "requestId": "--request-id"}
    options |= {word: f"--{word}" for word in ("rollback", "force", "timeout", "tenant")}
    manner = Manner(wait=wait, at_most=at_most, daemons=daemon or (), events_queue=events_queue, as_json=as_json)
    raise run_errand(config, lambda visit, settings: ask_for(visit, settings, body, options, manner))


@app.command()
def delete(
    identifier: Annotated[str, typer.Argument(metavar="NAME_OR_ARN", help="The deployment.")],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also if Slipway did not make it; the daemon must allow that.")
    ] = False,
    request_id: RequestId = None,
    timeout: Timeout = None,
    tenant: Tenant = None,
    wait: Wait = False,
    at_most: AtMost = None,
    daemon: Daemons = None,
    events_queue: EventsQueue = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a deployment to be deleted.

    Prints the request's id; --wait follows it, as with slipway deploy.

    Example: slipway delete support-bot-v42 --wait
    """
    from service.edge.asking import Manner, ask_for
    from service.edge.errands import run_errand

    body = {
        "action": "delete",
        "customModelDeploymentIdentifier": identifier,
        "force": force or None,
        "requestId": request_id,
        "timeout": _seconds(timeout),
        "tenant": tenant,
    }
    options = {"customModelDeploymentIdentifier": "NAME_OR_ARN", "requestId": "--request-id"}
    options |= {word: f"--{word}" for word in ("force", "timeout", "tenant")}
    manner = Manner(wait=wait, at_most=at_most, daemons=daemon or (), events_queue=events_queue, as_json=as_json)
    raise run_errand(config, lambda visit, settings: ask_for(visit, settings, body, options, manner))


def _tags(given: list[str] | None) -> list[dict[str, str]] | None:
    if not given:
        return None
    for each in given:
        if "=" not in each:
            raise typer.BadParameter(f"{each!r} has no =; give it as KEY=VALUE, like team=support", param_hint="--tag")
    return [{"key": key, "value": value} for key, _, value in (each.partition("=") for each in given)]


def _seconds(text: str | None) -> float | str | None:
    """A number is one in the request too; whatever else it is, the request's own check names it."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
