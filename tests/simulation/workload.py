"""Who asks for what in a world: good requests, poison, and those of strangers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from slipway.core.requests.targets import DEFAULT
from slipway.core.sqs.messages import CONTINUATION
from tests.simulation.context import Scene
from tests.simulation.environment import COPIES, GUEST, GUESTS, MODELS, WEST
from tests.simulation.kinds import CONTROL_QUEUE, FEW, FEW_NAMES, chance
from tests.simulation.workload_actions import SMOKE_TESTS, ActionWorkload
from tests.simulator.callbacks import Waiting
from tests.simulator.sqs import SOMEBODY
from tests.support.poison import POISON, is_sendable

STRANGER = "AROASTRANGER:eve"
SMALL_POISON = [body for _, body in POISON if is_sendable(body) and len(body) < 5000]
SOUND_WITH_TRIGGERS = [body for body in SMALL_POISON if "detail-type" not in body]
"""Where there are triggers, an event that none matches is no poison."""


class Workload:
    """Draws what is asked for."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._world = scene.world
        self._has_all = scene.environment.has_all_actions
        self._others = ActionWorkload(scene)
        self._sent: list[tuple[dict[str, object], str, float, str]] = []
        """What was drawn to be sent by the honest."""

    def draw(self, number: int) -> Callable[[], None]:
        """Draw one request now, to be sent later."""
        if self._has_all and (other := self._others.draw(number)) is not None:
            return lambda: self._send(other.body(), other.group, number, other.timeout, other.target, is_event=other.is_event)
        rng = self._scene.rng
        group = f"g-{rng.randrange(6)}"
        if rng.random() < 0.06:
            body = rng.choice(SOUND_WITH_TRIGGERS if self._has_all else SMALL_POISON)
            return lambda: self._send_poison(body, group)
        name, model = self._of_what(number)
        more = self._identity(number)
        timeout = float(self._world.terms["timeout"])
        more |= self._where(number)
        target = str(more.get("target", DEFAULT))
        if rng.random() < 0.2:
            timeout = rng.choice([45.0, 300.0, 1200.0])
            more["timeout"] = timeout
        if rng.random() < 0.2:
            more["priority"] = rng.choice([-5, 5])
        if rng.random() < 0.2:
            more["description"], more["tags"] = "nightly", [{"key": "team", "value": "support"}]
        more |= self._for_whom(number)
        if self._has_all:
            more = self._others.options(number, has_token="clientRequestToken" in more) | more
            timeout = min(timeout, float(str(more.get("expiresAfter", timeout))))
        asked = {"modelDeploymentName": name, "modelArn": self._world.model_in(target, model)} | more
        if (other_one := self._anothers(asked, group, number)) is not None:
            return other_one
        self._sent.append((asked, group, timeout, target))
        waits = self._who_waits(number)
        return lambda: self._send(asked, group, number, timeout, target, waits)

    def _of_what(self, number: int) -> tuple[str, str]:
        """Draw the name and the model of a deployment."""
        scene, rng = self._scene, self._scene.rng
        few = rng.randrange(FEW)
        name = f"bot-{few if FEW_NAMES in scene.environment.kinds.forced else rng.choice([number, number, number, few])}"
        model = MODELS[0] if rng.random() < 0.85 else rng.choice(MODELS)
        return (f"bot-{number}", MODELS[0]) if number in scene.first else (name, model)

    def _identity(self, number: int) -> dict[str, object]:
        """Draw what the sender calls the request. With few names nothing is shared: two of one id and name are one request."""
        rng = self._scene.rng
        drawn = rng.random()
        if self._scene.first:
            return {"requestId": f"r-{number}"}
        if drawn < 0.3:
            return {"requestId": f"r-{number if rng.random() < 0.8 else rng.randrange(5)}"}
        if drawn < 0.45:
            return {"clientRequestToken": f"own-{number if rng.random() < 0.7 else rng.randrange(3)}"}
        return {}

    def _send(
        self,
        body: Mapping[str, Any],
        group: str,
        number: int,
        timeout: float,
        target: str,
        waits: list[tuple[str, str, Waiting]] | None = None,
        *,
        is_event: bool = False,
        sender: str = SOMEBODY,
    ) -> None:
        scene, monitor = self._scene, self._scene.monitor
        waits = self._who_waits(number) if waits is None else waits
        asked = dict(body) | {key: token for key, token, _ in waits}
        if self._has_all and sender == SOMEBODY and chance(scene.seed, "copies", number) < 0.2:
            asked["replyTo"] = COPIES
        scene.lifetimes += 1
        event_id = f"e-{number}" if is_event else None
        sent = {"id": event_id, "source": "com.example", "detail-type": "Wanted", "detail": asked} if is_event else asked
        is_control = self._world.has_control and body.get("action", "deploy") != "deploy"
        to_control = is_control and chance(scene.seed, "to control", number) < 0.5
        if to_control:
            scene.done[CONTROL_QUEUE] += 1
        letter = self._world.send(sent, group=group, sender=sender, to_control=to_control)
        if not monitor.ask(letter, asked, timeout, target, event_id):
            scene.done["an event that asks for nothing"] += 1
            return
        scene.done["an event that asks"] += is_event
        for _, at, waiting in waits:
            monitor.wait(letter, at, waiting)

    def _for_whom(self, number: int) -> dict[str, object]:
        """Draw the tenant; by itself, not from the stream of all the other draws."""
        drawn = chance(self._scene.seed, "tenant", number)
        return {} if drawn >= 0.6 else {"tenant": "a" if drawn < 0.4 else "b"}

    def _a_strangers(self, body: dict[str, object], group: str, number: int) -> Callable[[], None]:
        """Draw what makes a good request somebody's who may not ask for it, and may say that it is another's."""
        claim = {"origin": "m-00001", "firstReceivedAt": self._world.sqs.now(), "hops": 1, "sender": SOMEBODY}
        is_forged = chance(self._scene.seed, "forged", number) < 0.6
        attributes = {CONTINUATION: json.dumps(claim)} if is_forged else {}

        def send() -> None:
            self._scene.done["a forged continuation" if is_forged else "a stranger asks"] += 1
            self._send_poison(json.dumps(body), group, attributes, STRANGER)

        return send

    def _anothers(self, asked: dict[str, object], group: str, number: int) -> Callable[[], None] | None:
        """Draw whether a stranger asks instead, or something is sent again."""
        seed = self._scene.seed
        if self._world.terms["permissions"] and chance(seed, "stranger", number) < 0.2:
            return self._a_strangers(asked, group, number)
        often = 0.25 if self._scene.environment.kinds.has("sent again") else 0.1
        if self._sent and chance(seed, "copy", number) < often:
            return self._a_copy(number)
        return None

    def _a_copy(self, number: int) -> Callable[[], None]:
        """Draw what was sent before: again by the same sender; or by another, as it was, or asking for more under its id."""
        rng = random.Random(f"copy {self._scene.seed} {number}")
        body, group, timeout, target = rng.choice(self._sent)
        kind = rng.choice(["again", "again", "same", "more", "destroy", "cancel", "cancel and delete"])
        request_id = body.get("requestId") or body.get("clientRequestToken")
        rules, has_guests = self._world.terms["permissions"], GUESTS in self._world.terms["permissions"]
        if kind == "again" or request_id is None or (rules and not has_guests):
            return lambda: self._send(body, group, number, timeout, target, [])
        self._scene.done["a stranger copies an id"] += 1
        if kind == "more":
            body = body | {"description": "another's"}
        if kind == "destroy":
            body = body | {"onFailure": "delete", "smokeTest": SMOKE_TESTS[0]}
        if kind.startswith("cancel"):
            body = {"action": "cancel", "cancels": request_id, "requestId": f"c-{number}", "timeout": 60.0}
            body |= {"deployment": "delete"} if kind != "cancel" else {}
            timeout, group, target = 60.0, "cancels", DEFAULT
        if has_guests and _is_destructive(body):
            return lambda: self._send_poison(json.dumps(body), group, sender=GUEST)
        return lambda: self._send(body, group, number, timeout, target, [], sender=GUEST)

    def _where(self, number: int) -> dict[str, object]:
        """Draw the target, where there is another than the default."""
        if not self._world.targets or chance(self._scene.seed, "target", number) >= 0.4:
            return {}
        self._scene.done["another target"] += 1
        return {"target": WEST}

    def _who_waits(self, number: int) -> list[tuple[str, str, Waiting]]:
        """Draw who waits for an answer: key, token, and whether anybody is there; some leave before they are answered."""
        rng = random.Random(f"askers {self._scene.seed} {number}")
        askers, drawn = self._world.askers, list[tuple[str, str, Waiting]]()
        for key, tokens, token in (
            ("taskToken", askers.tasks, f"t-{number}"),
            ("callbackToken", askers.steps, f"step{number:06}"),
        ):
            if rng.random() < 0.2:
                waiting = tokens[token] = Waiting(is_over=rng.random() < 0.1)
                drawn.append((key, token, waiting))
                if rng.random() < 0.2:
                    self._scene.loop.call_later(rng.uniform(0, self._scene.environment.chaos_seconds), waiting.leave)
        return drawn

    def _send_poison(self, body: str, group: str, attributes: dict[str, str] | None = None, sender: str = SOMEBODY) -> None:
        self._scene.lifetimes += 1
        letter = self._world.sqs.put(body, attributes, group, sender=sender)
        assert letter is not None
        self._scene.monitor.announced.poison.add(letter.message_id)
        self._scene.done["poison"] += 1


def _is_destructive(body: Mapping[str, Any]) -> bool:
    """Whether a request takes more than the actions deploy and cancel."""
    options = (
        body.get("ifExists") in {"update", "replace"},
        body.get("onFailure") == "delete",
        body.get("deployment") == "delete",
    )
    return any(options) or bool(body.get("retries")) or "expiresAfter" in body
