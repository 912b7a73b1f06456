"""The HTTP server of the local Bedrock: REST-JSON for any AWS SDK and the AWS CLI.

Under `/_slipway/` it has controls that AWS does not have: `terms` and `faults` (GET, PATCH), `records` (GET), `reset` (POST).
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final

import structlog
from aiohttp import web

from slipway.local import bedrock_operations
from slipway.local.bedrock_account import Account
from slipway.local.bedrock_operations import (
    ACCOUNT_ID,
    REGION,
    Asked,
    Document,
    Place,
    named_in,
    partition_of,
    signed_for,
    summarise,
)
from slipway.local.behaviour import BEFORE, Behaviour, FaultRule, Faults, Kind, WrongBehaviour
from slipway.local.validation import Refusal, check_input

DEPLOYMENTS: Final = "/model-customization/custom-model-deployments"
_SERVICES: Final = {"Converse": "bedrock-runtime"}
log = structlog.get_logger()

Act = Callable[[Account, float, Asked], Document]


class BedrockStandIn:
    """Bedrock's custom model deployments over HTTP, on loopback.

    The signature of a call gives its Region and, with a role's key, its account; any other key belongs to the default account.
    """

    def __init__(self, terms: Behaviour | None = None, *, seed: int = 1, clock: Callable[[], float] = time.time) -> None:
        self.faults = Faults(seed)
        self._seed = seed
        self._clock = clock
        self._terms = terms or Behaviour()
        self._accounts: dict[Place, Account] = {}
        self._own_faults: dict[Place, Faults] = {}
        self._runner: web.AppRunner | None = None

    @property
    def terms(self) -> Behaviour:
        """The behaviour settings of all accounts. May be set at any time; an account that gets its own keeps those."""
        return self._terms

    @terms.setter
    def terms(self, terms: Behaviour) -> None:
        self._terms = terms
        for account in self._accounts.values():
            account.terms = terms

    def account(self, region: str = REGION, account_id: str = ACCOUNT_ID) -> Account:
        """Return an account in a Region."""
        place = Place(account_id, region)
        made = self._accounts.get(place)
        if made is None:
            rng = random.Random(f"{self._seed} {place}")  # noqa: S311  chaos, no secret
            made = self._accounts[place] = Account(account_id, region, self._terms, rng, partition_of(region))
        return made

    def faults_of(self, region: str = REGION, account_id: str = ACCOUNT_ID) -> Faults:
        """Return the faults of one account in a Region; from then on it has only its own."""
        return self._own_faults.setdefault(Place(account_id, region), Faults(self._seed))

    def now(self) -> float:
        """Return the stand-in's time, in seconds since the epoch."""
        return self._clock()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Start to serve; return the endpoint's URL. Raises OSError if the port is in use."""
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound = self._runner.addresses[0][1]
        return f"http://{host}:{bound}"

    async def close(self) -> None:
        """Stop to serve."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[answer_as_aws])
        one = DEPLOYMENTS + "/{identifier:.+}"
        app.add_routes(
            [
                web.post(DEPLOYMENTS, self._face("CreateCustomModelDeployment", bedrock_operations.create_deployment, 202)),
                web.get(DEPLOYMENTS, self._face("ListCustomModelDeployments", bedrock_operations.list_deployments)),
                web.get(one, self._face("GetCustomModelDeployment", bedrock_operations.get_deployment)),
                web.delete(one, self._face("DeleteCustomModelDeployment", bedrock_operations.delete_deployment)),
                web.patch(one, self._face("UpdateCustomModelDeployment", bedrock_operations.update_deployment, 202)),
                web.post("/listTagsForResource", self._face("ListTagsForResource", bedrock_operations.list_tags)),
                web.post("/model/{identifier:.+}/converse", self._face("Converse", bedrock_operations.converse)),
                web.post("/tagResource", self._face("TagResource", bedrock_operations.tag_resource)),
                web.post("/untagResource", self._face("UntagResource", bedrock_operations.untag_resource)),
                web.post(
                    "/custom-models/create-custom-model", self._face("CreateCustomModel", bedrock_operations.create_model, 202)
                ),
                web.get("/custom-models", self._face("ListCustomModels", bedrock_operations.list_models)),
                web.get("/custom-models/{identifier:.+}", self._face("GetCustomModel", bedrock_operations.get_model)),
                web.get(
                    "/model-customization-jobs/{identifier:.+}",
                    self._face("GetModelCustomizationJob", bedrock_operations.get_job),
                ),
                web.get("/_slipway/terms", self._show_terms),
                web.patch("/_slipway/terms", self._change_terms),
                web.get("/_slipway/faults", self._show_faults),
                web.patch("/_slipway/faults", self._change_faults),
                web.get("/_slipway/records", self._show_records),
                web.post("/_slipway/reset", self._reset),
            ]
        )
        return app

    def _face(self, operation: str, act: Act, status: int = 200) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            place = signed_for(request.headers.get("Authorization", ""))
            account = self.account(place.region, place.account_id)
            faults = self._own_faults.get(place, self.faults)
            fault, delay, is_throttled = faults.meet(operation, self._clock())
            body = await request.read()
            if delay:
                await asyncio.sleep(delay)
            if fault in BEFORE:
                account.calls[f"{operation} {fault}"] += 1
                return _broken(request, fault, b"", status)
            try:
                _admit(account, operation, is_throttled=is_throttled)
                asked = _asked(request, body)
                check_input(_SERVICES.get(operation, "bedrock"), operation, asked.identifier, asked.query, asked.body)
                document = json.dumps(act(account, self._clock(), asked)).encode()
            except Refusal as refusal:
                account.calls[f"{operation} {refusal.code}"] += 1
                return _refused(refusal)
            account.calls[f"{operation} {fault or 'OK'}"] += 1
            return _broken(request, fault, document, status)

        return answer

    async def _show_terms(self, request: web.Request) -> web.Response:
        place = named_in(request.query)
        terms = self._terms if place is None else self.account(place.region, place.account_id).terms
        return web.json_response(asdict(terms))

    async def _change_terms(self, request: web.Request) -> web.Response:
        place = named_in(request.query)
        try:
            if place is None:
                self.terms = self._terms.changed(await request.json())
            else:
                account = self.account(place.region, place.account_id)
                account.terms = account.terms.changed(await request.json())
        except (WrongBehaviour, ValueError) as wrong:
            return web.json_response({"message": str(wrong)}, status=400)
        return await self._show_terms(request)

    async def _show_faults(self, request: web.Request) -> web.Response:
        faults = self._faults_named(request)
        failures = {operation: asdict(trouble) for operation, trouble in faults.failures.items()}
        return web.json_response({"troubles": failures, "fired": faults.fired, "calls": faults.calls})

    def _faults_named(self, request: web.Request) -> Faults:
        place = named_in(request.query)
        return self.faults if place is None else self.faults_of(place.region, place.account_id)

    async def _change_faults(self, request: web.Request) -> web.Response:
        faults = self._faults_named(request)
        try:
            for operation, given in (await request.json()).items():
                if given is None:
                    faults.failures.pop(operation, None)
                else:
                    faults.failures[operation] = FaultRule.of(given)
        except (WrongBehaviour, ValueError, AttributeError) as wrong:
            return web.json_response({"message": str(wrong)}, status=400)
        return await self._show_faults(request)

    async def _show_records(self, _: web.Request) -> web.Response:
        now = self._clock()
        accounts = {
            str(place): {
                "mostCreating": account.most_creating,
                "mostTotal": account.most_total,
                "calls": account.calls,
                "deployments": [
                    summarise(one, now) | {"tags": one.tags, "deleted": not one.exists(now)} for one in account.made
                ],
            }
            for place, account in self._accounts.items()
        }
        return web.json_response({"now": now, "accounts": accounts})

    async def _reset(self, _: web.Request) -> web.Response:
        self._accounts.clear()
        self._own_faults.clear()
        self.faults = Faults(self._seed)
        return web.json_response({})


@web.middleware
async def answer_as_aws(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Respond to every error with AWS's error document and a request id, also without an operation: SDKs parse all of them."""
    try:
        return await handler(request)
    except web.HTTPException as wrong:
        if wrong.status < HTTPStatus.BAD_REQUEST:
            raise
        is_unknown = wrong.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
        code = "UnknownOperationException" if is_unknown else "ValidationException"
        text = f"The stand-in does not know {request.method} {request.path}" if is_unknown else wrong.reason
        return _refused(Refusal(code, wrong.status, text))
    except Exception:
        log.exception("local.fault", method=request.method, path=request.path)
        return _refused(Refusal("InternalServerException", 500, "The stand-in failed; see its log."))


