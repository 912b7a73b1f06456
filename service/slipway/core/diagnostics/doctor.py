"""What is not right with a queue, a topic, an account: from what they say of themselves, with the remedy for each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from slipway.core.bedrock.deployments import Deployment, ModelState, Status
from slipway.core.diagnostics.audit import Backlog
from slipway.core.requests.targets import Home
from slipway.core.rules.permissions import PermissionRule
from slipway.core.rules.triggers import Trigger
from slipway.core.schema.pattern_operators import wildcard
from slipway.core.schema.rejection import quote

LONGEST_RETENTION: Final = 14 * 86_400
FEWEST_RECEIVES: Final = 3
LARGEST_REQUEST: Final = 256 * 1024
"""Bytes of the largest body that is taken."""
LARGEST_SKEW_SECONDS: Final = 60.0
"""AWS refuses calls from a clock that is five minutes wrong."""
REGIONS: Final = frozenset({"us-east-1", "us-west-2"})
"""Where AWS documents custom model deployments. It may have more by now: then this is the finding to pass over."""

Attributes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One thing that is not right: about what, what is so, and what to do."""

    about: str
    text: str
    remedy: str


def of_sentence(about: str, sentence: str) -> DoctorFinding:
    """Cut a sentence that says at its end what to do."""
    text, _, remedy = sentence.rpartition("; ")
    return DoctorFinding(about, text or sentence, remedy if text else "")


def of_queue(attributes: Attributes, timeout: float) -> Iterator[DoctorFinding]:
    """Look at the request queue. `timeout` is how long a request is tried by the settings."""
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
        text = f"{largest} bytes: a request near that size cannot be tried again, nor continued in a new message"
        yield DoctorFinding("queue message size", text, "set MaximumMessageSize to 1048576")
    redrive = redrive_of(attributes)
    if not redrive.get("deadLetterTargetArn"):
        text = "it has none: a body that is rejected is not kept, and one that kills its reader comes for ever"
        yield DoctorFinding("dead-letter queue", text, "give the queue a RedrivePolicy with maxReceiveCount 5")
    elif (most := int(redrive.get("maxReceiveCount", 0))) < FEWEST_RECEIVES:
        text = f"{most}: a restart or two send a healthy request to the dead-letter queue"
        yield DoctorFinding("maxReceiveCount", text, "set it to 5 in the RedrivePolicy, not below 3")


def redrive_of(attributes: Attributes) -> dict[str, Any]:
    """Answer a queue's redrive policy; empty without one."""
    policy: dict[str, Any] = json.loads(attributes.get("RedrivePolicy") or "{}")
    return policy


def of_dead_letters(attributes: Attributes, queue: Attributes) -> Iterator[DoctorFinding]:
    """Look at the dead-letter queue, beside the queue whose it is."""
    retention, feeding = int(attributes["MessageRetentionPeriod"]), int(queue["MessageRetentionPeriod"])
    if retention < feeding:
        text = f"{retention} s, shorter than the queue's {feeding} s: ages go on counting, and a dead letter may expire at once"
        yield DoctorFinding("dead-letter retention", text, "set its MessageRetentionPeriod to 1209600")
    sizes = [int(each.get("MaximumMessageSize", LARGEST_REQUEST)) for each in (attributes, queue)]
    if sizes[0] < sizes[1]:
        text = f"{sizes[0]} bytes, smaller than the queue's {sizes[1]}: a copy of a large message is refused"
        yield DoctorFinding("dead-letter message size", text, "set its MaximumMessageSize to the queue's")
    if attributes.get("FifoQueue") != queue.get("FifoQueue"):
        text = "one of the queue and its dead-letter queue is FIFO, and the other is not: every copy is refused"
        yield DoctorFinding("dead-letter type", text, "use a dead-letter queue of the same type")
    if (count := int(attributes["ApproximateNumberOfMessages"])) > 0:
        yield DoctorFinding("dead letters", f"waiting for somebody to look: {count}", "look at them: slipway dlq list")


def of_subscribers(confirmed: int) -> Iterator[DoctorFinding]:
    """Look at who hears the topic."""
    if not confirmed:
        text = "nobody is subscribed: results are announced, and nobody hears"
        yield DoctorFinding("topic", text, "subscribe a queue or a function, and confirm the subscription")


