"""What each release wrote is still read in full: one file for each form of continuations, tags and events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.core.events.parse import read_event
from slipway.core.lifecycle.tags import DeploymentTags
from slipway.core.sqs.continuations import Delivery, Lineage, read_continuation
from slipway.core.sqs.messages import CONTINUATION, Message

FORMS = sorted(Path(__file__).with_name("released_forms").glob("*.json"))
RECEIVED = 1764001000.25


@pytest.fixture(params=FORMS, ids=lambda path: path.stem)
def form(request: pytest.FixtureRequest) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(request.param.read_text())
    return read


def message(form: dict[str, Any], **more: object) -> Message:
    """Return a message with the continuation of a release."""
    text = json.dumps(form["continuation"] | more)
    return Message("m-2", "{}", "AQEB", 1, RECEIVED + 100, RECEIVED + 100, attributes={CONTINUATION: text}, sender="AROA:x")


@pytest.mark.parametrize("more", [{}, {"ofTheNextVersion": {"a": [1]}}], ids=["as written", "with an unknown key"])
def test_a_continuation_is_read_in_full(form: dict[str, Any], more: dict[str, object]) -> None:
    read = read_continuation(message(form, **more))
    assert read is not None
    assert (read.origin, read.first_received_at, read.hops) == ("7f2c9a54-0c0e-4b62-9d0e-0a7c9f1f1a11", RECEIVED, 2)
    decisions = read.decisions
    assert (decisions.attempt, decisions.failure, decisions.failed_test) == (2, "no capacity", "I do not know")
    assert (decisions.cancelled, decisions.tested) == ("delete", (False, "I do not know"))
    assert read.lineage == Lineage(deaths=1, faults=2, delays=3, until=1764001900)
    assert (read.not_before, read.is_claimed, read.receipt, read.sender) == (1764001100, True, "AQEB-receipt", "AIDASENDER")
    assert read.trace == form["continuation"]["trace"]
    assert Delivery.of(message(form, **more)).first_sender == "AIDASENDER"


def test_tags_are_read_in_full(form: dict[str, Any]) -> None:
    tags = DeploymentTags.of(form["tags"] | {"slipway:of-the-next-version": "1"})
    assert (tags.request, tags.received, tags.attempt, tags.owner) == ("r-1", RECEIVED, 2, form["tags"]["slipway:owner"])
    assert tags.expires == RECEIVED + 86_400
    assert tags.smoke is not None
    assert (tags.smoke.smoke_result.passed, tags.smoke.smoke_result.text) == (False, "I do not know")
    assert tags.update is not None
    assert (tags.update.former, tags.update.had_failed_update) == (form["tags"]["slipway:former"], True)
    assert (tags.update.key, tags.update.by) == ("36591b67ba07d1cd6391", form["tags"]["slipway:owner"])


def test_an_event_is_read_in_full(form: dict[str, Any]) -> None:
    event = form["event"]
    read = read_event(json.dumps(event | {"ofthenextversion": "1", "data": event["data"] | {"ofTheNextVersion": 1}}))
    assert read is not None
    assert (read.event_id, read.request_id, read.outcome, read.action) == (event["id"], "r-1", "Failed", "deploy")
    assert (read.name, read.reason, read.text, read.target) == ("bot", "DeploymentFailed", "no capacity", "west")
    assert (read.model_arn, read.arn) == (event["data"]["modelArn"], event["data"]["customModelDeploymentArn"])
    assert read.is_terminal
