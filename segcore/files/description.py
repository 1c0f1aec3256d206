"""The description of a data set, a YAML file in data/sets: its classes, its layouts and the encoding of its labels.

docs/datasets.md explains each key.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from segcore.dataset.frames import SPLITS
from segcore.files.dataset import Colour, Dataset, Licence, Protocol, Side
from segcore.files.params import read_yaml
from segcore.runtime.typed import Strict, validate

SETS = Path("data/sets")
VOID_COLOUR = (0, 0, 0)
MAX_CLASSES = 64

# A name is a key in metrics, a column of tables and a line of plots. These names have a different meaning there.
_RESERVED = ("void", "miou", "output", "input", "model")


def _class_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w +-]{0,39}", name, re.ASCII) or name.lower() in _RESERVED:
        raise ValueError(
            "the name of a class was expected: up to 40 letters, digits, spaces and the signs + - _, and none of "
            + ", ".join(_RESERVED)
        )
    return name


ClassName = Annotated[str, AfterValidator(_class_name)]
Text = Annotated[str, Field(min_length=1)]
Id = Annotated[int, Field(ge=0, le=255)]

Item = TypeVar("Item")
Listed = Annotated[tuple[Item, ...], Field(strict=False)]


class Source(Strict):
    """The ids, polygon names and mask colours of a class, or of void, in the files of the source."""

    ids: Listed[Id] = ()
    names: Listed[Text] = ()
    mask: Listed[Colour] = ()


class Class(Source):
    """A class: how it is drawn, and how the source labels it. ``mask`` is ``[colour]`` unless it is given."""

    colour: Colour


class Layout(Strict):
    """Where images and labels are: patterns of :mod:`segcore.fetch.patterns`, and how a label stores the classes."""

    images: Text
    labels: Text
    encoding: Literal["ids", "colours", "polygons"] = "ids"


class Split(Strict):
    """A split: the names of its folder, whether it must have frames, and how many it has as published."""

    folders: Listed[Text] | None = None  # none: its own name
    required: bool = False
    frames: Annotated[int, Field(ge=0, le=10_000_000)] | None = None


class Splits(Strict):
    """The splits of a data set."""

    train: Split = Split(required=True)
    val: Split = Split(required=True)
    test: Split = Split()


class Sample(Strict):
    """The built-in sample in the layout of this data set, with its own name, sentence and licence."""

    source: Text
    name: Text
    about: Text
    licence: Licence


class Description(Strict):
    """Content of a file in data/sets."""

    name: Text
    about: Text
    home: Text | None = None
    licence: Licence
    classes: Annotated[dict[ClassName, Class], Field(min_length=2, max_length=MAX_CLASSES)]
    void: Source = Source()
    skip_names: Listed[Text] = ()  # polygons that are not drawn
    layouts: Annotated[tuple[Layout, ...], Field(strict=False, min_length=1)]
    parts: Listed[Text] = ()  # folders that may stand side by side, of a set that is published in several archives
    ignore: Listed[Text] = ()  # globs of file names that are neither frames nor labels
    splits: Splits = Splits()
    size: Annotated[tuple[Side, Side], Field(strict=False)] | None = None  # width, height of the largest frame
    protocol: Protocol | Literal["native"] = "native"
    sample: Sample | None = None

    @model_validator(mode="after")
    def _unique(self) -> Self:
        """Check that colours to draw with, ids, names and mask colours each belong to one class."""
        everyone = [*self.classes.values(), self.void]
        colours = [*(each.colour for each in self.classes.values()), VOID_COLOUR]
        labels = {
            "colour (void is drawn in black)": colours,
            "id": [value for each in everyone for value in each.ids],
            "name": [*(value for each in everyone for value in each.names), *self.skip_names],
            "mask colour": [value for each in everyone for value in masks(each)],
        }
        for what, values in labels.items():
            if twice := [value for value, count in Counter(values).items() if count > 1]:
                raise ValueError(f"classes: each {what} was expected once; {twice[0]} is there twice")
        return self

    @model_validator(mode="after")
    def _labelled(self) -> Self:
        """Check that every class can occur in the labels of every layout."""
        for number, layout in enumerate(self.layouts):
            for name, each in self.classes.items():
                key = {"ids": "ids", "colours": "mask", "polygons": "names"}[layout.encoding]
                if layout.encoding != "colours" and not getattr(each, key):
                    raise ValueError(
                        f"classes.{name}.{key}: missing, and layouts.{number} has the encoding {layout.encoding}"
                    )
        return self

    def dataset(self, sample: bool) -> Dataset:
        """Return the content of dataset.json, for the built-in sample or for the data set itself."""
        own = self.sample if sample and self.sample else self
        return Dataset(
            name=own.name,
            about=own.about,
            home=None if sample else self.home,
            licence=own.licence,
            classes={name: each.colour for name, each in self.classes.items()},
            protocol=self.protocol,
            sample=sample,
        )

    def folders(self) -> dict[str, str]:
        """Return the split of each folder name, in lower case."""
        splits = {split: getattr(self.splits, split) for split in SPLITS}
        return {folder.lower(): split for split, each in splits.items() for folder in each.folders or [split]}


def masks(source: Source) -> tuple[tuple[int, int, int], ...]:
    """Return the colours of a class, or of void, in a colour mask."""
    return source.mask or ((source.colour,) if isinstance(source, Class) else ())


def read_description(path: Path) -> Description:
    """Read a description.

    Raises:
        UserError: naming the file, the key and what was expected.
    """
    return validate(read_yaml(path), Description, path)
