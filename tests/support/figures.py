"""Sentences, pictures and facts of the README, from the recorded results of bench and simulation and from pyproject.toml."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from slipway import __version__
from slipway.settings.load import default_values
from tests.bench.table import medians, of

ROOT: Final = Path(__file__).parents[2]
LAST_BENCH: Final = ROOT / "tests" / "bench" / "last.json"
LAST_PROOF: Final = ROOT / "tests" / "simulation" / "last.json"
PROOF_PICTURE: Final = ROOT / "docs" / "images" / "proof.svg"
SIZE: Final = 10_000
PEER: Final = "aioboto3, a task each"


def recorded(path: Path) -> dict[str, Any]:
    """Return a recorded result."""
    return dict(json.loads(path.read_text("utf-8")))


def measured() -> str:
    """Return the README's sentence and picture about the bench."""
    runs = {who: rounds for who, number, rounds in medians(recorded(LAST_BENCH)) if number == SIZE}
    calls = {who: f"{of(runs[who], 'bedrock_calls'):.2f}" for who in ("Slipway", PEER)}
    cpu = {who: f"{of(runs[who], 'cpu_ms'):.2f} ms" for who in ("Slipway", PEER)}
    return (
        f"**Measured.** For each of {SIZE:,} deployments Slipway makes {calls['Slipway']} calls to Bedrock and takes "
        f"{cpu['Slipway']} of CPU;\na program with one asyncio task for each makes {calls[PEER]} calls and takes {cpu[PEER]} "
        "([benchmarks](docs/benchmarks.md)).\n\n"
        "![CPU time and Bedrock calls per deployment, by number of deployments](tests/bench/bench.svg)\n"
    )


def proved() -> str:
    """Return the README's sentence and picture about the simulation."""
    last = recorded(LAST_PROOF)
    return (
        f"**Tested by simulation.** The last long run tried {last['lifetimes']:,} request lifetimes with {last['kills']:,} "
        f"kills of a replica;\n{last['violations'] or 'none'} broke a promise "
        "([how it is tested](docs/proof.md)).\n\n"
        f"![Figures of the last long run](docs/images/proof.svg)\n"
    )


def proof_picture() -> str:
    """Return the picture of the last long run: one tile for each figure."""
    last = recorded(LAST_PROOF)
    caught = sum(where is not None for where in last["planted"].values())
    figures = [
        (f"{last['lifetimes']:,}", "request lifetimes"),
        (f"{last['simulated_hours']:,} h", "simulated time"),
        (f"{last['kills']:,}", "simulated kills"),
        (f"{last['inputs']:,}", "fuzzed inputs"),
        (f"{caught} of {len(last['planted'])}", "seeded bugs caught"),
        (f"{last['violations']}", "broken promises"),
    ]
    return _tiles(figures)


def _tiles(figures: Sequence[tuple[str, str]]) -> str:
    width, gap = 140, 10
    parts = []
    for at, (figure, label) in enumerate(figures):
        x = at * (width + gap)
        parts += [
            f'<rect x="{x}" y="0" width="{width}" height="76" rx="6" fill="#f1f5f9"/>',
            f'<text x="{x + width / 2:g}" y="36" font-size="22" font-weight="600" fill="#0f172a">{escape(figure)}</text>',
            f'<text x="{x + width / 2:g}" y="59" font-size="12.5" fill="#475569">{escape(label)}</text>',
        ]
    whole = len(figures) * (width + gap) - gap
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} 76" font-family="sans-serif" text-anchor="middle">'
    return "\n".join([opening, *parts, "</svg>"]) + "\n"


def status() -> str:
    """Return the README's line about version, licence and installation."""
    project, status = _project()
    return (
        f"Version {__version__} ({status}), {project['license']}. Run it from a checkout, or from a container image "
        "that you build. Slipway is not an AWS product.\n"
    )


def _project() -> tuple[Mapping[str, Any], str]:
    project: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    status = next(text.rpartition(" - ")[2] for text in project["classifiers"] if text.startswith("Development Status"))
    return project, status.lower()


def facts() -> str:
    """Return the README's table of facts."""
    project, status = _project()
    defaults = default_values()
    pythons = [text.rpartition(" ")[2] for text in project["classifiers"] if "Python :: 3." in text]
    rows = {
        "Version": f"{__version__} ({status}); events and requests have a versioned schema",
        "Licence": project["license"],
        "Python": f"{', '.join(pythons)}, on Linux and macOS",
        "Regions and models": "Every Region and custom model that `CreateCustomModelDeployment` accepts; at the time of "
        "writing Amazon Nova in us-east-1 and Llama 3.3 70B in us-west-2",
        "Default quotas of AWS": "About 2 deployments in creation and 10 in total for each account and Region; adjustable",
        "Limits": f"At most 20,000 requests in progress for each replica (`max_held`, by default {defaults['max_held']}); a "
        f"deadline of at most 7 days (`timeout`, by default {defaults['timeout'] / 3600:g} hours); request bodies of at most "
        "1 MiB",
        "AWS services": "SQS, SNS, Bedrock, STS; optionally EventBridge, Step Functions, SageMaker, KMS, CloudWatch",
        "Cost of running it": "Two Fargate tasks of 0.25 vCPU and 0.5 GB, and SQS and SNS calls that cost "
        "little ([cost](docs/how-to/runbook.md#cost))",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| **{name}** | {text} |" for name, text in rows.items())]) + "\n"
