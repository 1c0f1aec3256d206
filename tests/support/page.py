"""An HTML page as its reader sees it."""

import base64
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest


class Page(HTMLParser):
    """The pictures of a page by name, its text, the rows of its tables, its styles and scripts, and its references."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pictures: dict[str, tuple[str, bytes]] = {}
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.text = self.code = ""
        self.rows: list[list[str]] = []
        self.feed(text)

    def handle_data(self, data: str) -> None:
        if self.lasttag in ("style", "script"):
            self.code += data
        else:
            self.text += data
        if self.lasttag in ("td", "th", "button", "a") and self.rows and data.strip():
            self.rows[-1].append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        named = {name: value or "" for name, value in attrs}
        if tag == "tr":
            self.rows.append([])
        self.references += [named[name] for name in ("src", "href", "xlink:href", "data", "srcset") if name in named]
        if tag == "img":
            kind, content = named["src"].removeprefix("data:image/").split(";base64,")
            self.pictures[named["alt"]] = kind, base64.b64decode(content)

    def is_whole(self) -> bool:
        """Return whether the page needs no other file and no network."""
        outside = [reference for reference in self.references if not reference.startswith(("data:", "#"))]
        asks = re.search(r"url\(|@import|import\(|fetch\(|XMLHttpRequest|https?:", self.code)
        return not outside and not asks and not self.tags & {"link", "iframe", "object", "base"}


def browse(path: Path, script: str) -> str:
    """Open a page in a browser without network, run a script in it, and return the page as it is then.

    Skips the test where Chromium is not installed.
    """
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or pytest.skip("Chromium is not installed")
    changed = path.with_name("changed.html")
    changed.write_text(path.read_text().replace("</body>", f"<script>{script}</script></body>"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom"]
    command = [chromium, *options, f"--user-data-dir={path.parent / 'chromium'}", changed.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
