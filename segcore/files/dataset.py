"""data/raw/dataset.json: name, classes, protocol and licence of a data set, as its description in data/sets has them.

In data/raw, and in everything made from it, the ids of the classes are 0, 1, … in the order of this file, and the id of
void is 255.
"""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from segcore.runtime.typed import Strict, read_json

DATASET = Path("data/raw/dataset.json")

Channel = Annotated[int, Field(ge=0, le=255)]
Colour = Annotated[tuple[Channel, Channel, Channel], Field(strict=False)]  # RGB
Side = Annotated[int, Field(ge=1, le=16384)]


class FixedSize(Strict):
    """A size in pixels, to which prediction and truth are resized before they are compared."""

    width: Side
    height: Side
    resampling: Literal["nearest"]  # as Pillow does it; OpenCV's picks different pixels


Protocol = FixedSize | Literal["native"]  # native: scored at native size


class Licence(Strict):
    """The terms of the frames, as plain text, and the SPDX identifier where they are a common licence."""

    terms: Annotated[str, Field(min_length=1)]
    spdx: Annotated[str, Field(pattern=r"^[a-zA-Z0-9.+-]+$")] | None = None


class Dataset(Strict):
    """Content of dataset.json."""

    name: str
    about: str  # a sentence
    home: str | None  # URL
    licence: Licence
    classes: dict[str, Colour]  # the name of each class in the order of the ids, with the colour to draw it in
    protocol: Protocol
    sample: bool  # whether it is the built-in sample

    @property
    def names(self) -> list[str]:
        """Names of the classes in the order of their ids."""
        return list(self.classes)

    @property
    def colours(self) -> list[tuple[int, int, int]]:
        """Colours of the classes in the order of their ids."""
        return list(self.classes.values())

    def terms(self, started_from_weights: bool) -> str:
        """Return the terms of the frames, and a note if training started from weights that have terms of their own."""
        if not started_from_weights:
            return self.licence.terms
        return f"{self.licence.terms} The weights that training started from have terms of their own, which apply, too."


def write_dataset(path: Path, dataset: Dataset) -> None:
    """Write dataset.json."""
    path.write_text(json.dumps(dataset.model_dump(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_dataset(path: Path = DATASET) -> Dataset:
    """Read dataset.json.

    Raises:
        UserError: if it is not what fetch writes.
    """
    return read_json(path, Dataset, "fetch")
