"""Read labels that are polygons, in JSON as the tools of Cityscapes and IDD write it, and draw their classes.

They are drawn as json2labelImg.py of https://github.com/mcordts/cityscapesScripts and of
https://github.com/AutoNUE/public-code does it. Polygons of fewer than three points are left out, as by the program of
IDD; the one of Cityscapes draws two points as a line, and fails at fewer.
"""

from pathlib import Path
from typing import Annotated

from PIL import Image, ImageDraw
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from segcore.dataset.classes import VOID
from segcore.dataset.frames import MAX_PIXELS
from segcore.fetch import formats
from segcore.fetch.problems import Wrong, of_labels, unknown
from segcore.files.dataset import Side

MAX_BYTES = 16 << 20  # indented as by the organisers' tools, a point takes about 100 bytes
MAX_VALUES = 300_000  # 100,000 points
MAX_POINTS = 10_000  # of a polygon; the time that Pillow takes grows with their square
_UNKNOWN_NAMES = unknown("names")
_REMEDY = "correct it, or download it again"


class _Read(BaseModel):
    """Base of values that other people's programs write. Keys that nothing here needs are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


_Coordinate = Annotated[float, Field(ge=-1e6, le=1e6)]  # Pillow truncates it to an integer of 32 bits


class Object(_Read):
    """A polygon with x and y of its points in pixels."""

    label: Annotated[str, Field(max_length=100)]
    polygon: Annotated[list[tuple[_Coordinate, _Coordinate]], FailFast(), Field(max_length=MAX_POINTS)]
    deleted: bool | int | None = None

    @property
    def few_points(self) -> bool:
        """Whether it has too few points to enclose anything."""
        return len(self.polygon) < 3


class Polygons(_Read):
    """Content of a label. Later objects cover earlier ones."""

    # The organisers' tools take sides as text, too.
    width: Annotated[Side, Field(alias="imgWidth", strict=False)]
    height: Annotated[Side, Field(alias="imgHeight", strict=False)]
    objects: Annotated[list[Object], FailFast()]

    def draw(self, ids: dict[str, int | None]) -> Image.Image:
        """Draw the id of each name on void, in a picture of mode L; objects whose id is ``None`` are left out.

        A name that ends in ``group`` and has no id has that of the name without it.

        Raises:
            Wrong: if there is no id for a name.
        """
        drawn = [each for each in self.objects if not each.deleted and not each.few_points]
        names = {each.label: each.label if each.label in ids else each.label.removesuffix("group") for each in drawn}
        if strange := [name for name, known in names.items() if known not in ids]:
            raise Wrong(_UNKNOWN_NAMES, *map(repr, strange))
        picture = Image.new("L", (self.width, self.height), VOID)
        canvas = ImageDraw.Draw(picture)
        for each in drawn:
            if (value := ids[names[each.label]]) is not None:
                canvas.polygon(each.polygon, fill=value)
        return picture


def read_polygons(path: Path) -> Polygons:
    """Read a label.

    Raises:
        Wrong: if it is not one, or is larger than the limits of this module.
    """
    if path.stat().st_size > MAX_BYTES:
        raise Wrong(of_labels(f"more than {MAX_BYTES:,} bytes", _REMEDY))
    data = path.read_bytes()
    if sum(map(data.count, (b",", b"[", b":"))) > MAX_VALUES:  # one of these is before each value
        raise Wrong(of_labels(f"more than {MAX_VALUES:,} values", _REMEDY))
    try:
        polygons = Polygons.model_validate_json(data)
    except ValidationError as error:
        raise _explain(error, data) from None
    if polygons.width * polygons.height > MAX_PIXELS:
        by = f"{polygons.width}×{polygons.height}"
        raise Wrong(of_labels("{detail}", _REMEDY), f"{by} pixels; at most {MAX_PIXELS:,} in all were expected")
    return polygons


def _explain(error: ValidationError, data: bytes) -> Wrong:
    """Return the first problem of a label, by its key, or as the format that it has instead of JSON."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] != "json_invalid":
        key = ".".join(map(str, first["loc"])) or "its content"
        return Wrong(of_labels("{detail}", _REMEDY), f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}")
    found = formats.recognise(data[: formats.HEAD])
    if found and found != "a JSON document":
        return Wrong(of_labels("{detail}, not polygons in JSON", formats.remedy(found, _REMEDY)), found)
    return Wrong(of_labels("{detail}", _REMEDY), first["msg"])
