"""Why a letter is dead, and whether it would be understood now: by the targets and the rules of the settings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.core.dead_letters import DeadLetter, DeadLetterCause, dead_letter_cause
from slipway.core.parsing import Admission
from slipway.core.requests.targets import Home, Target, Targets
from slipway.core.rules.permissions import PermissionRule
from slipway.core.rules.triggers import read_triggers
from tests.support.bodies import ARN, GOOD, HOME

RESEARCH = Home("aws", "210987654321", "us-west-2")
THEIRS = ARN.replace("us-east-1:123456789012", "us-west-2:210987654321")
TARGETS: Targets = {**HOME, "research": Target("research", RESEARCH)}
TRIGGERS = read_triggers(
    {
        "trigger": [
            {
                "name": "trained",
                "pattern": '{"source": ["training"]}',
                "request": {"modelDeploymentName": "{detail.name}", "modelArn": ARN},
            }
        ]
    }
)
EVENT = {"source": "training", "detail-type": "Done", "id": "e-1", "detail": {"name": "bot"}}


def read(body: dict[str, Any], targets: Targets = TARGETS, **attributes: str) -> DeadLetterCause:
    return dead_letter_cause(
        DeadLetter("m-1", json.dumps(body), "receipt", 1.0, attributes), Admission(targets=targets, triggers=TRIGGERS)
    )


def test_a_sound_request_says_what_it_is_about() -> None:
    there = GOOD | {"requestId": "r-1", "modelArn": THEIRS, "target": "research"}
    assert read(GOOD | {"requestId": "r-1"}).about == f"r-1 {GOOD['modelDeploymentName']}"
    assert read(there).about == f"r-1 {GOOD['modelDeploymentName']} target research"
    assert (read(there).code, read(there).is_sound) == ("ReceivedTooOften", True)


def test_whoever_has_the_daemons_settings_knows_which_targets_there_are() -> None:
    nowhere = GOOD | {"target": "nowhere"}
    assert (read(nowhere).code, read(nowhere).is_sound) == ("InvalidField", False)
    assert not read(nowhere, HOME).is_sound


def test_an_event_is_read_by_the_rules() -> None:
    assert read(EVENT) == DeadLetterCause("ReceivedTooOften", read(GOOD).text, "e-1 bot", is_sound=True)
    other = read(EVENT | {"source": "other"})
    assert (other.code, other.is_sound) == ("Unmatched", False)
    assert "no trigger matches Done of other" in other.text


@pytest.mark.parametrize("attributes", [{}, {"SlipwayCode": "UnknownKey", "SlipwayReason": "as it was rejected"}])
def test_what_stands_beside_the_letter_goes_before(attributes: dict[str, str]) -> None:
    stopping = read({"token": "Qk3vX9aZ1b", "status": "Stopping"}, TARGETS, **attributes)
    assert stopping.is_sound, "its step is answered when it is sent again"
    expected = attributes.get("SlipwayReason", "the pipeline is being stopped")
    assert stopping.text.startswith(expected)


def test_a_letter_is_judged_as_the_daemon_would_admit_it() -> None:
    rules = (PermissionRule(name="team", senders=("AROATEAM:*",), names=("bot*",)),)
    admission = Admission(targets=TARGETS, permissions=rules, reply_to=("arn:aws:sns:us-east-1:123456789012:answers",))

    def code(body: dict[str, Any], sender: str | None = "AROATEAM:me") -> str:
        return dead_letter_cause(DeadLetter("m-1", json.dumps(body), "receipt", 1.0), admission, sender).now

    bot = GOOD | {"modelDeploymentName": "bot-1"}
    assert code(bot) == ""
    assert code(bot, "AROAOTHER:you") == "NotPermitted"
    assert code(GOOD | {"modelDeploymentName": "other"}) == "NotPermitted"
    assert code(bot | {"replyTo": "arn:aws:sns:us-east-1:123456789012:answers"}) == ""
    assert code(bot | {"replyTo": "arn:aws:sns:us-east-1:123456789012:elsewhere"}) == "ReplyNotAllowed"
    assert code(bot | {"target": "nowhere"}) == "InvalidField"
