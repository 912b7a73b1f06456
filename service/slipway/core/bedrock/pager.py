"""Read a listing page by page; the reading ends whatever the tokens say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Generic, Self, TypeVar

from slipway.core.bedrock.deployments import Page
from slipway.core.bedrock.errors import EndlessListing

P = TypeVar("P")

MOST_PAGES: Final = 1000
"""Pages of one listing: more than any account has, so that tokens that are always new end too."""


class Pager(Generic[P]):
    """Yield the pages of one listing, for `async for`.

    `fetch` gets the page at a token (None for the first page), `token_of` reads the token of the next page from it (None on
    the last). Every page that was read is yielded. After a page whose token was answered before, raises `EndlessListing`
    instead of asking again: the caller treats it as a failed read, and pauses. What `fetch` raises goes through.
    """

    def __init__(
        self, operation: str, fetch: Callable[[str | None], Awaitable[P]], token_of: Callable[[P], str | None]
    ) -> None:
        self._operation = operation
        self._fetch = fetch
        self._token_of = token_of
        self._token: str | None = None
        self._seen: set[str] = set()
        self._is_last = False
        self._why = ""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> P:
        if self._is_last:
            raise StopAsyncIteration
        if self._why:
            raise EndlessListing(self._operation, "EndlessListing", self._why)
        page = await self._fetch(self._token)
        token = self._token = self._token_of(page)
        if token is None:
            self._is_last = True
        elif token in self._seen:
            self._why = "the token of its next page was answered before"
        elif len(self._seen) + 1 == MOST_PAGES:
            self._why = f"it has more than {MOST_PAGES} pages"
        else:
            self._seen.add(token)
        return page


def deployment_pages(fetch: Callable[[str | None], Awaitable[Page]]) -> Pager[Page]:
    """Return the pages of a listing of deployments."""
    return Pager("ListCustomModelDeployments", fetch, lambda page: page.next_token)
