"""The contract as tables: made from the AsyncAPI document, and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from slipway import __version__
from slipway.core.events.publish import event_type
from slipway.core.events.schema import WORDS, asyncapi_document
from slipway.core.lifecycle.outcomes import Reason
from slipway.core.schema.rejection import RejectionCode

CHANNELS = {"requests": "receives", "events": "sends", "replies": "sends"}
"""What Slipway does there: the document has it in its operations, where a reply is a part of what is received."""
_SAID_ELSEWHERE = {
    tuple(WORDS): "an outcome, as above",
    tuple(event_type(word) for word in WORDS): "a type, as above",
    tuple(Reason): "[a reason](events.md#reasons)",
    tuple(RejectionCode): "[a code](events.md#codes)",
}
"""Long lists, which another table has."""


def channels() -> str:
    """Where messages go, over what, and how a queue or topic is best made."""
    document: Any = asyncapi_document(__version__)
    rows = []
    for name, channel in document["channels"].items():
        protocols = [server["$ref"].rpartition("/")[2].upper() for server in channel["servers"]]
        words = [_word(document, message) for message in channel["messages"].values()]
        bound = [_shown(value) for value in channel.get("bindings", {}).values()]
        rows.append((f"**{name}**", CHANNELS[name], " or ".join(protocols), ", ".join(words), channel["description"], *bound))
    titles = ("channel", "Slipway", "over", "messages", "what it is, and how the sample is made")
    return _table(titles, [(*row[:4], "<br/>".join(row[4:])) for row in rows])


def request_keys() -> str:
    """Every key of a request, by the actions that have it: `must` where it must be there."""
    schema: Any = _schemas()["request"]
    actions = [each["title"] for each in schema["oneOf"]]
    keys: dict[str, dict[str, tuple[str, Any]]] = {}
    for each in schema["oneOf"]:
        for name, required, found in _keys(each):
            keys.setdefault(name, {})[each["title"]] = (required, found)
    rows = []
    for name, by_action in keys.items():
        found = next(iter(by_action.values()))[1]
        of = [by_action[action][0] if action in by_action else "" for action in actions]
        kinds = dict.fromkeys(_kind(one) for _, one in by_action.values())
        rows.append((f"`{name}`", *of, "; or ".join(kinds), found.get("description", "")))
    return _table(("key", *actions, "may be", "what it is"), rows)


def event_keys() -> str:
    """Every key of an event."""
    return _table(
        ("key", "there", "may be", "what it is"),
        [
            (f"`{name}`", "always" if required == "must" else "", _kind(found), found.get("description", ""))
            for name, required, found in _keys(_schemas()["event"])
        ],
    )


def event_types() -> str:
    """Every kind of event, with what it says."""
    document: Any = asyncapi_document(__version__)
    messages = [each for name, each in document["components"]["messages"].items() if name != "request"]
    return _table(
        ("outcome", "type", "says"), [(f"`{each['title']}`", f"`{each['name']}`", each["summary"]) for each in messages]
    )


def attributes() -> str:
    """The message attributes that filter policies may name."""
    schema: Any = _schemas()["attributes"]
    return _table(
        ("attribute", "there", "may be"),
        [(f"`{name}`", "always" if required == "must" else "", _kind(found)) for name, required, found in _keys(schema)],
    )


def _schemas() -> Any:
    document: Any = asyncapi_document(__version__)
    return document["components"]["schemas"]


def _word(document: Any, message: Any) -> str:
    return str(document["components"]["messages"][message["$ref"].rpartition("/")[2]]["title"])


def _keys(schema: Any, within: str = "") -> Iterator[tuple[str, str, Any]]:
    """The keys of an object, with those of the objects in it: each with whether it must be there."""
    either = {name for one in schema.get("allOf", ()) for option in one.get("oneOf", ()) for name in option["required"]}
    for name, found in schema["properties"].items():
        required = "must" if name in schema.get("required", ()) else "one of them must" if name in either else "may"
        yield within + name, required, found
        inner, mark = (found["items"], "[].") if "items" in found else (found, ".")
        if "properties" in inner:
            yield from _keys(inner, f"{within}{name}{mark}")


def _kind(schema: Any) -> str:
    """What a value may be, in words."""
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return _SAID_ELSEWHERE.get(tuple(schema["enum"])) or ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return "a duration like `PT90M`, or seconds"
    words = {"array": "list", "object": "object", "string": "text"}.get(schema["type"], schema["type"])
    if (form := schema.get("format")) is not None:
        return f"{words} ({form})"
    for least, most, unit in (
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
        ("minimum", "maximum", ""),
    ):
        if bounds := _bounds(schema.get(least), schema.get(most)):
            return f"{words}, {bounds}{unit}"
    return str(words)


def _bounds(least: float | None, most: float | None) -> str:
    if least is None or least == most:
        return "" if most is None else f"at most {most}" if least is None else f"{most}"
    return f"at least {least}" if most is None else f"{least} to {most}"


def _shown(binding: Any) -> str:
    queue = binding.get("queue", binding)
    redrive = queue.get("redrivePolicy")
    said = [f"`{queue['name']}`"]
    if redrive is not None:
        said += [
            f"kept for {queue['messageRetentionPeriod'] // 86_400} days",
            f"after {redrive['maxReceiveCount']} receives to `{redrive['deadLetterQueue']['name']}`",
        ]
    return ", ".join(said)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [titles, ["---"] * len(titles), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)
