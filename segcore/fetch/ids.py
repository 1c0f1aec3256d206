"""Read labels that store ids in a PNG.

- 8-bit grey: the values are the ids.
- Grey of 1, 2 or 4 bits: the stored values are the ids. Readers stretch them to 0 to 255. If the stretched values would
  be ids, too, as in black and white, nobody knows which are meant, and the label is refused.
- A palette with a colour in it: the indices are the ids, as tools for labelling write them.
- A palette of greys only: the greys are the ids. Optimisers make it from grey labels, in an order of their own.

All entries of a palette decide which kind it is, not only those in use: void is black in many palettes of colours, so
a label of void alone would look like one of greys.

If the greys in use differ from their indices, a palette of greys is refused in two cases: two indices in use have the
same grey; or an entry has a grey that is neither its index, with which tools fill palettes up, nor an id, so that the
greys may have been chosen for display.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from segcore.fetch.problems import Wrong, of_labels

SAVE = "save the class ids as 8-bit grey PNG"
AS_MASK = (
    "say `encoding: colours` in the description (fetch.dataset), or save the class id of each pixel instead, as "
    "8-bit grey PNG"
)


Palette = dict[int, tuple[int, ...]]  # red, green and blue of each index in use


class Label(NamedTuple):
    """A label: a picture of mode L whose values are ids.

    ``origin`` says what the ids were in the file, for example "the indices of a palette"; it is empty if the file has
    the same values in 8-bit grey. ``palette`` is empty if the file has none, or one of greys.
    """

    picture: Image.Image
    origin: str
    palette: Palette


def find_ids(picture: Image.Image, stored: str, known: np.ndarray) -> Label:
    """Return the ids of a label. They may be none of those that are ``known``, the ids of the description.

    ``picture`` and ``stored`` are what :func:`segcore.files.images.decode` returns.

    Raises:
        Wrong: unless it is a picture of one channel of up to 8 bits, or with a palette, and it is certain which
            values are the ids.
    """
    if picture.mode in ("RGB", "RGBA"):
        raise Wrong(of_labels("a colour mask and not ids (its mode is {detail})", AS_MASK), picture.mode)
    if picture.mode not in ("1", "L", "P"):
        raise Wrong(of_labels("one channel of 8 bits was expected; its mode is {detail}", SAVE), picture.mode)
    if picture.mode == "P":
        return _from_palette(picture, known)
    return Label(picture, "", {}) if stored == "L" else _from_few_bits(picture, stored, known)


def values(picture: Image.Image) -> np.ndarray:
    """Return the different values of a picture of mode L or P, in order."""
    return np.flatnonzero(picture.histogram())


def _from_few_bits(picture: Image.Image, stored: str, known: np.ndarray) -> Label:
    picture = picture.convert("L")
    shown = values(picture)
    bits = {"1": 1, "L;2": 2, "L;4": 4}[stored]
    factor = 255 // (2**bits - 1)
    if np.isin(shown, known).all() and shown.any():
        raise Wrong(of_labels("{detail}-bit grey, in which white may be a class id or void", SAVE), str(bits))
    picture = picture.point([value // factor for value in range(256)])
    return Label(picture, "the stored values of 1-, 2- or 4-bit grey", {})


def _from_palette(picture: Image.Image, known: np.ndarray) -> Label:
    used = values(picture)
    own = np.arange(256, dtype=np.uint8)
    colours = np.stack([own] * 3, axis=1)  # an entry that the file does not have is as Pillow and libpng show it
    entries = np.array(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    colours[: len(entries)] = entries
    greys = colours[:, 0]
    indices = Image.frombytes("L", picture.size, picture.tobytes())
    if (colours != greys[:, None]).any():
        palette = {int(index): tuple(map(int, colours[index])) for index in used}
        return Label(indices, "the indices of a palette", palette)
    if (greys[used] == used).all():
        return Label(indices, "the greys of a palette", {})
    strange = np.setdiff1d(greys[greys != own], known)
    if strange.size or np.unique(greys[used]).size < used.size:
        what = "a palette of greys, of which either the greys or the indices may be the class ids"
        raise Wrong(of_labels(what, SAVE))
    return Label(indices.point(greys.tolist()), "the greys of a palette", {})
