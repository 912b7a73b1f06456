"""The status page: what it says of what is so, and that whatever is said stays text."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from html.parser import HTMLParser
from typing import Any

import pytest

from slipway.core.diagnostics.severity import Problem, ProblemKind, Severity
from slipway.core.diagnostics.status import FinishedRequest, RequestStatus, Wait
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.scheduling.eta import Eta
from slipway.core.scheduling.quota import Counts, Quota
from slipway.http.health import CallHistory, LastHour
from slipway.http.page.elements import FOR, address, format_clock
from slipway.http.page.overview import SECTIONS, finished, percentile
from slipway.http.page.request_page import FoundRequests, find_requests, request, search_requests
from slipway.http.page.routes import OLDEST_ROWS_SECONDS, DaemonIdentity, DocumentBuilder, StatusPage, assets
from slipway.http.page.snapshot import FINISHED_ROWS, FLIGHT_ROWS, WAITING_ROWS, Account, Flight, View, rows_of, view_of
from slipway.worker.publishing.publisher import HistoryEntry
from tests.simulator.bedrock import Rules
from tests.simulator.simulation import World
from tests.simulator.virtual_loop import run
from tests.support.diagnosis import diagnosis_of

EVIL = "<script>alert(1)</script>\" onload='x' style=x &lt; \x1b[31m"
QUIET = View(
    is_stopping=False,
    accounts=(Account("default", "us-east-1 · 123456789012", 0, Counts(0, 0), Quota()),),
    held=0,
    in_flight=0,
    waiting=0,
    reasons={},
    flights=(),
    waiting_rows=(),
    waiting_from=0,
    finished=(),
    endings={},
    active_seconds=(),
)
HELD = RequestStatus(message_id="m-1", receive_count=1, received_at=1000.0, now=1090.0, lease_seconds=60.0)
HOUR = CallHistory({}, lambda: 0.0).hour()


class Reader(HTMLParser):
    """Reads a page as a browser does: its elements, and its text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def shown(view: View, hour: LastHour = HOUR) -> Reader:
    sections = {name: section(view, hour) for name, section in SECTIONS.items()}
    place = DaemonIdentity("slipway-requests", "123456789012", "us-east-1")
    return Reader(DocumentBuilder(place, assets()).document("Slipway", sections, "/live", "whole"))


def evil(kind: Any, **more: object) -> Any:
    """A value that says something evil wherever it may say anything."""
    texts = {field.name: EVIL for field in fields(kind) if "str" in str(field.type)}
    return kind(**({"waited": ()} if kind is RequestStatus else {}) | texts | more)


def evil_everywhere() -> tuple[View, FoundRequests]:
    wait = Wait(EVIL, EVIL, 1000.0, 3)
    held = evil(
        RequestStatus, receive_count=2, received_at=1000.0, now=1090.0, lease_seconds=60.0, waited=(wait,), deadline=2000.0
    )
    story = HistoryEntry(evil(FinishedRequest, at=1100.0), 1000.0, 2, (wait,))
    view = replace(
        QUIET,
        accounts=(evil(Account, own=1, counts=Counts(2, 3), quota=Quota(), usual_seconds=9.0),) * 2,
        held=2,
        in_flight=1,
        waiting=1,
        reasons={EVIL: 1},
        flights=(Flight(held, 50.0),),
        waiting_rows=(held,),
        finished=(story,),
        endings={EVIL: 1},
    )
    return view, FoundRequests((held,), (story,))


def pages() -> Iterator[Reader]:
    view, found = evil_everywhere()
    counted = {(EVIL, "Applied"): 3}
    yield shown(view, CallHistory(counted, lambda: 0.0).hour())
    yield Reader(
        DocumentBuilder(DaemonIdentity(EVIL, EVIL, EVIL), assets()).document(
            EVIL, {"r": request(found, EVIL)}, address(EVIL), "one"
        )
    )
    yield Reader(request(FoundRequests((), ()), EVIL))


