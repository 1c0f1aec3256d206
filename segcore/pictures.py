"""Frames and labels read from disk; what is damaged is named."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from segcore.console import UserError
from segcore.idd_lite import MAX_PIXELS
from segcore.labels import CLASSES, VOID

MAX_BYTES = 64 << 20  # IDD-Lite's pictures have at most 23 kB
MAX_SCANS = 32  # a progressive JPEG has about 10; each is a pass over all pixels, and 53 bytes can ask for one


class Unreadable(Exception):
    """A picture cannot be decoded. The text says why."""


def decode(path: Path, kind: str) -> Image.Image:
    """Decode a picture of Pillow's format ``kind``, JPEG or PNG, within the bounds of this module.

    Raises:
        Unreadable: if it is none, is damaged, or is beyond a bound.
    """
    if path.stat().st_size > MAX_BYTES:
        raise Unreadable(f"more than {MAX_BYTES:,} bytes")
    data = path.read_bytes()
    if kind == "JPEG" and data.count(b"\xff\xda") > MAX_SCANS:  # the marker that each begins with
        raise Unreadable(f"more than {MAX_SCANS} scans")
    try:
        with Image.open(BytesIO(data), formats=[kind]) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                by = f"{picture.width}×{picture.height}"
                raise Unreadable(f"{by} pixels; at most {MAX_PIXELS:,} in all were expected")
            picture.load()
            return picture
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(f"not a {kind} picture") from None
    except Exception as error:  # which one depends on where Pillow's parser tripped
        raise Unreadable(f"unreadable ({error})") from None


def read_image(path: Path) -> Image.Image:
    """Read a frame, RGB.

    Raises:
        UserError: if it is damaged.
    """
    return _read(path, "JPEG").convert("RGB")


def read_labels(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read class ids, uint8 H×W, of a frame whose width and height are ``size``.

    Raises:
        UserError: if it is not an 8-bit picture of one channel, of that size, with class ids and void only.
    """
    picture = _read(path, "PNG")
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


def _read(path: Path, kind: str) -> Image.Image:
    try:
        return decode(path, kind)
    except Unreadable as error:
        raise UserError(f"{path}: {error}; remove it and run `dvc repro`") from None
