"""Garbage is looked for by the clock, however few objects more there are than before."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from service.daemon import COLLECTED_EVERY_SECONDS, collect_the_young
from tests.world.loop import run


class Knot:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def _by_the_clock_only() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_by_the_clock_only")
def test_what_is_new_and_has_gone_in_a_cycle_is_taken_away() -> None:
    async def scene() -> None:
        collecting = asyncio.create_task(collect_the_young())
        await asyncio.sleep(COLLECTED_EVERY_SECONDS / 2)
        gone = weakref.ref(Knot())
        assert gone() is not None
        await asyncio.sleep(COLLECTED_EVERY_SECONDS)
        assert gone() is None
        collecting.cancel()

    run(scene())
