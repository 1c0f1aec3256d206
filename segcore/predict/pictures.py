"""Read pictures as people see them, and write what was predicted for them."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from segcore.drawing.pictures import Colour, overlay
from segcore.files.images import Unreadable

MAX_SIDE = 65_500  # pixels that libjpeg allows
QUALITY = 90  # of the JPEGs


def read_picture(path: Path) -> Image.Image:
    """Read a picture as RGB, turned upright by its EXIF orientation. If it has several pages, the first is read.

    Raises:
        Unreadable: if Pillow cannot read it, or its brightness has no known scale.
    """
    try:
        with Image.open(path) as picture:
            if max(picture.size) > MAX_SIDE:
                raise Unreadable(f"more than {MAX_SIDE:,} pixels wide or high, which the JPEG of the overlay cannot be")
            return _eight_bits(ImageOps.exif_transpose(picture), picture.format).convert("RGB")
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable("not a picture that Pillow can read") from None
    except Exception as error:  # its type depends on where Pillow's parser failed
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise Unreadable(f"unreadable ({reason})") from None


def _eight_bits(picture: Image.Image, kind: str | None) -> Image.Image:
    """Reduce a grey picture of 16 bits to 8. Pillow's own conversion clips all values above 255."""
    if picture.mode.startswith("I;16") or (picture.mode == "I" and kind == "PPM"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise Unreadable("its pixels are 32-bit numbers of unknown range; save it with 8 or 16 bits")
    return picture


def write_picture(
    paths: list[Path],
    image: Image.Image,
    ids: np.ndarray,
    confidence: np.ndarray | None,
    colours: Sequence[Colour],
) -> None:
    """Write class ids as 8-bit grey PNG, the overlay as JPEG, and any confidence as 8-bit grey PNG, 255 for 1."""
    _write(paths[0], Image.fromarray(ids), "PNG", compress_level=1)
    _write(paths[1], overlay(image, ids, colours), "JPEG", quality=QUALITY)
    if confidence is not None:
        _write(paths[2], Image.fromarray((confidence * 255).round().astype(np.uint8)), "PNG", compress_level=1)


def _write(path: Path, picture: Image.Image, kind: str, **options: int) -> None:
    # Not to the file directly: on a full disk, Pillow's JPEG encoder leaves a part of the picture and raises no error.
    content = BytesIO()
    picture.save(content, kind, **options)
    path.write_bytes(content.getbuffer())
