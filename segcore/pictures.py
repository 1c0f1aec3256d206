"""Frames and labels read from disk; what is damaged is named."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from segcore.console import UserError
from segcore.labels import CLASSES, VOID


def read_image(path: Path) -> Image.Image:
    """Read a frame, RGB.

    Raises:
        UserError: if it is damaged.
    """
    return _read(path).convert("RGB")


def read_labels(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read class ids, uint8 H×W, of a frame whose width and height are ``size``.

    Raises:
        UserError: if it is not an 8-bit picture of one channel, of that size, with class ids and void only.
    """
    picture = _read(path)
    if picture.mode not in ("L", "P"):  # the indices into a palette are the ids, whatever its colours
        raise UserError(f"{path}: one channel of 8 bits was expected, its mode is {picture.mode}; run `dvc repro`")
    if picture.size != size:
        found, expected = ("×".join(map(str, pair)) for pair in (picture.size, size))
        raise UserError(f"{path}: its size is {found}, its frame's {expected}; run `dvc repro`")
    labels = np.asarray(picture)
    strange = labels[(labels >= len(CLASSES)) & (labels != VOID)]
    if strange.size:
        raise UserError(f"{path}: {strange[0]} is no class id; run `dvc repro`")
    return labels


def _read(path: Path) -> Image.Image:
    content = BytesIO(path.read_bytes())
    try:
        image = Image.open(content)
        image.load()
    except (OSError, SyntaxError, ValueError):
        raise UserError(f"{path}: not a picture, or damaged; remove it and run `dvc repro`") from None
    return image
