"""HTML that is safe from injection: everything in an element is escaped, except other elements."""

from __future__ import annotations

from html import escape
from typing import Final

Attribute = str | int | float | bool | None

_VOID: Final = frozenset({"img", "input", "link", "meta"})
_DELETED: Final = {code: 0xFFFD for code in (*range(0x20), 0x7F) if chr(code) not in "\t\n"}


class Html(str):
    """A text that is already markup."""

    __slots__ = ()


Child = Html | str | int | None


def el(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """Return an element. `class_` becomes class, other `_` become hyphens; None and False attributes are omitted."""
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None and value is not False)
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Return the children one after the other, escaped unless they are markup."""
    return Html("".join(child if type(child) is Html else _text(child) for child in children if child is not None))


def _text(text: object) -> str:
    return escape(str(text).translate(_DELETED))


def _attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{_text(value)}"'
