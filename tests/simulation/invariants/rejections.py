"""What is promised of everything that reads what others wrote: each input is read, and what comes of it is judged."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import jsonschema

from slipway.aws.sdk import regions
from slipway.core import dead_letters as burial
from slipway.core.bedrock import Deployment, Status
from slipway.core.events import publish as events
from slipway.core.events.publish import Progress, Publication, Times
from slipway.core.events.schema import event_schema
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind, Reason
from slipway.core.lifecycle.tags import wanted_tags
from slipway.core.parsing import client_token, parse_request, request_schema
from slipway.core.requests import envelopes
from slipway.core.requests.envelopes import PipelineStopping, normalize
from slipway.core.requests.models import Deploy, Request
from slipway.core.rules.triggers import NoMatchingTrigger, Trigger
from slipway.core.schema import fields
from slipway.core.schema.rejection import RejectionCode, RequestRejected
from slipway.core.sqs import continuations
from slipway.core.sqs.continuations import Delivery
from slipway.core.sqs.messages import Message, attribute_bytes
from slipway.settings import load as settings
from slipway.settings.fields import SETTINGS
from slipway.settings.load import WrongSetting
from tests.support.bodies import GOOD, HOME, MESSAGE_ID, NOW

SOURCE = "urn:slipway:123456789012:us-east-1"
VALIDATED_EVERY = 4
"""Of the events about what is refused, which are all alike, one in so many is held to the schema: that costs the most."""
PLACES = frozenset({RejectionCode.WRONG_ACCOUNT, RejectionCode.WRONG_PARTITION, RejectionCode.WRONG_REGION})
"""What no schema knows: where this Slipway is."""
_REQUEST_SCHEMA = jsonschema.Draft202012Validator(request_schema())
_EVENT_SCHEMA = jsonschema.Draft202012Validator(event_schema(), format_checker=jsonschema.FormatChecker())
_TOKEN = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,254}[a-zA-Z0-9])?")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*…?"|[0-9]+|U\+[0-9A-F]{4}')
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl"
MODEL = GOOD["modelArn"]


class Broken(AssertionError):
    """A promise about input is broken."""


def read_message(message: Message, rules: Sequence[Trigger]) -> None:
    try:
        parse_request(message, HOME, triggers=rules)
    except RequestRejected as refused:
        burial.rejected_copy(message, refused, is_fifo=True)
    except (NoMatchingTrigger, PipelineStopping):
        pass
    continuations.write_continuation(Delivery.of(message), is_fifo=True)


def judge_message(message: Message, rules: Sequence[Trigger]) -> object:
    _judge_continuation(message)
    try:
        request = parse_request(message, HOME, triggers=rules)
    except RequestRejected as refused:
        return _judge_refusal(message, refused)
    except PipelineStopping:
        return "PipelineStopping"
    except NoMatchingTrigger as unmatched:
        _expect(str(unmatched).isprintable(), "what did not match cannot be shown")
        return "Unmatched"
    if request.trigger is None:
        given = normalize(envelopes.unwrap(message.body))
        _expect(_REQUEST_SCHEMA.is_valid(given), "what is understood is not valid against the schema")
    if isinstance(request, Deploy):
        _expect(bool(_TOKEN.fullmatch(client_token(request))), "the token is not in Bedrock's form")
        tags = wanted_tags(request, NOW)
        _expect(len(tags) <= 50 and len({key for key, _ in tags}) == len(tags), "the tags are not what Bedrock takes")
    _judge_events(message, request)
    return None if request.trigger is None else request.trigger


def _judge_refusal(message: Message, refused: RequestRejected) -> object:
    reason = refused.reason
    _expect(reason.isprintable() and 10 < len(reason) <= 1000, "the reason cannot be shown")
    _expect("; " in reason or reason.endswith("…"), "the reason names no remedy")
    copy = burial.rejected_copy(message, refused, is_fifo=True)
    size = len(copy.body.encode()) + sum(attribute_bytes(*each) for each in copy.attributes.items())
    _expect(size <= burial.LARGEST_BYTES and len(copy.attributes) <= 10, "the copy for the dead-letter queue is too large")
    times = Times(NOW, Delivery.of(message).first_received_at)
    origin = Delivery.of(message).origin
    publication = events.announce_rejection(origin, refused.request_id, refused.code, reason, times, SOURCE)
    _judge_event(publication, is_thorough=len(message.body) % VALIDATED_EVERY == 0)
    if refused.code not in {*PLACES, RejectionCode.TRIGGER_UNFILLED} and "trigger" not in reason and _is_valid(message.body):
        is_duration = refused.field == "timeout" and "number of seconds" not in reason
        is_twice = bool(re.fullmatch(r"tags\[\d+\]\.key", refused.field or "")) and ", as in tags[" in reason
        is_fraction = "not a whole number" in reason and ".0, " in reason
        is_unknown_target = " is not a target; " in reason  # the schema does not have the names of the targets
        _expect(is_duration or is_twice or is_fraction or is_unknown_target, f"the schema takes what is refused: {reason}")
    return refused.code, refused.field and re.sub(r"\d+", "0", refused.field), _QUOTED.sub("_", reason)[:200]


def _is_valid(body: str) -> bool:
    """Whether the bare body, strictly read, is a request by the schema."""
    try:
        given = normalize(envelopes.unwrap(body))
    except (RequestRejected, PipelineStopping):
        return False
    return _REQUEST_SCHEMA.is_valid(given)


def _judge_continuation(message: Message) -> None:
    told = continuations.read_continuation(message)
    if told is not None:
        _expect(1 <= told.hops <= continuations.MOST_HOPS and told.origin.isascii(), "a continuation that is none")
        _expect(told.first_received_at <= message.received_at, "a first receipt in the future")
    on = continuations.write_continuation(Delivery.of(message), is_fifo=True)
    _expect(len(on.attributes) <= 10, "a continuation with too many attributes")
    if message.message_id == MESSAGE_ID:  # others do not come from SQS
        again = continuations.read_continuation(replace(message, attributes=on.attributes, message_id="another"))
        _expect(again is not None and again.origin == Delivery.of(message).origin, "a hand-over that forgets where it began")


def _judge_events(message: Message, request: Request) -> None:
    number = len(message.body)
    received = Delivery.of(message).first_received_at
    times = Times(NOW, received, received + request.timeout)
    kind, reason = list(OutcomeKind)[number % 4], [None, *Reason][number % (len(Reason) + 1)]
    status = list(Status)[number % 4]
    deployment = Deployment(ARN, request.name[-63:], MODEL, status, status.value, NOW, None, message.body[:5000])
    outcome = Outcome(kind, reason, message.body[-5000:], deployment if number % 2 else None, adopted=bool(number % 3))
    _judge_event(events.announce_outcome(request, outcome, times, SOURCE))
    _judge_event(events.announce_progress(request, list(Progress)[number % 3], times, SOURCE, reason, message.body[:100]))


def _judge_event(publication: Publication, *, is_thorough: bool = True) -> None:
    event = json.loads(publication.body)
    wrong = next(_EVENT_SCHEMA.iter_errors(event), None) if is_thorough else None
    _expect(wrong is None, f"an event that is not valid against its schema: {wrong and wrong.message}")
    _expect(len(publication.body.encode()) < 24 * 1024, "an event that is too long")
    _expect(len(publication.attributes) <= 10, "too many attributes")
    for value in publication.attributes.values():
        _expect(0 < len(value) <= 256 and value.isprintable() and bool(value.encode()), "an attribute that SNS refuses")


def read_rules(path: Path) -> None:
    with suppress(WrongSetting):
        settings.load_triggers(str(path))


def judge_rules(path: Path, message: Message) -> object:
    try:
        rules = settings.load_triggers(str(path))
    except WrongSetting as wrong:
        _judge_sentence(str(wrong), str(path), "")  # what a rule may be stands in the sentence, in many words
        return "WrongTriggers", _QUOTED.sub("_", str(wrong).replace(str(path), ""))[:80]
    return judge_message(message, rules)


def _judge_sentence(said: str, path: str, before_remedy: str) -> None:
    _expect(10 < len(said) <= 2000 and said.isprintable(), f"the sentence cannot be shown: {said[:200]!r}")
    _expect(before_remedy in said or "did you mean" in said, f"the sentence names no remedy: {said.replace(path, '')[:200]!r}")


def read_settings(environ: dict[str, str], path: Path) -> settings.Settings | None:
    try:
        return settings.load(environ, str(path))
    except WrongSetting:
        return None


def judge_settings(environ: dict[str, str], path: Path) -> object:
    try:
        loaded = settings.load(environ, str(path))
    except WrongSetting as wrong:
        _judge_sentence(str(wrong), str(path), "; ")
        return "WrongSetting", _QUOTED.sub("_", str(wrong))[:80]
    for each in SETTINGS:
        _expect(
            fields.value_problem(each, getattr(loaded, each.name)) is None, f"{each.name} is out of bounds, and was accepted"
        )
    try:
        found = regions.find_regions({}, None, loaded.queue_url, loaded.topic_arn)
        regions.find_home(loaded.topic_arn, found)
    except regions.NotConfigured as wrong:
        _expect(";" in str(wrong), "the sentence names no remedy")
        return "NotConfigured", loaded.topic_arn[:20]
    return None


def _expect(is_so: bool, otherwise: str) -> None:  # noqa: FBT001  what is checked stands first, as in an assertion
    if not is_so:
        raise Broken(otherwise)
