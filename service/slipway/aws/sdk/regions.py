"""Regions and accounts, from the SDK's settings, the queue's URL and the topic's ARN."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from slipway.core.requests.targets import Home, Target, Targets, TargetSettings
from slipway.core.schema.rejection import ErrorWithRemedy

_TOPIC: Final = re.compile(r"arn:(?P<partition>aws[a-z-]*):sns:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):[\w.-]+")
_ROLE: Final = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/.+")
_QUEUE: Final = re.compile(
    r"https?://(?:[^/]*\.)?(?:sqs(?:-fips)?\.(?P<named>[a-z]{2,}(?:-[a-z]+)+-\d+)|(?P<legacy>[a-z]{2,}(?:-[a-z]+)+-\d+)\.queue)\."
)
_QUEUE_OLDEST: Final = "https://queue.amazonaws.com/"


class NotConfigured(ErrorWithRemedy):
    """A setting of the SDK is missing or invalid. The message has the problem and the remedy."""


@dataclass(frozen=True, slots=True)
class Regions:
    """The Region of each service's calls."""

    bedrock: str
    queue: str
    topic: str


def find_home(topic_arn: str, regions: Regions) -> Home:
    """Return the topic's account and partition with Bedrock's Region; no account without a topic.

    The topic may be in a central account: `learn_account` sets the daemon's own account, which STS returns.
    """
    if not topic_arn:
        return Home("aws", "", regions.bedrock)
    topic = _topic(topic_arn)
    return Home(topic["partition"], topic["account"], regions.bedrock)


def find_targets(wanted: Sequence[TargetSettings], home: Home) -> dict[str, Target]:
    """Return the targets by name, with their homes.

    Two targets must not share an account and Region: they would watch the same deployments and use the same slots. Raises
    `NotConfigured`.
    """
    found: dict[str, Target] = {}
    for each in wanted:
        found[each.name] = target = Target(
            each.name, find_target_home(each, home), each.rules, is_account_known=each.role is not None
        )
        check_distinct(target, found)
    return found


def check_distinct(target: Target, targets: Targets) -> None:
    """Raise `NotConfigured` if another target is in the same account and Region, as far as accounts are known."""
    for other in targets.values():
        if other is not target and (other.home, other.is_account_known) == (target.home, target.is_account_known):
            account = f"account {target.home.account}" if target.is_account_known else "the daemon's own account"
            text = f"target {target.name} is {account} in Region {target.home.region}, as target {other.name} is"
            raise NotConfigured(text, "give it another region or role_arn, or omit one of the two")


def learn_account(account: str, targets: Targets) -> None:
    """Set the account of every target that has no role to the daemon's own. Raises `NotConfigured`, as `find_targets` does."""
    own = [target for target in targets.values() if not target.is_account_known]
    for target in own:
        target.home = replace(target.home, account=account)
        target.is_account_known = True
    for target in own:
        check_distinct(target, targets)


def find_target_home(wanted: TargetSettings, home: Home) -> Home:
    """Return a target's home: account and partition are those of its role; what it does not set is the default's."""
    role = _ROLE.fullmatch(wanted.role.arn) if wanted.role else None
    partition, account = (role["partition"], role["account"]) if role else (home.partition, home.account)
    return Home(partition, account, wanted.region or home.region)


def find_regions(environ: Mapping[str, str], profile_region: str | None, queue_url: str, topic_arn: str) -> Regions:
    """Return the Regions. Bedrock's is AWS_REGION, else AWS_DEFAULT_REGION, the profile's, or the queue's.

    botocore 1.40 does not read AWS_REGION, which every AWS compute service sets. Queue and topic have their Regions in URL and
    ARN; a command that only calls Bedrock has neither. Raises `NotConfigured`.
    """
    topic = _topic(topic_arn)["region"] if topic_arn else None
    queue = _queue(queue_url)
    named = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or profile_region
    bedrock = named or queue or topic
    if bedrock is None:
        raise NotConfigured("no AWS Region is set", "set AWS_REGION, a Region in the profile, or use --region")
    return Regions(bedrock=bedrock, queue=queue or bedrock, topic=topic or bedrock)


def reply_region(address: str) -> str | None:
    """Return the Region in the URL of a queue or the ARN of a topic; None if a URL does not name one."""
    topic = _TOPIC.fullmatch(address)
    return topic["region"] if topic else _queue(address)


def _queue(url: str) -> str | None:
    if url.startswith(_QUEUE_OLDEST):
        return "us-east-1"
    found = _QUEUE.match(url)
    return found["named"] or found["legacy"] if found else None


def _topic(arn: str) -> re.Match[str]:
    found = _TOPIC.fullmatch(arn)
    if found is None:
        raise NotConfigured(
            f"SLIPWAY_TOPIC_ARN {arn!r} is not a topic ARN with a Region and an account",
            "it should look like arn:aws:sns:us-east-1:123456789012:name",
        )
    return found
