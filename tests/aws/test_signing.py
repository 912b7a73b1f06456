"""Our signatures are botocore's, to the byte; and what is out of the ordinary is botocore's own affair."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from service.aws.signing import OURS, Signer, choose_signer

HOSTS = ("https://bedrock.us-east-1.amazonaws.com", "http://127.0.0.1:4566", "https://sqs.eu-central-1.amazonaws.com:443/")
NAMES = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-", min_size=1, max_size=12).map(lambda name: f"X-{name}")
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
PATHS = st.text("abcABC019-_.~:%/", max_size=40)
QUERIES = st.lists(st.tuples(st.sampled_from("abC-"), st.text("abcABC019-_.~%", max_size=12)), max_size=4)
KEYS = st.tuples(st.text("AKID019", min_size=1), st.text("abc/+019", min_size=1), st.none() | st.text("abc/+=", min_size=1))


def request_of(method: str, url: str, data: Any, headers: dict[str, str]) -> AWSRequest:
    request = AWSRequest(method=method, url=url, data=data, headers=headers)
    request.context["payload_signing_enabled"] = True
    return request


def as_botocore_signs(request: AWSRequest, credentials: ReadOnlyCredentials) -> str:
    """Sign again, at the time that it was signed at."""
    auth = SigV4Auth(credentials, "bedrock", "us-east-1")
    bare = request_of(request.method, request.url, request.data, {})
    bare.headers = HTTPHeaders()
    for name, value in request.headers.items():
        if name != "Authorization":
            bare.headers[name] = value
    bare.context["timestamp"] = request.headers["X-Amz-Date"]
    to_sign = auth.string_to_sign(bare, auth.canonical_request(bare))
    signed = auth.signed_headers(auth.headers_to_sign(bare))
    signature = auth.signature(to_sign, bare)
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(bare)}, SignedHeaders={signed}, Signature={signature}"


@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PATCH"]),
    host=st.sampled_from(HOSTS),
    path=PATHS,
    query=QUERIES,
    body=st.binary(max_size=100),
    headers=st.dictionaries(NAMES, VALUES, max_size=5),
    keys=KEYS,
)
def test_a_signature_is_botocores(
    method: str, host: str, path: str, query: list[tuple[str, str]], body: bytes, headers: dict[str, str], keys: Any
) -> None:
    asked = "&".join(f"{name}={value}" for name, value in query)
    request = request_of(method, f"{host.rstrip('/')}/{path}" + (f"?{asked}" if asked else ""), body, headers)
    credentials = ReadOnlyCredentials(*keys)
    Signer(credentials, "bedrock", "us-east-1").add_auth(request)
    assert request.headers["Authorization"] == as_botocore_signs(request, credentials)
    assert request.headers["X-Amz-Security-Token"] == keys[2]


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        pytest.param("a=1", {}, id="a body that is not bytes"),
        pytest.param({"a": "1"}, {}, id="a form that is not encoded"),
        pytest.param(b"", {"Date": "Thu, 26 Nov 2026 00:00:00 GMT"}, id="a date of its own"),
        pytest.param(b"", {"Authorization": "old", "X-Amz-Date": "20200101T000000Z"}, id="signed before"),
        pytest.param(b"", {"Host": "elsewhere.example"}, id="a host of its own"),
        pytest.param(b"", {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}, id="a body that is not signed"),
    ],
)
def test_what_is_out_of_the_ordinary_is_signed_as_ever(data: Any, headers: dict[str, str]) -> None:
    credentials = ReadOnlyCredentials("AKID", "secret", "token")
    request = request_of("POST", "https://example.com/", data, headers)
    Signer(credentials, "bedrock", "us-east-1").add_auth(request)
    assert len(request.headers.get_all("Authorization")) == 1
    assert request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
    assert request.headers["X-Amz-Security-Token"] == "token"


def test_other_kinds_of_signatures_stay_what_they_are() -> None:
    assert choose_signer("v4") == OURS
    assert choose_signer("bearer") is None
    assert choose_signer("v4-query") is None
