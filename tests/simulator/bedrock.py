"""Bedrock on the event loop: the account of `slipway local`, the real adapter, and between them a wire that loses things."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

from botocore.exceptions import ClientError

from slipway.aws.adapters.bedrock import Bedrock
from slipway.aws.adapters.clock import AwsClock
from slipway.aws.adapters.error_translation import translate_document
from slipway.aws.adapters.retry import Caller, Wait, wait_uninterrupted
from slipway.aws.sdk.transport import read_timestamp
from slipway.core.bedrock import Created, Page, Status
from slipway.core.call_errors import CallFailed
from slipway.core.lifecycle.tags import REQUEST_TAG
from slipway.core.requests.targets import Home
from slipway.local import bedrock_account as local
from slipway.local import bedrock_operations
from slipway.local.bedrock_account import StandInDeployment
from slipway.local.bedrock_operations import Asked, Document
from slipway.local.behaviour import Behaviour as Rules
from slipway.local.validation import Refusal
from tests.simulator.observer import Watching
from tests.simulator.sqs import EPOCH
from tests.simulator.virtual_loop import PROCESS
from tests.simulator.wire_faults import Fault, Wire

__all__ = ["HOME", "Account", "Rules", "StandInDeployment", "WatchedBedrock", "request_of"]

Operation = Callable[[local.Account, float, Asked], Document]
HOME = Home("aws", "123456789012", "us-east-1")
USUAL = Rules(creation_seconds=(300.0, 900.0), token_seconds=600.0)
OF_REAPER: ContextVar[bool] = ContextVar("OF_REAPER", default=False)
"""Whether it is a reaper that lists: its rounds are no sweeps."""
ANSWERS_BEFORE_RECKONED = 20
"""The first answer may have a wrong `Date`: from this answer on the clock is to be right."""
_TIMES = ("createdAt", "lastUpdatedAt")


def request_of(made: StandInDeployment) -> str | None:
    """Return what a deployment's tag says of whose it is; None where Slipway did not make it."""
    return tag_of(made, REQUEST_TAG)


def tag_of(made: StandInDeployment, key: str) -> str | None:
    """Return a deployment's tag; None where it has none of this key."""
    return next((tag["value"] for tag in made.tags if tag["key"] == key), None)


class Account:
    """One account and Region, on the event loop's clock."""

    def __init__(self, rng: random.Random, rules: Rules, home: Home = HOME) -> None:
        self.home = home
        self.model = local.Account(home.account, home.region, rules, rng)
        self.watching = Watching()
        self._loop = asyncio.get_running_loop()

    @property
    def rules(self) -> Rules:
        """How this account behaves."""
        return self.model.terms

    def rule(self, **changes: Any) -> None:
        """Let it behave otherwise from now on."""
        self.model.terms = replace(self.model.terms, **changes)

    @property
    def made(self) -> list[StandInDeployment]:
        """All deployments that were ever made."""
        return self.model.made

    def now(self) -> float:
        """Return the account's own clock."""
        return EPOCH + self._loop.time()

    def existing(self) -> list[StandInDeployment]:
        """Return what there is now."""
        now = self.now()
        return [one for one in self.made if one.exists(now)]

    def status(self, one: StandInDeployment) -> str:
        """Return a deployment's status, whatever is shown of it."""
        return one.status(self.now())

    def add(self, name: str, model_arn: str, tags: Mapping[str, str]) -> StandInDeployment:
        """Make a deployment, whatever the quotas say: for what others did before."""
        return self.model.add(self.now(), name, model_arn, None, [{"key": key, "value": tags[key]} for key in tags])

    def delete(self, name: str) -> None:
        """Delete what has this name, as somebody with more rights may, whatever its status."""
        now = self.now()
        for one in self.existing():
            if one.name == name:
                self.model.forget(now, one)


