"""What a person sees at a terminal, however narrow it is; and what a program reads in a pipe."""

from __future__ import annotations

import json

import pytest

from slipway.cli import output as printing
from slipway.cli.output import paragraph, print_facts, print_sentence, print_table

COLUMNS = ("deployment", "status", "request", "model")
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
ROWS = [
    ("support-bot-v42", "Active", "0d6d9d2e-5b4c-4b8c-9a3e-2f6f0c7d1e5a", "amazon.nova-lite-v1:0:300k/abcdefghijkl"),
    ("support-bot-v43", "Failed", "", "amazon.nova-lite-v1:0:300k/abcdefghijkl: it could not be loaded: too large a rank"),
]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(printing, "is_terminal", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    return monkeypatch


def test_what_is_too_wide_for_a_table_comes_one_thing_after_the_other_and_whole(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(COLUMNS, ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "deployment  support-bot-v42",
        "status      Active",
        "request     0d6d9d2e-5b4c-4b8c-9a3e-2f6f0c7d1e5a",
        "model       amazon.nova-lite-v1:0:300k/abcdefghijkl",
        "",
        "deployment  support-bot-v43",
        "status      Failed",
        "model       amazon.nova-lite-v1:0:300k/abcdefghijkl: it could not be loaded: too",
        "            large a rank",
    ]
    terminal.setenv("COLUMNS", "140")
    print_table(COLUMNS, ROWS)
    heading, _, first, *_ = filter(str.strip, capsys.readouterr().out.splitlines())
    assert heading.split() == list(COLUMNS)
    assert first.split() == list(ROWS[0])


def test_every_cell_of_a_table_is_whole_whenever_it_is_one(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for width in range(40, 160):
        terminal.setenv("COLUMNS", str(width))
        print_table(COLUMNS, ROWS)
        shown = capsys.readouterr().out
        assert all(cell in shown for row in ROWS for cell in row[:-1]), width
        assert max(map(len, shown.splitlines())) <= max(width, 60), width


@pytest.mark.usefixtures("terminal")
def test_no_rows_are_said_and_a_sentence_is_a_paragraph(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, [])
    print_sentence(f"{'word ' * 20}{ARN} is not Active\x1b[31m yet")
    print_facts({"modelArn": ARN, "failureMessage": "word " * 16})
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["None.", "word " * 15 + "word"]
    assert said[2:5] == ["word word word word", ARN, "is not Active [31m yet"]
    assert said[5:] == [f"modelArn        {ARN}", f"failureMessage  {'word ' * 12}word", f"                {'word ' * 2}word"]


def test_in_a_pipe_each_thing_is_one_line_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, ROWS)
    print_table(COLUMNS, [])
    print_sentence("word " * 30)
    print_facts({"modelArn": ARN})
    assert capsys.readouterr().out.splitlines() == [*map("\t".join, ROWS), "word " * 30, f"modelArn\t{ARN}"]


def test_a_paragraph_in_no_room_at_all_is_still_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    assert paragraph("one two three four five six", indent=8) == "one two three four\n        five six"


@pytest.mark.parametrize("is_at_terminal", [False, True])
def test_json_holds_nothing_that_acts_on_a_terminal_and_reads_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, is_at_terminal: bool
) -> None:
    monkeypatch.setattr(printing, "is_terminal", lambda: is_at_terminal)
    document = {"failure\x9b2J": "\x1b[31m \x9b31m \u202e \u2028 \ud800 ä 字 \U0001f600 \U000e0001"}
    printing.print_json(document)
    said = capsys.readouterr().out
    assert all(letter.isprintable() or letter == "\n" for letter in said)
    assert "ä 字 \U0001f600" in said, "what can be read stays as it is"
    assert json.loads(said) == document
