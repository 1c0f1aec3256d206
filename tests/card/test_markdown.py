"""Text of a description in the Markdown of the card, read back by an independent reader."""

from html import escape

import pytest
from markdown_it import MarkdownIt

from segcore.templates.jinja import escape_markdown

MARKUP = [
    "# 1 *a* _b_ __c__ `d` [e](f) ![g](h) <i>&amp;</i> ~~j~~ | $k$ \\ l_m",
    "- item", "+ item", "1. item", "12) item", "---", "> quote", "***", "== no ==", "~~~", "```", "a\n\n# b", "[a]: /b",
]  # fmt: skip


@pytest.mark.parametrize("text", MARKUP)
def test_text_of_the_description_is_shown_as_it_is(text):
    shown = MarkdownIt("gfm-like", {"linkify": False}).render(escape_markdown(text))
    assert shown == f"<p>{escape(' '.join(text.split()), quote=False)}</p>\n".replace('"', "&quot;")


def test_urls_stay_as_they_are():
    text = "See https://example.org/a_b_/?c=1&d=2#e, and (https://example.org/~f)."
    assert escape_markdown(text) == text
