"""Receivers of callbacks: the operations of Step Functions and SageMaker that Slipway calls, over HTTP.

Every token is valid until its callback was received; a second callback is refused, as AWS does. `GET /_slipway/replies` shows
all received callbacks.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from aiohttp import web

from slipway.local.validation import Refusal, check_input, invalid

_OPERATIONS: Final = {
    "stepfunctions": frozenset({"SendTaskHeartbeat", "SendTaskSuccess", "SendTaskFailure"}),
    "sagemaker": frozenset({"SendPipelineExecutionStepSuccess", "SendPipelineExecutionStepFailure"}),
}
log = structlog.get_logger()
_TOKEN: Final = re.compile(r"[!-~]{1,2048}")
_CALLBACK: Final = re.compile(r"[a-zA-Z0-9]{10}")
_LARGEST_OUTPUT: Final = 262_144
_LONGEST_ERROR, _LONGEST_CAUSE, _LONGEST_REASON = 256, 32_768, 256
_MOST_PARAMETERS, _LONGEST_PARAMETER = 50, 1024
_ONCE: Final = range(32, 129)


@dataclass(frozen=True, slots=True)
class ReceivedCallback:
    """One callback or heartbeat."""

    operation: str
    said: dict[str, Any]


class CallbackStandIn:
    """Step Functions and SageMaker Pipelines on loopback, behind one port."""

    def __init__(self) -> None:
        self.heard: list[ReceivedCallback] = []
        self.gone: set[str] = set()
        """Tokens that are no longer valid, for example because their callback was received."""
        self._runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Start to serve; return the endpoint's URL."""
        app = web.Application(middlewares=[_answer_as_aws])
        app.add_routes([web.post("/", self._answer), web.get("/_slipway/replies", self._show)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return f"http://{host}:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Stop to serve."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        return _document(self._hear(operation, _read(operation, await request.read())), 200)

    def _hear(self, operation: str, said: dict[str, Any]) -> dict[str, str]:
        match operation:
            case "SendTaskHeartbeat" | "SendTaskSuccess" | "SendTaskFailure":
                self._of_task(operation, said)
                answer = {}
            case "SendPipelineExecutionStepSuccess" | "SendPipelineExecutionStepFailure":
                self._of_step(said)
                answer = {"PipelineExecutionArn": "arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/e"}
            case _:
                raise _unknown(operation)
        self.heard.append(ReceivedCallback(operation, said))
        return answer

    def _of_task(self, operation: str, said: dict[str, Any]) -> None:
        token = str(said.get("taskToken", ""))
        if not _TOKEN.fullmatch(token):
            raise Refusal("InvalidToken", 400, "Invalid Token: 'Invalid token'")
        if operation == "SendTaskSuccess":
            output = str(said.get("output", ""))
            if len(output.encode()) > _LARGEST_OUTPUT or not _is_json(output):
                raise Refusal("InvalidOutput", 400, "Invalid Output")
        if len(str(said.get("error", ""))) > _LONGEST_ERROR or len(str(said.get("cause", ""))) > _LONGEST_CAUSE:
            raise invalid("error or cause is too long")
        if token in self.gone:
            raise Refusal("TaskTimedOut", 400, "Task Timed Out: 'Provided task does not exist anymore'")
        if operation != "SendTaskHeartbeat":
            self.gone.add(token)

    def _of_step(self, said: dict[str, Any]) -> None:
        token, once = str(said.get("CallbackToken", "")), str(said.get("ClientRequestToken", ""))
        parameters = said.get("OutputParameters", [])
        too_long = any(len(one["Name"]) > _LONGEST_REASON or len(one["Value"]) > _LONGEST_PARAMETER for one in parameters)
        if not _CALLBACK.fullmatch(token) or len(once) not in _ONCE or len(parameters) > _MOST_PARAMETERS or too_long:
            raise invalid("CallbackToken, ClientRequestToken or OutputParameters are not as they must be")
        if len(str(said.get("FailureReason", ""))) > _LONGEST_REASON:
            raise invalid("FailureReason is too long")
        if token in self.gone and not any(each.said == said for each in self.heard):
            raise Refusal("ResourceNotFound", 400, "Step execution of the callback token is not executing")
        self.gone.add(token)

    async def _show(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(each) for each in self.heard])


@web.middleware
async def _answer_as_aws(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Respond to every refusal and internal error with AWS's error document."""
    try:
        return await handler(request)
    except Refusal as refused:
        refusal = refused
    except web.HTTPException as wrong:
        is_unknown = wrong.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
        refusal = _unknown(f"{request.method} {request.path}") if is_unknown else invalid(wrong.reason)
        refusal.status = wrong.status
    except Exception:
        log.exception("local.fault", method=request.method, path=request.path)
        refusal = Refusal("InternalFailure", 500, "The stand-in failed; see its log.")
    return _document({"__type": refusal.code, "message": refusal.text}, refusal.status, {"x-amzn-ErrorType": refusal.code})


def _document(body: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    with_id = {"x-amzn-RequestId": str(uuid.uuid4())} | dict(headers or {})
    return web.Response(
        body=json.dumps(body).encode(), status=status, content_type="application/x-amz-json-1.1", headers=with_id
    )


def _unknown(what: str) -> Refusal:
    return Refusal("UnknownOperationException", 400, f"{what!r} is not answered here")


def _read(operation: str, body: bytes) -> dict[str, Any]:
    """Return the input of the operation: an object of the types that its service model states. Raises `Refusal`."""
    service = next((name for name, known in _OPERATIONS.items() if operation in known), None)
    if service is None:
        raise _unknown(operation)
    try:
        said = json.loads(body or b"{}")
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise Refusal("SerializationException", 400, "The request body is not a JSON object")
    check_input(service, operation, "", {}, said)
    return said


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
