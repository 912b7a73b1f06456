"""Elements of the page: HTML that is safe from injection, charts as SVG, and texts that several sections use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final
from urllib.parse import urlencode

from slipway.core.diagnostics.status import FinishedRequest, RequestStatus
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.time_format import format_time

Attribute = str | int | float | bool | None

_VOID: Final = frozenset({"img", "input", "link", "meta"})
_DELETED: Final = {code: 0xFFFD for code in (*range(0x20), 0x7F) if chr(code) not in "\t\n"}


class Html(str):
    """A text that is already markup."""

    __slots__ = ()


Child = Html | str | int | None


def el(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """Return an element. `class_` becomes class, other `_` become hyphens; None and False attributes are omitted."""
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None and value is not False)
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Return the children one after the other, escaped unless they are markup."""
    return Html("".join(child if type(child) is Html else _text(child) for child in children if child is not None))


def _text(text: object) -> str:
    return escape(str(text).translate(_DELETED))


def _attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{_text(value)}"'


HEIGHT: Final = 100
WIDTH: Final = 1000
MOST_CELLS: Final = 60
_GAP_SHARE: Final = 0.28
_LEAST_SEEN: Final = 2.0
"""Smallest visible height of a bar."""


def bars(stacks: Sequence[Sequence[tuple[str, int]]], said: str) -> Html:
    """Return a bar chart with one column for each stack of (class, number). `said` is its text alternative."""
    highest = max((sum(number for _, number in stack) for stack in stacks), default=0) or 1
    step = WIDTH / max(1, len(stacks))
    shapes = [_stack(at * step, step * (1 - _GAP_SHARE), stack, highest) for at, stack in enumerate(stacks)]
    line = el("rect", x=0, y=HEIGHT - 1, width=WIDTH, height=1, class_="axis")
    view = f"0 0 {WIDTH} {HEIGHT}"
    return el("svg", line, *shapes, viewBox=view, preserveAspectRatio="none", role="img", aria_label=said, class_="bars")


def _stack(x: float, width: float, stack: Sequence[tuple[str, int]], highest: int) -> Html:
    top, parts = float(HEIGHT), []
    for look, number in stack:
        if number:
            height = max(_LEAST_SEEN, number / highest * (HEIGHT - _LEAST_SEEN * len(stack)))
            top -= height
            shape = {"x": round(x, 2), "y": round(top, 2), "width": round(width, 2), "height": round(height, 2)}
            parts.append(el("rect", class_=look, **shape))
    return join(*parts)


def cells(kinds: Sequence[tuple[str, int]], said: str) -> Html:
    """Return one cell for each item of (class, number), or one bar with the shares if there are too many."""
    total = sum(number for _, number in kinds)
    if total > MOST_CELLS:
        return _shares(kinds, total, said)
    drawn = [el("span", class_=f"cell {look}") for look, number in kinds for _ in range(number)]
    return el("div", *drawn, class_="cells", role="img", aria_label=said)


_SHARE_HEIGHTS: Final = {"others": 0.7, "rest": 0.45}
"""Heights tell the parts of one bar apart without colours."""


def _shares(kinds: Sequence[tuple[str, int]], total: int, said: str) -> Html:
    x, parts = 0.0, []
    for look, number in kinds:
        width = number / total * WIDTH
        height = round(HEIGHT * _SHARE_HEIGHTS.get(look, 1.0))
        parts.append(el("rect", x=round(x, 2), y=HEIGHT - height, width=round(width, 2), height=height, class_=f"share {look}"))
        x += width
    view = f"0 0 {WIDTH} {HEIGHT}"
    return el("svg", *parts, viewBox=view, preserveAspectRatio="none", role="img", aria_label=said, class_="shares")


FOR: Final = {
    Reason.NO_SLOT.value: "for a slot",
    Reason.PREDECESSOR.value: "for an earlier request",
    Reason.MODEL_NOT_ACTIVE.value: "for the model",
    Reason.NAME_RESERVED.value: "for its name",
    Reason.THROTTLED.value: "because AWS throttles calls",
    Reason.ACCESS_DENIED.value: "for permission",
    Reason.NO_ANSWER.value: "for an answer from AWS",
    Reason.IN_CREATION.value: "for its creation in Bedrock",
    Reason.UPDATING.value: "for its update in Bedrock",
    Reason.SMOKE_TEST.value: "for its smoke test",
    Reason.RETRYING.value: "for its next attempt or its outcome",
    Reason.BUSY.value: "because its deployment is busy",
    Reason.DEPLOYMENT_MISSING.value: "for a missing deployment",
}
"""What a request waits for, by reason. Other reasons are shown as they are."""


def waits_for(reason: str) -> str:
    """Return what a request waits for, as it follows the word "waits"."""
    return FOR.get(reason, f"for {reason}")


def named(one: RequestStatus | FinishedRequest) -> str:
    """Return the title of a request: the deployment's name, else the request's id, else the message's id."""
    return one.name or one.request_id or one.message_id


def link(one: RequestStatus | FinishedRequest) -> Html:
    """Return a link to the request's page."""
    return el("a", named(one), href=address(one.request_id or one.message_id), class_="name")


def address(about: str) -> str:
    """Return the path of the page about a request."""
    return f"/request?{urlencode({'about': about})}"


def format_clock(at: float, now: float | None = None) -> Html:
    """Return a time of day in UTC, with the date if it is not that of `now`. The script shows the viewer's time on hover."""
    time = datetime.fromtimestamp(at, UTC)
    is_today = now is None or time.date() == datetime.fromtimestamp(now, UTC).date()
    return el(
        "time", f"{time:%H:%M:%S}" if is_today else f"{time:%d %b %H:%M}", datetime=format_time(at), title=format_time(at)
    )


def model(arn: str) -> Html | None:
    """Return the short name of a model: the end of its ARN, which is the title."""
    return el("span", arn.rpartition("/")[2], title=arn) if arn else None


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in singular or plural."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