def test_whatever_is_said_stays_text_and_no_element_has_a_script_or_a_style_of_its_own() -> None:
    for page in pages():
        assert "<script>alert(1)</script>" in page.text
        assert "\x1b" not in page.text
        for tag, attributes in page.tags:
            assert not {name for name in attributes if name.startswith("on") or name == "style"}, (tag, attributes)
            assert tag != "style"
        assert all(set(script) == {"src", "defer"} for script in page.all("script"))


def test_everything_that_a_page_loads_is_the_daemons_own() -> None:
    loaded = {
        value
        for page in pages()
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in {"src", "href", "action", "data-live"}
    }
    assert loaded
    assert all(str(value).startswith(("/", "#")) and not str(value).startswith("//") for value in loaded), loaded
    for asset in assets().values():
        assert not re.search(rb"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", asset.content), asset.name


def test_a_quiet_daemon_says_so_in_every_section() -> None:
    page = shown(QUIET)
    for said in (
        "No requests.",
        "No deployment is in creation.",
        "No request waits.",
        "No request has finished in this replica yet.",
        "limit not known",
    ):
        assert said in page.text


def test_identifiers_are_unique_and_titles_are_in_order() -> None:
    page = shown(evil_everywhere()[0])
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert next(tag for tag, _ in page.tags if tag in {"h1", "h2", "h3"}) == "h1"
    assert len(page.all("h1")) == 1
    for section in page.all("section"):
        assert section.get("aria-labelledby", section["id"]) in ids


WAITS = list(Reason)[list(Reason).index(Reason.PREDECESSOR) :]


@pytest.mark.parametrize("reason", WAITS)
def test_one_reason_of_all_who_wait_is_in_the_headline(reason: Reason) -> None:
    page = shown(replace(QUIET, held=3, waiting=3, reasons={reason.value: 3}, waiting_rows=(HELD,)))
    assert f"3 requests wait {FOR[reason.value]}." in page.text


def test_a_creation_and_its_bar_have_one_estimate() -> None:
    flying = replace(HELD, name="bot", waits_for="InCreation", prospect=Eta(to_end=180.0))
    page = shown(replace(QUIET, held=1, in_flight=1, flights=(Flight(flying, 60.0, 240.0),)))
    assert page.all("progress") == [{"max": "100", "value": "25", "aria-label": "25 %, about 3 min left"}]
    late = replace(flying, prospect=Eta(to_end=30.0))
    page = shown(replace(QUIET, held=1, in_flight=1, flights=(Flight(late, 300.0, 240.0),)))
    assert (page.all("progress")[0]["value"], page.all("progress")[0]["class"]) == ("91", "late")
    assert "longer than usual" in page.text
    unknown = replace(flying, prospect=Eta())
    page = shown(replace(QUIET, held=1, in_flight=1, flights=(Flight(unknown, 60.0),)))
    assert not page.all("progress")
    assert "no estimate yet" in page.text


def test_how_long_it_will_be_is_said_as_roughly_as_it_is_known() -> None:
    flying = replace(HELD, name="bot", waits_for="InCreation", prospect=Eta(to_end=182.0))
    waiter = replace(HELD, name="next", waits_for="NoSlot", prospect=Eta(7, 1900.0, 2500.0))
    view = replace(QUIET, held=2, in_flight=1, waiting=1, flights=(Flight(flying, 60.0),), waiting_rows=(waiter,))
    text = shown(replace(view, reasons={"NoSlot": 1})).text
    for said in ("1 min", "about 3 min left", "for a slot, about 32 min", "7"):
        assert said in text, said


def test_slots_are_a_picture_with_words() -> None:
    quota = Quota(max_creating=4, learned_total=10)
    page = shown(replace(QUIET, accounts=(Account("default", "us-east-1", 2, Counts(3, 8), quota),)))
    said = [one.get("aria-label") for _, one in page.tags if one.get("class") == "cells"]
    assert said == ["In creation: 3 of 4, limit set", "In total: 8 of 10, limit learned"]
    looks = [str(one["class"]) for one in page.all("span") if str(one.get("class")).startswith("cell ")]
    assert looks[:4] == ["cell own", "cell own", "cell others", "cell free"]
    assert looks[4:14] == ["cell own"] * 2 + ["cell others"] + ["cell rest"] * 5 + ["cell free"] * 2


