"""`slipway health`, `status` and `requests`: what running daemons report over HTTP."""

from __future__ import annotations

import asyncio
import http.client
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from slipway.cli.output import Exit
from slipway.core.diagnostics.severity import Severity
from slipway.settings.load import WrongSetting, find_endpoint

if TYPE_CHECKING:
    from slipway.cli.output import Output
    from slipway.client import DaemonAnswer
    from slipway.core.diagnostics.severity import Problem
    from slipway.core.diagnostics.status import RequestStatus

T = TypeVar("T")

COLUMNS = ("name", "action", "status", "reason", "age", "request")
WIDE_COLUMNS = (*COLUMNS, "position", "priority", "tenant", "target", "attempts", "deadline", "message")


def check_health(config: str | None, port: int | None) -> int:
    """Print what the daemon on this machine reports of its health; return 0 if it is healthy, else 1.

    The daemon is asked at the host and port of these settings; `port` goes before them.
    """
    try:
        host, found = find_endpoint(os.environ, config)
    except WrongSetting as wrong:
        print(wrong)  # noqa: T201  here and below this is what the command prints
        return 1
    if not (asked := port or found):
        print("http_port is 0: this daemon has no HTTP endpoint; set SLIPWAY_HTTP_PORT")  # noqa: T201
        return 1
    connection = http.client.HTTPConnection(host, asked, timeout=5)
    try:
        connection.request("GET", "/livez")
        response = connection.getresponse()
        print(response.read().decode(errors="replace"))  # noqa: T201
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer from {host}:{asked}: {getattr(error, 'strerror', None) or error}")  # noqa: T201
        return 1
    finally:
        connection.close()
    return 0 if response.status == http.client.OK else 1


def show_status(config: str | None, daemons: Sequence[str], output: Output) -> Exit:
    """Print the severity, problems and slots of each daemon, else of the one on this machine; return 1 if one is blocked."""
    from slipway.cli.output import print_line, print_sentence
    from slipway.client import query_each

    urls, reported = _ask(config, daemons, query_each)
    if output.is_document:
        states = [_state_json(url, answer) for url, answer in zip(urls, reported, strict=True)]
        output.print_document({"daemons": states})
    else:
        for number, (url, answer) in enumerate(zip(urls, reported, strict=True)):
            if len(urls) > 1:
                print_line(f"{'' if number == 0 else chr(10)}{url}")
            for line in status_lines(answer):
                print_sentence(line)
    return Exit.FAILURE if any(answer.severity is Severity.BLOCKED for answer in reported) else Exit.OK


def _ask(config: str | None, daemons: Sequence[str], query: Callable[..., Coroutine[Any, Any, T]]) -> tuple[Sequence[str], T]:
    """Query some daemons, else the one on this machine; return their URLs and what they answered. Raises `CommandError`."""
    from slipway.cli.output import CommandError
    from slipway.client import DaemonUnreachable
    from slipway.settings.load import NO_QUEUE, load

    try:
        settings = load(os.environ, config, optional=NO_QUEUE)
        urls = daemons or settings.own_daemon
        reported = asyncio.run(query(urls, token=settings.http_token))
    except WrongSetting as wrong:
        raise CommandError(wrong.problem, wrong.remedy) from wrong
    except DaemonUnreachable as wrong:
        raise CommandError(wrong.problem, wrong.remedy if daemons else f"{wrong.remedy}, with --daemon") from wrong
    if not urls:
        raise CommandError("http_port is 0, so the daemon has no HTTP endpoint", "name a daemon with --daemon")
    return urls, reported


def _state_json(url: str, answer: DaemonAnswer) -> dict[str, object]:
    held = Counter(one.state for one in answer.held)
    return {
        "daemon": url,
        "severity": answer.severity.value,
        "problems": [problem.to_json() for problem in answer.problems],
        "requests": dict(held),
        "slots": _slots(answer.extras),
        "queues": answer.extras.get("queues", {}),
    }


def status_lines(answer: DaemonAnswer) -> list[str]:
    """Return the state of a daemon in sentences: severity and problems with their remedies, requests, slots, queues."""
    lines = problem_lines(answer.problems) or ["OK: no problem is known."]
    held = Counter(one.state for one in answer.held)
    states = ", ".join(f"{number:,} {state.lower()}" for state, number in sorted(held.items()))
    lines.append(f"Requests in progress: {len(answer.held):,}{f' ({states})' if states else ''}")
    for name, slots in _slots(answer.extras).items():
        if isinstance(slots, Mapping):
            place = "" if len(_slots(answer.extras)) == 1 else f" in {name}"
            lines.append(f"Slots{place}: {slots.get('quota')}; waiting for one: {slots.get('waiting')}")
    queues = answer.extras.get("queues", {})
    for name, counts in queues.items() if isinstance(queues, Mapping) else ():
        lines.append(f"Queue {name}: {counts['visible']:,} visible, {counts['inFlight']:,} in flight")
    return lines


def problem_lines(problems: Sequence[Problem]) -> list[str]:
    """Return the problems in sentences, each with its remedy."""
    return [line for one in problems for line in (f"{one.severity.value.upper()}: {one.text}", f"  next: {one.remedy}")]


def list_requests(config: str | None, daemons: Sequence[str], output: Output) -> Exit:
    """Print the requests in progress of some daemons, else of the one on this machine, the oldest first."""
    from slipway.client import query_all

    _, reported = _ask(config, daemons, query_all)
    requests = sorted(reported.held, key=lambda one: one.received_at)
    if output.is_document:
        output.print_document({"requests": [one.to_json() for one in requests], "slots": _slots(reported.extras)})
    else:
        output.print_table(WIDE_COLUMNS if output.is_wide else COLUMNS, [_row(one, is_wide=output.is_wide) for one in requests])
    return Exit.OK


def _slots(extras: Mapping[str, Any]) -> dict[str, object]:
    """Return the slots of each target, by its name."""
    targets = {"default": extras} | dict(extras.get("targets", {}))
    return {name: target.get("slots") for name, target in targets.items()}


def _row(one: RequestStatus, *, is_wide: bool) -> tuple[str, ...]:
    from slipway.cli.output import age, flat

    row = (
        one.name,
        one.action,
        one.state,
        one.waits_for or "",
        age(one.now - one.received_at),
        one.request_id or one.message_id,
    )
    if not is_wide:
        return row
    place = "" if one.place is None else str(one.place)
    left = "" if one.deadline is None else age(one.deadline - one.now)
    return (*row, place, str(one.priority), one.tenant or "", one.target or "", str(one.receive_count), left, flat(one.why))
