"""Read labels that store the colour of its class for each pixel."""

from collections import Counter

import numpy as np
from PIL import Image

from segcore.fetch.problems import MANY, Wrong, of_labels, unknown

UNKNOWN = 254  # in tables of class ids: neither the id of a class nor void
SAVE = "save it as RGB of 8 bits"
_AT_ONCE = 1 << 16  # pixels that are looked up at once: few, as they fit the processor's cache
_UNKNOWN_COLOURS = unknown("colours")
_UNKNOWN_GREYS = _UNKNOWN_COLOURS._replace(
    remedy=f"{_UNKNOWN_COLOURS.remedy}; if they are class ids, set `encoding: ids`"
)
_MIXED_COLOURS = of_labels(
    f"more than {MANY} colours that the description (fetch.dataset) does not know, for example {{detail}}",
    "compression with loss and smooth resizing mix colours: use the masks as they were drawn",
)

Colour = tuple[int, int, int]


def colour_table(ids: dict[Colour, int]) -> np.ndarray:
    """Return a table of 2²⁴ uint8: the id of each colour, red in the lowest byte; UNKNOWN for all others."""
    table = np.full(1 << 24, UNKNOWN, dtype=np.uint8)
    for (red, green, blue), value in ids.items():
        table[red | green << 8 | blue << 16] = value
    return table


def find_classes(picture: Image.Image, stored: str, table: np.ndarray) -> Image.Image:
    """Return the class ids, a picture of mode L, of a colour mask: RGB, RGBA without transparency, a palette or grey.

    ``picture`` and ``stored`` are what :func:`segcore.files.images.decode` returns.

    Raises:
        Wrong: if the picture is of a different kind, or has a colour that the table does not know.
    """
    if picture.mode not in ("RGB", "RGBA", "P", "L", "1") or stored.endswith(";16B"):
        raise Wrong(of_labels("a colour mask of 8 bits was expected; its mode is {detail}", SAVE), stored)
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (255, 255):
        raise Wrong(of_labels("some of its pixels are transparent", SAVE))
    ids = np.empty((picture.height, picture.width), dtype=np.uint8)
    strange: Counter[int] = Counter()
    rows = max(1, _AT_ONCE // picture.width)
    for top in range(0, picture.height, rows):
        strip = picture.crop((0, top, picture.width, min(top + rows, picture.height))).convert("RGB")
        colours = np.frombuffer(strip.tobytes("raw", "RGBX"), dtype="<u4").reshape(strip.height, -1) & 0xFFFFFF
        found = table.take(colours, out=ids[top : top + rows], mode="clip")
        if (unknown_here := colours[found == UNKNOWN]).size:
            values, counts = np.unique(unknown_here, return_counts=True)
            strange.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        if len(strange) > MANY:
            raise Wrong(_MIXED_COLOURS, *_most_frequent(strange, 3))
    if strange:
        grey = all(colour % 0x10101 == 0 for colour in strange)
        raise Wrong(_UNKNOWN_GREYS if grey else _UNKNOWN_COLOURS, *_most_frequent(strange, MANY))
    return Image.fromarray(ids)


def _most_frequent(colours: Counter[int], count: int) -> list[str]:
    return [str([colour >> shift & 0xFF for shift in (0, 8, 16)]) for colour, _ in colours.most_common(count)]
