"""What each failure means, as a table, and that nothing is ever left untranslated."""

from typing import Any

import aiohttp
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from hypothesis import given
from hypothesis import strategies as st

from slipway.aws.adapters.error_translation import is_too_fast, translate, translate_document, translate_entry
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


def document(code: str, status: int = 400, message: str = "no", operation: str = "Op") -> ClientError:
    said: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(said, operation)


DOCUMENTS: list[tuple[ClientError, type[CallFailed]]] = [
    (document("ThrottlingException", 429), Throttled),
    (document("Throttling"), Throttled),
    (document("TooManyRequestsException", 429), Throttled),
    (document("RequestLimitExceeded"), Throttled),
    (document("RequestThrottled", 403), Throttled),
    (document("OverLimit", 403), Throttled),
    (document("AWS.SimpleQueueService.OverLimit", 403), Throttled),
    (document("KMS.ThrottlingException"), Throttled),
    (document("KmsThrottled"), Throttled),
    (document("SomethingElse", 429), Throttled),
    (document("ValidationException", message="Rate exceeded"), Throttled),
    (document("ServiceQuotaExceededException"), QuotaFull),
    (document("AccessDeniedException", 403), Denied),
    (document("AccessDenied", 403), Denied),
    (document("UnrecognizedClientException", 403), Denied),
    (document("ExpiredToken", 403), Denied),
    (document("ExpiredTokenException", 403), Denied),
    (document("InvalidClientTokenId", 403), Denied),
    (document("SignatureDoesNotMatch", 403), Denied),
    (document("AuthorizationError", 403), Denied),
    (document("KMS.DisabledException"), Denied),
    (document("KMSAccessDenied"), Denied),
    (document("KmsDisabled"), Denied),
    (document("NeverHeardOf", 403), Denied),
    (document("ValidationError", operation="AssumeRole"), Denied),
    (document("InternalFailure", 500, operation="AssumeRoleWithWebIdentity"), Denied),
    (document("ResourceNotFoundException", 404), ResourceMissing),
    (document("AWS.SimpleQueueService.NonExistentQueue"), ResourceMissing),
    (document("QueueDoesNotExist"), ResourceMissing),
    (document("NotFound", 404), ResourceMissing),
    (document("ConflictException"), Conflicting),
    (document("NeverHeardOf", 409), Conflicting),
    (document("ReceiptHandleIsInvalid", 404), ReceiptExpired),
    (document("MessageNotInflight"), ReceiptExpired),
    (document("AWS.SimpleQueueService.MessageNotInflight"), ReceiptExpired),
    (document("InvalidParameterValue", message="The receipt handle has expired."), ReceiptExpired),
    (
        document("InvalidParameterValue", message="Message does not exist or is not available for visibility timeout"),
        ReceiptExpired,
    ),
    (document("InvalidParameterValue", message="Total VisibilityTimeout is beyond the limit"), Refused),
    (document("ValidationException"), Refused),
    (document("TooManyTagsException"), Refused),
    (document("InternalServerException", 500), UnknownResult),
    (document("ThrottlingException", 503), UnknownResult),
    (document("RequestTimeoutException", 408), UnknownResult),
    (document("404", 404), UnknownResult),
    (document("", 400), UnknownResult),
    (document("302", 302), UnknownResult),
    (document("ValidationException", 200), UnknownResult),
]


@pytest.mark.parametrize(("exc", "kind"), DOCUMENTS, ids=lambda value: str(value)[:60])
def test_an_error_document_is_sorted_by_what_one_does_about_it(exc: ClientError, kind: type[CallFailed]) -> None:
    failed = translate("Op", exc)
    assert type(failed) is kind
    assert failed.may_have_applied is (kind is UnknownResult)


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (NoCredentialsError(), Denied),
        (CredentialRetrievalError(provider="iam-role", error_msg="no"), Denied),
        (ParamValidationError(report="no"), Refused),
        (EndpointConnectionError(endpoint_url="http://x"), UnknownResult),
        (ConnectionClosedError(endpoint_url="http://x"), UnknownResult),
        (ReadTimeoutError(endpoint_url="http://x"), UnknownResult),
        (TimeoutError(), UnknownResult),
        (UnreadableAnswer("AttributeError(\"'list' object has no attribute 'get'\")"), UnknownResult),
        (aiohttp.ServerDisconnectedError(), UnknownResult),
        (ConnectionResetError(104, "Connection reset by peer"), UnknownResult),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_document_is_unknown_unless_it_was_surely_not_sent(exc: Exception, kind: type[CallFailed]) -> None:
    assert type(translate("Op", exc)) is kind


@pytest.mark.parametrize("bug", [TypeError("takes 3"), AttributeError("x"), KeyError("status"), ValueError("y")])
def test_a_programming_error_is_nothing_that_a_call_can_mean(bug: Exception) -> None:
    assert translate("Op", bug) is None


@given(code=st.text(), status=st.integers(0, 999), message=st.text())
def test_every_document_is_translated_and_only_4xx_is_not_applied(code: str, status: int, message: str) -> None:
    failed = translate_document("Op", document(code, status, message))
    assert failed.operation == "Op"
    assert failed.may_have_applied or 400 <= status < 500


def test_what_is_translated_stays_as_it_is() -> None:
    failed = QuotaFull("Op", "code")
    assert translate("Op", failed) is failed


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"Code": "ReceiptHandleIsInvalid", "SenderFault": True}, ReceiptExpired),
        ({"Code": "InternalError", "SenderFault": False}, UnknownResult),
        ({"Code": "NeverHeardOf", "SenderFault": False}, UnknownResult),
        ({"Code": "NeverHeardOf", "SenderFault": True}, Refused),
        ({"Code": "RequestThrottled", "SenderFault": True}, Throttled),
        ({"Code": "KMS.DisabledException", "SenderFault": True}, Denied),
        ({}, UnknownResult),
    ],
    ids=str,
)
def test_an_entry_of_a_batch_is_sorted_too(entry: dict[str, Any], kind: type[CallFailed]) -> None:
    assert type(translate_entry("Op", entry)) is kind


def test_too_fast_is_too_fast_under_any_status() -> None:
    assert is_too_fast(translate_document("Op", document("ThrottlingException", 503)))
    assert not is_too_fast(translate_document("Op", document("InternalServerException", 500)))


def test_neither_receipts_nor_tokens_get_into_a_text() -> None:
    receipt = "AQEB" + "x/+y" * 60
    quoted = document("InvalidParameterValue", message=f"Value {receipt} for parameter ReceiptHandle is invalid.")
    assert receipt not in str(translate("Op", quoted))
    signature = document("SignatureDoesNotMatch", 403, "It does not match.\n\nx-amz-security-token:short-secret")
    assert str(translate("Op", signature)) == "Op: SignatureDoesNotMatch: It does not match."