class _Client:
    """aioboto3's client for Bedrock, as far as the adapter calls it: documents of the model, brought over the wire."""

    def __init__(self, account: Account, wire: Wire) -> None:
        self._account = account
        self._wire = wire
        self.holds: dict[str, object] = {}
        """Whose create it is, by token."""

    async def create_custom_model_deployment(self, **body: Any) -> Document:
        wire, process = self._wire, PROCESS.get()
        name, token = body["modelDeploymentName"], body["clientRequestToken"]
        wire.watching.creating(name, token, self.holds.get(token), process)
        failed: CallFailed | None = None
        try:
            return await self._call("CreateCustomModelDeployment", self._create, Asked(body=body))
        except CallFailed as exc:
            failed = exc
            raise
        finally:
            wire.watching.create_answered(name, failed, self.holds.get(token), process)

    async def get_custom_model_deployment(self, *, customModelDeploymentIdentifier: str) -> Document:  # noqa: N803  AWS's
        self._wire.watching.looking(customModelDeploymentIdentifier, PROCESS.get())
        return await self._call(
            "GetCustomModelDeployment",
            bedrock_operations.get_deployment,
            Asked(customModelDeploymentIdentifier),
            self._is_unseen,
        )

    async def delete_custom_model_deployment(self, *, customModelDeploymentIdentifier: str) -> Document:  # noqa: N803  AWS's
        return await self._call("DeleteCustomModelDeployment", self._delete, Asked(customModelDeploymentIdentifier))

    async def update_custom_model_deployment(
        self,
        *,
        customModelDeploymentIdentifier: str,  # noqa: N803  AWS's name
        modelArn: str,  # noqa: N803  AWS's name
    ) -> Document:
        asked = Asked(customModelDeploymentIdentifier, body={"modelArn": modelArn})
        return await self._call("UpdateCustomModelDeployment", self._update, asked)

    async def converse(self, *, modelId: str, **body: Any) -> Document:  # noqa: N803  AWS's name
        return await self._call("Converse", bedrock_operations.converse, Asked(modelId, body=body))

    async def tag_resource(self, **body: Any) -> Document:
        return await self._call("TagResource", bedrock_operations.tag_resource, Asked(body=body))

    async def list_custom_model_deployments(self, **query: Any) -> Document:
        said = {key: value.isoformat() if isinstance(value, datetime) else str(value) for key, value in query.items()}
        is_first = "nextToken" not in query and "statusEquals" not in query
        process, begins = PROCESS.get(), is_first and not OF_REAPER.get()
        if begins:
            self._wire.watching.sweeping(process)
        try:
            answer = await self._call("ListCustomModelDeployments", self._list, Asked(query=said))
        except (CallFailed, asyncio.CancelledError):  # the latter is what ends an attempt that takes too long
            if not OF_REAPER.get():
                self._wire.watching.sweep_failed(process)
            raise
        return answer | {"modelDeploymentSummaries": [_read(one) for one in answer.get("modelDeploymentSummaries", ())]}

    async def list_tags_for_resource(self, *, resourceARN: str) -> Document:  # noqa: N803  AWS's name
        return await self._call("ListTagsForResource", bedrock_operations.list_tags, Asked(body={"resourceARN": resourceARN}))

    async def get_custom_model(self, *, modelIdentifier: str) -> Document:  # noqa: N803  AWS's name
        return await self._call("GetCustomModel", bedrock_operations.get_model, Asked(modelIdentifier))

    async def get_model_customization_job(self, *, jobIdentifier: str) -> Document:  # noqa: N803  AWS's name
        return await self._call("GetModelCustomizationJob", bedrock_operations.get_job, Asked(jobIdentifier))

    async def _call(
        self, operation: str, act: Operation, asked: Asked, on_refusal: Callable[[Asked, Refusal], None] | None = None
    ) -> Document:
        account, wire = self._account, self._wire

        def apply() -> Document:
            now = account.now()
            try:
                answer = act(account.model, now, asked)
            except Refusal as refusal:
                if on_refusal is not None:
                    on_refusal(asked, refusal)
                raise translate_document(operation, _document_of(operation, refusal)) from refusal
            said = now - wire.seconds_old(wire.calls[operation]) if wire.fault is Fault.OLD_DATE else now
            headers = {} if wire.fault is Fault.DATELESS else {"date": formatdate(said, usegmt=True)}
            fields = {} if wire.fault is Fault.EMPTY else _read(answer)
            return fields | {"ResponseMetadata": {"HTTPHeaders": headers}}

        return await wire.call(operation, apply)

    def _create(self, model: local.Account, now: float, asked: Asked) -> Document:
        """Create, and tell who looks on of what AWS documents nowhere, when it has come to it."""
        name, token = asked.body["modelDeploymentName"], asked.body["clientRequestToken"]
        watching, before = self._account.watching, len(model.made)
        holder = next((one for one in reversed(model.made) if one.name == name), None)
        known = any(one.token == token for one in model.made)
        try:
            answer = bedrock_operations.create_deployment(model, now, asked)
        except Refusal as refusal:
            if refusal.text == model.terms.taken_text and holder is not None:
                who = "us" if holder.token is not None else "others"
                watching.happened(f"name taken by {who}" if holder.exists(now) else "name still reserved after delete")
            elif refusal.code == "ServiceQuotaExceededException":
                watching.happened("quota full")
            elif refusal.text == model.terms.model_text:
                watching.happened("model not Active yet")
            raise
        if len(model.made) > before:
            if known:
                watching.happened("token forgotten")
            watching.created(model.made[-1], token, self._wire.sender)
        else:
            watching.happened("token remembered")
            if not any(one.arn == answer["customModelDeploymentArn"] for one in self._account.existing()):
                watching.happened("token void")
        return answer

    def _delete(self, model: local.Account, now: float, asked: Asked) -> Document:
        one, watching = self._existing(asked.identifier), self._account.watching
        try:
            answer = bedrock_operations.delete_deployment(model, now, asked)
        except Refusal as refusal:
            if refusal.code == "ConflictException":
                watching.happened("too busy to be deleted")
            raise
        if one is not None:
            watching.removed(one, self._wire.sender)
        return answer

    def _update(self, model: local.Account, now: float, asked: Asked) -> Document:
        one, watching = self._existing(asked.identifier), self._account.watching
        try:
            answer = bedrock_operations.update_deployment(model, now, asked)
        except Refusal:
            watching.happened("an update refused")
            raise
        if one is not None:
            watching.updated(one, asked.body["modelArn"], self._wire.sender)
        return answer

    def _existing(self, identifier: str) -> StandInDeployment | None:
        return next((one for one in self._account.existing() if identifier in {one.name, one.arn}), None)

    def _is_unseen(self, asked: Asked, refusal: Refusal) -> None:
        if refusal.code == "ResourceNotFoundException" and any(
            asked.identifier in {one.name, one.arn} for one in self._account.existing()
        ):
            self._account.watching.happened("Get 404 just after Create")

    def _list(self, model: local.Account, now: float, asked: Asked) -> Document:
        at, watching = now - model.terms.list_lag_seconds, self._account.watching
        if model.made and at < model.made[-1].created:
            watching.happened("stale List page, missing item")
        if "nextToken" in asked.query:
            watching.happened("several pages")
        answer = bedrock_operations.list_deployments(model, now, asked)
        if "nextToken" in answer and model.terms.list_tokens != "end":
            watching.happened("a token again")
        if any(one["status"] == model.terms.status_text for one in answer["modelDeploymentSummaries"]):
            watching.happened("unknown status value")
        return answer