def of_place(home: Home, account: str) -> Iterator[DoctorFinding]:
    """Look at where a target is: the Region, and the account of the credentials, which for a role is always the role's."""
    if home.region not in REGIONS:
        text = f"{home.region} is not among those that AWS documents for custom model deployments"
        yield DoctorFinding("Region", text, f"set AWS_REGION to one of {', '.join(sorted(REGIONS))}, where the models are")
    if account != home.account:
        text = f"the credentials are of account {account}, and the topic is in {home.account}"
        yield DoctorFinding("account", text, "use credentials of the topic's account, or that account's topic")


def of_clock(skew: float) -> Iterator[DoctorFinding]:
    """Look at this machine's clock: so many seconds ahead of AWS's."""
    if abs(skew) > LARGEST_SKEW_SECONDS:
        text = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} AWS's: at 300 s AWS refuses every call"
        yield DoctorFinding("clock", text, "let NTP or chrony set this machine's clock")


def of_fullness(deployments: Sequence[Deployment], max_creating: int, max_total: int) -> Iterator[DoctorFinding]:
    """Look at the slots, as far as the settings say how many there are."""
    creating = sum(one.status is Status.CREATING for one in deployments)
    failed = sum(one.status is Status.FAILED for one in deployments)
    if max_total and len(deployments) >= max_total:
        text = f"{len(deployments)} of max_total {max_total} exist, {failed} of them Failed: every request waits"
        yield DoctorFinding(
            "slots", text, "delete what nobody needs (slipway list --status failed), or raise quota and setting"
        )
    elif max_creating and creating > max_creating:
        text = f"{creating} are in creation, more than max_creating {max_creating}"
        yield DoctorFinding("slots", text, "set it to the account's quota, or to 0, which learns it")


def of_model(model_arn: str, state: ModelState) -> Iterator[DoctorFinding]:
    """Look at a model that is to be deployed."""
    if state in {ModelState.MISSING, ModelState.FAILED}:
        yield DoctorFinding(
            "model", f"{model_arn} is {state.value}", "name a custom model of this account and Region that is Active"
        )
    elif state is ModelState.CREATING:
        yield DoctorFinding("model", f"{model_arn} is still Creating", "nothing: a request for it waits until it is Active")


def of_backlog(backlog: Backlog) -> Iterator[DoctorFinding]:
    """Look at what waits in the queue."""
    if backlog.visible and not backlog.in_flight:
        text = f"requests that wait in the queue: {backlog.visible}, and nobody works on any"
        yield DoctorFinding(
            "daemon", text, "start slipway serve, or look at why it does not receive: slipway doctor --daemon URL"
        )


def of_permissions(rules: Sequence[PermissionRule], targets: Iterable[str]) -> Iterator[DoctorFinding]:
    """Look at rules that can be read, and that mean something else than whoever wrote them may think."""
    names = tuple(targets)
    for_all: str | None = None
    for rule in rules:
        said = f"rule {quote(rule.name)}"
        if for_all is not None:
            text = f"{said} is never asked, since rule {quote(for_all)} before it is for everybody"
            yield DoctorFinding("permission rules", text, "put it before that one, or leave it away")
        elif not rule.senders or "*" in rule.senders:
            for_all = rule.name
        for pattern in rule.targets:
            if not any(map(wildcard(pattern), names)):
                text = f"{said} has the target {quote(pattern)}, and the targets are {', '.join(names)}"
                yield DoctorFinding("permission rules", text, "name targets of the settings")
        for sender in rule.senders:
            if sender.startswith("arn:"):
                text = f"{said} has the sender {quote(sender)}, and SQS names nobody by an ARN"
                yield DoctorFinding(
                    "permission rules", text, "use the unique id of the role or user, like AROAEXAMPLEROLEID0001:*"
                )
            elif sender.startswith("AROA") and not {":", "*"} & set(sender):
                text = f"{said} has the sender {quote(sender)}, and SQS names a role with its session"
                yield DoctorFinding("permission rules", text, f"use {sender}:*")


def of_triggers(triggers: Sequence[Trigger], targets: Iterable[str]) -> Iterator[DoctorFinding]:
    """Look at where the requests go that rules make of events, as far as that stands in the rule itself."""
    names = tuple(targets)
    for trigger in triggers:
        asked = trigger.target
        if asked is not None and asked not in names:
            text = f"trigger {quote(trigger.name)} asks for the target {quote(asked)}, and the targets are {', '.join(names)}"
            yield DoctorFinding("trigger rules", text, "name a target of the settings, or leave the key out")
