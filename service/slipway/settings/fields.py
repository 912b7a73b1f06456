"""Every setting, once: type, unit, bounds and reasons. The defaults themselves stand in `config/slipway.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import TextWrapper
from typing import Final

from slipway.core.schema.fields import Field, FieldKind

PREFIX: Final = "SLIPWAY_"
_WEIGHT: Final = r"[^,]{1,64}=[1-9][0-9]{0,2}"
wrapped = TextWrapper(110, initial_indent="# ", subsequent_indent="#   ").fill
"""Write a line of a settings file as comments."""
_HEAD: Final = """\
# Slipway's settings and their defaults: this file is where the program reads them from. A file of your own holds
# only what differs, and is named by SLIPWAY_CONFIG or --config; the environment goes before both.
# Region, credentials and endpoints are the AWS SDK's: AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL and their like.
"""


SETTINGS: Final = (
    Field(
        name="queue_url",
        kind=FieldKind.TEXT,
        required=True,
        least=12,
        most=1024,
        letters="!-~",
        pattern=r"https?://[^/?#]+/(?:[^?#]+/)*[A-Za-z0-9_\-]{1,80}(?:\.fifo)?",
        doc="The SQS queue that requests come from; one whose name ends in .fifo is a FIFO queue.",
        remedy="use the URL of an SQS queue, like https://sqs.us-east-1.amazonaws.com/123456789012/slipway-requests",
        examples=("https://sqs.us-east-1.amazonaws.com/123456789012/slipway-requests",),
    ),
    Field(
        name="topic_arn",
        kind=FieldKind.TEXT,
        required=True,
        least=20,
        most=400,
        letters="!-~",
        pattern=r"arn:aws[a-z\-]*:sns:[a-z0-9\-]{1,20}:[0-9]{12}:[A-Za-z0-9_\-]{1,256}(?:\.fifo)?",
        doc="The SNS topic that outcomes are announced to; one whose name ends in .fifo is a FIFO topic.",
        remedy="use the ARN of an SNS topic, like arn:aws:sns:us-east-1:123456789012:slipway-events",
        examples=("arn:aws:sns:us-east-1:123456789012:slipway-events",),
    ),
    Field(
        name="control_queue_url",
        kind=FieldKind.TEXT,
        least=0,
        most=1024,
        letters="!-~",
        pattern=r"(?:https?://[^/?#]+/(?:[^?#]+/)*[A-Za-z0-9_\-]{1,80})?",
        doc="A second SQS queue, for deletes, updates and cancels: it is received from even while thousands of deploys are "
        "ahead in the first one. A standard queue, in the same account and Region; empty for none.",
        reason="without it a delete is received after the deploys that were sent before it.",
        remedy="use the URL of a standard queue, like https://sqs.us-east-1.amazonaws.com/123456789012/slipway-control",
        examples=("https://sqs.us-east-1.amazonaws.com/123456789012/slipway-control",),
    ),
    Field(
        name="max_held",
        kind=FieldKind.WHOLE,
        unit="messages",
        least=2,
        most=20_000,
        doc="How many messages are held at once; the queue keeps the rest. A large message takes the place of several, so that "
        "32 MiB of bodies are held at most, or 16 KiB for each place if that is more.",
        reason="200 fill the slots of a default account twenty times over, and are few enough to give back in seconds.",
    ),
    Field(
        name="sweep_interval",
        kind=FieldKind.NUMBER,
        unit="seconds",
        least=0.2,
        most=300,
        doc="Time between two looks at all deployments in flight.",
        reason="a creation takes 8 to 45 minutes: 15 s adds little to that, at four List calls a minute.",
    ),
    Field(
        name="timeout",
        kind=FieldKind.NUMBER,
        unit="seconds",
        least=1,
        most=604_800,
        doc="How long a request that names no timeout of its own is tried, from when it was first received.",
        reason="2 hours are more than twice the slowest creation that has been reported.",
    ),
    Field(
        name="visibility_timeout",
        kind=FieldKind.WHOLE,
        unit="seconds",
        least=10,
        most=43_200,
        doc="How long a message stays hidden from others after its lease was last extended.",
        reason="a dead process's requests are taken over after 2 minutes, and a live one may miss two extensions.",
    ),
    Field(
        name="progress_events",
        kind=FieldKind.FLAG,
        doc="Whether accepted, waiting and creating are announced too, beside the outcomes.",
        reason="subscribers mostly want the end, and each event costs a publish.",
    ),
    Field(
        name="max_creating",
        kind=FieldKind.WHOLE,
        unit="deployments",
        least=0,
        most=10_000,
        doc="The account's quota of deployments in creation at once; 0 learns it from Bedrock's answers.",
        reason="a learned limit follows the quota when AWS raises it.",
    ),
    Field(
        name="max_total",
        kind=FieldKind.WHOLE,
        unit="deployments",
        least=0,
        most=100_000,
        doc="The account's quota of deployments in all; 0 learns it from Bedrock's answers.",
        reason="a learned limit follows the quota when AWS raises it.",
    ),
    Field(
        name="tenant_weights",
        kind=FieldKind.TEXT,
        least=0,
        most=4096,
        pattern=rf"(?:{_WEIGHT}(?:,{_WEIGHT})*)?",
        doc="How many turns a tenant has to another's one in the line for slots, like support=3,search=2; 1 where it is "
        "not named.",
        reason="who asks for more than others gets no more slots for it, until somebody decides otherwise.",
        remedy="use tenant=weight, separated by commas, with weights from 1 to 999, like support=3,search=2",
    ),
    Field(
        name="reap_interval",
        kind=FieldKind.NUMBER,
        unit="seconds",
        least=0,
        most=86_400,
        doc="Time between two looks for deployments whose time is over (expiresAfter); 0 never looks.",
        reason="5 minutes late is soon enough for what was wanted for hours, at some ten List calls an hour.",
    ),
    Field(
        name="allow_force",
        kind=FieldKind.FLAG,
        doc="Whether a request that says force may update or delete what Slipway did not make.",
        reason="what others made is theirs, until somebody who runs Slipway decides otherwise.",
    ),
    Field(
        name="reply_to",
        kind=FieldKind.TEXT,
        least=0,
        most=4096,
        doc="Where replyTo of a request may point: queue URLs and topic ARNs, separated by spaces, * for anything; empty for "
        "nowhere.",
        reason="whoever may send a request may not therefore send to any queue that Slipway can.",
        remedy="use queue URLs and topic ARNs, with * where anything may stand, separated by spaces; 4096 characters at most",
    ),
    Field(
        name="triggers",
        kind=FieldKind.TEXT,
        least=0,
        most=4096,
        doc="The TOML file with the rules that make requests of upstream events, like config/triggers.toml; empty for the "
        "triggers.toml beside a settings file of your own, if there is one.",
        reason="without rules nothing but a request is one, and events of AWS itself are rejected.",
        remedy="use the path of a TOML file, of at most 4096 characters",
    ),
    Field(
        name="permissions",
        kind=FieldKind.TEXT,
        least=0,
        most=4096,
        doc="The TOML file with the rules that say who may ask for what, like config/permissions.toml; empty for the "
        "permissions.toml beside a settings file of your own, if there is one.",
        reason="without rules whoever may send to the queue may ask for anything: the queue's policy decides.",
        remedy="use the path of a TOML file, of at most 4096 characters",
    ),
    Field(
        name="http_host",
        kind=FieldKind.TEXT,
        least=1,
        most=253,
        letters=r"0-9A-Za-z.:_\-",
        doc="The address that the page, health and metrics are served on.",
        reason="loopback shows nothing to a network that nobody meant; in a container use 0.0.0.0.",
        remedy="use an IP address or a host name of this machine, like 127.0.0.1 or 0.0.0.0",
    ),
    Field(
        name="http_port",
        kind=FieldKind.WHOLE,
        least=0,
        most=65_535,
        doc="The port that the page, health and metrics are served on; 0 turns them off.",
        reason="what most images and probes use for a second, unprivileged port.",
    ),
    Field(
        name="log_level",
        kind=FieldKind.TEXT,
        choices=("debug", "info", "warning", "error"),
        doc="The least severe log entries that are written.",
        reason="info has one line per request and per trouble.",
    ),
    Field(
        name="log_format",
        kind=FieldKind.TEXT,
        choices=("auto", "json", "console"),
        doc="JSON lines, or colours for people; auto asks whether the output is a terminal.",
        reason="both readers get what they can read.",
    ),
)


def variable(name: str) -> str:
    """Answer the environment variable of a setting."""
    return PREFIX + name.upper()


def bounds(setting: Field) -> str:
    """Say what a setting may be, in a few words: for comments, tables and help."""
    if setting.choices:
        return ", ".join(setting.choices[:-1]) + " or " + setting.choices[-1]
    if setting.least is None:
        return setting.kind.value
    unit = "characters" if setting.kind is FieldKind.TEXT else setting.unit
    return f"{setting.least:g} to {setting.most:.12g} {unit}".rstrip()


def remedy(setting: Field) -> str:
    """Say what somebody who gave a wrong value is to do."""
    return setting.remedy or f"use {setting.kind.value + ', ' if setting.least is not None else ''}{bounds(setting)}"


def written(value: object) -> str:
    """Write a setting's value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(written(each) for each in value)}]"
    return f"{value:.12g}" if isinstance(value, int | float) else f'"{value}"'


def commented(defaults: Mapping[str, object]) -> str:
    """Answer the whole text of `config/slipway.toml` for these defaults; a test holds the file to it."""
    parts = [_HEAD]
    for setting in SETTINGS:
        default = written(defaults[setting.name]) if setting.name in defaults else None
        known = "required" if default is None else f"default {default}"
        lines = [setting.doc, f"{variable(setting.name)}: {bounds(setting)}; {known}."]
        if setting.reason:
            lines.append(f"Why: {setting.reason}")
        text = "".join(f"{wrapped(line)}\n" for line in lines)
        example = f'# {setting.name} = "{setting.examples[0]}"' if default is None else f"{setting.name} = {default}"
        parts.append(f"{text}{example}\n")
    return "\n".join(parts)
