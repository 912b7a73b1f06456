"""Everything that reads what others wrote, fuzzed: only the errors that are promised come out, with reasons for people."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from slipway.core.parsing import parse_request, request_schema
from slipway.core.rules.event_pattern import Pattern
from slipway.core.schema.pattern_operators import WrongPattern
from slipway.core.schema.rejection import RequestRejected
from slipway.core.sqs.messages import Message
from slipway.settings.load import WrongSetting, load
from tests.fuzz import coverage as reached
from tests.fuzz import inputs
from tests.fuzz.inputs import SHARES, fuzz
from tests.simulation.invariants import rejections as judges
from tests.support.bodies import GOOD, HOME, MESSAGE_ID, NOW

INPUTS = 20_000
SEED = 0
"""Always the same: no commit is to fail for what another seed finds. `make prove` tries others."""
"""Each run of CI has inputs of its own, by the number of the run where there is one."""


def test_a_variable_is_named_so_that_it_acts_on_no_terminal() -> None:
    """Seed 1: its name was shown as it was."""
    with pytest.raises(WrongSetting) as wrong:
        load({"SLIPWAY_SWEEP\x1b[2J": "1"})
    assert str(wrong.value).isprintable()


def test_the_place_in_a_pattern_is_named_so_that_it_acts_on_no_terminal() -> None:
    """Seed 11: the key was shown as it was."""
    with pytest.raises(WrongPattern) as wrong:
        Pattern({"detail\x1b[2J": {"\u202e": [{"ex1sts": True}]}})
    assert str(wrong.value).isprintable()


def test_a_line_break_at_the_end_is_no_part_of_a_name_for_the_schema_either() -> None:
    """Seed 1: Python's `$` lets one stand."""
    assert not Draft202012Validator(request_schema()).is_valid(GOOD | {"modelDeploymentName": "a\n"})


def test_no_input_breaks_a_promise() -> None:
    report = fuzz(SEED, INPUTS)
    assert not report.violations, report.violations[0]
    assert sum(report.inputs.values()) == INPUTS
    assert set(report.inputs) == set(SHARES)
    assert report.accepted["message"] > 500
    assert report.accepted["answer"] > 500
    assert report.reasons > 500


def test_inputs_are_a_function_of_the_seed() -> None:
    one, other, another = fuzz(7, 40), fuzz(7, 40), fuzz(8, 40)
    assert one == other
    assert one != another


def test_a_broken_promise_is_seen_and_can_be_replayed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fragile(message: Message, *given: object, **more: object) -> object:
        if "Infinity" in message.body:
            raise TypeError("unhashable")
        return parse_request(message, HOME)

    monkeypatch.setattr(judges, "parse_request", fragile)
    monkeypatch.setattr(inputs, "SHARES", {"message": 20})
    report = fuzz(3, 100)
    assert report.violations
    seed, number = report.violations[0].rpartition("inputs ")[2].split()
    assert inputs.main([seed, number]) == 1
    assert "TypeError('unhashable')" in capsys.readouterr().out


def test_too_many_steps_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MOST_STEPS", 10)
    monkeypatch.setattr(inputs, "MOST_STEPS_PER_CHARACTER", 0.01)
    assert "steps for" in fuzz(1, 20).violations[0]


def test_steps_are_counted_and_lines_are_noted_once() -> None:
    def read(body: str) -> None:
        with pytest.raises(RequestRejected):
            parse_request(Message(MESSAGE_ID, body, "r", 1, NOW, NOW), HOME)

    few = reached.steps_of(lambda: read(f"[{'[],' * 30}[]]"), "/slipway/")
    many = reached.steps_of(lambda: read(f"[{'[],' * 3000}[]]"), "/slipway/")
    assert 10 < few < many < 400 * few
    noting = reached.Reached(inputs.WATCHED)
    with noting.watching():
        read("[]")
        once = noting.lines
        read("[]")
    assert noting.lines == once > 10
