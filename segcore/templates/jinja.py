"""Reports for people from Jinja templates, in HTML or Markdown. A template stands beside the code that fills it."""

import base64
import io
import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

PACKAGES = Path(__file__).resolve().parent.parent

# URLs, which stay as they are, and what Markdown reads as more than text: some signs, an underscore at the edge of a
# word, and what begins a list or a rule.
MARKUP = re.compile(
    r"(?P<url> https?://[^\s<>`*\[\]|\\]+ ) | [\\`*\[\]<>&|~#$] | (?<![^\W_])_ | _(?![^\W_])"
    r"| ^[-+] | ^(?P<number>\d+)[.)]",
    re.VERBOSE,
)


def render(template: str, **values: Any) -> str:
    """Return the template at this path below ``segcore/``, filled with ``values``, which are escaped for HTML."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(PACKAGES),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def escape_markdown(text: str) -> str:
    """Return text on one line, escaped so that Markdown shows it as it is."""
    line = " ".join(text.split())
    return MARKUP.sub(lambda found: found["url"] or f"{found['number'] or ''}\\{found[0][-1]}", line)


def data_uri(content: bytes, kind: str) -> str:
    """Return a picture as a ``data:`` URI, so that a page needs no other file; ``kind`` is like ``svg+xml``."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def jpeg_uri(picture: Image.Image) -> str:
    """Return a picture as the ``data:`` URI of a JPEG, which takes a tenth of the bytes of a PNG."""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=90)
    return data_uri(content.getvalue(), "jpeg")
