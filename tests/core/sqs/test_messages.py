"""When a request begins a new count of receives."""

from __future__ import annotations

import pytest

from slipway.core.sqs.messages import QueueTraits


@pytest.mark.parametrize(
    ("most", "fifo", "handed_on_from"),
    [(None, False, None), (1, False, 2), (2, False, 2), (5, False, 2), (10, False, 2), (15, False, 7), (5, True, 5)],
)
def test_eight_receives_are_kept_in_hand_but_for_fifo(most: int | None, *, fifo: bool, handed_on_from: int | None) -> None:
    traits = QueueTraits(fifo, most, has_dead_letter_queue=True)
    handed_on = [count for count in range(1, 20) if traits.should_continue(count)]
    assert handed_on == ([] if handed_on_from is None else list(range(handed_on_from, 20)))
