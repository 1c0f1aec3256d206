"""The description of a data set, a YAML file in data/sets: its classes, its layouts and the encoding of its labels.

docs/datasets.md explains each key.
"""

import math
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from segcore.dataset.classes import VOID_COLOUR
from segcore.dataset.frames import SPLITS
from segcore.files.dataset import Colour, Dataset, Licence, Protocol, Side
from segcore.files.params import read_yaml
from segcore.runtime.typed import Strict, validate

SETS = Path("data/sets")
MAX_CLASSES = 64

# A name is a key in metrics, a column of tables and a line of plots. These names have a different meaning there.
_RESERVED = ("void", "miou", "output", "input", "model")


def _class_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([\w +-]{0,38}[\w+-])?", name, re.ASCII) or name.lower() in _RESERVED:
        raise ValueError(
            "the name of a class was expected: up to 40 letters, digits, spaces and the signs + - _, and none of "
            + ", ".join(_RESERVED)
        )
    return name


ClassName = Annotated[str, AfterValidator(_class_name)]
Text = Annotated[str, Field(min_length=1)]
FolderName = Annotated[str, Field(pattern=r"^[^/\\]+$")]
Id = Annotated[int, Field(ge=0, le=255)]

# In a pattern of paths, a placeholder or alternatives.
BRACES = re.compile(r"\{([^{}/]*)\}")
MAX_ALTERNATIVES = 100  # combinations, because a comparison may try each of them


def _pattern(text: str) -> str:
    names = Counter(inside for inside in BRACES.findall(text) if "|" not in inside)
    if {*"\\*"} & {*text} or {"", ".", ".."} & {*text.split("/")}:
        raise ValueError("a relative path with `/` between folders, and without `*`, was expected")
    if re.search("[{}]", BRACES.sub("", text)):
        raise ValueError("braces were expected in pairs, neither nested nor around a `/`")
    if names.keys() - {"split", "drive", "frame"}:
        raise ValueError("{split}, {drive}, {frame} or alternatives such as {jpg|png} were expected in braces")
    if names["split"] != 1 or names["frame"] != 1 or names["drive"] > 1:
        raise ValueError("{split} and {frame} were expected once each, and {drive} at most once")
    if between := re.search(r"\{drive\}([^/]*)\{frame\}|\{frame\}([^/]*)\{drive\}", text):
        always = BRACES.sub(lambda inside: "" if "" in inside[1].split("|") else "x", between[1] or between[2] or "")
        if not always:
            raise ValueError("text between {drive} and {frame} was expected")
    if math.prod(inside.count("|") + 1 for inside in BRACES.findall(text)) > MAX_ALTERNATIVES:
        raise ValueError(f"at most {MAX_ALTERNATIVES} combinations of alternatives were expected")
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]

Item = TypeVar("Item")
Listed = Annotated[tuple[Item, ...], Field(strict=False)]  # YAML has lists, which strict pydantic takes for no tuples


class Values(Strict):
    """The ids, polygon names and mask colours of a class, or of void, in the labels of the source."""

    ids: Listed[Id] = ()
    names: Listed[Text] = ()
    mask: Listed[Colour] = ()

    @property
    def mask_colours(self) -> tuple[tuple[int, int, int], ...]:
        """Its colours in a colour mask."""
        return self.mask


class Class(Values):
    """A class: the colour to draw it in, and its values in the source. ``mask`` is ``[colour]`` unless it is given."""

    colour: Colour

    @property
    def mask_colours(self) -> tuple[tuple[int, int, int], ...]:
        """Its colours in a colour mask."""
        return self.mask or (self.colour,)


class Layout(Strict):
    """Where images and labels are: patterns of :mod:`segcore.fetch.patterns`, and how a label stores the classes."""

    images: Pattern
    labels: Pattern
    encoding: Literal["ids", "colours", "polygons"] = "ids"

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        """Check the suffixes, and that images and labels agree on whether there are drives."""
        suffixes = {"images": ("jpg", "jpeg", "png"), "labels": ("json",) if self.encoding == "polygons" else ("png",)}
        for key, expected in suffixes.items():
            found = re.search(r"\.(\{[^{}]*\}|[^{}.]*)$", getattr(self, key).lower())
            if not found or not {*found[1].strip("{}").split("|")} <= {*expected}:
                raise ValueError(f"{key}: a pattern that ends in .{' or .'.join(expected)} was expected")
        if ("{drive}" in self.images) != ("{drive}" in self.labels):
            raise ValueError("{drive} was expected in both images and labels, or in neither")
        return self


class Split(Strict):
    """A split: the names of its folder, and how many frames it has as published."""

    folders: Annotated[Listed[FolderName], Field(min_length=1)] | None = None  # none: its own name
    frames: Annotated[int, Field(ge=0, le=10_000_000)] | None = None


class Train(Split):
    """The train split, which must have frames."""

    required: Literal[True] = True


class Val(Split):
    """The validation split, which must have frames unless the description says otherwise."""

    required: bool = True


class Test(Split):
    """The test split, which may be missing unless the description says otherwise."""

    required: bool = False


class Splits(Strict):
    """The splits of a data set."""

    train: Train = Train()
    val: Val = Val()
    test: Test = Test()


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
    void: Values = Values()
    skip_names: Listed[Text] = ()  # polygons that are not drawn
    layouts: Listed[Layout]
    parts: Listed[Text] = ()  # folders that may stand side by side, of a set that is published in several archives
    ignore: Listed[Text] = ()  # globs of file names that are neither frames nor labels
    splits: Splits = Splits()
    size: Annotated[tuple[Side, Side], Field(strict=False)] | None = None  # width, height of the largest frame
    protocol: Protocol = "native"
    sample: Sample | None = None

    @model_validator(mode="after")
    def _unique(self) -> Self:
        """Check that each colour, id, name and mask colour belongs to one class, and each folder to one split."""
        everyone = [*self.classes.values(), self.void]
        colours = [*(each.colour for each in self.classes.values()), VOID_COLOUR]
        _check_unique("classes: each colour (void is drawn in black)", colours)
        _check_unique("classes: each class, whatever its case,", [name.lower() for name in self.classes])
        _check_unique("classes: each id", [value for each in everyone for value in each.ids])
        _check_unique("classes: each name", [*(name for each in everyone for name in each.names), *self.skip_names])
        _check_unique("classes: each mask colour", [value for each in everyone for value in each.mask_colours])
        _check_unique("splits: each folder", [folder for split in SPLITS for folder in self._folders(split)])
        return self

    @model_validator(mode="after")
    def _labelled(self) -> Self:
        """Check that there is a layout, and that every class can occur in the labels of every layout."""
        if not self.layouts:
            raise ValueError("layouts: at least one was expected")
        for number, layout in enumerate(self.layouts):
            key = {"ids": "ids", "polygons": "names"}.get(layout.encoding)  # any class has a colour
            for name, each in self.classes.items():
                if key and not getattr(each, key):
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
        return {folder: split for split in SPLITS for folder in self._folders(split)}

    def _folders(self, split: str) -> list[str]:
        return [folder.lower() for folder in getattr(self.splits, split).folders or [split]]


def _check_unique(what: str, values: list[Any]) -> None:
    if twice := [value for value, count in Counter(values).items() if count > 1]:
        raise ValueError(f"{what} was expected once; {twice[0]} is there twice")


def read_description(path: Path) -> Description:
    """Read a description.

    Raises:
        UserError: naming the file, the key and what was expected.
    """
    return validate(read_yaml(path), Description, path)
