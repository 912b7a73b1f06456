"""Sessions with the credentials of a role in another account.

STS is not called before the first call that needs it: a role that cannot be assumed fails that call, and delays no
other. From then on the credentials are refreshed beside the calls, like all others.
"""

from __future__ import annotations

from functools import partial

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioAssumeRoleCredentialFetcher, AioDeferredRefreshableCredentials
from aiobotocore.session import AioSession

from slipway.aws.sdk.credential_refresh import CredentialRefresher
from slipway.core.requests.targets import Role


async def assume(role: Role, session: AioSession, *, sts: AioSession, region: str, config: AioConfig) -> None:
    """Give a session the credentials of a role, assumed with the credentials of `sts` by its client in this Region.

    Credentials of a regional STS endpoint are valid in every Region, opt-in Regions included.
    """
    extra = {"RoleSessionName": role.session_name} | ({"ExternalId": role.external_id} if role.external_id else {})
    client = partial(sts.create_client, region_name=region, config=config)
    own = await sts.get_credentials()
    fetcher = AioAssumeRoleCredentialFetcher(client, own, role.arn, extra_args=extra)
    credentials = AioDeferredRefreshableCredentials(fetcher.fetch_credentials, f"AssumeRole of {role.arn}")
    CredentialRefresher(credentials)
    session._credentials = credentials  # noqa: SLF001  it has no other way in for what refreshes itself