def _admit(account: Account, operation: str, *, is_throttled: bool) -> None:
    if is_throttled:
        raise Refusal("ThrottlingException", 429, "Rate exceeded")
    if operation in account.terms.denied:
        raise Refusal("AccessDeniedException", 403, "User is not authorized to perform this operation")


def _asked(request: web.Request, body: bytes) -> Asked:
    return Asked(request.match_info.get("identifier", ""), request.query, _parsed(body))


def _parsed(body: bytes) -> Mapping[str, Any]:
    if not body:
        return {}
    try:
        given = json.loads(body)
    except ValueError as error:
        raise Refusal("SerializationException", 400, "The request body is not JSON") from error
    if not isinstance(given, dict):
        raise Refusal("SerializationException", 400, "The request body is not an object")
    return given


def _refused(refusal: Refusal) -> web.Response:
    headers = {"x-amzn-ErrorType": refusal.code, "x-amzn-RequestId": str(uuid.uuid4())}
    return web.json_response({"message": refusal.text}, status=refusal.status, headers=headers)


def _broken(request: web.Request, fault: Kind | None, document: bytes, status: int) -> web.StreamResponse:
    """Return the response with the document, or what the fault makes of it."""
    match fault:
        case "error before" | "error after":
            return _refused(Refusal("InternalServerException", 500, "An internal server error occurred. Retry your request."))
        case "request lost" | "response lost":
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=status)
        case "redirect":
            return web.Response(status=307, headers={"Location": "http://127.0.0.1:9/elsewhere"})
        case "empty":
            document = b""
        case "html":
            document = b"<html><body>It works!</body></html>"
        case "truncated":
            document = document[: len(document) // 2]
        case "not an object":
            document = b"[" + document + b"]"
        case None:
            pass
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return web.Response(body=document, status=status, content_type="application/json", headers=headers)
