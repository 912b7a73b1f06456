"""The checks of `slipway doctor`: problems of queues, topic, account, clock, model and rules, each with its remedy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from slipway.core.bedrock import Deployment, ModelState, Status
from slipway.core.diagnostics.status import Backlog
from slipway.core.requests.targets import Home
from slipway.core.rules.permissions import PermissionRule
from slipway.core.rules.triggers import Trigger
from slipway.core.schema.pattern_operators import wildcard
from slipway.core.schema.rejection import quote

LONGEST_RETENTION: Final = 14 * 86_400
FEWEST_RECEIVES: Final = 3
LARGEST_REQUEST: Final = 256 * 1024
"""Bytes of the largest body that Slipway accepts."""
LARGEST_SKEW_SECONDS: Final = 60.0
"""AWS refuses calls from a clock that is five minutes wrong."""
REGIONS: Final = frozenset({"us-east-1", "us-west-2"})
"""Regions for which AWS documents custom model deployments. Ignore the finding in a Region that was added later."""

API_KEY: Final = "Bedrock API key"
"""AWS_BEARER_TOKEN_BEDROCK, which the SDK prefers to the credentials of the daemon's own account."""
API_KEY_NOTE: Final = (
    "AWS_BEARER_TOKEN_BEDROCK is set: Bedrock is called with it, and not with the credentials. A short-term key ends within 12 "
    "hours, after which every request waits with AccessDenied until the daemon is started with another"
)

Attributes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One problem: its subject, the problem and the remedy."""

    about: str
    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked, and what was seen of it; empty if there was no answer."""

    about: str
    seen: str = ""


def of_queue(attributes: Attributes, timeout: float) -> Iterator[DoctorFinding]:
    """Check the request queue. `timeout` is the setting, in seconds."""
    retention = int(attributes["MessageRetentionPeriod"])
    if retention < LONGEST_RETENTION:
        danger = "shorter than SLIPWAY_TIMEOUT, so requests are lost while they wait" if retention < timeout else "not 14 days"
        yield DoctorFinding("queue retention", f"{retention} s, {danger}", "set MessageRetentionPeriod to 1209600")
    if (delay := int(attributes.get("DelaySeconds", 0))) > 0:
        yield DoctorFinding("queue delay", f"each request is held back for {delay} s", "set DelaySeconds to 0")
    if attributes.get("SqsManagedSseEnabled") != "true" and not attributes.get("KmsMasterKeyId"):
        yield DoctorFinding(
            "queue encryption", "messages are not encrypted at rest", "set SqsManagedSseEnabled, or KmsMasterKeyId"
        )
    if (largest := int(attributes.get("MaximumMessageSize", LARGEST_REQUEST))) < LARGEST_REQUEST:
        text = f"{largest} bytes: a request near that size cannot be continued in a new message"
        yield DoctorFinding("queue message size", text, "set MaximumMessageSize to 1048576")
    redrive = redrive_of(attributes)
    if not redrive.get("deadLetterTargetArn"):
        text = (
            "the queue has no dead-letter queue: rejected messages are lost, and a message that crashes its consumer is "
            "redelivered indefinitely"
        )
        yield DoctorFinding("dead-letter queue", text, "give the queue a RedrivePolicy with maxReceiveCount 5")
    elif (most := int(redrive.get("maxReceiveCount", 0))) < FEWEST_RECEIVES:
        text = f"{most}: one or two restarts send a healthy request to the dead-letter queue"
        yield DoctorFinding("maxReceiveCount", text, "set it to 5 in the RedrivePolicy, not below 3")


def redrive_of(attributes: Attributes) -> dict[str, Any]:
    """Return a queue's redrive policy; empty without one."""
    policy: dict[str, Any] = json.loads(attributes.get("RedrivePolicy") or "{}")
    return policy


