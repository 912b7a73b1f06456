"""Working in another account: a session whose credentials are those of a role that is assumed there.

Nothing is asked of STS before the first call that needs it: a role that cannot be assumed fails that call, and delays no
other. From then on the credentials are kept fresh beside the calls, as all others are.
"""

from __future__ import annotations

from functools import partial

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioAssumeRoleCredentialFetcher, AioDeferredRefreshableCredentials
from aiobotocore.session import AioSession

from slipway.aws.sdk.credential_refresh import CredentialRefresher
from slipway.core.requests.targets import Role


async def assume(role: Role, session: AioSession, *, sts: AioSession, region: str, config: AioConfig) -> None:
    """Give a session a role's credentials. It is assumed with the credentials of `sts`, by its client in this Region.

    Named a Region, STS is called at its endpoint there: what that gives out is good in every Region, opt-in ones too.
    """
    extra = {"RoleSessionName": role.session_name} | ({"ExternalId": role.external_id} if role.external_id else {})
    client = partial(sts.create_client, region_name=region, config=config)
    own = await sts.get_credentials()
    fetcher = AioAssumeRoleCredentialFetcher(client, own, role.arn, extra_args=extra)
    credentials = AioDeferredRefreshableCredentials(fetcher.fetch_credentials, f"AssumeRole of {role.arn}")
    CredentialRefresher(credentials)
    session._credentials = credentials  # noqa: SLF001  it has no other way in for what refreshes itself
