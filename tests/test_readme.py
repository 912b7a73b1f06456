"""The README and docs/ say what is so: their made parts are the code's, their commands exist, their links lead somewhere."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
import typer

from config.hatch_build import absolute
from slipway.cli.output import EXIT_MEANINGS, Exit
from slipway.core.events.schema import event_schema
from slipway.core.lifecycle.outcomes import OutcomeKind, Reason
from slipway.core.parsing import RequestRejected, parse_request
from slipway.core.schema.rejection import RejectionCode
from slipway.core.sqs.messages import Message
from slipway.local.behaviour import Behaviour, FaultRule
from slipway.settings.load import load_triggers
from tests.support import figures
from tests.support.bodies import TARGETS
from tests.support.readme import PAGES, PARTS, ROOT, SAMPLES, commands, described, made

TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in PAGES}
TEXT = "\n".join(TEXTS.values())
MOST_PICTURE_BYTES = 200_000


@pytest.mark.parametrize("page", TEXTS)
def test_the_made_parts_are_what_the_code_makes(page: str) -> None:
    assert made(TEXTS[page]) == TEXTS[page], "python -m tests.support.readme writes them"


@pytest.mark.parametrize("part", PARTS)
def test_every_made_part_is_on_a_page(part: str) -> None:
    assert f"<!-- {part}:begin -->\n" in TEXT


def test_every_make_command_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert {"demo", "test"} <= set(re.findall(r"^make (\w+)", TEXTS["README.md"], re.MULTILINE))
    for command in re.findall(r"^make (\w+)", TEXT, re.MULTILINE):
        assert re.search(rf"^{command}:", makefile, re.MULTILINE), command


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`slipway (\w+)", TEXT)) | {"serve"}))
def test_every_slipway_command_exists_and_has_help(command: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "slipway", command, "--help"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=str)
def test_every_command_says_what_it_does_and_how_it_is_typed(name: str, command: typer.core.TyperCommand) -> None:
    assert f"| `slipway {name}` |" in TEXT
    if command.params and name not in {"serve", "health", "schema", "local"}:
        assert f"slipway {name}" in (command.help or ""), "an example"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_and_options_are_completed(shell: str) -> None:
    def completed(words: str) -> str:
        asked = {
            "_SLIPWAY_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args", "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }  # fmt: skip
        command = [str(Path(sys.executable).parent / "slipway")]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | asked).stdout

    assert "deploy" in completed("slipway dep")
    assert "--wait" in completed("slipway deploy --wa")


def test_every_exit_code_has_a_meaning() -> None:
    assert set(EXIT_MEANINGS) == set(Exit)


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(page: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", TEXTS[page]):
        if not link.startswith("http"):
            path, _, heading = link.partition("#")
            file = ((ROOT / page).parent / path).resolve() if path else ROOT / page
            assert file.exists(), link
            assert not heading or heading in headings(file.read_text("utf-8")), link


def headings(text: str) -> set[str]:
    """The headings of a page, as its links name them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


def test_the_index_leads_to_every_page() -> None:
    assert "](docs/README.md)" in TEXTS["README.md"]
    for page in TEXTS:
        inside = page.removeprefix("docs/")
        assert page in {"README.md", "docs/README.md"} or f"]({inside})" in TEXTS["docs/README.md"], page


def test_pictures_are_small_and_the_generated_one_is_current() -> None:
    assert figures.PROOF_PICTURE.read_text("utf-8") == figures.proof_picture()
    pictures = sorted((ROOT / "docs" / "images").iterdir())
    assert [picture.name for picture in pictures if picture.stat().st_size > MOST_PICTURE_BYTES] == []


def test_links_are_absolute_on_a_package_index() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    shown = absolute(TEXTS["README.md"], project["urls"]["Source"])
    links = re.findall(r"\]\(([^)]+)\)", shown)
    assert len(links) == len(re.findall(r"\]\(([^)]+)\)", TEXTS["README.md"]))
    assert all(link.startswith(("https://", "#")) for link in links)
    inside = re.compile(rf"{re.escape(project['urls']['Source'])}/(blob|raw)/main/([^#]+)")
    found = [match for link in links if (match := inside.match(link))]
    assert {match[1] for match in found} == {"blob", "raw"}
    assert all((ROOT / match[2]).exists() for match in found)
    assert all(url.startswith(project["urls"]["Source"]) for url in project["urls"].values())


@pytest.mark.parametrize("word", [*Reason, *RejectionCode])
def test_every_reason_and_every_code_is_explained(word: Reason | RejectionCode) -> None:
    assert re.search(rf"^\| [^|]*`{word.value}`[^|]*\|", TEXTS["docs/reference/events.md"], re.MULTILINE), word


def test_every_ending_is_named() -> None:
    for kind in OutcomeKind:
        assert f"`{kind.value}`" in TEXT


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_every_sample_is_what_its_name_says(path: Path) -> None:
    message = Message("m-1", path.read_text("utf-8"), "", 1, 0.0, 0.0)
    if path.stem == "invalid":
        with pytest.raises(RequestRejected):
            parse_request(message, TARGETS)
    else:
        triggers = load_triggers(str(ROOT / "config" / "triggers.toml"))
        assert parse_request(message, TARGETS, triggers=triggers).action == json.loads(path.read_text()).get("action", "deploy")


def test_the_sample_event_is_valid() -> None:
    found = re.search(r"<!-- event:begin -->\n```json\n(.*?)```", TEXT, re.DOTALL)
    assert found
    jsonschema.Draft202012Validator(event_schema()).validate(json.loads(found[1]))


@pytest.mark.parametrize("kind", [Behaviour, FaultRule])
def test_every_setting_of_the_stand_in_is_described(kind: type) -> None:
    told = described(kind)
    assert set(told) == {each.name for each in dataclasses.fields(kind)}
    assert all(said for _, said in told.values()), told
    for name in told:
        assert f"| `{name}` |" in TEXTS["docs/reference/local.md"]


def test_every_line_for_the_aws_cli_that_the_stand_in_prints_names_its_endpoint() -> None:
    lines = [
        line
        for line in (ROOT / "service/slipway/local/stack.py").read_text("utf-8").splitlines()
        if line.startswith("#   aws ")
    ]
    assert len(lines) == 3
    assert all("--endpoint-url" in line for line in lines)