@pytest.mark.parametrize(
    ("quota", "said"),
    [
        (Quota(learned_creating=2), ["In creation: 2 of 2, limit learned", "In total: 4, limit not known"]),
        (Quota(learned_total=4), ["In creation: 2, limit not known", "In total: 4 of 4, limit learned"]),
        (Quota(max_creating=5, learned_total=4), ["In creation: 2 of 5, limit set", "In total: 4 of 4, limit learned"]),
        (Quota(max_creating=5, learned_creating=2), ["In creation: 2 of 2, limit learned", "In total: 4, limit not known"]),
        (Quota(max_creating=2, max_total=9), ["In creation: 2 of 2, limit set", "In total: 4 of 9, limit set"]),
    ],
)
def test_of_a_limit_no_more_is_said_than_is_known(quota: Quota, said: list[str]) -> None:
    page = shown(replace(QUIET, accounts=(Account("default", "us-east-1", 2, Counts(2, 4), quota),)))
    assert [one.get("aria-label") for _, one in page.tags if one.get("class") == "cells"] == said
    opens = [one for one in page.all("span") if one.get("class") == "cell open"]
    assert len(opens) == sum("not known" in each for each in said), "what is not known is seen, too"


def test_what_is_not_known_is_no_zero() -> None:
    uncounted = Account("default", "us-east-1", 0, Counts(0, 0), Quota(), is_counted=False)
    text = shown(replace(QUIET, accounts=(uncounted,))).text
    assert "not counted yet" in text
    assert "not known yet" in text, "the dead letters"
    counted = replace(uncounted, is_counted=True, counts=Counts(0, 9), quota=Quota(learned_total=10))
    page = shown(replace(QUIET, accounts=(counted,), dead_letters=3, failed_today=2, oldest_seconds=75.0))
    for said in ("of 10 deployments", "1 min 15 s"):
        assert said in page.text
    assert [one["class"] for one in page.all("b") if one.get("class") == "bad"] == ["bad", "bad"]


@pytest.mark.parametrize(("number", "is_drawn"), [(2, False), (19, False), (20, True)])
def test_few_times_are_two_percentiles_and_no_histogram(number: int, is_drawn: bool) -> None:  # noqa: FBT001  a parameter
    page = shown(replace(QUIET, active_seconds=tuple(float(second) for second in range(60, 60 + number))))
    assert "p50" in page.text
    assert "p95" in page.text
    assert bool([one for one in page.all("rect") if one.get("class") == "answered"]) is is_drawn


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(value) for value in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.95)) == (50.0, 95.0)
    assert percentile([3.0], 0.95) == 3.0


def test_a_time_of_another_day_has_its_date() -> None:
    noon = 1_795_953_600.0
    assert re.search(r">\d\d:\d\d:\d\d<", format_clock(noon, noon + 3600))
    assert re.search(r">\d\d \w{3} \d\d:\d\d<", format_clock(noon, noon + 86_400))
    assert re.search(r">\d\d \w{3} \d\d:\d\d<", format_clock(noon, noon + 12 * 3600)), "just after midnight"


def test_requests_are_found_by_the_beginning_of_their_names_and_ids() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=1, creation_seconds=(600.0, 600.0)))
        world.start()
        slipway = world.replicas["a"].slipway
        for name in ("support-a", "support-b", "search-c"):
            world.ask(name, requestId=f"train-{name}")
        await asyncio.sleep(700.0)
        assert [entry.finished.name for entry in search_requests(slipway, "SUPPORT-A").ended] == ["support-a"]
        assert {held.name for held in search_requests(slipway, "s").held} == {"support-b", "search-c"}
        assert len(search_requests(slipway, "train-supp").held) == 1
        assert search_requests(slipway, "upport").is_empty
        page = Reader(request(search_requests(slipway, "supp"), "supp"))
        assert len(page.all("tr")) == 3
        assert {link["href"] for link in page.all("a")} == {address("train-support-a"), address("train-support-b")}
        await world.stop()

    run(main())


