"""What is asked for beside plain deployments: updates, deletes, cancels, events, and all that a deploy may say."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from slipway.core.requests.models import DEFAULT_CANCEL_SECONDS
from slipway.core.requests.targets import DEFAULT
from tests.simulation.context import Scene
from tests.simulation.environment import MODELS, WEST
from tests.simulation.kinds import FEW, FEW_NAMES

ACTIONS = {"update": 8, "delete": 5, "cancel": 5, "event": 3, "nothing": 1, "": 28}
"""How likely each is; the last is a deployment, asked for by itself."""
SMOKE_TESTS = (
    {"prompt": "Reply with the word ready.", "expect": "ready"},
    {"prompt": "Reply with the word ready.", "expect": "ready", "gate": False},
)


@dataclass(frozen=True)
class ActionRequest:
    """One request. What its body is, is only known when it is sent: an ARN may be in it."""

    body: Callable[[], dict[str, object]]
    group: str
    timeout: float
    target: str = DEFAULT
    is_event: bool = False


class ActionWorkload:
    """Draws them, each by itself: what else is drawn in a world does not change with them."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._world = scene.world

    def draw(self, number: int) -> ActionRequest | None:
        """Draw one request; None where it is to be a deployment."""
        rng = random.Random(f"other {self._scene.seed} {number}")
        if number in self._scene.first:
            return None
        aimed = self._scene.environment.kinds.forced
        kind = rng.choices(list(ACTIONS), [20 if each in aimed else likely for each, likely in ACTIONS.items()])[0]
        group, timeout = f"g-{rng.randrange(6)}", float(self._world.terms["timeout"])
        name = f"bot-{rng.randrange(FEW) if FEW_NAMES in aimed else rng.choice([rng.randrange(number + 1), rng.randrange(5)])}"
        target = WEST if self._world.targets and rng.random() < 0.3 else DEFAULT
        place: dict[str, object] = {} if target == DEFAULT else {"target": target}
        refused = self._scene.environment.kinds.has("an update refused")
        models = MODELS[1:4] if refused else [MODELS[0], *MODELS[1:], MODELS[4], MODELS[4], MODELS[4]]
        model = self._world.model_in(target, rng.choice(models))
        match kind:
            case "update":
                more = place | {"requestId": f"u-{number}", "modelArn": model} | self._of_update(rng)
                return ActionRequest(self._about("update", name, target, more, rng.random()), group, timeout, target)
            case "delete":
                more = place | {"requestId": f"d-{number}"} | ({"force": True} if rng.random() < 0.2 else {})
                return ActionRequest(self._about("delete", name, target, more, rng.random()), group, timeout, target)
            case "cancel":
                asked: dict[str, object] = {"action": "cancel", "requestId": f"c-{number}"}
                drawn = f"{rng.choice('rrru')}-{rng.randrange(number + 1)}"
                asked["cancels"] = f"r-{rng.choice(self._scene.first)}" if self._scene.first else drawn
                if rng.random() < 0.7:
                    asked["deployment"] = rng.choice(["keep", "delete", "delete"])
                if rng.random() < 0.5:
                    asked["timeout"] = rng.choice([60.0, 1800.0])
                patience = float(str(asked.get("timeout", DEFAULT_CANCEL_SECONDS)))
                return ActionRequest(lambda: asked, "cancels", patience)
            case "event":
                wanted = {"modelDeploymentName": name, "modelArn": model} | place | self.options(number)
                wanted.pop("requestId", None)
                timeout = min(timeout, float(str(wanted.get("expiresAfter", timeout))))
                return ActionRequest(lambda: wanted, group, timeout, target, is_event=True)
            case "nothing":
                return ActionRequest(lambda: {"bucket": "models"}, group, timeout, is_event=True)
            case _:
                return None

    def options(self, number: int, *, has_token: bool = False) -> dict[str, object]:
        """Draw what a deploy says of the cases that may come. Two that share one of two ids nobody could tell apart."""
        rng = random.Random(f"options {self._scene.seed} {number}")
        if rng.random() < 0.4:
            return {}
        more: dict[str, object] = {} if has_token else {"requestId": f"r-{number}"}
        if self._scene.environment.kinds.has("replaced"):
            more["ifExists"] = "replace"
        elif rng.random() < 0.5:
            more["ifExists"] = rng.choice(["update", "replace", "replace", "fail"])
        if rng.random() < 0.4:
            more["retries"] = rng.choice([1, 2])
        if rng.random() < 0.3:
            more["onFailure"] = "delete"
        if rng.random() < 0.3:
            more["smokeTest"] = rng.choice(SMOKE_TESTS)
        if rng.random() < 0.2:
            more["expiresAfter"] = rng.choice([200.0, 600.0, 2000.0])
        return more

    def _of_update(self, rng: random.Random) -> dict[str, object]:
        more: dict[str, object] = {}
        is_aimed = self._scene.environment.kinds.has("RolledBack of update")
        if is_aimed or rng.random() < 0.5:
            more["rollback"] = True
        if is_aimed or rng.random() < 0.4:
            more["smokeTest"] = SMOKE_TESTS[0] if is_aimed else rng.choice(SMOKE_TESTS)
        return more

    def _about(
        self, action: str, name: str, target: str, more: dict[str, object], drawn: float
    ) -> Callable[[], dict[str, object]]:
        """Name a deployment: mostly by its name, sometimes by its ARN, sometimes what is not Slipway's at all."""
        often = 0.5 if self._scene.environment.kinds.has("Failed of delete") else 0.15

        def body() -> dict[str, object]:
            existing = self._world.accounts[target].existing()
            there = [one.arn for one in existing if one.name == name]
            theirs = [one.name for one in existing if one.token is None]
            identifier = theirs[-1] if drawn < often and theirs else there[-1] if drawn < 0.4 and there else name
            return {"action": action, "customModelDeploymentIdentifier": identifier} | more

        return body
