"""Every action, with a kill -9 before its steps."""

from __future__ import annotations

import pytest

from tests.simulation import scenarios as stories


@pytest.mark.parametrize("name", stories.STORIES)
def test_a_story_ends_as_it_is_to_end_whenever_it_is_killed(name: str) -> None:
    assert not stories.breaks(name)
