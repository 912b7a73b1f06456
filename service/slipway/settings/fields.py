"""The settings: type, unit, bounds and reason of each. The defaults are in `config/slipway.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import TextWrapper
from typing import Final

from slipway.core.schema.fields import Field, FieldKind

PREFIX: Final = "SLIPWAY_"
_WEIGHT: Final = r"[^,]{1,64}=[1-9][0-9]{0,2}"
wrapped = TextWrapper(110, initial_indent="# ", subsequent_indent="#   ").fill
"""Returns a line of a settings file as wrapped comments."""
_HEAD: Final = """\
# Slipway's settings with their defaults. Your own file needs only the settings that differ; name it with SLIPWAY_CONFIG
# or --config. Environment variables override both files.
# Region, credentials and endpoints are the AWS SDK's: AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL and others.
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
        doc="URL of the SQS queue for requests; a name that ends in .fifo is a FIFO queue.",
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
        doc="ARN of the SNS topic for outcomes; a name that ends in .fifo is a FIFO topic.",
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
        doc="URL of a second SQS queue, for deletes, updates and cancels, which is received from even while thousands of "
        "deploys wait in the first one. A standard queue in the same account and Region; empty for none.",
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
        doc="Most messages that are leased at once; the queue keeps the rest. A large message counts as several, so at most "
        "32 MiB of bodies are kept in memory, or 16 KiB for each message if that is more.",
        reason="200 fill the slots of a default account twenty times, and can be released in seconds.",
    ),
    Field(
        name="sweep_interval",
        kind=FieldKind.NUMBER,
        unit="seconds",
        least=0.2,
        most=300,
        doc="Time between two sweeps, each of which lists all deployments in flight.",
        reason="a creation takes 8 to 45 minutes: 15 s adds little to that, at four List calls a minute.",
    ),
    Field(
        name="timeout",
        kind=FieldKind.NUMBER,
        unit="seconds",
        least=1,
        most=604_800,
        doc="Longest time from the first receipt of a request that sets no timeout.",
        reason="2 hours are more than twice the slowest reported creation.",
    ),
    Field(
        name="visibility_timeout",
        kind=FieldKind.WHOLE,
        unit="seconds",
        least=10,
        most=43_200,
        doc="Visibility timeout of leased messages: how long a message stays hidden after the last extension.",
        reason="other processes take over a dead process's requests after 2 minutes; a live one may miss two extensions.",
    ),
    Field(
        name="progress_events",
        kind=FieldKind.FLAG,
        doc="Publish progress events too (accepted, waiting, creating, retrying).",
        reason="most subscribers only need the outcome, and each event costs a publish.",
    ),
    Field(
        name="max_creating",
        kind=FieldKind.WHOLE,
        unit="deployments",
        least=0,
        most=10_000,
        doc="The account's quota of deployments in creation at once; 0 learns it from Bedrock's responses.",
        reason="a learned limit follows the quota when AWS raises it.",
    ),
    Field(
        name="max_total",
        kind=FieldKind.WHOLE,
        unit="deployments",
        least=0,
        most=100_000,
        doc="The account's quota of deployments in total; 0 learns it from Bedrock's responses.",
        reason="a learned limit follows the quota when AWS raises it.",
    ),
    Field(
        name="tenant_weights",
        kind=FieldKind.TEXT,
        least=0,
        most=4096,
        pattern=rf"(?:{_WEIGHT}(?:,{_WEIGHT})*)?",
        doc="Weights of tenants in the fair queue for slots, like support=3,search=2; other tenants have 1.",
        reason="a tenant with more requests gets no more slots, unless the operator gives it a weight.",
        remedy="use tenant=weight, separated by commas, with weights from 1 to 999, like support=3,search=2",
    ),
    Field(
        name="reap_interval",
        kind=FieldKind.NUMBER,
        unit="seconds",
        least=0,
        most=86_400,
        doc="Time between two searches for expired deployments (expiresAfter); 0 never searches.",
        reason="5 minutes are short against lifetimes of hours, at about ten List calls an hour.",
    ),
    Field(
        name="allow_force",
        kind=FieldKind.FLAG,
        doc="Allow requests with force to update or delete deployments that Slipway did not create.",
        reason="deployments of others are protected unless the operator decides otherwise.",
    ),
    Field(
        name="reply_to",
        kind=FieldKind.TEXT,
        least=0,
        most=4096,
        doc="Allowed values of a request's replyTo: queue URLs and topic ARNs, separated by spaces, with * for any characters; "
        "empty for none.",
        reason="a sender of requests must not be able to send to every queue that Slipway can.",
        remedy="use queue URLs and topic ARNs, with * where anything may stand, separated by spaces; 4096 characters at most",
    ),
    Field(
        name="triggers",
        kind=FieldKind.TEXT,
        least=0,
        most=4096,
        doc="Path of the TOML file with triggers, which make requests from events, like config/triggers.toml; empty for "
        "triggers.toml beside your own settings file, if it exists.",
        reason="without triggers only requests are accepted, and events of AWS are rejected.",
        remedy="use the path of a TOML file, of at most 4096 characters",
    ),
    Field(
        name="permissions",
        kind=FieldKind.TEXT,
        least=0,
        most=4096,
        doc="Path of the TOML file with permission rules, like config/permissions.toml; empty for permissions.toml beside your "
        "own settings file, if it exists.",
        reason="without rules every sender that the queue's policy allows may send any request.",
        remedy="use the path of a TOML file, of at most 4096 characters",
    ),
    Field(
        name="http_host",
        kind=FieldKind.TEXT,
        least=1,
        most=253,
        letters=r"0-9A-Za-z.:_\-",
        doc="Address that the page, health and metrics are served on.",
        reason="binds to loopback so that nothing is exposed by default; in a container use 0.0.0.0.",
        remedy="use an IP address or a host name of this machine, like 127.0.0.1 or 0.0.0.0",
    ),
    Field(
        name="http_port",
        kind=FieldKind.WHOLE,
        least=0,
        most=65_535,
        doc="Port that the page, health and metrics are served on; 0 turns them off.",
        reason="a common unprivileged port of images and probes.",
    ),
    Field(
        name="http_token",
        kind=FieldKind.TEXT,
        least=0,
        most=4096,
        letters="!-~",
        pattern=r"(?:.{16,4096})?",
        doc="Token that every HTTP request must present, except to /livez and /readyz: as a bearer token, or as the password "
        "of HTTP basic authentication; empty for none. Set it as a variable, from a secret.",
        reason="on loopback only this machine can read the page; set a token if others can reach it.",
        remedy="use at least 16 printable ASCII characters without spaces, like the output of: openssl rand -hex 32",
    ),
    Field(
        name="log_level",
        kind=FieldKind.TEXT,
        choices=("debug", "info", "warning", "error"),
        doc="Lowest level of log entries that are written.",
        reason="info has one line per request and per failure.",
    ),
    Field(
        name="log_format",
        kind=FieldKind.TEXT,
        choices=("auto", "json", "console"),
        doc="JSON lines, or colours for people; auto depends on whether the output is a terminal.",
        reason="programs and people each get a format that they can read.",
    ),
)


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def bounds(setting: Field) -> str:
    """Return the allowed values of a setting in a few words: for comments, tables and help."""
    if setting.choices:
        return ", ".join(setting.choices[:-1]) + " or " + setting.choices[-1]
    if setting.least is None:
        return setting.kind.value
    unit = "characters" if setting.kind is FieldKind.TEXT else setting.unit
    return f"{setting.least:g} to {setting.most:.12g} {unit}".rstrip()


def remedy(setting: Field) -> str:
    """Return the remedy for an invalid value."""
    return setting.remedy or f"use {setting.kind.value + ', ' if setting.least is not None else ''}{bounds(setting)}"


def written(value: object) -> str:
    """Return a setting's value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(written(item) for item in value)}]"
    return f"{value:.12g}" if isinstance(value, int | float) else f'"{value}"'


def commented(defaults: Mapping[str, object]) -> str:
    """Return the whole text of `config/slipway.toml` for these defaults. A test compares the file with it."""
    parts = [_HEAD]
    for setting in SETTINGS:
        default = written(defaults[setting.name]) if setting.name in defaults else None
        default_text = "required" if default is None else f"default {default}"
        lines = [setting.doc, f"{variable(setting.name)}: {bounds(setting)}; {default_text}."]
        if setting.reason:
            lines.append(f"Why: {setting.reason}")
        text = "".join(f"{wrapped(line)}\n" for line in lines)
        example = f'# {setting.name} = "{setting.examples[0]}"' if default is None else f"{setting.name} = {default}"
        parts.append(f"{text}{example}\n")
    return "\n".join(parts)