class _WatchedClock(AwsClock):
    """The real clock, except that who looks on learns how wrong it is."""

    def __init__(self, machine: Callable[[], float], account: Account, wire: Wire) -> None:
        super().__init__(machine)
        self._account = account
        self._wire = wire
        self._answers = 0

    async def learn(self, call: Awaitable[Mapping[str, Any]], host: Hashable) -> Mapping[str, Any]:
        """Learn from an answer."""
        answer = await super().learn(call, host)
        self._answers += 1
        if self._answers >= ANSWERS_BEFORE_RECKONED:
            self._wire.watching.reckoned(self.now() - self._account.now(), PROCESS.get())
        return answer


class WatchedBedrock(Bedrock):
    """The real adapter, except that who looks on learns for which message a create is made."""

    def __init__(self, account: Account, wire: Wire, caller: Caller, clock: Callable[[], float]) -> None:
        self._fake = _Client(account, wire)
        super().__init__(self._fake, caller, _WatchedClock(clock, account, wire), self._open)

    async def _open(self, _: str) -> _Client:
        return self._fake

    async def create(
        self,
        *,
        name: str,
        model_arn: str,
        description: str | None,
        tags: Sequence[tuple[str, str]],
        token: str,
        wait: Wait = wait_uninterrupted,
    ) -> Created:
        """Begin a deployment."""
        self._fake.holds[token] = getattr(wait, "__self__", None)
        return await super().create(name=name, model_arn=model_arn, description=description, tags=tags, token=token, wait=wait)


def of_reaper(bedrock: Bedrock) -> Bedrock:
    """Return the same Bedrock, as it is seen by a reaper: who looks on can tell its rounds from sweeps."""
    return _Reapers(bedrock)  # type: ignore[return-value]


class _Reapers:
    def __init__(self, bedrock: Bedrock) -> None:
        self._bedrock = bedrock
        self.tags, self.delete, self.earliest = bedrock.tags, bedrock.delete, bedrock.earliest

    async def page(self, *, created_after: float | None, status: Status | None, token: str | None) -> Page:
        mark = OF_REAPER.set(True)
        try:
            return await self._bedrock.page(created_after=created_after, status=status, token=token)
        finally:
            OF_REAPER.reset(mark)


def _read(document: Document) -> Document:
    """Return what botocore's parser makes of a document."""
    return document | {key: read_timestamp(document[key]).astimezone(UTC) for key in _TIMES if key in document}


def _document_of(operation: str, refusal: Refusal) -> ClientError:
    error = {"Code": refusal.code, "Message": refusal.text}
    return ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": refusal.status}}, operation)
