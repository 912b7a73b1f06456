"""A fuzzer over everything that reads what others wrote: messages, continuations, AWS's answers, settings.

Coverage-guided: an input that reaches a new line, or is refused for a new reason, is kept and pulled about further. The
promise: only `RequestRejected`, `CallFailed`, `WrongSetting` or `NotConfigured` ever comes out, in few steps and little
memory, with a sentence that names the problem and the remedy; and what is accepted is what the schemas say.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from slipway.aws.sdk import regions
from slipway.core import dead_letters, parsing
from slipway.core.events import publish
from slipway.core.lifecycle import tags
from slipway.core.requests import envelopes
from slipway.core.requests.models import DEPLOY, FIELDS_OF
from slipway.core.rules import event_pattern, triggers
from slipway.core.schema import fields, pattern_operators, rejection
from slipway.core.sqs import continuations
from slipway.core.sqs.messages import CONTINUATION, Message
from slipway.settings import fields as setting_fields
from slipway.settings import load as settings
from slipway.settings.fields import SETTINGS, variable
from tests.fuzz import mutate
from tests.fuzz.coverage import Reached, steps_of
from tests.simulation import wire_answers as answers
from tests.simulation.invariants import rejections as judges
from tests.support.bodies import GOOD, MESSAGE_ID, NOW, eventbridge, sns
from tests.support.poison import POISON

WATCHED: list[ModuleType] = [
    continuations, dead_letters, envelopes, event_pattern, fields, parsing, pattern_operators, publish,
    rejection, tags, triggers, setting_fields, settings, regions,
]  # fmt: skip
SHARES = {"message": 13, "settings": 2, "rules": 2, "answer": 3}
"""Of each twenty inputs, how many are what."""
LOOKED_INTO_EVERY = 40
MOST_STEPS = 20_000
MOST_STEPS_PER_CHARACTER = 8.0
MOST_BYTES = 2 * 1024 * 1024
MOST_BYTES_PER_CHARACTER = 200
SMALL = 4_000
CORPUS_LIMIT = 4_000
GOOD_AT_FIRST = 5


@dataclass
class Report:
    """What came of many inputs."""

    seed: int
    inputs: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    reasons: int = 0
    lines: int = 0
    corpus: int = 0
    most_steps_per_character: float = 0.0
    violations: list[str] = field(default_factory=list)

    def said(self) -> str:
        """Say it in a line."""
        total = sum(self.inputs.values())
        return (
            f"seed {self.seed}: {total} inputs ({dict(self.inputs)}), {dict(self.accepted)} accepted, {self.reasons} reasons, "
            f"{self.lines} lines reached, corpus of {self.corpus}, {len(self.violations)} broken"
        )


def fuzz(seed: int, inputs: int, *, only: int | None = None) -> Report:
    """Try so many inputs; a function of its arguments, but that a newer Python may reach other lines.

    `only` is the number of one input that is to be judged, and said: those before it are made all the same.
    """
    return _Fuzzer(seed, only).run(inputs)


class _Fuzzer:
    def __init__(self, seed: int, only: int | None) -> None:
        self._rng = random.Random(seed)
        self._only = only
        self._report = Report(seed)
        self._reached = Reached(WATCHED)
        self._features: set[object] = set()
        self._bodies = _first_bodies()
        self._good = self._bodies[:GOOD_AT_FIRST]
        self._files = _first_files()
        self._rule_files = [_RULES.read_text()]
        named = {each.name for table in FIELDS_OF.values() for each in table}
        self._keys = sorted(
            named
            | {"Type", "Message", "detail", "detail-type", "source", "key", "value", "id", "TaskToken", "token", "arguments"}
        )
        self._triggers = settings.load_triggers(str(_RULES))
        self._answers = answers.Answers(seed)

    def run(self, inputs: int) -> Report:
        """Try the corpus, then so many more."""
        kinds = [kind for kind, share in SHARES.items() for _ in range(share)]
        answered = sum(kinds[number % 20] == "answer" for number in range(inputs))
        with tempfile.TemporaryDirectory() as folder, self._reached.watching():
            for number in range(inputs):
                match kinds[number % 20]:
                    case "message":
                        self._try(number, "message", self._message(number))
                    case "settings":
                        self._try(number, "settings", self._settings(Path(folder) / "slipway.toml"))
                    case "rules":
                        self._try(number, "rules", self._rules(Path(folder) / "triggers.toml"))
        self._answers.run(answered)
        self._report.inputs["answer"] += answered
        self._report.accepted["answer"] += self._answers.accepted
        self._report.violations += self._answers.violations
        self._report.lines, self._report.corpus = self._reached.lines, len(self._bodies) + len(self._files)
        self._report.reasons = sum(isinstance(feature, tuple) for feature in self._features)
        return self._report

    def _try(self, number: int, kind: str, act: _Act) -> None:
        self._report.inputs[kind] += 1
        before = self._reached.lines
        try:
            feature = act.judge()
        except Exception as exc:  # noqa: BLE001  whatever it is, it is what was looked for
            replay = f"python -m tests.fuzz.inputs {self._report.seed} {number}"
            self._report.violations.append(f"{exc!r}\n  {kind} #{number}: {act.shown()[:2000]!r}\nreplay: {replay}")
            return
        if self._only == number:
            sys.stdout.write(f"{kind} #{number}: {act.shown()!r}\n{feature}\n")
        self._report.accepted[kind] += feature is None
        if feature is None:
            act.praise()
        if self._reached.lines > before or feature not in self._features:
            self._features.add(feature)
            act.keep()
        if number % LOOKED_INTO_EVERY == 0 or len(act.shown()) > SMALL:
            self._look_into(act)

    def _look_into(self, act: _Act) -> None:
        """Count the steps and the memory of one input: both are to be linear in its size."""
        size = len(act.shown())
        steps = steps_of(act.read, "/slipway/")
        tracemalloc.start()
        try:
            act.read()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self._report.most_steps_per_character = max(self._report.most_steps_per_character, (steps - MOST_STEPS) / max(1, size))
        if steps > MOST_STEPS + MOST_STEPS_PER_CHARACTER * size:
            self._report.violations.append(f"{steps} steps for {size} characters: {act.shown()[:300]!r}")
        if peak > MOST_BYTES + MOST_BYTES_PER_CHARACTER * size:
            self._report.violations.append(f"{peak} bytes for {size} characters: {act.shown()[:300]!r}")

    def _message(self, number: int) -> _Act:
        rng = self._rng
        if number < len(POISON) and number < len(self._bodies):
            body = POISON[number][1]
        else:
            kept = self._good if rng.random() < 0.5 else self._bodies
            body = mutate.json_text(rng, rng.choice(kept), self._bodies, self._keys)
        attributes = {}
        if rng.random() < 0.3:
            told = {
                "origin": MESSAGE_ID,
                "firstReceivedAt": NOW - rng.choice((0, 60, -60, 1e5, 3e6)),
                "hops": rng.choice((1, 5)),
            }
            attributes[CONTINUATION] = mutate.json_text(rng, json.dumps(told), ["{}", "[]"], list(told))
        if rng.random() < 0.1:
            attributes |= {mutate.text(rng, f"a{each}", mutate.TEXTS): "v" * rng.randrange(1, 200) for each in range(12)}
        message = Message(
            message_id=MESSAGE_ID if rng.random() < 0.8 else _encodable(mutate.text(rng, MESSAGE_ID, mutate.TEXTS)),
            content=body,
            receipt="r",
            receive_count=rng.choice((1, 1, 2, 1000)),
            received_at=NOW,
            first_received_at=NOW - rng.choice((0.0, 30.0, 86_400.0)),
            group=rng.choice((None, None, "g")),
            attributes=attributes,
        )

        def keep() -> None:
            if len(body) < SMALL and len(self._bodies) < CORPUS_LIMIT:
                self._bodies.append(body)

        def praise() -> None:
            if len(body) < SMALL and len(self._good) < CORPUS_LIMIT // 10:
                self._good.append(body)

        rules = self._triggers if rng.random() < 0.4 else ()
        return _Act(
            lambda: judges.judge_message(message, rules),
            lambda: judges.read_message(message, rules),
            lambda: body,
            keep,
            praise,
        )

    def _rules(self, path: Path) -> _Act:
        rng = self._rng
        content = mutate.text(rng, rng.choice(self._rule_files), self._rule_files)
        path.write_bytes(content.encode(errors="surrogatepass"))
        body = mutate.json_text(rng, rng.choice(self._bodies), self._bodies, self._keys)
        message = Message(MESSAGE_ID, body, "r", 1, NOW, NOW)

        def keep() -> None:
            if len(content) < SMALL and len(self._rule_files) < CORPUS_LIMIT:
                self._rule_files.append(content)

        return _Act(
            lambda: judges.judge_rules(path, message), lambda: judges.read_rules(path), lambda: f"{content}\n{body}", keep
        )

    def _settings(self, path: Path) -> _Act:
        rng = self._rng
        content = rng.choice(self._files)
        if rng.random() < 0.6:
            content = mutate.text(rng, content, self._files)
        environ = {variable("queue_url"): "https://sqs.us-east-1.amazonaws.com/123456789012/q", variable("topic_arn"): _TOPIC}
        for each in rng.sample(SETTINGS, rng.choice((0, 0, 1, 3))):
            given = rng.choice(
                ("", "1", "0.5", "true", "x" * 2000, "9" * 19, "٣", "-1", "1e3", "nan", " 1", "0x1", "debug", _TOPIC)
            )
            environ[variable(each.name)] = given if rng.random() < 0.5 else mutate.text(rng, given, mutate.TEXTS)
        if rng.random() < 0.2:
            environ[mutate.text(rng, variable(rng.choice(SETTINGS).name), mutate.TEXTS)] = "1"
        path.write_bytes(content.encode(errors="surrogatepass"))

        def keep() -> None:
            if len(content) < SMALL and len(self._files) < CORPUS_LIMIT:
                self._files.append(content)

        return _Act(
            lambda: judges.judge_settings(environ, path),
            lambda: judges.read_settings(environ, path),
            lambda: f"{content}\n{environ}",
            keep,
        )


@dataclass(frozen=True)
class _Act:
    judge: Callable[[], object]
    """Read the input and say what is new about it: None where it was accepted. Raises whatever is wrong."""
    read: Callable[[], object]
    """Read the input, for counting; raises nothing."""
    shown: Callable[[], str]
    keep: Callable[[], None]
    praise: Callable[[], None] = lambda: None
    """Keep it among what is accepted."""


def _encodable(text: str) -> str:
    """Return a text that SQS could have sent."""
    return text.encode(errors="replace").decode() or "?"


_RULES = Path(__file__).parents[2] / "config" / "triggers.toml"
_TOPIC = "arn:aws:sns:us-east-1:123456789012:events"


def _first_bodies() -> list[str]:
    samples = Path(__file__).parents[2] / "config" / "samples"
    written = [path.read_text() for path in sorted(samples.glob("*.json"))]
    good = json.dumps(GOOD)
    wrapped = [json.dumps(sns(good)), json.dumps(eventbridge(GOOD)), json.dumps(sns(json.dumps(eventbridge(GOOD))))]
    full = json.dumps({each.name: each.examples[0] for each in DEPLOY})
    return [good, full, *wrapped, *written, *(body for _, body in POISON if len(body) < SMALL)]


def _first_files() -> list[str]:
    whole = (Path(__file__).parents[2] / "config" / "slipway.toml").read_text()
    lines = [line for line in whole.splitlines() if line and not line.startswith("#")]
    return ["", "\n".join(lines), *lines, 'queue_url = "https://sqs.us-east-1.amazonaws.com/1/q"', f'topic_arn = "{_TOPIC}"']


def main(arguments: list[str]) -> int:
    """`SEED [NUMBER]`: fuzz with a seed, or say what one input of it was; `--minutes N`: new seeds until the time is up."""
    match arguments:
        case ["--minutes", minutes]:
            ends, seed, broken = time.monotonic() + 60 * float(minutes), 1, 0
            while time.monotonic() < ends:
                report = fuzz(seed, 20_000)
                sys.stdout.write("\n".join([report.said(), *report.violations, ""]))
                seed, broken = seed + 1, broken + len(report.violations)
            return 1 if broken else 0
        case [seed_text, number]:
            report = fuzz(int(seed_text), int(number) + 1, only=int(number))
        case _:
            report = fuzz(int(arguments[0]) if arguments else 1, 20_000)
    sys.stdout.write("\n".join([report.said(), *report.violations, ""]))
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
