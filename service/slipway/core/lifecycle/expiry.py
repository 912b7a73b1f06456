"""When a deployment's time is over: the request to delete it, which is put on the queue like anybody else's.

The truth is the tag on the deployment. Whoever sees that its time is over sends a delete that looks at the tag once more; sent
twice, by two replicas or after a restart, it is one request, with one outcome and one event id.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from slipway.core.bedrock.deployments import Deployment
from slipway.core.requests.targets import DEFAULT
from slipway.core.sqs.messages import Outgoing

AGAIN_SECONDS: Final = 3600.0
"""So long after it was sent, a delete of what is still there is sent again."""


def request_id(arn: str) -> str:
    """Answer the id of the request to delete this deployment because it has expired."""
    return f"expired-{arn.rsplit('/', 1)[-1]}"


def delete_of(deployment: Deployment, target: str = DEFAULT, *, is_fifo: bool) -> Outgoing:
    """Make the request to delete a deployment, if it has expired indeed."""
    asked = {
        "action": "delete",
        "customModelDeploymentIdentifier": deployment.arn,
        "ifExpired": True,
        "requestId": request_id(deployment.arn),
    }
    if target != DEFAULT:
        asked["target"] = target
    once = hashlib.sha256(f"expired {deployment.arn}".encode()).hexdigest()
    return Outgoing(json.dumps(asked), group=deployment.name if is_fifo else None, deduplication_id=once if is_fifo else None)
