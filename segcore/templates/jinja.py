"""Reports for people from Jinja templates, in HTML or Markdown. A template stands beside the code that fills it."""

import base64
import io
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

PACKAGES = Path(__file__).resolve().parent.parent


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


def data_uri(content: bytes, kind: str) -> str:
    """Return a picture as a ``data:`` URI, so that a page needs no other file; ``kind`` is like ``svg+xml``."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def jpeg_uri(picture: Image.Image) -> str:
    """Return a picture as the ``data:`` URI of a JPEG, which takes a tenth of the bytes of a PNG."""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=90)
    return data_uri(content.getvalue(), "jpeg")
