"""The status page of a real daemon: whole without JavaScript, strict about what may run, and live."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from slipway.http.access import POLICY
from slipway.http.page.routes import MOST_VIEWERS
from slipway.local.behaviour import Behaviour
from slipway.local.stack import LocalAws
from tests.e2e.daemons import Daemon, a_request, daemon, listening

SLOW = Behaviour(max_creating=1, max_total=500, creation_seconds=(600.0, 600.0))
QUICK = Behaviour(max_creating=50, max_total=500, creation_seconds=(1.0, 2.0))


@asynccontextmanager
async def viewer(process: Daemon) -> AsyncIterator[aiohttp.ClientSession]:
    await process.until(lambda: bool(process.lines("daemon.started")))
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{process.port}", timeout=timeout, connector=connector) as session:
        yield session


async def news(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.content:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


async def test_the_page_is_whole_without_javascript_and_loads_nothing_of_others() -> None:
    async with LocalAws(terms=QUICK) as box, daemon(box) as process, listening(box) as results, viewer(process) as session:
        await box.send(a_request("bot"))
        await box.send(a_request("fails-bot"))
        await box.send('{"<script>alert(1)</script>": "<img src=x onerror=alert(1)>", "requestId": "poison"}')
        await results.until(lambda: len(results.outcomes()) == 3)
        async with session.get("/") as answer:
            page = await answer.text()
            assert answer.headers["Content-Security-Policy"] == POLICY
            assert "unsafe" not in POLICY
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for said in (
            "No requests.",
            "1 Active",
            "1 Failed",
            "1 Rejected",
            "slipway-requests",
        ):
            assert said in page, said
        assert "incompatible adapter rank" in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "<script>" not in page
        for path in {part.split('"')[0] for part in page.split('"/assets/')[1:]}:
            async with session.get(f"/assets/{path}") as answer:
                assert answer.status == 200
                assert "immutable" in answer.headers["Cache-Control"]
        async with session.get("/request", params={"about": "fails-bot"}) as answer:
            assert answer.status == 200
            assert "incompatible adapter rank" in await answer.text()
        async with session.get("/request", params={"about": "<script>"}) as answer:
            assert answer.status == 404
            page = await answer.text()
            assert "Not found in this replica" in page
            assert "<script>" not in page
        async with session.post("/") as answer:
            assert answer.status == 405
        for path in ("/", "/live", "/requests", "/metrics"):
            async with session.get(path, headers={"Host": "evil.example"}) as answer:
                assert answer.status == 421, "whose page has its name lead to loopback learns nothing"


async def test_what_happens_is_seen_as_it_happens() -> None:
    async with LocalAws(terms=SLOW) as box, daemon(box) as process, viewer(process) as session:
        async with session.get("/live") as answer, session.get("/live", params={"about": "bot"}) as about:
            assert answer.headers["Content-Type"] == "text/event-stream"
            heard = news(answer)
            first = await anext(heard)
            assert {"moment", "headline", "tiles", "slots", "flights", "waiting", "finished", "calls", "active"} == set(first)
            await box.send(a_request("bot"))
            async for told in heard:
                assert "finished" not in told, "only what has changed"
                if ">bot<" in told.get("flights", ""):
                    break
            async for told in news(about):
                if "In creation" in told.get("request", ""):
                    break
        assert not process.lines("page.faulted")


async def test_more_viewers_than_there_may_be_are_told_so_and_all_are_sent_away_in_the_end() -> None:
    async with LocalAws(terms=SLOW) as box, daemon(box) as process, viewer(process) as session:
        answers = [await session.get("/live", params={"about": str(number % 3)}) for number in range(MOST_VIEWERS)]
        for answer in answers:
            await anext(news(answer))
        async with session.get("/live") as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "30")
        answers.pop().close()
        status = 503
        async with asyncio.timeout(30):
            while status == 503:
                async with session.get("/live") as again:
                    status = again.status
        async with asyncio.TaskGroup() as everybody:
            for answer in answers:
                everybody.create_task(answer.read())
            process.process.terminate()
            await process.until(lambda: bool(process.lines("daemon.stopping")))
            assert (await process.end())[0] == 0


async def test_a_later_page_of_those_who_wait() -> None:
    async with LocalAws(terms=SLOW) as box, daemon(box) as process, viewer(process) as session:
        await asyncio.gather(*(box.send(a_request(f"bot-{number}")) for number in range(40)))
        await process.until(lambda: len(process.lines("request.accepted")) == 40)
        async with session.get("/live") as answer:
            async for told in news(answer):
                if "1 to 25 of 39" in told.get("waiting", ""):
                    break
        page = await (await session.get("/")).text()
        assert 'href="/?waiting=25#waiting"' in page
        async with session.get("/", params={"waiting": "25"}) as answer:
            page = await answer.text()
        assert page.count('id="w-') == 14
        assert "26 to 39 of 39" in page
        for strange in ("x", "-1", "9" * 50, "²"):
            async with session.get("/", params={"waiting": strange}) as answer:
                assert answer.status == 200
