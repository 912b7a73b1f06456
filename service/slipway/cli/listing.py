"""`slipway list`, `get` and `watch`: what there is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, NamedTuple

from slipway.aws.operator.deployment_listing import Details, Filters
from slipway.aws.operator.operator_session import OperatorSession
from slipway.cli.exit_codes import Exit
from slipway.cli.output import is_terminal, print_facts, print_json, print_table
from slipway.cli.runner import say
from slipway.client.daemons import DaemonUnreachable, query_all
from slipway.core.bedrock.deployments import Status
from slipway.core.diagnostics.predict import ExistingDeployment
from slipway.core.time_format import format_time
from slipway.settings.load import Settings

COLUMNS: Final = ("deployment", "status", "request", "created", "model")


async def list_deployments(visit: OperatorSession, filters: Filters, *, limit: int, token: str | None, as_json: bool) -> Exit:
    """Print one page, and how to go on where there is more."""
    page = await visit.here.catalogue.page(filters, token=token, size=limit)
    existing = await visit.here.catalogue.with_tags(page.deployments)
    if as_json:
        print_json({"deployments": [_json(one) for one in existing], "nextToken": page.next_token})
        return Exit.OK
    print_table(COLUMNS, [_row(one) for one in existing])
    if page.next_token is not None:
        say(f"there is more: --token {page.next_token}")
    return Exit.OK


async def get_deployment(visit: OperatorSession, identifier: str, *, as_json: bool) -> Exit:
    """Print all about one; answer whether there is one."""
    details = await visit.here.catalogue.details(identifier)
    if details is None:
        say(f"there is no deployment {identifier!r}; slipway list shows those that there are")
        return Exit.FAILURE
    if as_json:
        described = {} if details.description is None else {"description": details.description}
        print_json(_json(ExistingDeployment(details.deployment, details.slipway_tags)) | described | {"tags": details.tags})
    else:
        print_facts(_facts(details))
    return Exit.OK


async def watch_target(visit: OperatorSession, settings: Settings, daemons: Sequence[str], *, every: float, count: int) -> Exit:
    """Show what there is, again and again, `count` times or (0) until Ctrl-C."""
    watching = _Watching(visit, settings, daemons)
    looks = 0
    with _screen() as show:
        while True:
            began = time.monotonic()
            show(*await watching.look())
            looks += 1
            if looks == count:
                return Exit.OK
            await asyncio.sleep(max(0.0, every - (time.monotonic() - began)))


class Slots(NamedTuple):
    """How full the target is, and who waits. None where no daemon answers."""

    creating: int
    total: int
    held: int | None = None
    waiting: int | None = None
    quota: str | None = None


class _Watching:
    """Looks at a target, asking for each deployment's tags once only."""

    def __init__(self, visit: OperatorSession, settings: Settings, daemons: Sequence[str]) -> None:
        self._visit = visit
        self._daemons = daemons or list(settings.own_daemon)
        self._is_named = bool(daemons)
        self._known: dict[str, ExistingDeployment] = {}

    async def look(self) -> tuple[list[ExistingDeployment], Slots]:
        """Answer what there is, the newest first, and the slots."""
        deployments = await self._visit.here.catalogue.all()
        new = [deployment for deployment in deployments if deployment.arn not in self._known]
        tags = {one.deployment.arn: one for one in await self._visit.here.catalogue.with_tags(new)} | self._known
        self._known = {one.arn: replace(tags[one.arn], deployment=one) for one in deployments if one.arn in tags}
        existing = sorted(self._known.values(), key=lambda one: -one.deployment.created_at)
        slots = Slots(sum(one.status is Status.CREATING for one in deployments), len(deployments))
        try:
            return existing, await self._with_line(slots) if self._daemons else slots
        except DaemonUnreachable:
            if self._is_named:
                raise
            return existing, slots

    async def _with_line(self, slots: Slots) -> Slots:
        """Add what the daemons say of the target."""
        said, target = await query_all(self._daemons), self._visit.here.target.label
        site = said.extras if target is None else said.extras.get("targets", {}).get(target)
        if site is None:
            raise DaemonUnreachable(f"{self._daemons[-1]} has no target {target!r}; name a daemon with the same settings file")
        held = sum(one.target == target for one in said.held)
        return slots._replace(held=held, waiting=site["slots"]["waiting"], quota=site["slots"]["quota"])


Show = Callable[[Sequence[ExistingDeployment], Slots], None]


@contextmanager
def _screen() -> Iterator[Show]:
    """Answer what shows a look: a table that moves, for a person; a line of JSON for a program."""
    if not is_terminal():
        yield lambda existing, slots: print_json(
            {"at": format_time(time.time()), "slots": slots._asdict(), "deployments": [_json(one) for one in existing]}
        )
        return
    from slipway.cli.live_display import moving_table

    with moving_table(COLUMNS) as update:
        yield lambda existing, slots: update([_row(one) for one in existing], _said(slots))


def _said(slots: Slots) -> str:
    said = f"{slots.creating} in creation, {slots.total} in all"
    if slots.held is not None:
        said += f"; requests held: {slots.held}, in line for a slot: {slots.waiting}; quota: {slots.quota}"
    return said


def _row(one: ExistingDeployment) -> tuple[str, ...]:
    deployment = one.deployment
    created = format_time(deployment.created_at)[:19] + "Z"
    model = deployment.model_arn.rpartition(":custom-model/")[2]
    failure = f": {deployment.failure_message}" if deployment.failure_message else ""
    return deployment.name, deployment.status_text, one.request_tag or "-", created, model + failure


def _json(one: ExistingDeployment) -> dict[str, object]:
    deployment = one.deployment
    update = deployment.update
    said = {
        "modelDeploymentName": deployment.name,
        "customModelDeploymentArn": deployment.arn,
        "modelArn": deployment.model_arn,
        "status": deployment.status_text,
        "createdAt": format_time(deployment.created_at),
        "lastUpdatedAt": None if deployment.updated_at is None else format_time(deployment.updated_at),
        "failureMessage": deployment.failure_message,
        "updateDetails": update and {"modelArn": update.model_arn, "updateStatus": update.status.value},
        "requestId": one.request_tag,
    }
    return {key: value for key, value in said.items() if value is not None}


def _facts(details: Details) -> dict[str, str]:
    document = _json(ExistingDeployment(details.deployment, details.slipway_tags)) | {"description": details.description}
    update = details.deployment.update
    document |= {"updateDetails": update and f"{update.status.value} to {update.model_arn}"}
    facts = {key: str(value) for key, value in document.items() if value is not None}
    return facts | {f"tag {key}": value for key, value in sorted(details.tags.items())}
