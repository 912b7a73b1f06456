"""Who calls, in the box: each access key is somebody, to STS and to SQS alike.

moto says of all messages that SNS has sent them, and of all keys that it has not made that they are one and the same user.
Here a message has the `SenderId` that AWS gives it: the `UserId` that STS tells its sender; SNS's own where it came by a topic.
"""

from __future__ import annotations

import re
from typing import Any, Final

import flask
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sts import models
from moto.sts.exceptions import STSClientError
from moto.sts.models import AssumedRole, STSBackend

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/[^/]*/([^/]*)/([^/]*)/")
_UNKNOWN_TO_MOTO: Final = "AKIAIOSFODNN7EXAMPLE"


class CallersBackend(models.STSBackend):
    """STS, to which keys that nobody has made are users with ids of their own."""

    __module__ = models.__name__  # moto finds a backend's addresses beside its module

    def get_caller_identity(self, access_key_id: str, region: str) -> tuple[str, str, str]:
        """Answer id, ARN and account of whoever has signed the request."""
        found = _credential()
        key = found[1] if found else access_key_id
        user_id, arn, account = super().get_caller_identity(key, region)
        if user_id != _UNKNOWN_TO_MOTO:
            return user_id, arn, account
        return f"AIDA{key}", f"arn:aws:iam::{account}:user/{key}", account


def identify_callers() -> None:
    """Make moto's STS use what stands here. To be called before its first request."""
    models.sts_backends.backend = CallersBackend


def sender_id() -> str | None:
    """Answer the `SenderId` of whoever sends a message by the request that is being answered; None if that is SNS."""
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
    """Refuse such roles as STS does, whether one does not exist or does not trust its caller."""
    assume = STSBackend.assume_role

    def assume_role(self: STSBackend, *, role_arn: str, **others: Any) -> AssumedRole:  # noqa: ANN401  moto's, handed through
        if _REFUSED.fullmatch(role_arn):
            text = f"User: arn:aws:iam::123456789012:user/local is not authorized to perform: sts:AssumeRole on {role_arn}"
            raise STSClientError("AccessDenied", text)
        return assume(self, role_arn=role_arn, **others)

    STSBackend.assume_role = assume_role  # type: ignore[assignment,method-assign]
