"""Markup that cannot be injected into."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from slipway.http.page.elements import Html, el, join


class Reader(HTMLParser):
    """Reads markup as a browser does, as far as that goes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(), st.text())
def test_whatever_is_put_into_an_element_stays_text(text: str, value: str) -> None:
    reader = Reader()
    reader.feed(el("p", text, title=value))
    reader.close()
    assert [tag for tag, _ in reader.tags] == ["p"]
    assert set(reader.tags[0][1]) == {"title"}


def test_what_is_escaped_and_what_is_not() -> None:
    assert el("b", "<script>", el("i", '"&')) == "<b>&lt;script&gt;<i>&quot;&amp;</i></b>"
    assert el("a", "x", href='" onclick="alert(1)') == '<a href="&quot; onclick=&quot;alert(1)">x</a>'
    assert el("li", 3, None, class_="a", aria_label="b", data_x=0, hidden=True, id=None, open=False) == (
        '<li class="a" aria-label="b" data-x="0" hidden>3</li>'
    )
    assert el("input", name="about") == '<input name="about">'
    assert join("<", Html("<br>"), 1) == "&lt;<br>1"


def test_characters_that_act_on_nothing_but_a_terminal_are_shown_as_missing() -> None:
    assert el("p", "a\x1b[31m\x00") == "<p>a\ufffd[31m\ufffd</p>"