def of_dead_letters(attributes: Attributes, queue: Attributes) -> Iterator[DoctorFinding]:
    """Check the dead-letter queue against the queue that it belongs to."""
    retention, queue_retention = int(attributes["MessageRetentionPeriod"]), int(queue["MessageRetentionPeriod"])
    if retention < queue_retention:
        text = f"{retention} s, shorter than the queue's {queue_retention} s: a message keeps its age, so it may expire at once"
        yield DoctorFinding("dead-letter retention", text, "set its MessageRetentionPeriod to 1209600")
    sizes = [int(queue_attributes.get("MaximumMessageSize", LARGEST_REQUEST)) for queue_attributes in (attributes, queue)]
    if sizes[0] < sizes[1]:
        text = f"{sizes[0]} bytes, smaller than the queue's {sizes[1]}: a copy of a large message is refused"
        yield DoctorFinding("dead-letter message size", text, "set its MaximumMessageSize to the queue's")
    if attributes.get("FifoQueue") != queue.get("FifoQueue"):
        text = "one of the queue and its dead-letter queue is FIFO, and the other is not: every copy is refused"
        yield DoctorFinding("dead-letter type", text, "use a dead-letter queue of the same type")
    if (count := int(attributes["ApproximateNumberOfMessages"])) > 0:
        yield DoctorFinding("dead letters", f"messages in the dead-letter queue: {count}", "inspect them: slipway dlq list")


def of_redrive_permission(attributes: Attributes, queue: Attributes) -> Iterator[DoctorFinding]:
    """Check that the dead-letter queue lets SQS move the queue's messages there."""
    permission: dict[str, Any] = json.loads(attributes.get("RedriveAllowPolicy") or "{}")
    kind = permission.get("redrivePermission", "allowAll")
    if kind == "denyAll" or (kind == "byQueue" and queue.get("QueueArn") not in permission.get("sourceQueueArns", ())):
        text = f"its RedriveAllowPolicy ({kind}) does not name the request queue: SQS moves no message there"
        yield DoctorFinding("dead-letter permission", text, "add the request queue's ARN to sourceQueueArns")


def of_encryption(attributes: Attributes) -> str:
    """Say in a note what the queue's KMS key needs; empty without one. No call can check it without sending a message."""
    key = attributes.get("KmsMasterKeyId")
    if not key:
        return ""
    name = attributes.get("QueueArn", "").rsplit(":", 1)[-1]
    if key.endswith("alias/aws/sqs"):
        return (
            f"queue {name}: EventBridge and SNS cannot send to it: its key is {key}, which only this account's senders may use"
        )
    return f"queue {name}: the daemon's role and every sender need kms:GenerateDataKey and kms:Decrypt for {key}"


def of_api_key(deployments: Iterable[Deployment], account: str) -> Iterator[DoctorFinding]:
    """Check that the Bedrock API key, used instead of the credentials, is of the credentials' account."""
    theirs = {one.arn.split(":")[4] for one in deployments} - {account}
    for other in sorted(theirs):
        text = f"it is of account {other}, and the credentials are of {account}: every request is judged by {account}"
        yield DoctorFinding(API_KEY, text, f"unset AWS_BEARER_TOKEN_BEDROCK, or use a key of {account}")


def of_subscribers(confirmed: int) -> Iterator[DoctorFinding]:
    """Check the topic's number of confirmed subscriptions."""
    if not confirmed:
        text = "there is no confirmed subscription: events are published and lost"
        yield DoctorFinding("topic", text, "subscribe a queue or a function, and confirm the subscription")


def of_home(home: Home) -> Iterator[DoctorFinding]:
    """Check the Region of a target."""
    if home.region not in REGIONS:
        text = f"{home.region} is not among those that AWS documents for custom model deployments"
        yield DoctorFinding("Region", text, f"set AWS_REGION to one of {', '.join(sorted(REGIONS))}, where the models are")


def of_clock(skew: float) -> Iterator[DoctorFinding]:
    """Check this machine's clock, which is `skew` seconds ahead of AWS's."""
    if abs(skew) > LARGEST_SKEW_SECONDS:
        text = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} AWS's: at 300 s AWS refuses every call"
        yield DoctorFinding("clock", text, "let NTP or chrony set this machine's clock")


def of_fullness(deployments: Sequence[Deployment], max_creating: int, max_total: int) -> Iterator[DoctorFinding]:
    """Check the slots, if the settings have the quotas."""
    creating = sum(deployment.status is Status.CREATING for deployment in deployments)
    failed = sum(deployment.status is Status.FAILED for deployment in deployments)
    if max_total and len(deployments) >= max_total:
        text = f"{len(deployments)} of max_total {max_total} exist, {failed} of them Failed: every request waits"
        yield DoctorFinding(
            "slots", text, "delete unused deployments (slipway list --status failed), or raise quota and setting"
        )
    elif max_creating and creating > max_creating:
        text = f"{creating} are in creation, more than max_creating {max_creating}"
        yield DoctorFinding("slots", text, "set it to the account's quota, or to 0, which learns it")


