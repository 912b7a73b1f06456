"""AWS's protocols in front of moto: every response has the protocol of the call and a request id; every access key is a caller.

moto responds with an HTML page, which no SDK can parse, to an unknown operation, an unreadable body, an absent parameter, and
its own errors. A call is checked against botocore's service model before moto sees it, and any response of moto that is not a
document of the protocol is replaced by one that is.

moto reports one and the same user for all access keys that it did not create, and SNS as the sender of all messages. Here a
message has the `SenderId` that AWS would set: the `UserId` that STS returns to its sender, or SNS's own if a topic sent it.
"""

from __future__ import annotations

import json
import re
import traceback
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from io import BytesIO
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import flask
from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.model import OperationNotFoundError, ServiceModel
from botocore.validate import ParamValidator
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sts import models
from moto.sts.exceptions import STSClientError
from moto.sts.models import AssumedRole, STSBackend

Start = Callable[..., Any]
Application = Callable[[dict[str, Any], Start], Iterable[bytes]]

_SCOPE: Final = re.compile(r"Credential=[^/,\s]+/[^/]*/[^/]*/([a-z0-9-]+)/")
_SERVICES: Final = {"AmazonSQS": "sqs", "2012-11-05": "sqs", "2010-03-31": "sns", "2011-06-15": "sts", "2010-05-08": "iam"}
"""The service of an unsigned call, by the prefix of `X-Amz-Target` or by `Version`."""
_OF_SQS: Final = frozenset({"MissingParameter", "InvalidParameterValue"})


