"""`slipway doctor`: looks at everything that Slipway stands on, and says what is not right, with the remedy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from service.aws.inspecting import backlog_of
from service.aws.visiting import Visit
from service.client.daemons import NotReached, ask_troubles
from service.core import diagnosis
from service.core.calls import CallFailed
from service.core.diagnosis import Complaint, redrive_of
from service.edge.errands import remedy_of
from service.edge.exits import Exit
from service.edge.printing import is_terminal, print_json, print_line, print_table
from service.settings import Settings

T = TypeVar("T")


class Examination:
    """What has been found so far. A question that nobody answers is a finding too."""

    def __init__(self) -> None:
        self.complaints: list[Complaint] = []
        self.looked_at: list[str] = []

    async def ask(self, about: str, asked: Awaitable[T], judge: Callable[[T], Iterable[Complaint]]) -> T | None:
        """Ask, and judge the answer; answer None where there was none."""
        self.looked_at.append(about)
        try:
            answer = await asked
        except CallFailed as failed:
            self.complaints.append(Complaint(about, str(failed), remedy_of(failed)))
            return None
        self.complaints += judge(answer)
        return answer


async def examine(visit: Visit, settings: Settings, daemons: Sequence[str], model: str | None, *, as_json: bool) -> Exit:
    """Look at all of it, and report."""
    seen = Examination()
    await seen.ask("credentials", visit.inspector.account(), lambda account: diagnosis.of_place(visit.home, account))
    await _queues(seen, visit, settings)
    await seen.ask("topic", visit.inspector.subscribers(settings.topic_arn), diagnosis.of_subscribers)
    denials = visit.inspector.denials(visit.home, settings.queue_url, settings.topic_arn)
    await seen.ask(
        "permissions",
        denials,
        lambda found: [Complaint("permissions", str(one), "allow it: docs/how-to/run.md has the policy") for one in found],
    )
    quotas = settings.max_creating, settings.max_total
    await seen.ask("deployments", visit.catalogue.all(), lambda found: diagnosis.of_fullness(found, *quotas))
    if model is not None:
        await seen.ask("model", visit.bedrock.model_state(model), lambda state: diagnosis.of_model(model, state))
    for url in daemons:
        await _daemon(seen, url)
    return report(seen.complaints, seen.looked_at, as_json=as_json)


async def _queues(seen: Examination, visit: Visit, settings: Settings) -> None:
    asked = await seen.ask("queue", visit.inspector.queue_and_skew(settings.queue_url), lambda _: ())
    if asked is None:
        return
    queue, skew = asked
    seen.complaints += [*diagnosis.of_queue(queue, settings.timeout), *diagnosis.of_backlog(backlog_of(queue))]
    seen.looked_at.append("clock")
    seen.complaints += diagnosis.of_clock(skew)
    if arn := redrive_of(queue).get("deadLetterTargetArn"):
        url = await seen.ask("dead-letter queue", visit.inspector.queue_url(arn), lambda _: ())
        if url is not None:
            await seen.ask("dead letters", visit.inspector.queue(url), lambda dead: diagnosis.of_dead_letters(dead, queue))


async def _daemon(seen: Examination, url: str) -> None:
    seen.looked_at.append(f"daemon {url}")
    try:
        troubles = await ask_troubles(url)
    except NotReached as wrong:
        seen.complaints.append(Complaint("daemon", str(wrong), "start it, or give its own address"))
        return
    seen.complaints += [Complaint("daemon", f"{url}: {name}: {said}", "see its log") for name, said in troubles.items()]


def report(complaints: Sequence[Complaint], looked_at: Sequence[str], *, as_json: bool) -> Exit:
    """Print what was found; answer whether anything was."""
    if as_json:
        found = [{"about": one.about, "message": one.text, "remedy": one.remedy} for one in complaints]
        print_json({"findings": found, "lookedAt": list(looked_at)})
    elif complaints:
        print_table(("what", "what is so", "what to do"), [(one.about, one.text, one.remedy) for one in complaints])
    elif is_terminal():
        print_line(f"All well: {', '.join(looked_at)}.")
    return Exit.NOT_WELL if complaints else Exit.OK
