"""Credentials: search, roles in other accounts, check that headers can carry them, and refresh beside the calls.

botocore refreshes credentials inside a call when they are valid for less than 15 minutes: a slow refresh fails that call, and
one that takes longer than the call's timeout is cancelled each time and never ends. Here the refresh is a separate task. Calls
use the present credentials while these are valid, and wait for the refresh only when they are not.

A role is assumed only by the first call that needs it: a role that cannot be assumed fails that call and delays no other.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import partial, wraps
from json import JSONDecodeError
from typing import Any, Final

import structlog
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioAssumeRoleCredentialFetcher, AioDeferredRefreshableCredentials, AioRefreshableCredentials
from aiobotocore.session import AioSession
from aiohttp import ClientError
from botocore.exceptions import (
    BotoCoreError,
    ConfigParseError,
    CredentialRetrievalError,
    InvalidConfigError,
    MissingDependencyException,
    PartialCredentialsError,
    ProfileNotFound,
    UnknownCredentialError,
)

from slipway.aws.sdk.regions import NotConfigured
from slipway.core.call_errors import Denied, pause_seconds
from slipway.core.requests.targets import Role

MANDATORY_REFRESH_SECONDS: Final = 30
"""While credentials are valid for longer than this, in seconds, no call waits for new ones or fails without them."""
LONGEST_REFRESH_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 15.0
"""Seconds between two refreshes while no call waits for one, and the longest pause after a failed one."""
OPERATION: Final = "GetCredentials"
"""Operation name of the search for credentials in a `CallFailed`."""

_WRONG: Final = (
    ConfigParseError,
    InvalidConfigError,
    MissingDependencyException,
    PartialCredentialsError,
    ProfileNotFound,
    UnknownCredentialError,
)
"""SDK errors about its own settings. All others may be temporary, like an endpoint or file that is not there yet."""
_MAY_PASS: Final = (BotoCoreError, ClientError, JSONDecodeError, KeyError, OSError)
_IN_HEADERS: Final = re.compile(
    r"AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|SECURITY_TOKEN|REGION|DEFAULT_REGION|ENDPOINT_URL(?:_\w+)?|ROLE_ARN"
    r"|ROLE_SESSION_NAME|CONTAINER_CREDENTIALS_(?:FULL|RELATIVE)_URI|BEARER_TOKEN_\w+|EC2_METADATA_SERVICE_ENDPOINT)"
)
"""Variables that are copied into headers and URLs."""
_NAMES: Final = re.compile(
    r"AWS_(?:PROFILE|DEFAULT_PROFILE|CONFIG_FILE|SHARED_CREDENTIALS_FILE|WEB_IDENTITY_TOKEN_FILE|CA_BUNDLE"
    r"|CONTAINER_AUTHORIZATION_TOKEN(?:_FILE)?)"
)
"""Variables with a path, a profile or a word, in which a space may be right."""
_SOURCES: Final[Mapping[str, str]] = {
    "env": "the environment",
    "shared-credentials-file": "the shared credentials file (AWS_SHARED_CREDENTIALS_FILE)",
    "config-file": "the AWS config file (AWS_CONFIG_FILE)",
    "container-role": "the credentials endpoint that AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI names",
    "iam-role": "the instance metadata service",
    "custom-process": "credential_process",
}
_KEYS: Final[Mapping[str, str]] = {"access_key": "access key", "secret_key": "secret key", "token": "session token"}

log = structlog.get_logger()


class CredentialRefresher:
    """Refreshes credentials in a task of its own, in place of their own refresh."""

    def __init__(self, credentials: AioRefreshableCredentials) -> None:
        self._credentials = credentials
        self._refreshing: asyncio.Task[None] | None = None
        self._not_before = self._retry_at = 0.0
        self._troubles = 0
        self._error = ""
        self._rng = random.Random()  # noqa: S311  jitter, no secret
        credentials._refresh = self.refresh  # noqa: SLF001  it has no other switch
        credentials._refresh_using = _checking(credentials._refresh_using, credentials.method)  # noqa: SLF001  as above
        # What it says of each failure, with a traceback, is said here in a line.
        logging.getLogger("aiobotocore.credentials").setLevel(logging.ERROR)

    async def refresh(self) -> None:
        """Wait until there are valid credentials. Raises `CredentialRetrievalError` if there are none.

        After a failure the source is asked again only after a growing pause, however many calls need credentials.
        """
        if not self._credentials.refresh_needed():
            return
        is_urgent = self._credentials.refresh_needed(MANDATORY_REFRESH_SECONDS)
        loop = asyncio.get_running_loop()
        task = self._refreshing
        if task is None or task.done():
            if loop.time() < (self._retry_at if is_urgent else self._not_before):
                if self.seconds_left() > 0:
                    return
                raise CredentialRetrievalError(provider=self._credentials.method, error_msg=self._error)
            task = self._refreshing = loop.create_task(self._refresh())
            task.add_done_callback(_looked_at)
        if is_urgent:
            await asyncio.shield(task)  # whose call is over does not end it: others wait too

    async def _refresh(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LONGEST_REFRESH_SECONDS):
                await self._credentials._protected_refresh(is_mandatory=True)  # noqa: SLF001  as above
        except Exception as exc:
            self._error = repr(exc)
            self._not_before = loop.time() + PAUSE_SECONDS
            self._retry_at = loop.time() + pause_seconds(self._troubles, self._rng, longest=PAUSE_SECONDS)
            self._troubles += 1
            left = round(self.seconds_left(), 3)
            log.warning("credentials.refresh_failed", message=repr(exc), seconds_left=left, method=self._credentials.method)
            raise CredentialRetrievalError(provider=self._credentials.method, error_msg=repr(exc)) from exc
        self._troubles = 0
        # Some last for no longer than it takes until they are to be refreshed: not all the time, then.
        self._not_before = loop.time() + max(PAUSE_SECONDS, self.seconds_left() / 3)

    def seconds_left(self) -> float:
        """Return the remaining validity of the credentials in seconds; 0 before the first ones."""
        expiry = self._credentials._expiry_time  # noqa: SLF001  as above
        return 0.0 if expiry is None else float(self._credentials._seconds_remaining())  # noqa: SLF001  as above


async def find_credentials(session: AioSession) -> CredentialRefresher | None:
    """Find credentials and return their refresher; None if they do not expire.

    Raises `NotConfigured` for what only the operator can fix, and `Denied` for what may be temporary, also if none are found:
    instance metadata that does not respond yet looks the same.
    """
    try:
        credentials = await session.get_credentials()
    except _MAY_PASS as exc:
        if isinstance(exc, _WRONG):
            raise
        raise Denied(OPERATION, type(exc).__name__, str(exc)) from exc
    if credentials is None:
        problem = "no AWS credentials were found; set AWS_PROFILE, or give this task or host a role"
        raise Denied(OPERATION, "NoCredentials", problem)
    if isinstance(credentials, AioRefreshableCredentials):
        keys = {name: getattr(credentials, f"_{name}") for name in _KEYS}  # as they are: to read them might refresh them
        keeper: CredentialRefresher | None = CredentialRefresher(credentials)
    else:
        keys, keeper = {name: getattr(credentials, name) for name in _KEYS}, None
    if wrong := _fault_of_keys(keys, credentials.method):
        raise NotConfigured(wrong, "store it again without that")
    return keeper


def check_variables(environ: Mapping[str, str]) -> None:
    """Raise `NotConfigured` for a variable of the SDK that no header, URL or path can carry, like one with a line break."""
    for name, value in sorted(environ.items()):
        is_strict = _IN_HEADERS.fullmatch(name) is not None
        if (is_strict or _NAMES.fullmatch(name)) and (wrong := _fault(value, is_strict=is_strict)):
            raise NotConfigured(f"{name} {wrong}", "set it without that")


def check_authorities(path: str | None) -> None:
    """Raise `NotConfigured` for an invalid file of certificate authorities."""
    if not path:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        why = getattr(exc, "strerror", None) or str(exc)
        problem = f"AWS_CA_BUNDLE (ca_bundle in a profile) names {path!r}, which cannot be used: {why}"
        raise NotConfigured(problem, "name a file of certificates in PEM form") from exc


def _checking(refresh: Callable[[], Awaitable[dict[str, Any]]], method: str) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Return a refresh that raises `CredentialRetrievalError` for credentials that no header can carry."""

    @wraps(refresh)
    async def checked() -> dict[str, Any]:
        found = await refresh()
        if wrong := _fault_of_keys(found, method):
            raise CredentialRetrievalError(provider=method, error_msg=wrong)
        return found

    return checked


def _fault_of_keys(keys: Mapping[str, Any], method: str) -> str | None:
    for name, text in _KEYS.items():
        if (value := keys.get(name)) and (wrong := _fault(str(value), is_strict=True)):
            return f"the {text} from {_SOURCES.get(method, method)} {wrong}"
    return None


def _fault(value: str, *, is_strict: bool) -> str | None:
    """Return the problem of a value without the value, which may be a secret."""
    for where, letter in (("ends", value[-1:]), ("begins", value[:1])):
        if letter.isspace() or (letter and not letter.isprintable()):
            return f"{where} with {_kind(letter)}"
    for letter in value:
        if not letter.isprintable() or (is_strict and not "!" <= letter <= "~"):
            return f"contains {_kind(letter)}"
    return None


def _kind(letter: str) -> str:
    if letter in "\r\n\v\f\x85\u2028\u2029":
        return "a line break"
    if letter.isspace():
        return "white space"
    return "a control character" if not letter.isprintable() else "a character that is not ASCII"


def _looked_at(task: asyncio.Task[None]) -> None:
    """Retrieve the error of a background refresh, which has logged it."""
    if not task.cancelled():
        task.exception()


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
