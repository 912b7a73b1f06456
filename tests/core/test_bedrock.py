"""A listing is read to its end; tokens that lead nowhere are a failed read, and cost no more calls than there are tokens."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from slipway.core.bedrock import MOST_PAGES, Pager
from slipway.core.call_errors import EndlessListing
from tests.simulator.virtual_loop import run


def read(next_of: Callable[[str | None], str | None]) -> tuple[list[str | None], bool]:
    """Read a listing whose page at a token leads to `next_of` it; return the tokens asked, and whether it ended well."""
    asked: list[str | None] = []

    async def fetch(token: str | None) -> str | None:
        asked.append(token)
        return token

    async def main() -> bool:
        shown = 0
        try:
            async for page in Pager("List", fetch, next_of):
                assert page == asked[-1]
                shown += 1
        except EndlessListing:
            return False
        finally:
            assert shown == len(asked), "every page that was read is shown"
        return True

    return asked, run(main())


def test_a_listing_is_read_to_its_last_page() -> None:
    assert read({None: "a", "a": "b", "b": None}.__getitem__) == ([None, "a", "b"], True)


@pytest.mark.parametrize(
    ("tokens", "asked"),
    [
        ({None: "AAAA", "AAAA": "AAAA"}, [None, "AAAA"]),
        ({None: "a", "a": "b", "b": "a"}, [None, "a", "b"]),
        ({None: "a", "a": "b", "b": "c", "c": "c"}, [None, "a", "b", "c"]),
    ],
)
def test_a_token_that_comes_again_ends_the_reading(tokens: dict[str | None, str], asked: list[str | None]) -> None:
    assert read(tokens.__getitem__) == (asked, False)


def test_tokens_that_are_always_new_end_too() -> None:
    numbers = count()
    asked, ended_well = read(lambda _: str(next(numbers)))
    assert (len(asked), ended_well) == (MOST_PAGES, False)
