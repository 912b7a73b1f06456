"""The request to delete an expired deployment, sent to the request queue like any other request.

The tag `slipway:expires` on the deployment decides: the delete checks it again. Sent twice, by two replicas or after a restart,
it is one request, with one outcome and one event id.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from slipway.core.bedrock import Deployment
from slipway.core.requests.targets import DEFAULT
from slipway.core.sqs.messages import Outgoing

AGAIN_SECONDS: Final = 3600.0
"""After this time without effect the delete is sent again."""


def request_id(arn: str) -> str:
    """Return the id of the request that deletes an expired deployment."""
    return f"expired-{arn.rsplit('/', 1)[-1]}"


def delete_of(deployment: Deployment, target: str = DEFAULT, *, is_fifo: bool) -> Outgoing:
    """Return the message with the request to delete a deployment if it has expired."""
    body = {
        "action": "delete",
        "customModelDeploymentIdentifier": deployment.arn,
        "ifExpired": True,
        "requestId": request_id(deployment.arn),
    }
    if target != DEFAULT:
        body["target"] = target
    deduplication_id = hashlib.sha256(f"expired {deployment.arn}".encode()).hexdigest()
    return Outgoing(
        json.dumps(body), group=deployment.name if is_fifo else None, deduplication_id=deduplication_id if is_fifo else None
    )
