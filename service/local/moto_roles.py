"""moto's STS lets anybody assume any role of any account. Here some cannot be assumed, so that this can be tried too."""

from __future__ import annotations

import re
from typing import Any, Final

from moto.sts.exceptions import STSClientError
from moto.sts.models import AssumedRole, STSBackend

_REFUSED: Final = re.compile(r"arn:[^:]+:iam::\d{12}:role/(?:.*/)?denied-[^/]*")
"""Roles whose name begins with denied-."""


def mend_roles() -> None:
    """Refuse such roles as STS does, whether one does not exist or does not trust its caller."""
    assume = STSBackend.assume_role

    def assume_role(self: STSBackend, *, role_arn: str, **others: Any) -> AssumedRole:  # noqa: ANN401  moto's, handed through
        if _REFUSED.fullmatch(role_arn):
            text = f"User: arn:aws:iam::123456789012:user/local is not authorized to perform: sts:AssumeRole on {role_arn}"
            raise STSClientError("AccessDenied", text)
        return assume(self, role_arn=role_arn, **others)

    STSBackend.assume_role = assume_role  # type: ignore[assignment,method-assign]