def test_each_target_has_its_slots() -> None:
    home, away = QUIET.accounts[0], Account("europe", "eu-west-1 · 222222222222", 1, Counts(1, 1), Quota())
    page = shown(replace(QUIET, accounts=(home, away)))
    assert len(page.all("h3")) == 2
    for said in ("default", "europe", "eu-west-1 · 222222222222"):
        assert said in page.text, said
    assert not shown(QUIET).all("h3"), "one needs no name"


def test_every_problem_is_in_the_headline_with_its_remedy() -> None:
    found = (
        Problem(ProblemKind.DENIED, Severity.BLOCKED, "AWS denies calls.", "Grant it."),
        Problem(ProblemKind.DEAD_LETTERS, Severity.DEGRADED, "3 dead letters.", "List them."),
    )
    page = shown(replace(QUIET, problems=found))
    for said in ("Blocked", "AWS denies calls.", "Grant it.", "3 dead letters.", "List them."):
        assert said in page.text, said
    assert "OK" in shown(QUIET).text


def test_thousands_of_slots_are_one_bar() -> None:
    page = shown(replace(QUIET, accounts=(Account("default", "us-east-1", 900, Counts(900, 9000), Quota(1000, 10_000)),)))
    assert len(page.tags) < 200
    assert "In total: 9,000 of 10,000, limit set" in {one.get("aria-label") for one in page.all("svg")}


def test_what_a_world_does_is_what_is_seen() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=2, max_total=3, creation_seconds=(600.0, 600.0)))
        world.start()
        slipway = world.replicas["a"].slipway
        for number in range(WAITING_ROWS + 12):
            world.ask(f"bot-{number}", requestId=f"r-{number}")
            await asyncio.sleep(0.1)
        world.ask("bot-0", requestId="again")
        world.sqs.put('{"requestId": "<b>"}', group="x")
        await asyncio.sleep(300.0)
        view = view_of(slipway, rows_of(slipway))
        assert (view.held, view.in_flight, view.waiting) == (WAITING_ROWS + 13, 2, WAITING_ROWS + 11)
        assert [flight.held.name for flight in view.flights] == ["bot-0", "bot-1"]
        assert all(299 < flight.seconds < 305 for flight in view.flights)
        assert [held.place for held in view.waiting_rows] == list(range(1, WAITING_ROWS + 1))
        last = view_of(slipway, rows_of(slipway, WAITING_ROWS)).waiting_rows
        assert [held.place for held in last] == [*range(WAITING_ROWS + 1, WAITING_ROWS + 11), 1]
        assert last[-1].waits_for == "PredecessorRunning"
        assert view.reasons == {"NoSlot": WAITING_ROWS + 10, "PredecessorRunning": 1}
        assert [story.finished.outcome for story in view.finished] == ["Rejected"]
        await asyncio.sleep(700.0)
        view = view_of(slipway, rows_of(slipway))
        assert view.accounts[0].usual_seconds == pytest.approx(600.0)
        assert view.endings == {"Active": 3, "Rejected": 1}, "the deploy of a name that exists has not waited for a slot"
        text = shown(view).text
        assert "requests wait" in text
        assert "of 3" in text, "the limit that was met"
        await world.stop()

    run(main())


def test_an_account_that_is_full_blocks_and_no_end_is_estimated() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=2, max_total=4, creation_seconds=(600.0, 600.0)))
        world.start()
        slipway = world.replicas["a"].slipway
        for number in range(9):
            world.ask(f"bot-{number}")
            await asyncio.sleep(0.1)
        diagnosis = diagnosis_of(slipway)
        await asyncio.sleep(300.0)
        assert diagnosis.problems() == (), "slots become free by themselves"
        await asyncio.sleep(2400.0)
        (problem,) = diagnosis.problems()
        assert (problem.kind, problem.severity) == (ProblemKind.QUOTA_FULL, Severity.BLOCKED)
        assert "4 of 4 deployments exist, 5 requests wait" in problem.text
        quota = slipway.slots.quota
        assert (quota.limit_in_creation, quota.limit_in_total) == (2, 4), "the total does not make the other one forgotten"
        view = view_of(slipway, rows_of(slipway), diagnosis.problems())
        assert all(held.prospect.to_slot is None for held in view.waiting_rows)
        text = shown(view).text
        assert "Blocked" in text
        assert problem.remedy in text
        await world.stop()

    run(main())