class Wrong(Exception):
    """The error that is sent in place of moto's response."""

    def __init__(self, code: str, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    """A received call: its service, if that is known, and its protocol."""

    service: str
    is_json: bool
    operation: str
    form: Mapping[str, str]
    body: bytes
    path: str
    """Without slashes around it."""


class AwsAnswers:
    """A WSGI application around moto's."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        """Respond to a call."""
        body = _read(environ)
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        call = _call_of(environ, body)
        try:
            if not call.path.startswith("moto-api"):
                _check(call)
            status, headers, answer = self._moto(environ)
        except Wrong as wrong:
            return _answer(call, wrong, start_response)
        except NotImplementedError:
            return _answer(call, _unknown(call), start_response)
        except Exception:  # noqa: BLE001  an SDK expects a document in any case
            environ["wsgi.errors"].write(traceback.format_exc())
            return _answer(call, _fault(), start_response)
        if int(status.split()[0]) >= HTTPStatus.BAD_REQUEST and not _is_document(headers, answer):
            is_fault = int(status.split()[0]) >= HTTPStatus.INTERNAL_SERVER_ERROR
            return _answer(call, _fault() if is_fault else _unknown(call), start_response)
        if not any(name.lower() == "x-amzn-requestid" for name, _ in headers):
            headers.append(("x-amzn-RequestId", str(uuid.uuid4())))
        start_response(status, headers)
        return [answer]

    def _moto(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        begun: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], _: object = None) -> None:
            begun[:] = [status, list(headers)]

        parts = self._application(environ, start)
        try:
            answer = b"".join(parts)
        finally:
            getattr(parts, "close", lambda: None)()
        return begun[0], begun[1], answer


def _read(environ: Mapping[str, Any]) -> bytes:
    if environ.get("wsgi.input_terminated"):
        return bytes(environ["wsgi.input"].read())
    length = environ.get("CONTENT_LENGTH") or "0"
    return bytes(environ["wsgi.input"].read(int(length))) if length.isdecimal() else b""


def _call_of(environ: Mapping[str, Any], body: bytes) -> Call:
    target, _, named = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")
    is_json = bool(target) or environ.get("CONTENT_TYPE", "").startswith("application/x-amz-json")
    text = "" if is_json else body.decode(errors="replace")
    form = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)) | dict(
        parse_qsl(text, keep_blank_values=True)
    )
    signed = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    service = signed[1] if signed else _SERVICES.get(target) or _SERVICES.get(form.get("Version", ""), "s3")
    path = environ.get("PATH_INFO", "").strip("/")
    return Call(service, is_json, named or form.get("Action", ""), form, body, path)


def _check(call: Call) -> None:
    """Refuse what the service model does not have: an operation, a body, parameters without a value or of another type."""
    model = _model(call.service)
    if model is None:
        raise _unknown(call)
    if model.metadata["protocol"] not in {"json", "query"}:
        return
    try:
        shape = model.operation_model(call.operation).input_shape
    except OperationNotFoundError:
        raise _unknown(call) from None
    if shape is None:
        return
    given = _given_json(call) if call.is_json else _given_form(call, shape)
    for name in shape.required_members:
        if name not in given:
            raise _absent(call, name)
    if call.is_json:
        errors = ParamValidator().validate(given, shape)
        if any(kind == "invalid type" for kind, _, _ in errors._errors):  # noqa: SLF001  it has no other way to tell
            raise _unreadable()
        if errors.has_errors():
            raise Wrong("InvalidParameterValue", errors.generate_report())


def _given_json(call: Call) -> dict[str, Any]:
    try:
        given = json.loads(call.body or b"{}")
    except ValueError:
        raise _unreadable() from None
    if not isinstance(given, dict):
        raise _unreadable()
    return {name: value for name, value in given.items() if value is not None}


def _given_form(call: Call, shape: Any) -> dict[str, Any]:  # noqa: ANN401  botocore has no types
    """Return the parameters of a form. Lists and maps are left to moto; the path may be the queue's."""
    scalar = [name for name, one in shape.members.items() if one.type_name not in {"list", "map", "structure"}]
    given = {name: call.form[name] for name in scalar if name in call.form} | ({"QueueUrl": call.path} if call.path else {})
    return given | {name: "" for name in shape.members if name not in scalar}


@cache
def _model(service: str) -> ServiceModel | None:
    try:
        return ServiceModel(Loader().load_service_model(service, "service-2"), service)
    except UnknownServiceError:
        return None


def _unknown(call: Call) -> Wrong:
    if call.is_json:
        return Wrong("UnknownOperationException", f"The operation {call.operation!r} is not known here")
    if not call.operation:
        return Wrong("MissingAction", "The request must contain the parameter Action.")
    return Wrong("InvalidAction", f"The action {call.operation} is not valid for this endpoint.")


def _absent(call: Call, name: str) -> Wrong:
    if call.service == "sqs":
        return Wrong("MissingParameter", f"The request must contain the parameter {name}.")
    words = f"Value null at '{name[0].lower() + name[1:]}' failed to satisfy constraint: Member must not be null"
    return Wrong("ValidationError", f"1 validation error detected: {words}")


def _unreadable() -> Wrong:
    return Wrong("SerializationException", "The body of the request is not what the operation takes")


def _fault() -> Wrong:
    return Wrong("InternalFailure", "The stand-in failed; its log has the traceback.", 500)


def _is_document(headers: Iterable[tuple[str, str]], body: bytes) -> bool:
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    return bool(body) and ("json" in kind or "xml" in kind)


def _answer(call: Call, wrong: Wrong, start_response: Start) -> list[bytes]:
    request_id = str(uuid.uuid4())
    headers = [("x-amzn-RequestId", request_id)]
    if call.is_json:
        version = "1.0" if call.service in {"sqs", "s3"} else "1.1"
        kind = f"application/x-amz-json-{version}"
        head = (
            "com.amazonaws.sqs" if wrong.code in {"MissingParameter", "InvalidParameterValue"} else "com.amazon.coral.service"
        )
        document = json.dumps({"__type": f"{head}#{wrong.code}", "message": wrong.text}).encode()
        headers.append(("x-amzn-ErrorType", wrong.code))
    else:
        kind = "text/xml"
        model = _model(call.service)
        space = (model.metadata.get("xmlNamespace") if model else None) or "http://queue.amazonaws.com/doc/2012-11-05/"
        sender = "Receiver" if wrong.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "Sender"
        document = (
            f'<?xml version="1.0"?><ErrorResponse xmlns="{space}"><Error><Type>{sender}</Type><Code>{wrong.code}</Code>'
            f"<Message>{escape(wrong.text)}</Message><Detail/></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        ).encode()
    headers += [("Content-Type", kind), ("Content-Length", str(len(document)))]
    start_response(f"{wrong.status} {HTTPStatus(wrong.status).phrase}", headers)
    return [document]


_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/[^/]*/([^/]*)/([^/]*)/")
_UNKNOWN_TO_MOTO: Final = "AKIAIOSFODNN7EXAMPLE"


class CallersBackend(models.STSBackend):
    """STS in which every unknown access key is a user with its own id."""

    __module__ = models.__name__  # moto finds a backend's addresses beside its module

    def get_caller_identity(self, access_key_id: str, region: str) -> tuple[str, str, str]:
        """Return id, ARN and account of the caller that signed the request."""
        found = _credential()
        key = found[1] if found else access_key_id
        user_id, arn, account = super().get_caller_identity(key, region)
        if user_id != _UNKNOWN_TO_MOTO:
            return user_id, arn, account
        return f"AIDA{key}", f"arn:aws:iam::{account}:user/{key}", account


def identify_callers() -> None:
    """Make moto's STS use `CallersBackend`. Call it before the first request."""
    models.sts_backends.backend = CallersBackend


def sender_id() -> str | None:
    """Return the `SenderId` for a message that the current request sends; None if SNS sends it."""
    found = _credential()
    if found is None or found[3] != "sqs":
        return None
    backend: models.STSBackend = models.sts_backends[DEFAULT_ACCOUNT_ID]["aws"]
    return backend.get_caller_identity(found[1], found[2])[0]


def _credential() -> re.Match[str] | None:
    return _CREDENTIAL.search(flask.request.headers.get("Authorization", "")) if flask.has_request_context() else None


_REFUSED: Final = re.compile(r"arn:[^:]+:iam::\d{12}:role/(?:.*/)?denied-[^/]*")
"""Roles whose name begins with denied-."""


def patch_roles() -> None:
    """Refuse roles named denied-… as STS refuses a role that does not exist or does not trust its caller."""
    assume = STSBackend.assume_role

    def assume_role(self: STSBackend, *, role_arn: str, **others: Any) -> AssumedRole:  # noqa: ANN401  moto's parameters, passed through
        if _REFUSED.fullmatch(role_arn):
            text = f"User: arn:aws:iam::123456789012:user/local is not authorized to perform: sts:AssumeRole on {role_arn}"
            raise STSClientError("AccessDenied", text)
        return assume(self, role_arn=role_arn, **others)

    STSBackend.assume_role = assume_role  # type: ignore[assignment,method-assign]
