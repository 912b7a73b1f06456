"""One picture for all who look, drawn only while somebody looks."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from slipway.http.page.live_stream import (
    LEAST_REST_SHARE,
    OLDEST_QUIET_SECONDS,
    OLDEST_SECONDS,
    QUIET_SHARE,
    REST_SHARE,
    SECOND,
    LiveView,
)
from tests.simulator.virtual_loop import VirtualLoop, run


class Drawing:
    """Counts how often it is drawn; takes so many seconds each time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.drawn = 0
        self.changing = "a"
        self.told: list[bool] = []
        """Whether something had happened, as it was told."""
        self._seconds = seconds

    def __call__(self, *, has_happened: bool) -> dict[str, str]:
        self.drawn += 1
        self.told.append(has_happened)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.select(self._seconds)
        return {"still": "<p>still</p>", "moving": f"<p>{self.changing}</p>"}


async def look(screen: LiveView, heard: list[dict[str, Any]], most: int = 1000) -> None:
    async with aclosing(screen.follow()) as news:
        async for told in news:
            heard.append(json.loads(told))
            if len(heard) == most:
                return


def test_first_all_of_it_then_what_has_changed() -> None:
    async def main() -> None:
        drawing, heard = Drawing(), list[dict[str, Any]]()
        screen = LiveView(drawing)
        looking = asyncio.create_task(look(screen, heard, most=2))
        await asyncio.sleep(5.5)
        drawing.changing = "<b>"
        await looking
        assert heard == [{"still": "<p>still</p>", "moving": "<p>a</p>"}, {"moving": "<p><b></p>"}]

    run(main())


def test_five_who_look_cost_one_drawing_and_nobody_costs_none() -> None:
    async def main() -> None:
        drawing = Drawing()
        screen = LiveView(drawing)
        heard: list[list[dict[str, Any]]] = [[] for _ in range(5)]
        looking = [asyncio.create_task(look(screen, one, most=2)) for one in heard]
        await asyncio.sleep(10.5)
        assert drawing.drawn == 11
        drawing.changing = "b"
        await asyncio.gather(*looking)
        assert all(len(one) == 2 for one in heard)
        seen = drawing.drawn
        await asyncio.sleep(60.0)
        assert drawing.drawn == seen + 1, "the one that was due when the last of them left"
        assert screen.viewers == 0

    run(main())


@pytest.mark.parametrize(
    ("seconds", "apart"),
    [(0.001, SECOND), (0.01, 0.01 * REST_SHARE), (0.1, OLDEST_SECONDS), (0.5, 0.5 * LEAST_REST_SHARE)],
)
def test_what_takes_long_to_draw_is_drawn_seldom(seconds: float, apart: float) -> None:
    async def main() -> None:
        drawing = Drawing(seconds)
        screen = LiveView(drawing)
        looking = asyncio.create_task(look(screen, []))
        await asyncio.sleep(4.5 * apart)
        assert drawing.drawn == 5
        screen.close()
        await looking

    run(main())


def test_while_nothing_happens_it_is_drawn_seldom_and_what_happens_is_seen_soon() -> None:
    async def main() -> None:
        drawing, heard, happened = Drawing(seconds=0.002), list[dict[str, Any]](), 0
        screen = LiveView(drawing, lambda: happened)
        looking = asyncio.create_task(look(screen, heard))
        await asyncio.sleep(3 * 0.002 * QUIET_SHARE + 0.5)
        assert drawing.drawn == 4
        for word in "bcd":
            drawing.changing, happened = word, happened + 1
            await asyncio.sleep(0.002 * REST_SHARE + SECOND)
            assert heard[-1] == {"moving": f"<p>{word}</p>"}
        seen, drawing.changing = drawing.drawn, "e"
        await asyncio.sleep(0.002 * QUIET_SHARE)
        assert drawing.drawn == seen + 1
        assert heard[-1] == {"moving": "<p>e</p>"}, "also what nobody has said to have happened"
        assert drawing.told == [True, False, False, False, True, True, True, False]
        screen.close()
        await looking

    run(main())


def test_however_long_it_takes_to_draw_a_picture_is_not_older_than_some_seconds_while_nothing_happens() -> None:
    async def main() -> None:
        drawing = Drawing(seconds=0.02)
        screen = LiveView(drawing, lambda: 0)
        looking = asyncio.create_task(look(screen, []))
        await asyncio.sleep(3 * OLDEST_QUIET_SECONDS + 0.5)
        assert drawing.drawn == 4
        screen.close()
        await looking

    run(main())


def test_who_comes_sees_what_is_so_however_seldom_it_is_drawn_for_those_who_stay() -> None:
    async def main() -> None:
        drawing = Drawing(seconds=0.02)
        screen = LiveView(drawing, lambda: 0)
        looking = asyncio.create_task(look(screen, []))
        await asyncio.sleep(OLDEST_QUIET_SECONDS / 2)
        assert drawing.drawn == 1
        drawing.changing = "b"
        assert screen.picture()["moving"] == "<p>b</p>"
        for _ in range(9):
            screen.picture()
        assert drawing.drawn == 2
        screen.close()
        await looking

    run(main())


def test_who_is_slow_skips_pictures_and_misses_no_change() -> None:
    async def main() -> None:
        drawing = Drawing()
        screen = LiveView(drawing)
        async with aclosing(screen.follow()) as news:
            assert set(json.loads(await anext(news))) == {"still", "moving"}
            for word in "bcd":
                drawing.changing = word
                await asyncio.sleep(2.0)
            assert json.loads(await anext(news)) == {"moving": "<p>d</p>"}
        screen.close()

    run(main())


def test_a_picture_that_cannot_be_drawn_ends_nothing() -> None:
    async def main() -> None:
        class Broken(Drawing):
            def __call__(self, *, has_happened: bool) -> dict[str, str]:
                drawn = super().__call__(has_happened=has_happened)
                if 3 <= self.drawn <= 5:
                    raise ValueError("a bug")
                return drawn

        drawing, heard = Broken(), list[dict[str, Any]]()
        screen = LiveView(drawing)
        looking = asyncio.create_task(look(screen, heard, most=2))
        await asyncio.sleep(3.5)
        drawing.changing = "b"
        await looking
        assert heard[1] == {"moving": "<p>b</p>"}
        assert drawing.drawn == 6

    run(main())


def test_closing_sends_everybody_away() -> None:
    async def main() -> None:
        screen = LiveView(Drawing())
        looking = [asyncio.create_task(look(screen, [])) for _ in range(3)]
        await asyncio.sleep(3.0)
        screen.close()
        screen.close()
        await asyncio.gather(*looking)

    run(main())
