"""What looking costs: `python -m tests.bench.page`, by hand, a few minutes. Needs chromium (`make browser` installs it).

5,000 requests are held, all in line for a slot or all in creation, and in a third run a few a second come and go. The daemon's
CPU with five viewers, and with none, in turns; and what a browser says of its first paint.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

import aiohttp

from tests.bench.cloud import Terms
from tests.bench.running import SLIPWAY, Client, client, service
from tests.browser.chromium import chromium

HELD = 5000
VIEWERS = 5
TURNS = 3
SECONDS = 20.0
PAINTS = 5
PAINTED = "(performance.getEntriesByType('paint').find((one) => one.name === 'first-contentful-paint')?.startTime ?? 0)"
HOUR = (3600.0, 3600.0)
SCENES = {
    "all in line for a slot": (Terms(HELD, creation_seconds=HOUR), {"SLIPWAY_MAX_CREATING": "2"}),
    "all in creation": (Terms(HELD, creation_seconds=HOUR), {}),
    "20 a second come and go": (Terms(20_000, creation_seconds=(10.0, 10.0)), {"SLIPWAY_MAX_CREATING": "200"}),
}


@asynccontextmanager
async def viewers(port: int, number: int) -> AsyncIterator[None]:
    """Within, so many look at the page, and take in all that is new."""

    async def view(session: aiohttp.ClientSession) -> None:
        async with session.get("/live") as answer:
            async for _ in answer.content.iter_any():
                pass

    timeout = aiohttp.ClientTimeout(total=None)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=timeout))
        tasks = [asyncio.create_task(view(session)) for _ in range(number)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def share(process: Client, number: int) -> float:
    """Answer the share of a core that the daemon takes with so many viewers."""
    async with viewers(process.http_port, number):
        await asyncio.sleep(2.0)
        before, began = process.cpu_seconds(), time.monotonic()
        await asyncio.sleep(SECONDS)
        return (process.cpu_seconds() - before) / (time.monotonic() - began)


async def first_paints(port: int) -> list[float]:
    """Answer how many milliseconds it took to the first paint, of a fresh browser and then again and again."""
    async with chromium() as tab:
        await tab.look()
        taken = []
        for _ in range(PAINTS):
            await tab.open(f"http://127.0.0.1:{port}/")
            await tab.until(f"{PAINTED} > 0")
            taken.append(float(await tab.tell(PAINTED)))
            await tab.open("about:blank")
        return taken


async def scene(name: str) -> None:
    """Look at one scene, and print its figures."""
    terms, settings = SCENES[name]
    common = {
        "SLIPWAY_REAP_INTERVAL": "0",
        "SLIPWAY_MAX_HELD": str(HELD),
        "SLIPWAY_TIMEOUT": "86400",
        "SLIPWAY_VISIBILITY_TIMEOUT": "120",
    }
    async with service(terms) as served, client(SLIPWAY, served.url, **common, **settings) as process:
        await served.until(lambda progress: progress["polled"], 30.0)
        await served.ask("open")
        while await process.metric("slipway_requests_held") < HELD:  # noqa: ASYNC110  of another process
            await asyncio.sleep(1.0)
        await asyncio.sleep(10.0)
        without, looked = [], []
        for _ in range(TURNS):
            without.append(await share(process, 0))
            looked.append(await share(process, VIEWERS))
        stall = await process.metric("slipway_loop_longest_stall_seconds")
        paints = await first_paints(process.http_port)
    quiet, seen = median(without), median(looked)
    print(f"{name}: {HELD} held; {quiet:.2%} of a core, with {VIEWERS} viewers {seen:.2%}: up by {seen / quiet - 1:.1%}")
    print(f"  turns: {' '.join(f'{a:.2%}/{b:.2%}' for a, b in zip(without, looked, strict=True))}; longest stall {stall:.3f} s")
    print(f"  first contentful paint, ms: {' '.join(f'{paint:.0f}' for paint in paints)}", flush=True)


async def main() -> None:
    """Look at all scenes, or at those that are named."""
    for name in sys.argv[1:] or SCENES:
        await scene(name)


if __name__ == "__main__":
    asyncio.run(main())
