"""Trying rules: which trigger matches a sample event, which permission a request. A dry run, without AWS."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Final

import typer

from slipway.aws.sdk.regions import NotConfigured, find_home, find_place, find_regions, find_targets
from slipway.cli.exit_codes import Exit
from slipway.cli.runner import CommandError
from slipway.core.parsing.parse import NoMatchingTrigger, PipelineStopping, body_object, parse_request
from slipway.core.requests.models import Deploy
from slipway.core.requests.targets import Home, Target, Targets, with_assumed_target
from slipway.core.rules.permissions import check_permission
from slipway.core.rules.triggers import Trigger
from slipway.core.schema.rejection import RequestRejected
from slipway.core.sqs.messages import Message
from slipway.settings.load import (
    WrongSetting,
    find_permissions,
    find_topic,
    find_triggers,
    find_wanted,
    load_permissions,
    load_triggers,
)

_PLACE: Final = ("123456789012", "us-east-1")
"""Where an event is from that does not say so."""


def try_triggers(sample: str, triggers: str | None, config: str | None) -> Exit:
    """Print what becomes of the event in a file (`-` for standard input); answer the exit code.

    Well if a request comes of it; not well when no rule matches, or the request would be rejected; not done when rules or
    event cannot be read.
    """
    try:
        rules = load_triggers(triggers or find_triggers(os.environ, config), "--triggers" if triggers else None)
        body = _read(sample)
        targets = _targets(body, config)
    except (WrongSetting, NotConfigured, CommandError) as wrong:
        typer.echo(f"slipway: {wrong}", err=True)
        return Exit.USAGE
    if not rules:
        typer.echo("slipway: there are no triggers; name their file with --triggers or SLIPWAY_TRIGGERS", err=True)
        return Exit.USAGE
    return _try(body, rules, targets)


def try_permissions(sample: str, sender: str, permissions: str | None, config: str | None) -> Exit:
    """Print which rule permits a sender the request in a file (`-` for standard input); answer the exit code.

    Well if one does; not well when the request would be rejected; not done when rules or request cannot be read.
    """
    try:
        rules = load_permissions(permissions or find_permissions(os.environ, config), "--permissions" if permissions else None)
        triggers = load_triggers(find_triggers(os.environ, config))
        body = _read(sample)
        known = _targets(body, config)
    except (WrongSetting, NotConfigured, CommandError) as wrong:
        typer.echo(f"slipway: {wrong}", err=True)
        return Exit.USAGE
    if not rules:
        typer.echo("slipway: there are no permissions; name their file with --permissions or SLIPWAY_PERMISSIONS", err=True)
        return Exit.USAGE
    now = time.time()
    try:
        given, _ = body_object(body, triggers)
        targets = with_assumed_target(known, given)
        request = check_permission(
            parse_request(Message("message-id", body, "", 1, now, now), targets, triggers=triggers), sender, rules
        )
    except (NoMatchingTrigger, PipelineStopping) as nothing:
        typer.echo(f"no request: {nothing}", err=True)
        return Exit.FAILURE
    except RequestRejected as wrong:
        typer.echo(f"it would be rejected ({wrong.code.value}): {wrong.reason}", err=True)
        return Exit.FAILURE
    typer.echo(f"permitted by rule {request.rule}")
    for key, value in request.tags if isinstance(request, Deploy) else ():
        typer.echo(f"tag {key}={value}")
    return Exit.OK


def _try(body: str, rules: tuple[Trigger, ...], targets: Targets) -> Exit:
    now = time.time()
    try:
        given, trigger = body_object(body, rules)
        parse_request(Message("message-id", body, "", 1, now, now), targets, triggers=rules)
    except NoMatchingTrigger as unmatched:
        typer.echo(f"{unmatched}: it would be counted, and deleted", err=True)
        return Exit.FAILURE
    except PipelineStopping as stopping:
        typer.echo(f"no request: {stopping}, its step would be answered, and what that asked for cancelled", err=True)
        return Exit.FAILURE
    except RequestRejected as wrong:
        typer.echo(f"it would be rejected ({wrong.code.value}): {wrong.reason}", err=True)
        return Exit.FAILURE
    typer.echo(f"matched by trigger {trigger.name}" if trigger else "no event: a request as it is", err=True)
    typer.echo(json.dumps(given, indent=2, ensure_ascii=False))
    return Exit.OK


def _read(sample: str) -> str:
    try:
        return sys.stdin.read() if sample == "-" else Path(sample).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        why = wrong.strerror if isinstance(wrong, OSError) else "it is not UTF-8"
        raise CommandError(f"FILE {sample} cannot be read ({why}); name a file of JSON, or - for standard input") from wrong


def _targets(body: str, config: str | None) -> Targets:
    """Answer the targets of the settings. Where these do not say whose the topic is, the default is where the event is from."""
    wanted, topic_arn = find_wanted(os.environ, config), find_topic(os.environ, config)
    if topic_arn:
        return find_targets(wanted, find_home(topic_arn, find_regions(os.environ, None, "", topic_arn)))
    home = _origin(body)
    return {each.name: Target(each.name, find_place(each, home), each.rules) for each in wanted}


def _origin(body: str) -> Home:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        event = None
    found = event if isinstance(event, dict) else {}
    account, region = (str(found.get(key, other)) for key, other in zip(("account", "region"), _PLACE, strict=True))
    return Home("aws", account, region)
