"""Large messages: what is held is bounded in bytes, and no byte of a body is lost.

That what frees slots gets through beside a thousand of them is in `tests/simulation/soak.py`.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from slipway.core.sqs.messages import LONGEST_UNPACKED, Attribute, Message
from slipway.worker.queue.leases import SMALLEST_BUDGET_BYTES, SMALLEST_PLACE_BYTES, bytes_of_place
from tests.simulator.bedrock import USUAL
from tests.simulator.simulation import MODEL, World
from tests.simulator.sqs import Letter
from tests.simulator.virtual_loop import run

KIB = 1024
LARGEST = 256 * KIB


def padded(number: int, size: int = LARGEST) -> str:
    """A valid request of that many bytes, most of which is white space."""
    return json.dumps({"modelDeploymentName": f"bot-{number}", "modelArn": MODEL, "requestId": f"r-{number}"}).ljust(size)


def enveloped(number: int, rng: random.Random, size: int = LARGEST) -> str:
    """A valid request in an envelope of that many bytes, most of which nothing compresses."""
    request = json.dumps({"modelDeploymentName": f"bot-{number}", "modelArn": MODEL, "requestId": f"r-{number}"})
    envelope = {"Type": "Notification", "Message": request, "Signature": ""}
    left = size - len(json.dumps(envelope))
    return json.dumps(envelope | {"Signature": rng.randbytes(left // 2).hex()})


def test_requests_of_the_largest_size_are_all_served_one_after_the_other() -> None:
    """However few may be held at once, one of them always may."""

    async def main() -> None:
        world, rng = (
            World(rules=replace(USUAL, max_creating=50, max_total=100, creation_seconds=(5.0, 9.0)), terms={"max_held": 4}),
            random.Random(1),
        )
        for number in range(9):
            world.sqs.put(enveloped(number, rng))
        world.start()
        await world.all_answered()
        assert set(world.outcomes().values()) == {"Active"}
        assert len(world.outcomes()) == 9
        await world.stop()

    run(main())


@pytest.mark.parametrize("body", ["padded", "enveloped", "padded before"])
def test_what_is_continued_and_what_is_rejected_is_as_it_came(body: str) -> None:
    size, rng = 100 * KIB, random.Random(1)
    text = {"padded": padded(1, size), "enveloped": enveloped(1, rng, size)}.get(body, " " * size + padded(1, 0))

    async def main() -> None:
        world = World(max_receive_count=2, rules=replace(USUAL, creation_seconds=(60.0, 60.0)))
        given = {"note": "x" * 300}
        sent: list[Letter] = [each for each in (world.sqs.put(text, given), world.sqs.put(text[:-1] + "x", given)) if each]
        for each in sent:
            each.receive_count = 1  # the next receive is its last: it is continued at once
        world.start()
        await world.until(lambda: bool(world.dead.all))
        await world.all_answered()
        continued = [each for each in world.sqs.all if each not in sent]
        assert continued
        assert {each.body for each in continued} == {text} | {each.body for each in continued if each.body.endswith("x")}
        assert all(each.attributes["note"] == given["note"] for each in continued)
        assert world.dead.all[0].body == text[:-1] + "x"
        await world.stop()

    run(main())


@pytest.mark.parametrize(
    "body", ["", "{}", "x" * LONGEST_UNPACKED, "x" * 100_000, "€" * 50_000, "\ud800" * 5000, "😀" + "x" * 9000]
)
def test_a_packed_message_is_the_same_and_never_larger(body: str) -> None:
    attributes: dict[str, Any] = {"text": "some", "bytes": Attribute("Binary", b"x" * 100)}
    message = Message("m-1", body, "r", 1, 0.0, 0.0, None, attributes)
    packed = message.packed()
    assert packed.body == body
    assert packed.packed() is packed
    assert replace(packed, content=message.content) == message
    assert packed.held_bytes <= message.held_bytes
    assert replace(message, attributes={}).held_bytes < message.held_bytes, "attributes take memory too"


def test_the_budget_follows_from_max_held() -> None:
    assert bytes_of_place(200) * 200 == pytest.approx(SMALLEST_BUDGET_BYTES, rel=0.01)
    assert bytes_of_place(20_000) == SMALLEST_PLACE_BYTES
    largest = 1024 * KIB
    assert all(largest <= bytes_of_place(most) * max(1, most // 4) for most in (2, 10, 200, 2000, 20_000))
