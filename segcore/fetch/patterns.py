"""Patterns of the paths of images or labels, such as ``images/{split}/{drive}/{frame}.{jpg|png}``.

A pattern is compared with the end of a path, without regard to case. ``{split}`` stands for the folder of a split.
``{drive}`` and ``{frame}`` stand for letters, digits, spaces and the signs ``. - _ +``; ``{drive}`` takes as few as
possible. A pattern without ``{drive}`` has one drive per split, named as the split, so that splits share no drive.
:mod:`segcore.files.description` says which patterns are valid.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from segcore.dataset.frames import Frame
from segcore.files.description import BRACES

_NAME = r"[\w+ -][\w.+ -]*?"  # no dot at its start: `..` is no drive
MAX_NAME = 255  # bytes of the name of a file on Linux; the time that a comparison takes grows with its square


class Folder(NamedTuple):
    """The folder of the splits or drives in a source, and the folder that the pattern begins in, as parts of paths."""

    path: tuple[str, ...]
    above: tuple[str, ...]


class Pattern:
    """A pattern. ``splits`` has the split of each folder name, in lower case."""

    def __init__(self, text: str, splits: Mapping[str, str]) -> None:
        self.text = text
        self._splits = splits
        *folders, file = text.split("/")
        self._parts = [_compiled(part, splits, _NAME) for part in (*folders, file)]
        self._named_at = next(
            at for at, part in enumerate((*folders, file)) if re.search("{(split|drive|frame)}", part)
        )
        self.depth = len(self._parts)
        while folders and folders[-1] in ("{drive}", "{frame}"):
            folders.pop()
        self._folders = [_compiled(part, splits, ".*") for part in folders]

    def match(self, path: Sequence[str]) -> tuple[Frame, Folder] | None:
        """Return the frame that a file belongs to, or ``None`` if the pattern does not fit its path."""
        above = len(path) - len(self._parts)
        if above < 0:
            return None
        found: dict[str, str] = {}
        for pattern, part in zip(self._parts, path[above:], strict=True):
            match = pattern.fullmatch(part) if len(part) <= MAX_NAME else None
            if not match:
                return None
            found |= match.groupdict()
        split = self._splits.get(found["split"].lower())
        if split is None:  # the expression takes `ſ`, an old `s`, for an `s`; lower() does not
            return None
        return Frame(split, found.get("drive", split), found["frame"]), self._folder(path, above)

    def folder_above(self, path: Sequence[str]) -> Folder | None:
        """Return the folder of the splits that a file is below, whatever its name is, or ``None``."""
        for at in range(len(path) - len(self._folders) if self._folders else 0):
            if all(pattern.fullmatch(part) for pattern, part in zip(self._folders, path[at:], strict=False)):
                return self._folder(path, at)
        return None

    def _folder(self, path: Sequence[str], at: int) -> Folder:
        return Folder(tuple(path[: at + self._named_at]), tuple(path[:at]))


def _compiled(part: str, splits: Mapping[str, str], name: str) -> re.Pattern[str]:
    """Compile a part of a pattern; ``name`` is the expression for a drive or a frame."""
    named = {"split": "|".join(map(re.escape, sorted(splits, key=len, reverse=True))), "drive": name, "frame": name}
    expression = ""
    for number, text in enumerate(BRACES.split(part)):
        if number % 2 == 0:
            expression += re.escape(text)
        elif "|" in text:
            expression += f"(?:{'|'.join(map(re.escape, text.split('|')))})"
        else:
            expression += f"(?P<{text}>{named[text]})"
    return re.compile(expression, re.IGNORECASE | re.DOTALL)
