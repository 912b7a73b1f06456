"""The bench's figures as Markdown: for the terminal, and for the README."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any

BYTES_IN_KIB = 1024


def medians(results: dict[str, Any]) -> Iterator[tuple[str, int, list[dict[str, Any]]]]:
    """Return the rounds of each client at each size, by size."""
    keys = dict.fromkeys((run["number"], run["who"]) for run in results["runs"])
    for number, who in sorted(keys, key=lambda key: key[0]):
        yield who, number, [run for run in results["runs"] if run["who"] == who and run["number"] == number]


def of(rounds: Iterable[dict[str, Any]], *names: str) -> float:
    """Return the median of a figure over its rounds."""
    return median(_within(run, names) for run in rounds)


def _within(run: dict[str, Any], names: tuple[str, ...]) -> float:
    value: Any = run
    for name in names:
        value = value[name]
    return float(value)


def tables(results: dict[str, Any]) -> str:
    """Return all figures."""
    return "\n".join([*_loads(results), "", *_calls(results), "", *_throttled(results), "", *_rest(results)]) + "\n"


def _loads(results: dict[str, Any]) -> Iterator[str]:
    figures = ("Bedrock calls each", "client CPU ms each", "peak MiB", "ended to published p50 / p99")
    more = ("received to created p50 / p99", "longest stall")
    yield "| " + " | ".join(("who", "deployments", *figures, *more)) + " |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for who, number, rounds in medians(results):
        published = min(run["published"] for run in rounds)
        missing = "" if published == number else f" ({number - published:,} never announced)"
        stall = "" if rounds[0]["stall_ms"] is None else f"{of(rounds, 'stall_ms'):.0f} ms"
        yield (
            f"| {who} | {number:,}{missing} | {of(rounds, 'bedrock_calls'):.2f} | {of(rounds, 'cpu_ms'):.2f} "
            f"| {of(rounds, 'peak_mib'):.0f} | {_spread(rounds, 'ended_to_published')} "
            f"| {_spread(rounds, 'received_to_created')} | {stall} |"
        )


def _spread(rounds: list[dict[str, Any]], name: str) -> str:
    return f"{of(rounds, name, 'p50'):.2f} / {of(rounds, name, 'p99'):.2f} s"


def _calls(results: dict[str, Any]) -> Iterator[str]:
    runs = [rounds[0] for who, _, rounds in medians(results) if who == "Slipway"]
    names = sorted({name for run in runs for name in run["calls"]})
    yield "| Slipway's calls per deployment | " + " | ".join(f"{run['number']:,}" for run in runs) + " |"
    yield "|---|" + "--:|" * len(runs)
    for name in names:
        yield f"| {name.removesuffix(' applied')} | " + " | ".join(f"{run['calls'].get(name, 0):.4f}" for run in runs) + " |"


def _throttled(results: dict[str, Any]) -> Iterator[str]:
    yield "| throttled at | burst | of the possible throughput | answers throttled | ended to published, longest |"
    yield "|---|--:|--:|--:|--:|"
    for one in results["throttled"]:
        bucket = "all operations together" if one["is_shared"] else "each operation"
        yield (
            f"| {one['rate']} calls a second, {bucket} | {one['burst']} | {one['used']:.0%} | {one['throttled']:.1%} "
            f"| {one['ended_to_published']['most']:.2f} s |"
        )


def _rest(results: dict[str, Any]) -> Iterator[str]:
    idle = results["idle"]
    yield (
        f"Start: {results['start_seconds']:.2f} s from exec to the first receive, {results['start_cpu_seconds']:.2f} s of CPU. "
        f"Held: {results['bytes_per_held'] / BYTES_IN_KIB:.1f} KiB of memory for each request. "
        f"Idle: {idle['receives_a_day'] / 24:.0f} receives and {idle['cpu_share'] * 3600:.1f} s of CPU an hour "
        f"({idle['cpu_share']:.2%} of a core), reckoned from {idle['seconds']:.0f} s. {results['machine']}."
    )
