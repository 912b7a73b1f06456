"""The lives of requests, drawn by living them: every step that `decide` takes, after every answer that there may be.

Nothing here says what follows what. A life is walked from its first delivery and from a redelivery, with every answer to
every step, until nothing new is decided; what was seen on the way are the edges of the drawing.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from slipway.core.lifecycle import delete as removing
from slipway.core.lifecycle import deploy as deploying
from slipway.core.lifecycle import update as updating
from slipway.core.lifecycle.outcomes import OutcomeKind
from slipway.core.lifecycle.steps import ABSENCES_TO_BELIEVE, Finish, Pause, Poll
from tests.support.requests import DEPLOY, OPTIONS, REMOVE, UPDATE, Life, optional

MOST_COUNTED: Final = {
    "refusals": max(deploying.REFUSALS_TO_BELIEVE_IN_DOUBT, updating.REFUSALS_TO_BELIEVE, removing.REFUSALS_TO_BELIEVE),
    "sends": 2,
    "spent_tokens": 0,
    "failures": 0,
}
"""What is counted is walked this far: it makes no difference from there on."""
SKIPPED: Final = {
    "times_found": ABSENCES_TO_BELIEVE,
    "misses": ABSENCES_TO_BELIEVE,
    "absences": ABSENCES_TO_BELIEVE,
    "unseen": updating.UNSEEN_TO_BELIEVE,
}
"""What is counted so far, and makes no difference between the first and the last."""
START: Final = "[*]"


@dataclass(frozen=True, order=True)
class Edge:
    """One arrow. `reason` is the one that is given, where the answer is one to wait or to fail."""

    before: str
    after: str
    answer: str
    reason: str


@cache
def walk(life: Life) -> tuple[Edge, ...]:
    """Return every edge of a life, in the order in which they are met."""
    edges: dict[Edge, None] = {}
    line: deque[tuple[Any, Any]] = deque()
    met: set[tuple[Any, Any]] = set()

    def go(before: str, request: Any, why: str, facts: Any) -> None:
        facts = _without_counting_for_ever(facts)
        step = life.decide(request, facts)
        edges[Edge(before, name_of(step), why, _reason(step))] = None
        if (request, facts) not in met:
            met.add((request, facts))
            line.append((request, facts))

    for request in life.requests:
        for why, facts in life.starts:
            go(START, request, why, facts)
    while line:
        request, facts = line.popleft()
        step = life.decide(request, facts)
        for why, after in life.answers(step, request, facts):
            go(name_of(step), request, why, after)
    return tuple(edges)


def name_of(step: object) -> str:
    """What a step is called in the drawing: an end by its outcome."""
    return step.outcome.kind.value if isinstance(step, Finish) else type(step).__name__


def drawing(edges: Sequence[Edge], direction: str) -> str:
    """Return a state diagram of Mermaid's, in which every outcome leads to the end. An arrow has reasons, or else answers."""
    lines = []
    for (before, after), by_reason in together(edges).items():
        words = [word for reason, answers in by_reason.items() for word in ([reason] if reason else answers)]
        lines.append(f"    {before} --> {after}: {'<br/>'.join(words)}")
    ends = {kind.value for kind in OutcomeKind}
    lines += [f"    {end} --> {START}" for end in dict.fromkeys(edge.after for edge in edges) if end in ends]
    return "\n".join(["stateDiagram-v2", f"    direction {direction}", *lines])


def rows(edges: Sequence[Edge]) -> Iterator[tuple[str, str, str]]:
    """Return the same in words: a step, the answers to it by what comes of them, and the step that comes."""
    for (before, after), by_reason in together(edges).items():
        for reason, answers in by_reason.items():
            yield before, ", ".join(answers), f"{after}, `{reason}`" if reason else after


def together(edges: Sequence[Edge]) -> dict[tuple[str, str], dict[str, list[str]]]:
    """Return each pair of steps once, with the answers that lead from one to the other, by the reasons that are given."""
    pairs: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for edge in edges:
        pairs[edge.before, edge.after][edge.reason].append(edge.answer)
    return pairs


@cache
def pictures() -> dict[str, str]:
    """Return what a page shows, by the names of its marks: each life, drawn and in words; and what options add to one."""
    lives = {"deploy": DEPLOY, "update": UPDATE, "delete": REMOVE}
    shown: dict[str, str] = {}
    for name, life in lives.items():
        edges = walk(life)
        shown[f"life-of-{name}"] = f"```mermaid\n{drawing(edges, life.direction)}\n```\n"
        shown[f"steps-of-{name}"] = _table([("", edges)])
    return shown | {"options-of-deploy": _table([(option, with_option(option)) for option in OPTIONS])}


def _table(parts: Sequence[tuple[str, Sequence[Edge]]]) -> str:
    titles = (*(["with"] if len(parts) > 1 else []), "after", "and this answer", "comes")
    lines = [titles, ["---"] * len(titles)]
    for option, edges in parts:
        said = [(before.replace(START, "the beginning"), answers, after) for before, answers, after in rows(edges)]
        lines += [(*([option if row is said[0] else ""] if option else []), *row) for row in said]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def with_option(name: str) -> list[Edge]:
    """Return the edges that an option adds to the life of a plain deploy request."""
    plain = set(walk(DEPLOY))
    return [edge for edge in walk(optional(name)) if edge not in plain]


def _reason(step: object) -> str:
    reason = step.outcome.reason if isinstance(step, Finish) else step.reason if isinstance(step, Pause | Poll) else None
    return reason.value if reason else ""


def _without_counting_for_ever(facts: Any) -> Any:
    counted = {name: min(getattr(facts, name), most) for name, most in MOST_COUNTED.items() if hasattr(facts, name)}
    skipped = {name: most for name, most in SKIPPED.items() if getattr(facts, name, 0) > 1}
    return replace(facts, **counted, **skipped)
