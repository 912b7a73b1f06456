"""Tables, facts and documents, at a terminal of any width and in a pipe."""

from __future__ import annotations

import json

import jmespath
import pytest
import yaml  # type: ignore[import-untyped]  # read as plain values, which are checked

from slipway.cli import output as printing
from slipway.cli.output import CommandError, Form, Output, age, paragraph, print_facts, print_finding, print_sentence

COLUMNS = ("name", "status", "model", "request")
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0:300k/abcdefghijkl"
ROWS = [
    ("support-bot-v42", "Active", "amazon.nova-lite-v1:0:300k/abcdefghijkl", "0d6d9d2e-5b4c-4b8c-9a3e-2f6f0c7d1e5a"),
    ("support-bot-v43", "Failed", "amazon.nova-lite-v1:0:300k/abcdefghijkl", ""),
    ("\u5b57\u5b57\u5b57", "Failed", "x" * 200, ""),
]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(printing, "is_terminal", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    return monkeypatch


def test_at_a_terminal_a_row_is_one_line_that_fits_and_short_cells_are_whole(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for width in range(60, 200):
        terminal.setenv("COLUMNS", str(width))
        Output().print_table(COLUMNS, ROWS)
        heading, *lines = capsys.readouterr().out.splitlines()
        assert heading.split() == ["NAME", "STATUS", "MODEL", "REQUEST"]
        assert len(lines) == len(ROWS)
        assert max(map(len, lines)) <= width
        assert [line.split()[1] for line in lines] == ["Active", "Failed", "Failed"]
        assert lines[1].split()[3] == "-"
        assert "…" in lines[2]


@pytest.mark.usefixtures("terminal")
def test_wide_shortens_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Output(Form.WIDE).print_table(COLUMNS, ROWS)
    out = capsys.readouterr().out
    assert all(cell in out for row in ROWS for cell in row)
    assert len(out.splitlines()) == 1 + len(ROWS)


def test_in_a_pipe_the_table_is_the_same_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    Output().print_table(COLUMNS, ROWS)
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["NAME", "STATUS", "MODEL", "REQUEST"]
    assert [line.split() for line in lines] == [[cell or "-" for cell in row] for row in ROWS]
    assert heading.index("STATUS") == lines[0].index("Active") == lines[1].index("Failed")


def test_no_row_is_said_where_it_is_not_read_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    Output().print_table(COLUMNS, [])
    assert tuple(capsys.readouterr()) == ("", "Nothing found.\n")


@pytest.mark.usefixtures("terminal")
def test_a_sentence_is_a_paragraph_and_a_finding_has_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    print_sentence(f"{'word ' * 20}{ARN} is not Active\x1b[31m yet")
    print_facts({"modelArn": ARN, "failureMessage": "word " * 16})
    print_finding("queue", "", text="word " * 18, remedy="do it")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["word " * 15 + "word", "word word word word", ARN, "is not Active [31m yet"]
    assert lines[4:7] == [
        f"modelArn         {ARN}",
        f"failureMessage   {'word ' * 11}word",
        f"                 {'word ' * 3}word",
    ]
    assert lines[7:] == ["queue", f"    {'word ' * 14}word", "    word word word", "    Remedy: do it"]


def test_in_a_pipe_each_fact_is_one_line_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    print_sentence("word " * 30)
    print_facts({"modelArn": ARN, "x": "y"})
    assert capsys.readouterr().out.splitlines() == ["word " * 30, f"modelArn   {ARN}", "x          y"]


def test_a_paragraph_in_no_room_at_all_is_still_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    assert paragraph("one two three four five six", indent=8) == "one two three four\n        five six"


@pytest.mark.parametrize("form", [Form.JSON, Form.YAML])
@pytest.mark.parametrize("is_at_terminal", [False, True])
def test_a_document_holds_nothing_that_acts_on_a_terminal_and_reads_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: Form, *, is_at_terminal: bool
) -> None:
    monkeypatch.setattr(printing, "is_terminal", lambda: is_at_terminal)
    document = {"failure\x9b2J": "\x1b[31m \x9b31m \u202e \u2028 ä 字 \U0001f600 \U000e0001", "list": [1, None, True, "yes"]}
    Output(form).print_document(document)
    out = capsys.readouterr().out
    assert all(letter.isprintable() or letter == "\n" for letter in out)
    assert (json.loads if form is Form.JSON else yaml.safe_load)(out) == document
    Output(form).print_document({"a": "ä 字 \U0001f600"})
    assert "ä 字 \U0001f600" in capsys.readouterr().out


def test_json_escapes_half_a_character(capsys: pytest.CaptureFixture[str]) -> None:
    Output(Form.JSON).print_document({"a": "\ud800"})
    assert json.loads(capsys.readouterr().out) == {"a": "\ud800"}


def test_a_stream_of_yaml_is_many_documents(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        Output(Form.YAML).print_document({"a": number}, is_one_of_many=True)
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == [{"a": 0}, {"a": 1}]


def test_a_query_selects_a_part_and_its_failure_names_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    Output(Form.JSON, jmespath.compile("a[].b")).print_document({"a": [{"b": 1}, {"b": 2}]})
    assert capsys.readouterr().out == "[1, 2]\n"
    with pytest.raises(CommandError, match="--query: "):
        Output(Form.JSON, jmespath.compile("length(a)")).print_document({"a": None})


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0s"), (59, "59s"), (119, "119s"), (120, "2m"), (7_199, "119m"), (7_200, "2h"), (172_800, "2d"), (9e7, "1041d")],
)
def test_an_age_is_two_of_its_unit_at_least(seconds: float, said: str) -> None:
    assert age(seconds) == said
