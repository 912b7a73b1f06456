"""`slipway config`, `triggers test` and `permissions test`: the settings and rules in force. Nothing is called.

`config` prints the origin of each setting; the tests print which rule matches a sample.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from slipway.aws.sdk.regions import NotConfigured, find_home, find_regions, find_target_home, find_targets
from slipway.cli.output import CommandError, Exit, Form, Output, print_line
from slipway.cli.runner import say
from slipway.core.parsing import NoMatchingTrigger, PipelineStopping, body_object, parse_request
from slipway.core.requests.models import Deploy
from slipway.core.requests.targets import DEFAULT, Home, Target, Targets, TargetSettings, with_assumed_target
from slipway.core.rules.permissions import check_permission
from slipway.core.rules.triggers import Trigger
from slipway.core.schema.rejection import RequestRejected
from slipway.core.sqs.messages import Message
from slipway.settings.fields import SETTINGS, written
from slipway.settings.load import (
    NO_QUEUE,
    NOT_SET,
    Settings,
    WrongSetting,
    find_permissions,
    find_topic,
    find_triggers,
    find_wanted,
    load,
    load_permissions,
    load_triggers,
)
from slipway.settings.targets import TABLE

_SECRET_WORDS: Final = ("SECRET", "TOKEN", "PASSWORD", "KEY_ID")
_SDK_PREFIX: Final = "AWS_"
HIDDEN: Final = "(set, not shown)"


def print_config(config: Path | None, output: Output) -> Exit:
    """Print Slipway's settings and the AWS SDK's variables that are set; return the exit code."""
    try:
        settings = load(os.environ, str(config) if config else None, optional=NO_QUEUE)
    except WrongSetting as wrong:
        say(str(wrong))
        return Exit.USAGE
    own: list[tuple[str, object, str]] = [
        (each.name, _shown(each.name, getattr(settings, each.name)), settings.provenance[each.name]) for each in SETTINGS
    ]
    own += [
        (name, value, settings.provenance[TABLE])
        for target in settings.targets
        for name, value in _target_settings(target, settings)
    ]
    sdk = [(name, masked(name, value), name) for name, value in sorted(os.environ.items()) if name.startswith(_SDK_PREFIX)]
    if output.is_document:
        output.print_document(
            {name: {"value": None if origin == NOT_SET else value, "from": origin} for name, value, origin in [*own, *sdk]}
        )
    else:
        rows = [(name, written(value).strip('"'), origin) for name, value, origin in [*own, *sdk]]
        output.print_table(("setting", "value", "from"), rows)
    return Exit.OK


def _target_settings(target: TargetSettings, settings: Settings) -> Iterator[tuple[str, object]]:
    """Return the settings of a target by name; of the default, only those that are not among Slipway's own."""
    role, rules = target.role, target.rules
    values: dict[str, object] = {"region": target.region}
    if role is not None:
        values |= {"role_arn": role.arn, "session_name": role.session_name, "external_id": role.external_id and HIDDEN}
    values |= {"models": list(rules.models), "names": list(rules.names)}
    if target.name != DEFAULT or rules.max_creating != settings.max_creating:
        values["max_creating"] = rules.max_creating
    if target.name != DEFAULT or rules.max_total != settings.max_total:
        values["max_total"] = rules.max_total
    for key, value in values.items():
        if value or value == 0:
            yield f"{TABLE}.{target.name}.{key}", value


def _shown(name: str, value: object) -> object:
    return HIDDEN if value and any(word in name.upper() for word in _SECRET_WORDS) else value


def masked(name: str, value: str) -> str:
    """Return a value as it may be shown: of a secret, only that it is set."""
    return HIDDEN if any(word in name for word in _SECRET_WORDS) else value


_PLACE: Final = ("123456789012", "us-east-1")
"""The account and Region of an event that names none."""


