"""What looking costs: `python -m tests.bench.page`, by hand, 25 minutes. Needs chromium (`make browser` installs it).

5,000 requests are held, all in line for a slot or all in creation, and in a third run a few a second come and go. The daemon's
CPU with five viewers, and with none, in pairs of turns, whose first is the other one each time: what else the machine does, and
how that changes, is in both. A turn is as long as it takes to extend all leases once, which is half of what a daemon does that
waits, and comes in a burst. Then what a browser says of its first paint.
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
from tests.bench.running import SLIPWAY, Client, Service, client, service
from tests.browser.chromium import chromium

HELD = 5000
VIEWERS = 5
PAIRS = 4
LONGEST_ROUND_SECONDS = 120.0
STILL_SECONDS = 2.0
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


async def round_of_leases(served: Service) -> None:
    """Return when all leases have been extended once more, nearly, and none is just being extended."""
    first = (await served.ask("progress"))["extended"]
    await served.until(lambda progress: progress["extended"] - first > 0.9 * HELD, LONGEST_ROUND_SECONDS)
    await asyncio.sleep(STILL_SECONDS)


async def share(served: Service, process: Client, number: int) -> float:
    """Return the share of a core that the daemon takes with so many viewers."""
    async with viewers(process.http_port, number):
        await asyncio.sleep(STILL_SECONDS)
        before, began = process.cpu_seconds(), time.monotonic()
        await round_of_leases(served)
        return (process.cpu_seconds() - before) / (time.monotonic() - began)


async def pair(served: Service, process: Client, *, is_alone_first: bool) -> tuple[float, float]:
    """Return its share of a core without viewers, and with them."""
    if is_alone_first:
        return await share(served, process, 0), await share(served, process, VIEWERS)
    looked = await share(served, process, VIEWERS)
    return await share(served, process, 0), looked


async def first_paints(port: int) -> list[float]:
    """Return how many milliseconds it took to the first paint, of a fresh browser and then again and again."""
    async with chromium() as tab:
        await tab.look()
        taken = []
        for _ in range(PAINTS):
            await tab.open(f"http://127.0.0.1:{port}/")
            await tab.until(f"{PAINTED} > 0")
            taken.append(float(await tab.evaluate(PAINTED)))
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
        await round_of_leases(served)
        pairs = [await pair(served, process, is_alone_first=number % 2 == 0) for number in range(PAIRS)]
        stall = await process.metric("slipway_loop_longest_stall_seconds")
        paints = await first_paints(process.http_port)
    quiet, more = median(without for without, _ in pairs), median(looked - without for without, looked in pairs)
    print(f"{name}: {HELD} held; {quiet:.3%} of a core, with {VIEWERS} viewers {more:.3%} more: up by {more / quiet:.1%}")
    print(f"  pairs: {' '.join(f'{a:.3%}/{b:.3%}' for a, b in pairs)}; longest stall {stall:.3f} s")
    print(f"  first contentful paint, ms: {' '.join(f'{paint:.0f}' for paint in paints)}", flush=True)


async def main() -> None:
    """Look at all scenes, or at those that are named."""
    for name in sys.argv[1:] or SCENES:
        await scene(name)


if __name__ == "__main__":
    asyncio.run(main())
