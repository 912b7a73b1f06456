"""What people and machines do to a world, beside asking for things."""

from __future__ import annotations

from tests.simulation.context import Scene
from tests.simulation.environment import MODELS
from tests.simulation.invariants.leases import KILLED_BEFORE_SECONDS
from tests.simulation.recorder import Life
from tests.simulation.runner import Running
from tests.simulator.sqs import Letter

MISCHIEF = {
    "kill -9": 5,
    "kill -9 at a step": 5,
    "SIGSTOP": 3,
    "SIGTERM": 4,
    "SIGTERM at a step": 2,
    "SIGTERM twice": 1,
    "credential outage": 1,
    "throttle storm": 1,
    "KMS disabled": 1,
    "duplicate delivery": 4,
    "in-flight limit": 1,
    "deleted by a person": 2,
    "quota lowered": 1,
    "quota raised": 1,
    "others come": 2,
    "others go": 2,
    "name held by others": 1,
    "wall clock": 1,
    "loop blocked": 2,
    "visibility lapse": 3,
    "lapses, then kill -9": 2,
    "message back after delete": 2,
    "unknown status": 2,
    "list lag": 1,
    "another replica": 1,
    "another version": 2,
}
"""How likely each is."""
_OTHER_TERMS = {"max_held": 2, "sweep_interval": 40.0, "progress_events": True, "max_creating": 0}
"""Of a replica of a version before or after: as settings change from one to the next."""


class Chaos:
    """Does it."""

    def __init__(self, scene: Scene, running: Running) -> None:
        self._scene = scene
        self._running = running
        self._world = scene.world
        self._books = scene.monitor.books

    def do(self, kind: str) -> None:
        """Do one thing, to whom it may be done."""
        lives = [life for life in self._books.live() if not life.is_halted]
        life = self._scene.rng.choice(lives) if lives else None
        if self._befall(kind, life):
            self._scene.done[kind] += 1

    def _befall(self, kind: str, life: Life | None) -> bool:  # noqa: C901, PLR0912, PLR0915  one arm for each kind
        rng, world, loop, now = self._scene.rng, self._world, self._scene.loop, self._books.now
        rules, running = world.account.rules, self._running
        self._books.note(f"mischief {kind}")
        match kind:
            case "kill -9" if life:
                running.kill(life)
                running.start_later()
            case "kill -9 at a step" | "SIGTERM at a step":
                running.at_steps[loop.steps + rng.randint(1, 400)] = kind
                return False
            case "SIGTERM" | "SIGTERM twice" if life:
                running.stop(life)
                if kind == "SIGTERM twice":
                    loop.call_later(rng.uniform(0, 3), lambda: running.stop_again(life))
                running.start_later()
            case "SIGSTOP" if life:
                running.halt(life, rng.choice([10.0, 40.0, 130.0, 600.0, 1800.0]))
            case "credential outage" | "throttle storm" | "KMS disabled":
                until = now + rng.uniform(30, 400)
                self._scene.environment.windows[kind] = until
                self._books.outages.append((now, until))
            case "duplicate delivery":
                world.sqs.duplicate_next += 2
            case "in-flight limit":
                world.sqs.most_in_flight = rng.choice([0, 2, 5])
                loop.call_later(rng.uniform(30, 200), lambda: setattr(world.sqs, "most_in_flight", 120_000))
            case "deleted by a person":
                existing = [one for one in world.account.existing() if one.token is not None]
                if not existing:
                    return False
                self._delete(rng.choice(existing).name)
            case "quota lowered":
                world.account.rule(max_creating=max(1, rules.max_creating - 1), max_total=max(2, rules.max_total - 3))
            case "quota raised":
                world.account.rule(max_creating=rules.max_creating + 2, max_total=rules.max_total + 5)
            case "others come":
                world.account.add(f"theirs-{loop.steps}", MODELS[0], {"team": "other"})
            case "others go":
                theirs = [one for one in world.account.existing() if one.token is None]
                if not theirs:
                    return False
                self._delete(rng.choice(theirs).name)
            case "name held by others":
                name = f"bot-{rng.randrange(30)}"
                if any(one.name == name for one in world.account.existing()):
                    return False
                world.account.add(name, MODELS[0], {"team": "other"})
            case "wall clock":
                world.wall_clock_error = rng.choice([-2.0, 2.0]) * 86_400.0
            case "loop blocked":
                loop.block(5.0)
            case "visibility lapse":
                held = [one for one in world.sqs.letters.values() if one.receipt and one.visible_at > world.sqs.now()]
                if not held:
                    return False
                world.sqs.lapse(rng.choice(held))
            case "lapses, then kill -9" if life:
                holder = self._scene.monitor.leases.holder
                held = [one for one in world.sqs.letters.values() if holder(one) == life.replica.name]
                if not held:
                    return False
                self._lapses(rng.choice(held), life)
            case "message back after delete":
                gone = [one for one in world.sqs.all if one.is_deleted]
                if not gone or self._scene.environment.is_fifo:
                    return False
                back = rng.choice(gone)
                self._scene.monitor.announced.brought_back.add(back.message_id)
                world.sqs.bring_back(back)
            case "unknown status":
                world.account.rule(status_text="Polishing")
                loop.call_later(rng.uniform(10, 300), lambda: world.account.rule(status_text=""))
            case "list lag":
                world.account.rule(list_lag_seconds=rng.choice([30.0, 200.0]))
            case "another replica":
                running.start()
            case "another version":
                running.start(**_OTHER_TERMS)
            case _:
                return False
        return True

    def _lapses(self, letter: Letter, life: Life) -> None:
        """Let a message come again and again to whoever holds it, and end the holder when all its receives are spent."""
        scene, most = self._scene, self._world.max_receive_count

        def lapse() -> None:
            if not scene.is_quiet and letter.visible_at > self._world.sqs.now():
                self._world.sqs.lapse(letter)

        def end() -> None:
            if not scene.is_quiet and life.killed_at is None and not life.replica.task.done():
                self._running.kill(life)
                self._running.start_later()

        for number in range(most):
            scene.loop.call_later(2.0 * number, lapse)
        scene.loop.call_later(2.0 * most + KILLED_BEFORE_SECONDS, end)

    def _delete(self, name: str) -> None:
        self._books.note(f"deletes  {name}")
        self._world.account.delete(name)
        for asked in self._books.asked.values():
            asked.is_stuck = asked.is_stuck or asked.name == name
