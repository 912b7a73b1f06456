"""Check of IAM permissions in a target, by calls that change nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from slipway.aws.adapters.retry import NEVER, Caller
from slipway.aws.connect import CallerIdentity, Identity
from slipway.aws.sdk.clients import Open
from slipway.aws.sdk.regions import learn_account
from slipway.core.call_errors import CallFailed, Denied
from slipway.core.requests.targets import Target

_IMPOSSIBLE_NAME: Final = "slipway--doctor"
"""A name that Bedrock's pattern forbids: a call with it is refused if it is not denied, and changes nothing."""

Tries = Mapping[str, Callable[[], Awaitable[object]]]
"""Calls by operation that the service must refuse as invalid."""


class PermissionCheck:
    """Checks the permissions of one target's credentials. Every failure is a `CallFailed`."""

    def __init__(self, target: Target, bedrock: Any, open_client: Open, caller: Caller) -> None:  # noqa: ANN401  aioboto3 has no types
        self._target = target
        self._bedrock = bedrock
        self._open = open_client
        self._caller = caller

    async def identity(self) -> CallerIdentity:
        """Return whose the credentials are, the role's if one is assumed, and set their account as the target's."""
        identity = await Identity(self._open, self._caller).get()
        if not self._target.is_account_known:
            learn_account(identity.account, {self._target.name: self._target})
        return identity

    async def denials(self) -> list[Denied]:
        """Return the Bedrock operations that are denied. Changes nothing."""
        bedrock, home, name = self._bedrock, self._target.home, _IMPOSSIBLE_NAME
        arn = f"arn:{home.partition}:bedrock:{home.region}:{home.account}:custom-model-deployment/{'0' * 12}"
        model = f"arn:{home.partition}:bedrock:{home.region}:{home.account}:custom-model/imported/{'0' * 12}"
        return await denied(
            self._caller,
            {
                "ListCustomModelDeployments": lambda: bedrock.list_custom_model_deployments(maxResults=1),
                "GetCustomModelDeployment": lambda: bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=name),
                "CreateCustomModelDeployment": lambda: bedrock.create_custom_model_deployment(
                    modelDeploymentName=name, modelArn=model
                ),
                "UpdateCustomModelDeployment": lambda: bedrock.update_custom_model_deployment(
                    customModelDeploymentIdentifier=name, modelArn=model
                ),
                "DeleteCustomModelDeployment": lambda: bedrock.delete_custom_model_deployment(
                    customModelDeploymentIdentifier=name
                ),
                "ListTagsForResource": lambda: bedrock.list_tags_for_resource(resourceARN=arn),
                "GetCustomModel": lambda: bedrock.get_custom_model(modelIdentifier=model),
            },
        )


async def denied(caller: Caller, tries: Tries) -> list[Denied]:
    """Return which of these calls are denied. Any other refusal counts as permitted."""
    found = [await _try(caller, operation, send) for operation, send in tries.items()]
    return [each for each in found if each is not None]


async def _try(caller: Caller, operation: str, send: Callable[[], Awaitable[object]]) -> Denied | None:
    try:
        await caller.call(operation, send, repeat=NEVER)
    except Denied as failed:
        return failed
    except CallFailed:
        return None
    return None
