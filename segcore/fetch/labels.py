"""Read the class ids of the labels of a data set, each by the encoding of its layout.

How ids, colours and polygons are read is in :mod:`segcore.fetch.ids`, :mod:`segcore.fetch.masks` and
:mod:`segcore.fetch.polygons`.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from segcore.dataset.classes import VOID
from segcore.fetch import ids, masks
from segcore.fetch.ids import Label
from segcore.fetch.masks import UNKNOWN
from segcore.fetch.pictures import more_than_pixels, orientation, read_picture
from segcore.fetch.polygons import read_polygons
from segcore.fetch.problems import Kind, Wrong, of_labels, unknown
from segcore.files.description import Description

_SIZE = Kind("{detail}", "{count} of {labels} labels are not of their frame's size: {detail}")
_UNKNOWN_IDS = unknown("ids")

Size = tuple[int, int]  # width, height


class LabelReader:
    """Read labels as class ids: 0, 1, … for the classes in the order of the description, 255 for void."""

    def __init__(self, description: Description) -> None:
        sources = [*enumerate(description.classes.values()), (VOID, description.void)]
        self._encodings = [layout.encoding for layout in description.layouts]
        self._ids = np.full(256, UNKNOWN, dtype=np.uint8)
        for value, each in sources:
            self._ids[list(each.ids)] = value
        colours = {colour: value for value, each in sources for colour in each.mask_colours}
        self._colours = masks.colour_table(colours) if "colours" in self._encodings else np.empty(0, dtype=np.uint8)
        self._names: dict[str, int | None] = dict.fromkeys(description.skip_names)
        self._names |= {name: value for value, each in sources for name in each.names}

    def read(self, path: Path, layout: int, size: Size | None) -> Label:
        """Read a label of the layout with this number; ``size`` is that of its frame, ``None`` if it is not known.

        Raises:
            Wrong: if it is damaged, of a different size, or has ids, colours or names that the description lacks.
        """
        if self._encodings[layout] == "polygons":
            return self._read_polygons(path, size)
        if self._encodings[layout] == "colours":
            picture, stored = _read_png(path, size, masks.SAVE)
            return Label(masks.find_classes(picture, stored, self._colours), "the colours of a mask", {})
        picture, stored = _read_png(path, size, ids.SAVE)
        return self._map(ids.find_ids(picture, stored, np.flatnonzero(self._ids != UNKNOWN)))

    def _map(self, label: Label) -> Label:
        """Return a label with ids of the source as one with class ids."""
        used = ids.values(label.picture)
        if (strange := used[self._ids[used] == UNKNOWN]).size:
            raise Wrong(_UNKNOWN_IDS, *map(str, strange))
        if (self._ids[used] == used).all():
            return label
        mapped = label.picture.point(self._ids.tolist())
        return Label(mapped, label.origin or "ids mapped by the description", label.palette)

    def _read_polygons(self, path: Path, size: Size | None) -> Label:
        polygons = read_polygons(path)
        _check_size((polygons.width, polygons.height), size)
        left_out = any(each.few_points and not each.deleted for each in polygons.objects)
        origin = "polygons; those of fewer than 3 points were left out" if left_out else "polygons"
        return Label(polygons.draw(self._names), origin, {})


def _read_png(path: Path, size: Size | None, remedy: str) -> tuple[Image.Image, str]:
    """Decode a label; return what :func:`segcore.files.images.decode` does."""
    picture, stored = read_picture(path, "PNG", "labels", remedy)
    if more := more_than_pixels(picture):
        raise Wrong(of_labels("{detail}", remedy), more)
    if turned := orientation(picture):
        raise Wrong(of_labels("EXIF orientation {detail}, by which some readers turn it", remedy), turned)
    _check_size(picture.size, size)
    return picture, stored


def _check_size(found: Size, expected: Size | None) -> None:
    if expected and found != expected:
        label, frame = ("×".join(map(str, pair)) for pair in (found, expected))
        raise Wrong(_SIZE, f"{label} pixels; its frame has {frame}")
