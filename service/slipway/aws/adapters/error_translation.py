"""Translation of SDK errors into `CallFailed`, whose class says what the caller must do.

Every error of the network, of aiohttp and of the SDK is translated. Other exceptions, such as a TypeError of a library that
wraps the SDK, are programming errors: they are not translated, and never reported as a network failure.

Only a *parsed* error document with HTTP 4xx proves that a call was not applied. After anything else it may have been: a
connection error ("could not connect" is also raised if the connection broke after the request was sent), a timeout, 5xx,
3xx, an unreadable response, a response without its required fields.
"""

from __future__ import annotations

import errno
import os
import re
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from aiohttp.http import HttpProcessingError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)

from slipway.aws.sdk.transport import UnreadableAnswer
from slipway.core.call_errors import (
    CallFailed,
    Conflicting,
    Denied,
    QuotaFull,
    ReceiptExpired,
    Refused,
    ResourceMissing,
    Throttled,
    UnknownResult,
)

LONGEST_TEXT: Final = 1000

_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    NoAuthTokenError,
    TokenRetrievalError,
    SSOError,
)
_OUTSIDE = (OSError, aiohttp.ClientError, HttpProcessingError, BotoCoreError, UnreadableAnswer)
"""Failures outside this program: of the connection or of the received data. `TimeoutError` is an OSError."""
_SECRET = re.compile(r"[A-Za-z0-9+/=_-]{100,}")
"""Receipt handles and session tokens, which SQS and signature errors quote."""

_BY_CODE: Final[Mapping[str, type[CallFailed]]] = {
    code: kind
    for kind, codes in {
        Throttled: (
            "Throttling Throttled RequestThrottled TooManyRequests RequestLimitExceeded OverLimit SlowDown "
            "BandwidthLimitExceeded PriorRequestNotComplete ProvisionedThroughputExceeded"
        ),
        QuotaFull: "ServiceQuotaExceeded LimitExceeded",
        Denied: (
            "AccessDenied UnrecognizedClient ExpiredToken InvalidClientTokenId SignatureDoesNotMatch InvalidSignature "
            "IncompleteSignature MissingAuthenticationToken InvalidAccessKeyId RequestExpired RequestTimeTooSkewed "
            "AuthorizationError AuthFailure NotAuthorized UnauthorizedOperation InvalidSecurity OptInRequired "
            "SubscriptionRequired TokenRefreshRequired"
        ),
        ResourceMissing: "ResourceNotFound QueueDoesNotExist NonExistentQueue NotFound",
        Conflicting: "ModelNotReady Conflict ResourceConflict ResourceInUse ResourceAlreadyExists AlreadyExists",
        ReceiptExpired: "ReceiptHandleIsInvalid MessageNotInflight",
        UnknownResult: "RequestTimeout InternalError InternalFailure InternalServer InternalServerError ServiceUnavailable",
    }.items()
    for code in codes.split()
}
_BY_STATUS: Final[Mapping[int, type[CallFailed]]] = {
    401: Denied,
    403: Denied,
    408: UnknownResult,
    409: Conflicting,
    429: Throttled,
}


def translate(operation: str, exc: Exception) -> CallFailed | None:
    """Return the failure of an operation. If it may have been applied, it is `UnknownResult`.

    Return None for a programming error.
    """
    if isinstance(exc, CallFailed):
        return exc
    if isinstance(exc, ClientError):
        return translate_document(operation, exc)
    name = type(exc).__name__
    if isinstance(exc, TimeoutError):
        return UnknownResult(operation, "Timeout", "no answer in time")
    if isinstance(exc, aiohttp.ClientConnectorError):
        number, why = exc.os_error.errno, exc.os_error.strerror or str(exc.os_error)
        is_of_tls = isinstance(exc.os_error, ssl.SSLError)  # its numbers are OpenSSL's
        if number is not None and number in errno.errorcode and not is_of_tls:  # asyncio's own text repeats the address
            why = os.strerror(number)
        return UnknownResult(operation, "ConnectionFailed", f"cannot connect to {exc.host}:{exc.port} ({why})")
    text = _clean(str(exc))
    if isinstance(exc, _NO_CREDENTIALS):
        return Denied(operation, name, text)
    if isinstance(exc, ParamValidationError):
        return Refused(operation, name, text)
    return UnknownResult(operation, name, text) if isinstance(exc, _OUTSIDE) else None


def translate_entry(operation: str, entry: Mapping[str, Any]) -> CallFailed:
    """Return the failure of one entry in a batch's `Failed` list. One that is AWS's fault may have been applied."""
    code, text = str(entry.get("Code", "")), _clean(str(entry.get("Message", "")))
    kind = _kind(code, text, None)
    if kind is Refused and not (code and entry.get("SenderFault", True)):
        kind = UnknownResult
    return kind(operation, code, text)


def is_too_fast(failed: CallFailed) -> bool:
    """Return whether a failure is a throttle, also one with a 5xx, after which the call may have been applied."""
    return isinstance(failed, Throttled) or _named(failed.code) is Throttled


def translate_document(operation: str, exc: ClientError) -> CallFailed:
    """Return the failure in an error document."""
    error = exc.response.get("Error", {})
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code, text = str(error.get("Code") or ""), _clean(str(error.get("Message") or ""))
    if exc.operation_name != operation:
        # Another call, made inside ours to get credentials for it (AssumeRole and the like): ours was not sent.
        return Denied(operation, f"{exc.operation_name}.{code}", text)
    is_parsed = code and not code.isdigit()  # botocore puts the status where there is no code
    if not is_parsed or not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnknownResult(operation, code if is_parsed else f"Http{status}", text)
    return _kind(code, text, status)(operation, code, text)


def _kind(code: str, text: str, status: int | None) -> type[CallFailed]:
    said = text.lower()
    if "rate exceeded" in said:
        return Throttled
    if (kind := _named(code)) is not None:
        return kind
    if "InvalidParameterValue" in code and ("receipt" in said or "not available for visibility" in said):
        return ReceiptExpired
    return _BY_STATUS.get(status or 0, Refused)


def _named(code: str) -> type[CallFailed] | None:
    if code[:3].lower() == "kms":
        return Throttled if "throttl" in code.lower() else Denied
    words = (word.removesuffix("Exception") for word in code.split("."))
    return next((_BY_CODE[word] for word in words if word in _BY_CODE), None)


def _clean(text: str) -> str:
    """Return the first line, cut and without secrets: a signature error quotes the session token in later lines."""
    first = text.strip().partition("\n")[0]
    return _SECRET.sub("…", first)[:LONGEST_TEXT]
