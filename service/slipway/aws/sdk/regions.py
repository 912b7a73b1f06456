"""Regions and accounts, from the SDK's settings, the queue's URL and the topic's ARN."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from slipway.core.requests.targets import Home, Target, TargetSettings

_TOPIC: Final = re.compile(r"arn:(?P<partition>aws[a-z-]*):sns:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):[\w.-]+")
_ROLE: Final = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/.+")
_QUEUE: Final = re.compile(
    r"https?://(?:[^/]*\.)?(?:sqs(?:-fips)?\.(?P<named>[a-z]{2,}(?:-[a-z]+)+-\d+)|(?P<legacy>[a-z]{2,}(?:-[a-z]+)+-\d+)\.queue)\."
)
_QUEUE_OLDEST: Final = "https://queue.amazonaws.com/"


class NotConfigured(Exception):
    """A setting of the SDK is missing or invalid. The message has the problem and the remedy."""


@dataclass(frozen=True, slots=True)
class Regions:
    """The Region of each service's calls."""

    bedrock: str
    queue: str
    topic: str


def find_home(topic_arn: str, regions: Regions) -> Home:
    """Return the topic's account and partition with Bedrock's Region; no account without a topic."""
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
        place = find_place(each, home)
        if twin := next((other for other in found.values() if other.home == place), None):
            said = f"target {each.name} is account {place.account} in Region {place.region}, as target {twin.name} is"
            raise NotConfigured(f"{said}; give it another region or role_arn, or leave one of the two out")
        found[each.name] = Target(each.name, place, each.rules)
    return found


def find_place(wanted: TargetSettings, home: Home) -> Home:
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
        raise NotConfigured("no AWS Region is set; set AWS_REGION, a Region in the profile, or use --region")
    return Regions(bedrock=bedrock, queue=queue or bedrock, topic=topic or bedrock)


def _queue(url: str) -> str | None:
    if url.startswith(_QUEUE_OLDEST):
        return "us-east-1"
    found = _QUEUE.match(url)
    return found["named"] or found["legacy"] if found else None


def _topic(arn: str) -> re.Match[str]:
    found = _TOPIC.fullmatch(arn)
    if found is None:
        raise NotConfigured(
            f"SLIPWAY_TOPIC_ARN {arn!r} is no topic ARN with a Region and an account;"
            " it should look like arn:aws:sns:us-east-1:123456789012:name"
        )
    return found
