"""Read pictures as people see them, and write what was predicted for them."""

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from segcore.drawing.pictures import overlay
from segcore.files.images import Unreadable

QUALITY = 90  # of the JPEGs


def read_picture(path: Path) -> Image.Image:
    """Read a picture as RGB, turned upright as its EXIF orientation says. Of several pages the first is read.

    Raises:
        Unreadable: if Pillow cannot read it, or its brightness has no known scale.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
            return _eight_bits(ImageOps.exif_transpose(picture)).convert("RGB")
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable("not a picture that Pillow can read") from None
    except Exception as error:  # its type depends on where Pillow's parser failed
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise Unreadable(f"unreadable ({reason})") from None


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Return a grey picture of 16 bits with 8, as Pillow's own conversion would cut off all but the darkest values."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise Unreadable("its pixels are numbers of 32 bits, and nothing says which is white; save it with 8 or 16")
    return picture


def write_picture(paths: list[Path], image: Image.Image, ids: np.ndarray, confidence: np.ndarray | None) -> None:
    """Write class ids as 8-bit grey PNG, the overlay as JPEG, and any confidence as 8-bit grey PNG, 255 for 1."""
    _write(paths[0], Image.fromarray(ids), "PNG", compress_level=1)
    _write(paths[1], overlay(image, ids), "JPEG", quality=QUALITY)
    if confidence is not None:
        _write(paths[2], Image.fromarray((confidence * 255).round().astype(np.uint8)), "PNG", compress_level=1)


def _write(path: Path, picture: Image.Image, kind: str, **options: int) -> None:
    # Not to the file directly: on a full disk, Pillow's JPEG encoder leaves a part of the picture and raises no error.
    content = BytesIO()
    picture.save(content, kind, **options)
    path.write_bytes(content.getbuffer())
