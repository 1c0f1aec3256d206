"""Decode the pictures of a data set that nobody has checked, and say what is wrong with each."""

from pathlib import Path

from PIL import Image

from segcore.fetch import formats
from segcore.fetch.problems import Wrong, kind_of, of_frames
from segcore.files.images import Unreadable, decode

_ORIENTATION = 0x112  # the tag of EXIF
_KINDS = {".jpg": "JPEG", ".png": "PNG"}
_MODES = ("RGB", "L")
_TURNED = of_frames(
    "EXIF orientation {detail}, by which some readers turn a picture and others do not",
    "if the label fits the picture as stored, remove the tag (exiftool -Orientation= FILE); if it fits the turned "
    "picture, turn it (mogrify -auto-orient FILE)",
)


def read_frame(path: Path) -> Image.Image:
    """Decode a frame, a JPEG or a PNG by its suffix.

    Raises:
        Wrong: unless it is in RGB or grey of 8 bits, without a transparent colour, an animation or an EXIF orientation
            that turns it.
    """
    kind = _KINDS[path.suffix]
    picture, stored = read_picture(path, kind, "frames", f"save it as {kind}; a different name is not enough")
    # Pillow shows a PNG of 16 bits as RGB, and one of 2 or 4 bits as grey.
    mode = stored if kind == "PNG" and picture.mode in _MODES else picture.mode
    if mode not in _MODES:
        raise Wrong(of_frames("RGB or grey of 8 bits was expected; its mode is {detail}", "save it as RGB"), mode)
    if more := more_than_pixels(picture):
        raise Wrong(of_frames("{detail}", "save it as RGB without"), more)
    if turned := orientation(picture):
        raise Wrong(_TURNED, turned)
    return picture


def read_picture(path: Path, kind: str, files: str, remedy: str) -> tuple[Image.Image, str]:
    """Decode a picture of Pillow's format ``kind``, as :func:`segcore.files.images.decode` does.

    Args:
        path: of the picture.
        kind: JPEG or PNG.
        files: ``"frames"`` or ``"labels"``.
        remedy: what to do with a picture of a different format.

    Raises:
        Wrong: if it is damaged, too large or of a different format, which is named.
    """
    try:
        return decode(path, kind)
    except Unreadable as error:
        with path.open("rb") as file:
            found = formats.recognise(file.read(formats.HEAD))
        if found is None or found == f"a {kind}":
            raise Wrong(kind_of(files, "{detail}"), str(error)) from None
        different = kind_of(files, f"{{detail}}, not a {kind}", formats.remedy(found, remedy))
        raise Wrong(different, found) from None


def more_than_pixels(picture: Image.Image) -> str:
    """Return what a PNG has besides the colours of its pixels; an empty text if there is nothing."""
    if "transparency" in picture.info:
        return "a transparent colour"
    return "an animation" if getattr(picture, "is_animated", False) else ""


def orientation(picture: Image.Image) -> str:
    """Return an orientation by which some readers turn the picture; an empty text if there is none.

    Pillow also finds one in XMP. EXIF data that it cannot read count as none: other readers ignore them, too.
    """
    try:
        found = picture.getexif().get(_ORIENTATION)
    except Exception:  # its type depends on where Pillow's parser failed
        return ""
    return "" if found in (None, 0, 1) else str(found)
