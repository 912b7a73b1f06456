"""Logs: every entry is an event with a name of one form, and carries nothing that it must not."""

from __future__ import annotations

import io
import json
import re
import socket

import pytest
import structlog

from slipway import logs
from slipway.core.sqs.messages import Message, Outgoing
from tests.support.log_events import MEANINGS, SERVICE, entries

CALLS = re.compile(r"\blog\.(?:debug|info|warning|error|exception)\(")


def test_every_event_is_a_noun_and_what_happened_to_it() -> None:
    found = {entry.event for entry in entries()}
    assert len(found) > 20
    assert [name for name in sorted(found) if not re.fullmatch(r"[a-z]+\.[a-z_]+", name)] == []


def test_every_event_has_a_name_that_can_be_found_and_a_meaning() -> None:
    calls = [call for path in SERVICE.rglob("*.py") for call in CALLS.findall(path.read_text("utf-8"))]
    assert len(list(entries())) == len(calls), "its name is a text where it is logged"
    assert {entry.event for entry in entries()} == set(MEANINGS), "tests/support/log_events.py says what each means"


def test_a_value_that_carries_a_body_or_a_receipt_does_not_show_it() -> None:
    message = Message("m", "the body", "the receipt", 1, 0.0, 0.0, None, {"key": "the attribute"})
    assert not re.search("the (body|receipt|attribute)", repr(message))
    assert "the body" not in repr(Outgoing("the body"))


@pytest.fixture
def written() -> io.StringIO:
    """A stream that is not a terminal, with logging set up on it."""
    stream = io.StringIO()
    logs.configure("info", "auto", stream)
    return stream


def test_a_line_is_json_with_when_how_bad_and_what_first(written: io.StringIO) -> None:
    structlog.get_logger().info("request.finished", outcome="Active", reason=None, message="", adopted=False)
    structlog.get_logger().debug("request.whispered")
    (line,) = written.getvalue().splitlines()
    entry = json.loads(line)
    assert list(entry) == ["timestamp", "level", "event", "outcome", "adopted", "service", "replica"], "no empty field"
    assert (entry["service"], entry["replica"]) == ("slipway", socket.gethostname())


def test_a_sentence_has_one_name_and_a_code_another() -> None:
    assert not {fact for entry in entries() for fact in entry.facts} & {"error", "code", "text"}


@pytest.mark.parametrize("length", [10, 100])
def test_a_line_on_a_terminal_fits_its_columns(length: int) -> None:
    stream = io.StringIO()
    logs.configure("info", "console", stream)
    facts = {"deployment": "support-bot-v42", "request_id": "train-2026-11-23-42", "message_id": "7" * 36, "reason": "NoAnswer"}
    structlog.get_logger().warning(
        "request.failed_for_now", **facts, message="the model said " + "x" * length, arn="a" * length
    )
    lines = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()
    words = [word for line in lines for word in line.split()]
    assert all(len(line) <= 120 or len(line.split()) == 1 for line in lines)
    assert all(line.startswith(" " * 9) for line in lines[1:])
    assert {"deployment=support-bot-v42", "request_id=train-2026-11-23-42", "reason=NoAnswer"} <= set(words)
    assert not any(word.startswith("message_id=") for word in words), "the request's id is enough"


def test_a_traceback_shows_no_local_variables(written: io.StringIO) -> None:
    def fail() -> None:
        secret = "the receipt"
        raise ValueError(len(secret))

    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("request.faulted")
    assert "the receipt" not in written.getvalue()
    assert json.loads(written.getvalue())["exception"][0]["exc_type"] == "ValueError"
