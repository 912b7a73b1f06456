"""How AWS is in a world, how Slipway is set there, and what befalls its calls: all drawn from the seed."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from slipway.core.rules.permissions import PermissionRule
from slipway.settings.load import load_triggers
from tests.simulation.kinds import CONTROL_QUEUE, FIFO, LONG, STANDARD, Drawn, chance
from tests.simulator.bedrock import Rules
from tests.simulator.simulation import MODEL, World
from tests.simulator.sqs import SOMEBODY
from tests.simulator.virtual_loop import VirtualLoop
from tests.simulator.wire_faults import Fault, Plan

COPIES = "https://sqs.us-east-1.amazonaws.com/123456789012/copies"
"""The queue that some want to hear of the end in."""
TRIGGERS = load_triggers(str(Path(__file__).parents[2] / "config" / "triggers.toml"))
WEST = "west"
"""A target beside the default, in some worlds."""
PERMITTED = PermissionRule(name="somebody", senders=(SOMEBODY,), force_tags=(("by", "rule"),))
"""In the worlds that have permissions: everything for whoever asks honestly, and a tag that no request has by itself."""
GUEST = "AROAGUEST:mallory"
"""Somebody else, who copies what others have sent."""
GUESTS = PermissionRule(name="guests", senders=("AROAGUEST:*",), actions=("deploy", "cancel"), force_tags=PERMITTED.force_tags)
TAKEN = (
    "Deployment name already exists",
    "name is in use",
    "The name is reserved",
    "Duplicate deployment name",
    "A deployment with this name exists",
)
NOT_FOUND = (
    "Could not find the custom model.",
    "The specified custom model does not exist.",
    "model not found",
    "The model doesn't exist or its name is in use.",
)
"""How AWS may spell what it refuses: it documents no text."""
MODELS = [MODEL[:-1] + letter for letter in "lmnop"]
MOST_TURNS = 1_000_000
"""Of the loop in one world: the busiest goes round 75,000 times."""
_ANSWERS = (
    Fault.THROTTLED,
    Fault.DENIED,
    Fault.REQUEST_LOST,
    Fault.RESPONSE_LOST,
    Fault.ERROR_BEFORE,
    Fault.ERROR_AFTER,
    Fault.ZOMBIE,
    Fault.LATE,
    Fault.SLOW,
    Fault.EMPTY,
    Fault.DATELESS,
)
_OF_BEDROCK_ALONE = frozenset({Fault.EMPTY, Fault.DATELESS})
_DATED = frozenset({"CreateCustomModelDeployment", "ListCustomModelDeployments"})
"""Calls of Bedrock from whose answers the time is learned."""
_OF_BEDROCK = ("Create", "Get", "List")
_BATCHES = frozenset({"PublishBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessageBatch"})


class Environment:
    """A world before anybody asks for anything. Every choice is drawn from `rng`, in an order that nothing else disturbs."""

    def __init__(self, seed: int, rng: random.Random, loop: VirtualLoop, kinds: Drawn) -> None:
        self._seed = seed
        self.kinds = kinds
        self._rng = rng
        self._loop = loop
        loop.turns_left = MOST_TURNS
        self.windows: dict[str, float] = {}
        """Until when credentials are refused, calls are throttled, the key is disabled."""
        drawn, _ = rng.random(), rng.random()  # two, so that the draws that follow stay what they were
        self.is_fifo = FIFO in kinds.forced or (drawn < 0.3 and STANDARD not in kinds.forced)
        self.is_long = kinds.has(LONG)
        self.is_model_prompt = rng.random() < 0.3
        """Whether a model becomes Active just after it was refused."""
        shortest = rng.choice([20.0, 120.0, 400.0])
        longest = shortest * rng.choice([1.0, 2.0, 5.0])
        if self.is_long:
            shortest = longest = 47_000.0
        self.has_all_actions = kinds.has("actions") and not self.is_long
        """Whether anything else is asked for than deployments, made and kept."""
        rules = self._as_spelled(self._rules(shortest, longest))
        if chance(seed, "list tokens") < 0.1:
            rules = replace(rules, list_tokens="same" if chance(seed, "same token") < 0.5 else "cycle")
        rules = replace(self._with_actions(rules) if self.has_all_actions else rules, **kinds.rules())
        self.creation = rules.creation_seconds[1]
        self.world = self._make(rules)
        self.chaos_seconds = rng.choice([300.0, 900.0, 1800.0])

    def _rules(self, shortest: float, longest: float) -> Rules:
        rng = self._rng
        models: dict[str, str] = {MODELS[1]: "Creating", MODELS[2]: "Missing", MODELS[3]: "Failed"}
        readable = rng.random() < 0.8
        if not readable:
            del models[MODELS[3]]  # nobody could tell it from one that is not ready yet
        return Rules(
            max_creating=20 if self.is_long else rng.choice([1, 2, 2, 3, 5, 20]),
            max_total=rng.choice([3, 10, 10, 50]),
            failed_counts=rng.random() < 0.7,
            failed_holds_name=rng.random() < 0.7,
            creation_seconds=(shortest, longest),
            failing=rng.choice([0.0, 0.1, 0.4]),
            page_size=rng.choice([1, 2, 3, 1000, 1000]),
            list_lag_seconds=rng.choice([0.0, 0.0, 5.0, 90.0]),
            get_lag_seconds=rng.choice([0.0, 0.0, 2.0, 30.0]),
            token_seconds=rng.choice([0.0, 30.0, 600.0, 86_400.0]),
            token_answer=rng.choice(["same", "same", "any", "error"]),
            name_reserved_seconds=rng.choice([0.0, 0.0, 120.0]),
            taken_code=rng.choice(["ConflictException", "ValidationException"]),
            taken_text=rng.choice(["Deployment name already exists", "name is in use", "The name is reserved"]),
            quota_first=rng.random() < 0.4,
            model_shown="" if readable else "Baking",
            model_text="The provided model is not usable" if readable else "The model is not ready",
            invalid_names="^bot-3$" if rng.random() < 0.3 else "",
            models=models,
        )

    def _as_spelled(self, rules: Rules) -> Rules:
        """Draw how errors are spelled, and how late tags are shown; by themselves, too."""
        rng = random.Random(f"spelled {self._seed}")
        return replace(
            rules,
            tag_lag_seconds=rng.choice([0.0, 0.0, 2.0, 6.0]),
            taken_text=rng.choice(TAKEN),
            missing_text=rng.choice(NOT_FOUND),
            missing_code=rng.choice(["ResourceNotFoundException", "ResourceNotFoundException", "ValidationException"]),
        )

    def _with_actions(self, rules: Rules) -> Rules:
        """Draw how updates and smoke tests go; by themselves, not from the stream of all the other draws."""
        rng = random.Random(f"actions {self._seed}")
        return replace(
            rules,
            update_seconds=rng.choice([(5.0, 20.0), (60.0, 120.0)]),
            update_failing=rng.choice([0.0, 0.3]),
            details_lag_seconds=rng.choice([0.0, 0.0, 20.0]),
            unready_seconds=rng.choice([0.0, 0.0, 15.0]),
            dull_models=rng.choice(["", "[np]$"]),
            bad_models=rng.choice(["", "p$"]),
        )

    def _make(self, rules: Rules) -> World:
        rng, seed = self._rng, self._seed
        interval = 120.0 if self.is_long else rng.choice([5.0, 15.0, 15.0, 60.0])
        world = World(
            seed=seed,
            rules=rules,
            fifo=self.is_fifo,
            # Not 1: there SQS itself buries whatever is received twice, and the daemon warns at its start.
            max_receive_count=rng.choice([2, 2, 3, 5, 5, 6]),
            plan=self._plan(),
            terms={
                "visibility_timeout": rng.choice([30, 60, 120]),
                "max_held": 200 if self.is_long else rng.choice([2, 3, 10, 200, 200]),
                "sweep_interval": interval,
                "timeout": 172_800.0 if self.is_long else rng.choice([3600.0, 21_600.0, 21_600.0]),
                "progress_events": rng.random() < 0.3,
                "max_creating": rng.choice([0, 0, rules.max_creating]),
                "permissions": self._permissions(),
                "tenant_weights": {"a": 3} if self.kinds.has("weights") else {},
            }
            | ({"reap_interval": 60.0, "reply_to": (COPIES,), "triggers": TRIGGERS} if self.has_all_actions else {})
            | self.kinds.terms(),
            has_control=self.kinds.has(CONTROL_QUEUE) and not self.is_fifo,
            targets={WEST: rules} if self.kinds.has("targets") and not self.is_long else {},
        )
        for name in world.targets:
            there = {world.model_in(name, arn): status for arn, status in rules.models.items()}
            world.accounts[name].rule(models=there)
            world.wires[name].plan = world.wire.plan
        return world

    def _permissions(self) -> tuple[PermissionRule, ...]:
        if not self.kinds.has("permissions"):
            return ()
        return (PERMITTED, GUESTS) if self.kinds.has("guests") else (PERMITTED,)

    def _plan(self) -> Plan:
        """What befalls a call is a function of the seed, the operation and its number; of the time only within a window."""
        rng = self._rng
        rate = {name: rng.choice([0.0, 0.02, 0.1, 0.25]) for name in ("Create", "Get", "List", "Receive", "Publish", "rest")}
        kinds = [kind for kind in _ANSWERS if rng.random() < 0.7] or [Fault.RESPONSE_LOST]  # each world has some of them
        seed = self._seed
        has_old_dates = chance(seed, "old dates") < 0.3

        def plan(operation: str, number: int) -> Fault | None:
            if self.windows and (fault := self._weather(operation, number)):
                return fault
            if has_old_dates and operation in _DATED and chance(seed, "old date", operation, number) < 0.15:
                return Fault.OLD_DATE
            likely = next((rate[name] for name in rate if operation.startswith(name)), rate["rest"])
            if not likely:
                return None
            drawn = chance(seed, operation, number)
            if drawn >= likely:
                return None
            choice = int(drawn / likely * 1e6)
            if operation in _BATCHES and choice % 3 == 0:
                return Fault.PARTIAL
            kind = kinds[choice % len(kinds)]
            is_other = kind in _OF_BEDROCK_ALONE and not operation.startswith(_OF_BEDROCK)
            return Fault.RESPONSE_LOST if is_other else kind

        return plan

    def _weather(self, operation: str, number: int) -> Fault | None:
        now = self._loop.time()
        if now < self.windows.get("credential outage", 0.0):
            return Fault.DENIED
        if now < self.windows.get("KMS disabled", 0.0) and operation == "PublishBatch":
            return Fault.DENIED
        if now < self.windows.get("throttle storm", 0.0) and chance(self._seed, "storm", operation, number) < 0.8:
            return Fault.THROTTLED
        return None