def of_model(model_arn: str, state: ModelState) -> Iterator[DoctorFinding]:
    """Check a model before it is deployed."""
    if state in {ModelState.MISSING, ModelState.FAILED}:
        yield DoctorFinding(
            "model", f"{model_arn} is {state.value}", "name a custom model of this account and Region that is Active"
        )
    elif state is ModelState.CREATING:
        yield DoctorFinding("model", f"{model_arn} is still Creating", "nothing: a request for it waits until it is Active")


def of_backlog(backlog: Backlog) -> Iterator[DoctorFinding]:
    """Check that the waiting requests are received."""
    if backlog.visible and not backlog.in_flight:
        text = f"{backlog.visible} messages wait in the queue, and none is being received"
        yield DoctorFinding(
            "daemon", text, "start slipway serve, or check why it does not receive: slipway doctor --daemon URL"
        )


def of_permissions(rules: Sequence[PermissionRule], targets: Iterable[str]) -> Iterator[DoctorFinding]:
    """Check valid permission rules for patterns and orders that have no effect."""
    names = tuple(targets)
    rule_for_all: str | None = None
    for rule in rules:
        label = f"rule {quote(rule.name)}"
        if rule_for_all is not None:
            text = f"{label} has no effect, since rule {quote(rule_for_all)} before it is for all senders"
            yield DoctorFinding("permission rules", text, "move it before that one, or remove it")
        elif not rule.senders or "*" in rule.senders:
            rule_for_all = rule.name
        for pattern in rule.targets:
            if not any(map(wildcard(pattern), names)):
                text = f"{label} has the target {quote(pattern)}, and the targets are {', '.join(names)}"
                yield DoctorFinding("permission rules", text, "use targets of the settings")
        for sender in rule.senders:
            if sender.startswith("arn:"):
                text = f"{label} has the sender {quote(sender)}, and a SenderId is never an ARN"
                yield DoctorFinding(
                    "permission rules", text, "use the unique id of the role or user, like AROAEXAMPLEROLEID0001:*"
                )
            elif sender.startswith("AROA") and not {":", "*"} & set(sender):
                text = f"{label} has the sender {quote(sender)}, and the SenderId of a role has a session name"
                yield DoctorFinding("permission rules", text, f"use {sender}:*")


def of_triggers(triggers: Sequence[Trigger], targets: Iterable[str]) -> Iterator[DoctorFinding]:
    """Check the targets that triggers set for their requests."""
    names = tuple(targets)
    for trigger in triggers:
        target = trigger.target
        if target is not None and target not in names:
            text = f"trigger {quote(trigger.name)} has the target {quote(target)}, and the targets are {', '.join(names)}"
            yield DoctorFinding("trigger rules", text, "use a target of the settings, or leave the key out")


def queue_seen(attributes: Attributes) -> str:
    """Say what a queue is called and holds."""
    backlog = (
        f"{attributes['ApproximateNumberOfMessages']} messages, {attributes['ApproximateNumberOfMessagesNotVisible']} in flight"
    )
    days = int(attributes["MessageRetentionPeriod"]) / 86_400
    fifo = "FIFO, " if attributes.get("FifoQueue") == "true" else ""
    return f"{attributes.get('QueueArn', '').rsplit(':', 1)[-1]}: {fifo}{backlog}, kept for {days:g} days"


def deployments_seen(found: Sequence[Deployment], max_creating: int, max_total: int) -> str:
    """Say how many deployments there are, and of how many that there may be."""
    creating = sum(deployment.status is Status.CREATING for deployment in found)
    most = f" of max_total {max_total}" if max_total else ""
    at_once = f" of max_creating {max_creating}" if max_creating else ""
    return f"{len(found)}{most}, in creation {creating}{at_once}"


def clock_seen(skew: float) -> str:
    """Say how far this machine's clock, which is `skew` seconds ahead, is from AWS's."""
    return f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} AWS's"
