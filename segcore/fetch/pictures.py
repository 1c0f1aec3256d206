"""Read the frames and labels of a data set that nobody has checked, and say what is wrong with each.

How a label stores its class ids:

- 8-bit grey: the values are the ids.
- Grey of 1, 2 or 4 bits: the stored values are the ids. Readers stretch them to 0 to 255. If the stretched values would
  be ids, too, as in black and white, nobody knows which are meant, and the label is refused.
- A palette with a colour in it: the indices are the ids, as tools for labelling write them.
- A palette of greys only: the greys are the ids. Optimisers make it from grey labels, in an order of their own.

All entries of a palette decide which kind it is, not only those in use: void is black in many palettes of colours, and
a label of nothing but void would be taken for one of greys. An entry whose grey is its index says nothing; tools fill
palettes up with such. Any other grey that is not an id was chosen for display, so a palette with such a grey is refused
if greys and indices in use differ. So is a palette with the same grey for two indices in use.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from segcore.dataset.classes import CLASSES, VOID
from segcore.fetch import formats
from segcore.fetch.problems import Kind, Wrong
from segcore.files.images import Unreadable, decode

IDS = (*range(len(CLASSES)), VOID)
_ORIENTATION = 0x112  # the tag of EXIF
_SAVE = "save the class ids as 8-bit grey PNG"


class Label(NamedTuple):
    """Class ids, uint8 H×W; where they were found, if not in 8-bit grey; a palette of colours.

    The palette maps each index in use to red, green and blue; it is empty if the label has none.
    """

    ids: np.ndarray
    source: str
    palette: dict[int, tuple[int, ...]]


def read_frame(path: Path) -> Image.Image:
    """Decode a frame.

    Raises:
        Wrong: unless it is a JPEG in RGB or grey, without an EXIF orientation that turns it.
    """
    picture, _ = _read(path, "JPEG", "frames")
    if picture.mode not in ("RGB", "L"):
        raise Wrong(
            Kind(
                "RGB or grey was expected; its mode is {detail}",
                "{count} of {frames} frames are neither RGB nor grey: mode {detail}",
                "; save it as RGB",
            ),
            picture.mode,
        )
    if turned := _orientation(picture):
        raise Wrong(
            Kind(
                "EXIF orientation {detail}",
                "{count} of {frames} frames have EXIF orientation {detail}",
                ", by which some readers turn a picture and others do not; if the label fits the picture as stored, "
                "remove the tag (exiftool -Orientation= FILE); if it fits the turned picture, turn it (mogrify "
                "-auto-orient FILE)",
            ),
            turned,
        )
    return picture


def read_label(path: Path) -> Label:
    """Read the class ids of a label.

    Raises:
        Wrong: unless it is a PNG of one channel of up to 8 bits, or with a palette, without transparency, with class
            ids and void only, and it is certain which they are.
    """
    picture, stored = _read(path, "PNG", "labels")
    if picture.mode in ("RGB", "RGBA"):
        raise Wrong(
            Kind(
                "a colour mask and not ids (its mode is {detail})",
                "{count} of {labels} labels are colour masks and not ids (mode {detail})",
                "; save the class id of each pixel instead, as 8-bit grey PNG",
            ),
            picture.mode,
        )
    if picture.mode not in ("1", "L", "P"):
        raise Wrong(_label_kind("one channel of 8 bits was expected; its mode is {detail}"), picture.mode)
    if "transparency" in picture.info:
        raise Wrong(_label_kind("a transparent colour"))
    if getattr(picture, "is_animated", False):
        raise Wrong(_label_kind("an animation"))
    if turned := _orientation(picture):
        raise Wrong(_label_kind("EXIF orientation {detail}, by which some readers turn it"), turned)
    if picture.mode == "P":
        label = _from_palette(picture)
    elif stored == "L":
        label = Label(np.asarray(picture), "", {})
    else:
        label = _from_few_bits(picture, stored)
    _refuse_other_values(label.ids)
    return label


def _label_kind(what: str) -> Kind:
    return Kind(what, f"{{count}} of {{labels}} labels: {what}", f"; {_SAVE}")


def _read(path: Path, kind: str, what: str) -> tuple[Image.Image, str]:
    try:
        return decode(path, kind)
    except Unreadable as error:
        with path.open("rb") as file:
            found = formats.recognise(file.read(formats.HEAD))
        if found is None or found == f"a {kind}":
            raise Wrong(Kind("{detail}", f"{{count}} of {{{what}}} {what}: {{detail}}"), str(error)) from None
        otherwise = {"JPEG": "save it as JPEG; a different name is not enough", "PNG": _SAVE}
        remedy = formats.remedy(found, otherwise[kind])
        raise Wrong(
            Kind(
                f"{{detail}}, not a {kind}", f"{{count}} of {{{what}}} {what}: {{detail}}, not a {kind}", f"; {remedy}"
            ),
            found,
        ) from None


def _orientation(picture: Image.Image) -> str:
    """Return an orientation by which some readers turn the picture; an empty text if there is none.

    Pillow also finds one in XMP. EXIF data that it cannot read count as none: other readers ignore them, too.
    """
    try:
        found = picture.getexif().get(_ORIENTATION)
    except Exception:  # its type depends on where Pillow's parser failed
        return ""
    return "" if found in (None, 0, 1) else str(found)


def _from_few_bits(picture: Image.Image, stored: str) -> Label:
    shown = np.asarray(picture.convert("L"))
    bits = {"1": 1, "L;2": 2, "L;4": 4}[stored]
    ids = shown // (255 // (2**bits - 1))
    if np.isin(shown, IDS).all() and (shown != ids).any():
        raise Wrong(_label_kind("{detail}-bit grey, in which white may be a class id or void"), str(bits))
    return Label(ids, "the stored values of 1-, 2- or 4-bit grey", {})


def _from_palette(picture: Image.Image) -> Label:
    indices = np.asarray(picture)
    used = _values(indices)
    own = np.arange(256, dtype=np.uint8)
    colours = np.stack([own] * 3, axis=1)  # an entry that the file does not have is as Pillow and libpng show it
    entries = np.array(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    colours[: len(entries)] = entries
    greys = colours[:, 0]
    if (colours != greys[:, None]).any():
        palette = {int(index): tuple(map(int, colours[index])) for index in used}
        return Label(indices, "the indices of a palette", palette)
    if (greys[used] == used).all():
        return Label(indices, "the greys of a palette", {})
    strange = np.setdiff1d(greys[greys != own], IDS)
    if strange.size or np.unique(greys[used]).size < used.size:
        raise Wrong(_label_kind("a palette of greys, of which either the greys or the indices may be the class ids"))
    return Label(greys[indices], "the greys of a palette", {})


def _values(ids: np.ndarray) -> np.ndarray:
    """Return the different values in order, like ``np.unique``, but faster."""
    return np.flatnonzero(np.bincount(ids.ravel(), minlength=256))


def _refuse_other_values(ids: np.ndarray) -> None:
    wrong = [str(value) for value in _values(ids) if value not in IDS]
    expected = f"class ids 0 to {len(CLASSES) - 1} and {VOID} were expected; it also has {{detail}}"
    if len(wrong) == 1:
        many = f"{wrong[0]} occurs in {{count}} of {{labels}} labels"
        raise Wrong(Kind(expected, many, f"; if it is void, set it to {VOID}"), *wrong)
    if wrong:
        many = "{count} of {labels} labels have values that are no class ids: {detail}"
        raise Wrong(Kind(expected, many, f"; if one of them is void, set it to {VOID}"), *wrong)
