"""Pictures on disk: RGB frames, label maps, and predicted class ids. Errors name the damaged file.

``data/raw`` holds all frames and labels, ``data/native`` those of val and test in the same layout, and
``data/predictions`` the predicted class ids of val and test, all at native size.
"""

import re
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from segcore.dataset.classes import VOID
from segcore.dataset.frames import MAX_PIXELS
from segcore.runtime.errors import UserError

RAW = Path("data/raw")
NATIVE = Path("data/native")
PREDICTIONS = Path("data/predictions")
RENDERS = Path("data/renders")  # pictures for people; no stage reads them

MAX_BYTES = 64 << 20  # a PNG of 16 million pixels of noise has 48 million
MAX_SCANS = 32  # a progressive JPEG has about 10; each costs a pass over all pixels, but only 53 bytes of the file
MAX_SEGMENTS = 10_000  # a JPEG has about 10; a colour profile takes up to 255 more
# The markers of a JPEG that are followed by a length, and the one at its end: ITU-T T.81, table B.1.
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")


class Unreadable(Exception):
    """A picture cannot be decoded. The text says why."""


def decode(path: Path, kind: str) -> tuple[Image.Image, str]:
    """Decode a picture of Pillow's format ``kind``, JPEG or PNG.

    Return it with Pillow's name for how the file stores its pixels, which tells the number of bits: ``"L"`` is grey of
    8 bits, ``"L;4"`` grey of 4 bits, whose values Pillow multiplies by 17. Bytes after the end of a JPEG are ignored.

    Raises:
        Unreadable: if it is not of this format, is damaged, or is larger than the limits of this module.
    """
    if path.stat().st_size > MAX_BYTES:
        raise Unreadable(f"more than {MAX_BYTES:,} bytes")
    data = path.read_bytes()
    if kind == "JPEG":
        data = data[: _end_of_jpeg(data)]
    try:
        with Image.open(BytesIO(data), formats=[kind]) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                by = f"{picture.width}×{picture.height}"
                raise Unreadable(f"{by} pixels; at most {MAX_PIXELS:,} in all were expected")
            stored = str(picture.tile[0][3]) if picture.tile else ""
            picture.load()
            return picture, stored
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(f"not a {kind} picture") from None
    except Exception as error:  # its type depends on where Pillow's parser failed
        raise Unreadable(f"unreadable ({error})") from None


def _end_of_jpeg(data: bytes) -> int:
    """Return where the picture ends. A phone stores a video behind it, a camera a second picture.

    The segments are skipped by their lengths, because one may contain a small picture with an end of its own.

    Raises:
        Unreadable: if it has more scans or segments than the limits of this module.
    """
    at, scans = 0, 0
    for _ in range(MAX_SEGMENTS):
        if (marker := _MARKER.search(data, at)) is None:
            return len(data)
        at = marker.end()
        if marker[1] == b"\xd9":
            return at
        scans += marker[1] == b"\xda"
        if scans > MAX_SCANS:
            raise Unreadable(f"more than {MAX_SCANS} scans")
        at += int.from_bytes(data[at : at + 2], "big")
    raise Unreadable(f"more than {MAX_SEGMENTS:,} segments")


def read_image(path: Path) -> Image.Image:
    """Read a frame, a ``.jpg`` or a ``.png``, as RGB; it may be grey.

    Raises:
        UserError: if it is damaged, or grey of 16 bits.
    """
    picture, stored = _read(path, "PNG" if path.suffix == ".png" else "JPEG")
    if picture.mode.startswith("I"):  # Pillow would clip all values above 255
        raise UserError(f"{path}: 8 bits per channel were expected; it is stored as {stored}; run `dvc repro`")
    return picture.convert("RGB")


def read_labels(path: Path, size: tuple[int, int], classes: int) -> np.ndarray:
    """Read class ids, uint8 H×W, of a frame of this width and height; ``classes`` is the number of classes.

    Raises:
        UserError: unless it is a grey picture of 8 bits, of that size, with class ids and void only.
    """
    picture, stored = _read(path, "PNG")
    if stored != "L":
        raise UserError(f"{path}: grey of 8 bits was expected; it is stored as {stored}; run `dvc repro`")
    if picture.size != size:
        found, expected = ("×".join(map(str, pair)) for pair in (picture.size, size))
        raise UserError(f"{path}: its size is {found}, its frame's {expected}; run `dvc repro`")
    labels = np.asarray(picture)
    strange = labels[(labels >= classes) & (labels != VOID)]
    if strange.size:
        raise UserError(f"{path}: {strange[0]} is no id of the {classes} classes; run `dvc repro`")
    return labels


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Write class ids, uint8 H×W, as an 8-bit grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels).save(path)


def _read(path: Path, kind: str) -> tuple[Image.Image, str]:
    try:
        return decode(path, kind)
    except Unreadable as error:
        raise UserError(f"{path}: {error}; remove it and run `dvc repro`") from None
