"""The generated parts of the README and docs/: `python -m tests.support.readme` writes them, a test holds them."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import typer

from slipway.cli.main import app
from slipway.cli.output import EXIT_MEANINGS, Exit
from slipway.core.bedrock import Deployment, Status
from slipway.core.events.publish import Times, announce_outcome
from slipway.core.lifecycle.outcomes import Outcome, OutcomeKind
from slipway.core.parsing import parse_request
from slipway.core.requests.models import Deploy
from slipway.core.requests.targets import Home, home_only
from slipway.core.sqs.messages import Message
from slipway.local.behaviour import Behaviour, FaultRule
from slipway.settings.fields import SETTINGS, bounds, variable, written
from slipway.settings.load import default_values
from tests.bench.table import tables
from tests.simulation.report import in_tables
from tests.support import contract, figures
from tests.support.lifecycle_diagram import pictures
from tests.support.log_events import log_table
from tests.support.measured import metrics_table

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").rglob("*.md")))
SAMPLES = ROOT / "config" / "samples"
HOME = home_only(Home("aws", "123456789012", "us-east-1"))
RECEIVED = 1_795_464_000.0


def made(text: str) -> str:
    """Return a page with all its made parts as they should be."""
    text = re.sub(
        r"(<!-- (sample|file):(\S+) -->\n)(```\w+\n.*?```\n)?",
        lambda found: found[1] + _shown(SAMPLES / found[3] if found[2] == "sample" else ROOT / found[3]),
        text,
        flags=re.DOTALL,
    )
    for name in re.findall(r"<!-- (\S+):begin -->", text):
        begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
        if name not in BY_HAND:
            before, rest = text.split(begin)
            text = before + begin + _made_part(name) + end + rest.split(end, 1)[1]
    return text


def _made_part(name: str) -> str:
    return PARTS[name]() if name in PARTS else pictures()[name]


def _shown(path: Path) -> str:
    language = {".service": "ini", ".env": "sh", ".py": "python"}.get(path.suffix, path.suffix[1:])
    return f"```{language}\n{path.read_text('utf-8').rstrip()}\n```\n"


def _settings() -> str:
    defaults = default_values()
    rows = ["| variable | default | may be | what it is |", "|---|---|---|---|"]
    for setting in SETTINGS:
        default = written(defaults[setting.name]).strip('"') or "none" if setting.name in defaults else "must be set"
        rows.append(f"| `{variable(setting.name)}` | {default} | {bounds(setting)} | {setting.doc} |")
    return "\n".join(rows) + "\n"


def described(kind: type) -> dict[str, tuple[str, str]]:
    """Return default and description of each field of a class of settings of the stand-in."""
    source = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(source, ast.ClassDef)
    found: dict[str, tuple[str, str]] = {}
    for field, text in pairwise([*source.body, ast.Pass()]):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            name, said = field.target.id, ""
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                said = " ".join(str(text.value.value).split())
            default = getattr(kind(), name)
            found[name] = (json.dumps(dict(default) if isinstance(default, Mapping) else default, ensure_ascii=False), said)
    return found


def _table_of(kind: type) -> str:
    rows = [f"| `{name}` | `{default}` | {said} |" for name, (default, said) in described(kind).items()]
    return "\n".join(["| name | default | what it is |", "|---|---|---|", *rows]).replace("\\", "\\\\") + "\n"


def _commands() -> str:
    """What there is to type, by the first sentence of its help; and what it exits with."""
    rows = ["| command | what it does |", "|---|---|"]
    rows += [f"| `slipway {name}` | {_first_sentence(command.help or '')} |" for name, command in commands()]
    exits = [f"| {exit_.value} | {EXIT_MEANINGS[exit_]} |" for exit_ in Exit]
    return "\n".join([*rows, "", "| exit code | means |", "|---|---|", *exits]) + "\n"


def commands(command: object = None, name: str = "") -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Return every command with its whole name, in the order of the help."""
    command = command or typer.main.get_command(app)
    if isinstance(command, typer.core.TyperGroup):
        for word, inner in command.commands.items():
            yield from commands(inner, f"{name} {word}".strip())
    elif isinstance(command, typer.core.TyperCommand):
        yield name, command


def _first_sentence(text: str) -> str:
    first = " ".join(text.partition("\n\n")[0].split())
    return first.partition(". ")[0].rstrip(".")


def _event() -> str:
    """The event that ends the plain sample, made by the code that makes all events."""
    body = (SAMPLES / "plain.json").read_text("utf-8")
    request = parse_request(Message("0d6d9d2e-5b4c-4b8c-9a3e-2f6f0c7d1e5a", body, "", 1, RECEIVED, RECEIVED), HOME)
    assert isinstance(request, Deploy)
    arn = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/k3v9x2m7q1zd"
    deployment = Deployment(arn, request.name, request.model_arn, Status.ACTIVE, "Active", RECEIVED + 1.2, RECEIVED + 731.5)
    times = Times(RECEIVED + 738.4, RECEIVED, RECEIVED + request.timeout)
    publication = announce_outcome(
        request, Outcome(OutcomeKind.ACTIVE, deployment=deployment), times, "urn:slipway:123456789012:us-east-1"
    )
    return f"```json\n{json.dumps(json.loads(publication.body), indent=2)}\n```\n"


def _bench() -> str:
    """Return the recorded results of the bench."""
    picture = "![CPU time and Bedrock calls per deployment, by number of deployments](../tests/bench/bench.svg)"
    return f"{picture}\n\n{tables(figures.recorded(figures.LAST_BENCH))}"


def _proof() -> str:
    """Return the recorded results of the simulation."""
    summary, *tables_ = in_tables(figures.recorded(figures.LAST_PROOF)).split("\n\n")
    details = "\n\n".join(["<details><summary>Seeded bugs and counts of faults</summary>", *tables_, "</details>"])
    return f"{summary}\n\n{details}\n"


BY_HAND = {"demo"}
"""What stands between marks, and was seen once and copied."""
PARTS: Mapping[str, Callable[[], str]] = {
    "settings": _settings,
    "event": _event,
    "proof": _proof,
    "proved": figures.proved,
    "measured": figures.measured,
    "facts": figures.facts,
    "status": figures.status,
    "bench": _bench,
    "commands": _commands,
    "terms": lambda: _table_of(Behaviour),
    "faults": lambda: _table_of(FaultRule),
    "metrics": metrics_table,
    "logs": log_table,
    "contract-channels": contract.channels,
    "contract-requests": contract.request_keys,
    "contract-types": contract.event_types,
    "contract-events": contract.event_keys,
    "contract-attributes": contract.attributes,
}
"""What is made, by the name of the marks that it stands between, on whichever pages have them."""


def main() -> None:
    """Write the made parts of all pages."""
    for page in PAGES:
        page.write_text(made(page.read_text("utf-8")), "utf-8")
    figures.PROOF_PICTURE.write_text(figures.proof_picture(), "utf-8")


if __name__ == "__main__":
    main()
