"""The poison corpus: bodies that no request can be read from, each of which must be refused with a reason, and no more.

`POISON` has a name and a body for each; `CODES` the code that each is refused with. Not all can be sent over SQS, which
refuses some characters itself: `is_sendable` tells.
"""

from __future__ import annotations

import json
import re
from typing import Any

from slipway.core.requests.envelopes import LARGEST_BODY_BYTES
from tests.support.bodies import ARN, GOOD, eventbridge, sns

_SENDABLE = re.compile("[\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
_LARGEST_SENT = 1024 * 1024
_DEEP = 100_000
_ROOM = LARGEST_BODY_BYTES - 200


def is_sendable(body: str) -> bool:
    """SQS itself would take this body."""
    return bool(_SENDABLE.fullmatch(body)) and len(body.encode()) <= _LARGEST_SENT


def _but(**changes: Any) -> str:
    return json.dumps(GOOD | changes)


def _raw(text: str) -> str:
    """A good request with one more member, written as it is."""
    return json.dumps(GOOD)[:-1] + f", {text}}}"


def _wrapped(times: int) -> str:
    body = json.dumps(GOOD)
    for _ in range(times):
        body = json.dumps(sns(body))
    return body


def _tags(count: int) -> list[dict[str, str]]:
    return [{"key": f"k{number}", "value": ""} for number in range(count)]


_TEXTS = (
    ("empty", "", "NotJson"),
    ("blank", " \n\t ", "NotJson"),
    ("no-break space", "\u00a0", "NotJson"),
    ("prose", "please deploy my model", "NotJson"),
    ("truncated", json.dumps(GOOD)[:-10], "NotJson"),
    ("two objects", json.dumps(GOOD) * 2, "NotJson"),
    ("single quotes", str(GOOD), "NotJson"),
    ("trailing comma", json.dumps(GOOD)[:-1] + ",}", "NotJson"),
    ("comment", "// deploy\n" + json.dumps(GOOD), "NotJson"),
    ("byte order mark", "\ufeff" + json.dumps(GOOD), "NotJson"),
    ("xml", "<request/>", "NotJson"),
    ("log injection", 'x\n{"event": "request.finished", "level": "info"}\x1b[2J', "NotJson"),
    ("raw line break in a string", _raw('"description": "a\nb"'), "NotJson"),
    ("raw NUL in a string", _raw('"description": "a\x00b"'), "NotJson"),
    ("null", "null", "NotAnObject"),
    ("number", "42", "NotAnObject"),
    ("string", '"deploy"', "NotAnObject"),
    ("list of a request", json.dumps([GOOD]), "NotAnObject"),
    ("a request as a string", json.dumps(json.dumps(GOOD)), "NotAnObject"),
    ("1 MiB of spaces", " " * _LARGEST_SENT, "TooLarge"),
    ("1 MiB of brackets", "[" * _LARGEST_SENT, "TooLarge"),
    ("1 MiB request", _but(description="d" * (_LARGEST_SENT - 200)), "TooLarge"),
    ("too many bytes in few characters", _but(description="d") + "\u3000" * (LARGEST_BODY_BYTES // 2), "TooLarge"),
    ("lists 100,000 deep", "[" * _DEEP + "]" * _DEEP, "TooDeep"),
    ("lists 100,000 deep, open", "[" * _DEEP, "TooDeep"),
    ("objects 40,000 deep", '{"a":' * 40_000 + "1" + "}" * 40_000, "TooDeep"),
    ("a request with a deep tag", _raw('"tags": ' + "[" * _DEEP + "]" * _DEEP), "TooDeep"),
    ("65 deep", "[" * 65 + "]" * 65, "TooDeep"),
    ("deep inside SNS", json.dumps(sns("[" * _DEEP)), "TooDeep"),
    ("brackets and quotes", '["' * (_ROOM // 2), "TooDeep"),
    ("escaped quotes, never closed", '[" ' + '\\"' * (_ROOM // 2) + "[" * 70, "NotJson"),
    ("backslashes", '["' + "\\" * (_ROOM | 1) + "[" * 70, "NotJson"),
    ("quotes", "[" * 65 + '"' * _ROOM, "TooDeep"),
    ("many small lists", "[" + "[]," * (_ROOM // 3) + "[]]", "NotAnObject"),
    ("200,000 digits", _raw('"priority": ' + "9" * 200_000), "InvalidNumber"),
    ("200,000 decimals", _raw('"timeout": 1.' + "9" * 200_000), "InvalidNumber"),
    ("1e999", _raw('"timeout": 1e999'), "InvalidNumber"),
    ("-1e999", _raw('"timeout": -1e999'), "InvalidNumber"),
    ("31 digits in a tag", _raw('"tags": [{"key": "a", "value": ' + "1" * 31 + "}]"), "InvalidNumber"),
    ("NaN", _raw('"timeout": NaN'), "InvalidNumber"),
    ("Infinity", _raw('"timeout": Infinity'), "InvalidNumber"),
    ("-Infinity", _raw('"priority": -Infinity'), "InvalidNumber"),
    ("the name twice", _raw('"modelDeploymentName": "another"'), "DuplicateKey"),
    ("a tag's key twice", _raw('"tags": [{"key": "a", "key": "b", "value": ""}]'), "DuplicateKey"),
    ("the same key in two spellings", _raw('"modelArn\\u0000": 1, "modelArn\\u0000": 1'), "DuplicateKey"),
    ("lone surrogate, raw", _raw('"description": "\ud800"'), "InvalidText"),
    ("lone surrogate, escaped", _raw('"description": "\\ud800"'), "InvalidText"),
    ("low surrogate first", _raw('"description": "\\udc00\\ud800"'), "InvalidText"),
    ("lone surrogate in a key", _raw('"\\udfff": 1'), "InvalidText"),
    ("lone surrogate in a tag", _raw('"tags": [{"key": "a", "value": "\\uDBFF"}]'), "InvalidText"),
    ("lone surrogate inside SNS", json.dumps(sns('{"a": "\\ud800"}')), "InvalidText"),
)
_THEIRS = "arn:aws:bedrock:us-east-1:210987654321:custom-model-deployment/abcdefghijkl"
_ENVELOPES = (
    ("six SNS envelopes", _wrapped(6), "TooDeep"),
    ("SNS without text", json.dumps(sns("")), "NotJson"),
    ("SNS with an object", json.dumps(sns("") | {"Message": GOOD}), "InvalidEnvelope"),
    ("SNS with prose", json.dumps(sns("your model is ready")), "NotJson"),
    ("SNS with a list", json.dumps(sns("[]")), "NotAnObject"),
    ("SNS with a bad request", json.dumps(sns(_but(modelArn=1))), "InvalidField"),
    ("SNS confirmation", json.dumps({"Type": "SubscriptionConfirmation", "Token": "t", "Message": "m"}), "UnsupportedEvent"),
    ("event of AWS", json.dumps(eventbridge({"jobStatus": "Completed"}, "aws.bedrock")), "UnsupportedEvent"),
    ("event without detail", json.dumps({"detail-type": "t", "source": "s"}), "InvalidEnvelope"),
    ("event with a text", json.dumps(eventbridge("deploy")), "InvalidEnvelope"),
    ("event without source", json.dumps({"detail-type": "t", "detail": GOOD}), "InvalidEnvelope"),
    ("event of nobody", json.dumps(eventbridge(GOOD) | {"source": ["aws.bedrock"]}), "InvalidEnvelope"),
    ("event in SNS, of AWS", json.dumps(sns(json.dumps(eventbridge({}, "aws.sagemaker")))), "UnsupportedEvent"),
)
_REQUESTS = (
    ("empty object", "{}", "MissingField"),
    ("no name", json.dumps({"modelArn": ARN}), "MissingField"),
    ("no model", json.dumps({"modelDeploymentName": "a"}), "MissingField"),
    ("misspelt key", _but(modelDeploymentname="a"), "UnknownKey"),
    ("unknown key", _but(instanceType="ml.p5"), "UnknownKey"),
    ("empty key", _but(**{"": 1}), "UnknownKey"),
    ("a key that acts on terminals", _but(**{"\x1b[2J\r\n\u202e": 1}), "UnknownKey"),
    ("a key of 200,000 characters", _but(**{"k" * 200_000: 1}), "UnknownKey"),
    ("20,000 unknown keys", json.dumps({f"k{number}": 1 for number in range(20_000)}), "UnknownKey"),
    ("dunder keys", _but(__class__="x", __init__="y"), "UnknownKey"),
    ("another action", _but(action="destroy"), "InvalidField"),
    ("delete, by the wrong key", json.dumps({"action": "delete", "modelDeploymentName": "a"}), "UnknownKey"),
    ("delete, of nothing", json.dumps({"action": "delete"}), "MissingField"),
    (
        "delete, in another account",
        json.dumps({"action": "delete", "customModelDeploymentIdentifier": _THEIRS}),
        "WrongAccount",
    ),
    ("unheard-of action", _but(action="Deploy"), "InvalidField"),
    ("action of another type", _but(action=["deploy"]), "InvalidField"),
    ("name too long", _but(modelDeploymentName="a" * 64), "InvalidField"),
    ("name with two separators", _but(modelDeploymentName="a--b"), "InvalidField"),
    ("name with a dot", _but(modelDeploymentName="a.b"), "InvalidField"),
    ("name with a line break", _but(modelDeploymentName="a\n"), "InvalidField"),
    ("name in another alphabet", _but(modelDeploymentName="\u0430\u0431\u0432"), "InvalidField"),
    ("name with Arabic digits", _but(modelDeploymentName="a\u0661"), "InvalidField"),
    ("name of 100,000 characters", _but(modelDeploymentName="a_" * 50_000 + "!"), "InvalidField"),
    ("name as a path", _but(modelDeploymentName="../../etc/passwd"), "InvalidField"),
    ("foundation model", _but(modelArn="arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0"), "InvalidField"),
    ("model by name", _but(modelArn="my-fine-tuned-model-v1"), "InvalidField"),
    ("ARN with more behind it", _but(modelArn=ARN + "/x"), "InvalidField"),
    ("ARN of 100,000 characters", _but(modelArn=ARN[:-13] + "a" * 100_000), "InvalidField"),
    ("ARN that makes regular expressions sweat", _but(modelArn=ARN[:60] + "a.a-" * 230 + "!"), "InvalidField"),
    ("other account", _but(modelArn=ARN.replace("123456789012", "210987654321")), "WrongAccount"),
    ("other Region", _but(modelArn=ARN.replace("us-east-1", "us-west-2")), "WrongRegion"),
    ("other partition", _but(modelArn=ARN.replace("arn:aws:", "arn:aws-cn:")), "WrongPartition"),
    ("empty description", _but(description=""), "InvalidField"),
    ("long description", _but(description="d" * 2049), "InvalidField"),
    ("description with an escape", _but(description="\x1b[31mred"), "InvalidField"),
    ("description with NUL", _but(description="\x00"), "InvalidField"),
    ("description with C1 controls", _but(description="a\u0085\u009b"), "InvalidField"),
    ("description of two lines", _but(description="a\nb"), "InvalidField"),
    ("description with U+2028", _but(description="a\u2028b"), "InvalidField"),
    ("fifty tags", _but(tags=_tags(50)), "InvalidField"),
    ("5,000 tags", _but(tags=_tags(5_000)), "InvalidField"),
    ("tags as a mapping", _but(tags={"team": "support"}), "InvalidField"),
    ("tags in capitals", _but(tags=[{"Key": "team", "Value": "support"}]), "UnknownKey"),
    ("tag without value", _but(tags=[{"key": "team"}]), "MissingField"),
    ("tag that is no object", _but(tags=["team"]), "InvalidField"),
    ("tag twice", _but(tags=[{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]), "InvalidField"),
    ("tag of AWS", _but(tags=[{"key": "AWS:x", "value": ""}]), "InvalidField"),
    ("tag of Slipway", _but(tags=[{"key": "slipway:request", "value": "forged"}]), "InvalidField"),
    ("tag with a line break", _but(tags=[{"key": "a\nb", "value": ""}]), "InvalidField"),
    ("tag with long value", _but(tags=[{"key": "a", "value": "v" * 257}]), "InvalidField"),
    ("token with an underscore", _but(clientRequestToken="a_b"), "InvalidField"),
    ("token with a hyphen at the end", _but(clientRequestToken="a-"), "InvalidField"),
    ("long token", _but(clientRequestToken="t" * 257), "InvalidField"),
    ("request id with a line break", _but(requestId="a\nlevel=error"), "InvalidField"),
    ("request id with spaces around", _but(requestId=" a "), "InvalidField"),
    ("request id as a number", _but(requestId=42), "InvalidField"),
    ("long request id", _but(requestId="r" * 129), "InvalidField"),
    ("timeout of nothing", _but(timeout=0), "InvalidField"),
    ("timeout of eight days", _but(timeout="P8D"), "InvalidField"),
    ("timeout of a month", _but(timeout="P1M"), "InvalidField"),
    ("timeout of nothing, as text", _but(timeout="PT0S"), "InvalidField"),
    ("timeout without a unit", _but(timeout="90"), "InvalidField"),
    ("timeout without an amount", _but(timeout="PT"), "InvalidField"),
    ("timeout in 100,000 digits of text", _but(timeout="PT" + "9" * 100_000 + "S"), "InvalidField"),
    ("timeout as a boolean", _but(timeout=True), "InvalidField"),
    ("negative timeout", _but(timeout=-1), "InvalidField"),
    ("priority with a fraction", _but(priority=1.5), "InvalidField"),
    ("priority as a boolean", _but(priority=True), "InvalidField"),
    ("priority as text", _but(priority="high"), "InvalidField"),
    ("priority too high", _but(priority=101), "InvalidField"),
    ("priority of 30 digits", _but(priority=10**29), "InvalidField"),
    ("tenant with a NUL", _but(tenant="a\x00"), "InvalidField"),
    ("empty tenant", _but(tenant=""), "InvalidField"),
)
_VALUES: tuple[Any, ...] = (None, True, 7, 0.5, {}, [7], [[]], [None])
_WRONG_TYPES = tuple(
    (f"{key}: {json.dumps(value)}", _but(**{key: value}), "InvalidField")
    for key in ("modelDeploymentName", "modelArn", "description", "tags", "clientRequestToken", "requestId", "tenant")
    for value in _VALUES
)
_ALL = _TEXTS + _ENVELOPES + _REQUESTS + _WRONG_TYPES

POISON = [(name, body) for name, body, _ in _ALL]
CODES = {name: code for name, _, code in _ALL}