def try_triggers(sample: str, triggers: str | None, config: str | None, output: Output) -> Exit:
    """Print the request that the event in a file (`-` for standard input) becomes; return the exit code."""
    try:
        rules = load_triggers(triggers or find_triggers(os.environ, config), "--triggers" if triggers else None)
        body = _read(sample)
        targets = _targets(body, config)
    except (WrongSetting, NotConfigured, CommandError) as wrong:
        say(str(wrong))
        return Exit.USAGE
    if not rules:
        say("there are no triggers; name their file with --triggers or SLIPWAY_TRIGGERS")
        return Exit.USAGE
    return _try(body, rules, targets, output)


def try_permissions(sample: str, sender: str, permissions: str | None, config: str | None, output: Output) -> Exit:
    """Print the rule that permits the request in a file (`-` for standard input); return the exit code."""
    try:
        rules = load_permissions(permissions or find_permissions(os.environ, config), "--permissions" if permissions else None)
        triggers = load_triggers(find_triggers(os.environ, config))
        body = _read(sample)
        known = _targets(body, config)
    except (WrongSetting, NotConfigured, CommandError) as wrong:
        say(str(wrong))
        return Exit.USAGE
    if not rules:
        say("there are no permissions; name their file with --permissions or SLIPWAY_PERMISSIONS")
        return Exit.USAGE
    now = time.time()
    try:
        given, _ = body_object(body, triggers)
        targets = with_assumed_target(known, given)
        request = check_permission(
            parse_request(Message("message-id", body, "", 1, now, now), targets, triggers=triggers), sender, rules
        )
    except (NoMatchingTrigger, PipelineStopping) as nothing:
        say(f"no request: {nothing}")
        return Exit.FAILURE
    except RequestRejected as wrong:
        say(f"the request would be rejected ({wrong.code.value}): {wrong.reason}")
        return Exit.FAILURE
    tags = dict(request.tags) if isinstance(request, Deploy) else {}
    if output.is_document:
        output.print_document({"rule": request.rule, "tags": tags})
        return Exit.OK
    print_line(f"permitted by rule {request.rule}")
    for key, value in tags.items():
        print_line(f"tag {key}={value}")
    return Exit.OK


def _try(body: str, rules: tuple[Trigger, ...], targets: Targets, output: Output) -> Exit:
    now = time.time()
    try:
        given, trigger = body_object(body, rules)
        parse_request(Message("message-id", body, "", 1, now, now), targets, triggers=rules)
    except NoMatchingTrigger as unmatched:
        say(f"{unmatched}: the event would be counted and deleted")
        return Exit.FAILURE
    except PipelineStopping as stopping:
        say(f"no request: {stopping}; its step would be answered, and its request cancelled")
        return Exit.FAILURE
    except RequestRejected as wrong:
        say(f"the request would be rejected ({wrong.code.value}): {wrong.reason}")
        return Exit.FAILURE
    say(f"matched by trigger {trigger.name}" if trigger else "not an event: this is a request already")
    if output.form is Form.YAML or output.query is not None:
        output.print_document(given)
    else:
        print_line(json.dumps(given, indent=2, ensure_ascii=False))
    return Exit.OK


def _read(sample: str) -> str:
    try:
        return sys.stdin.read() if sample == "-" else Path(sample).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        why = wrong.strerror if isinstance(wrong, OSError) else "it is not UTF-8"
        raise CommandError(f"FILE: {sample} cannot be read ({why})", "name a JSON file, or - for standard input") from wrong


def _targets(body: str, config: str | None) -> Targets:
    """Return the targets of the settings. Without a topic the default is in the account and Region of the event."""
    wanted, topic_arn = find_wanted(os.environ, config), find_topic(os.environ, config)
    if topic_arn:
        return find_targets(wanted, find_home(topic_arn, find_regions(os.environ, None, "", topic_arn)))
    home = _origin(body)
    return {each.name: Target(each.name, find_target_home(each, home), each.rules) for each in wanted}


def _origin(body: str) -> Home:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        event = None
    found = event if isinstance(event, dict) else {}
    account, region = (str(found.get(key, other)) for key, other in zip(("account", "region"), _PLACE, strict=True))
    return Home("aws", account, region)