def test_of_many_in_creation_the_oldest_are_shown_and_they_first() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=500, max_total=500, creation_seconds=(900.0, 900.0)))
        world.start()
        slipway = world.replicas["a"].slipway
        for number in range(FLIGHT_ROWS + 10):
            world.ask(f"bot-{number:02}")
            await asyncio.sleep(2.0)
        view = view_of(slipway, rows_of(slipway))
        assert view.in_flight == FLIGHT_ROWS + 10
        assert [flight.held.name for flight in view.flights] == [f"bot-{number:02}" for number in range(FLIGHT_ROWS)]
        await world.stop()

    run(main())


def test_who_is_on_the_page_is_looked_up_again_when_something_has_happened_or_after_a_minute() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=50, max_total=50, creation_seconds=(900.0, 900.0)))
        world.start()
        page = StatusPage(
            diagnosis_of(world.replicas["a"].slipway), {}, DaemonIdentity("slipway-requests", "123456789012", "us-east-1")
        )

        def flights(*, has_happened: bool) -> str:
            return Reader(page._draw(None, has_happened=has_happened)["flights"]).text  # noqa: SLF001  what it costs is the point

        world.ask("one")
        await asyncio.sleep(30.0)
        assert "one" in flights(has_happened=True)
        world.ask("two")
        await asyncio.sleep(30.0)
        as_before = flights(has_happened=False)
        assert "59 s" in as_before, "time passes, all the same"
        assert "two" not in as_before
        assert "two" in flights(has_happened=True)
        world.ask("three")
        await asyncio.sleep(OLDEST_ROWS_SECONDS + 1.0)
        assert "three" in flights(has_happened=False)
        await world.stop()

    run(main())


def test_a_page_is_never_longer_than_its_rows() -> None:
    story = HistoryEntry(FinishedRequest(request_id="r", message_id="m", outcome="Active", event_id="e", at=1.0), 0.0, 1, ())

    async def main() -> None:
        world = World(rules=Rules(max_creating=0), terms={"max_held": 310})  # deploys take all but ten
        world.start()
        slipway = world.replicas["a"].slipway
        for number in range(300):
            world.ask(f"bot-{number}")
        await world.until(lambda: slipway.slots.waiting == 300)
        assert len(view_of(slipway, rows_of(slipway)).waiting_rows) == WAITING_ROWS
        assert len(view_of(slipway, rows_of(slipway, 290)).waiting_rows) == 10
        assert view_of(slipway, rows_of(slipway, 10_000)).waiting_rows == ()
        await world.stop()

    run(main())
    view = replace(QUIET, finished=(story,) * FINISHED_ROWS)
    assert len([row for row in shown(view).all("tr") if str(row.get("id")).startswith("e-")]) == FINISHED_ROWS
    paged = Reader(finished(replace(view, finished_from=10, finished_total=35), HOUR))
    assert [link["href"] for link in paged.all("a")][-2:] == ["/?finished=0#finished", "/?finished=20#finished"]


def test_a_request_has_a_page_before_and_after_its_end() -> None:
    async def main() -> None:
        world = World(rules=Rules(max_creating=1, creation_seconds=(600.0, 600.0)))
        world.start()
        slipway = world.replicas["a"].slipway
        world.ask("first")
        await asyncio.sleep(1.0)
        world.ask("bot", requestId="r-1")
        await asyncio.sleep(60.0)
        page = Reader(request(find_requests(slipway, "r-1"), "r-1"))
        for said in ("bot", "Waits for a slot", "Received", "Deadline", "1 in the queue for a slot"):
            assert said in page.text, said
        assert "Waited" not in page.text, "it still does"
        await world.all_answered()
        for word in ("r-1", "bot", world.account.made[1].arn):
            page = Reader(request(find_requests(slipway, word), word))
            assert re.search("Received .*Waited for a slot, .*In creation .*Active", page.text)
        assert find_requests(slipway, "nobody").is_empty
        await world.stop()

    run(main())
