"""Pictures for people: label maps in colour, errors, and pages of them with titles, captions and a legend.

Label maps are uint8 arrays H×W of class ids and ``VOID``; frames are RGB pictures of the same size; ``colours`` are
those of the classes in the order of their ids. The font is the one inside Pillow, and no text library of the system is
used: a picture depends on its input and the version of Pillow.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from math import ceil
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from segcore.dataset.classes import VOID, VOID_COLOUR

T = TypeVar("T")
Colour = tuple[int, int, int]  # RGB

PAPER, INK, FAINT = (255, 255, 255), (20, 20, 20), (100, 100, 100)
TITLE_SIZE, TEXT_SIZE, GAP = 19, 16, 8


def colourise(labels: np.ndarray, colours: Sequence[Colour]) -> Image.Image:
    """Draw each class in its colour, and any other id in the colour of void."""
    return Image.fromarray(palette(colours)[labels])


def overlay(frame: Image.Image, labels: np.ndarray, colours: Sequence[Colour], opacity: float = 0.7) -> Image.Image:
    """Lay the colours of ``labels`` over ``frame``, so that the scene still shows through."""
    return Image.blend(frame, colourise(labels, colours), opacity)


def error_map(frame: Image.Image, truth: np.ndarray, prediction: np.ndarray, colours: Sequence[Colour]) -> Image.Image:
    """Draw wrong pixels in the colour of their true class over the frame in dim grey; void is never wrong."""
    # Dim enough for light colours to stand out, and light enough for dark ones.
    dimmed = 40 + np.asarray(frame.convert("L")) // 3
    wrong = (prediction != truth) & (truth != VOID)
    return Image.fromarray(np.where(wrong[..., None], palette(colours)[truth], dimmed[..., None]))


def palette(colours: Sequence[Colour]) -> np.ndarray:
    """Return the colour of each id, uint8 256×3."""
    table = np.full((256, 3), VOID_COLOUR, np.uint8)
    table[: len(colours)] = colours
    return table


def panel(title: str, pictures: Mapping[str, Image.Image], width: int = 320) -> Image.Image:
    """Set pictures side by side, each under its caption, under a common title.

    Args:
        title: one line that says what the pictures show.
        pictures: caption to picture, from left to right.
        width: the width of each picture in pixels; pictures are scaled to it.
    """
    captioned = [
        grid([_line(caption, width, TEXT_SIZE, FAINT), _scaled(picture, width)], columns=1)
        for caption, picture in pictures.items()
    ]
    row = grid(captioned, columns=len(captioned), gap=GAP)
    return grid([_line(title, row.width, TITLE_SIZE, INK), row], columns=1)


def legend(classes: Mapping[str, Colour], width: int, note: str) -> Image.Image:
    """Draw the colours and names of classes, and of void, in rows that fit ``width`` pixels, with ``note`` below."""
    entries = [_entry(name, colour) for name, colour in {**classes, "void": VOID_COLOUR}.items()]
    columns = max(1, min(len(entries), width // max(entry.width for entry in entries)))
    return grid([grid(entries, columns), _line(note, width, TEXT_SIZE, FAINT)], columns=1)


def page(*parts: Image.Image) -> Image.Image:
    """Set ``parts`` below each other, with a margin around them."""
    return ImageOps.expand(grid(parts, columns=1, gap=2 * GAP), border=2 * GAP, fill=PAPER)


def grid(pictures: Sequence[Image.Image], columns: int, gap: int = 0) -> Image.Image:
    """Set pictures row by row, each column as wide and each row as high as the largest picture in it."""
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    lefts = _starts([max(picture.width for picture in pictures[i::columns]) for i in range(len(rows[0]))], gap)
    tops = _starts([max(picture.height for picture in row) for row in rows], gap)
    sheet = Image.new("RGB", (lefts[-1] - gap, tops[-1] - gap), PAPER)
    for row, top in zip(rows, tops, strict=False):
        for picture, left in zip(row, lefts, strict=False):
            sheet.paste(picture, (left, top))
    return sheet


def _starts(lengths: list[int], gap: int) -> list[int]:
    """Return where each of the ``lengths`` starts, and where one more would."""
    return [sum(lengths[:i]) + i * gap for i in range(len(lengths) + 1)]


def _scaled(picture: Image.Image, width: int) -> Image.Image:
    if picture.width == width:
        return picture
    return picture.resize((width, max(1, round(picture.height * width / picture.width))), Image.Resampling.LANCZOS)


def _line(text: str, width: int, size: int, colour: Colour) -> Image.Image:
    strip = Image.new("RGB", (width, size + GAP), PAPER)
    ImageDraw.Draw(strip).text((0, strip.height // 2), text, colour, _font(size), anchor="lm")
    return strip


def _entry(name: str, colour: Colour) -> Image.Image:
    indent, text_width = TEXT_SIZE + GAP, ceil(_font(TEXT_SIZE).getlength(name))
    text = _line(name, text_width, TEXT_SIZE, INK)
    entry = Image.new("RGB", (indent + text_width + 2 * GAP, text.height), PAPER)
    entry.paste(text, (indent, 0))
    entry.paste(colour, (0, GAP // 2, TEXT_SIZE, GAP // 2 + TEXT_SIZE))
    return entry


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def evenly(items: Sequence[T], wanted: int) -> list[T]:
    """Return the middle item of each of ``wanted`` equal stretches, or all items if there are not more than that."""
    taken = min(wanted, len(items))
    return [items[(2 * i + 1) * len(items) // (2 * taken)] for i in range(taken)]
