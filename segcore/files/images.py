"""Pictures on disk: RGB frames, label maps, and predicted class ids. Errors name the damaged file.

``data/raw`` holds all frames and labels in the published layout, ``data/native`` those of val and test, and
``data/predictions`` the predicted class ids of val and test, all at native size.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from segcore.dataset.classes import CLASSES, VOID
from segcore.dataset.frames import MAX_PIXELS
from segcore.runtime.errors import UserError

RAW = Path("data/raw")
NATIVE = Path("data/native")
PREDICTIONS = Path("data/predictions")
RENDERS = Path("data/renders")  # pictures for people; no stage reads them

MAX_BYTES = 64 << 20  # IDD-Lite's pictures have at most 23 kB
MAX_SCANS = 32  # a progressive JPEG has about 10; each costs a pass over all pixels, but only 53 bytes of the file


class Unreadable(Exception):
    """A picture cannot be decoded. The text says why."""


def decode(path: Path, kind: str) -> Image.Image:
    """Decode a picture of Pillow's format ``kind``, JPEG or PNG.

    Raises:
        Unreadable: if it is not of this format, is damaged, or is larger than the limits of this module.
    """
    if path.stat().st_size > MAX_BYTES:
        raise Unreadable(f"more than {MAX_BYTES:,} bytes")
    data = path.read_bytes()
    if kind == "JPEG" and data.count(b"\xff\xda") > MAX_SCANS:  # the marker at the start of a scan
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
    except Exception as error:  # its type depends on where Pillow's parser failed
        raise Unreadable(f"unreadable ({error})") from None


def read_image(path: Path) -> Image.Image:
    """Read a frame, RGB.

    Raises:
        UserError: if it is damaged.
    """
    return _read(path, "JPEG").convert("RGB")


def read_labels(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read the class ids, uint8 H×W, of a frame whose width and height are ``size``.

    Raises:
        UserError: unless it is an 8-bit picture of one channel, of that size, with class ids and void only.
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
        raise UserError(f"{path}: {strange[0]} is not a class id; run `dvc repro`")
    return labels


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Write class ids, uint8 H×W, as an 8-bit grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels).save(path)


def _read(path: Path, kind: str) -> Image.Image:
    try:
        return decode(path, kind)
    except Unreadable as error:
        raise UserError(f"{path}: {error}; remove it and run `dvc repro`") from None
