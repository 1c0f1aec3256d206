"""A page of HTML for people, that needs no other file and no network."""

import base64
import io
import re
from collections.abc import Iterable
from html import escape
from string import Template

from PIL import Image

_PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1400px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 }
th, td { border: 1px solid #ccc; padding: .2em .7em; text-align: right; font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left }
img { max-width: 100%; margin: 0 1em 1em 0; vertical-align: top }
</style>
$body
</html>
""")


def page(title: str, parts: Iterable[str]) -> str:
    """The whole page; ``parts`` are HTML."""
    return _PAGE.substitute(title=escape(title), body="\n".join(parts))


def picture(content: bytes, kind: str, name: str) -> str:
    """A picture as an element that holds it, and has its name for links; ``kind`` is as ``png`` or ``svg+xml``."""
    encoded = base64.b64encode(content).decode()
    return f'<img id="{_anchor(name)}" alt="{escape(name)}" src="data:image/{kind};base64,{encoded}">'


def link(text: str, name: str) -> str:
    """Text that leads to the picture of this name."""
    return f'<a href="#{_anchor(name)}">{escape(text)}</a>'


def photograph(drawn: Image.Image, name: str) -> str:
    """A drawn picture as an element that holds it as JPEG, a tenth of the bytes that PNG would take."""
    content = io.BytesIO()
    drawn.save(content, "JPEG", quality=90)
    return picture(content.getvalue(), "jpeg", name)


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table of text."""
    cells = ["".join(f"<th>{escape(name)}</th>" for name in head)]
    cells += ["".join(f"<td>{escape(str(value))}</td>" for value in row) for row in rows]
    return "\n".join(["<table>", *(f"<tr>{row}</tr>" for row in cells), "</table>"])


def paragraph(text: str) -> str:
    """A paragraph of text."""
    return f"<p>{escape(text)}</p>"


def _anchor(name: str) -> str:
    return re.sub(r"\W+", "-", name)
