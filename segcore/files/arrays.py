"""data/arrays: frames and labels at the network's input size, as uint8 .npy files that are read through a memory map.

Per split: ``{split}_images.npy`` N×H×W×3 and, for train and val, ``{split}_labels.npy`` N×H×W. Beside them
``frames.csv`` names the frame of each element, in array order, with its native size, and ``stats.json`` has the
statistics of the train split.
"""

import json
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
from numpy.lib import format as npy
from pydantic import Field

from segcore.dataset.classes import VOID
from segcore.dataset.frames import LABELLED, MAX_PIXELS, SPLITS, Frame
from segcore.runtime.errors import UserError
from segcore.runtime.typed import Strict, read_json

ARRAYS = Path("data/arrays")
FRAMES, STATS = "frames.csv", "stats.json"
FILES = (*(f"{split}_images.npy" for split in SPLITS), *(f"{split}_labels.npy" for split in LABELLED), FRAMES, STATS)
COLUMNS = ("split", "drive", "frame", "height", "width")


class Row(NamedTuple):
    """One line of frames.csv: a frame, and its native size in pixels."""

    frame: Frame
    height: int
    width: int


Share = Annotated[float, Field(ge=0, le=1)]
Channels = Annotated[list[float], Field(min_length=3, max_length=3)]


class Stats(Strict):
    """stats.json: mean and standard deviation of each channel, 0–1, and the share of each class and of void."""

    mean: Channels
    std: Channels
    share: Annotated[dict[str, Share], Field(min_length=1, max_length=VOID)]  # in the order of the ids
    void_share: Share

    @property
    def classes(self) -> list[str]:
        """Names of the classes in the order of their ids."""
        return list(self.share)


def write_stats(path: Path, stats: Stats) -> None:
    """Write stats.json."""
    path.write_text(json.dumps(stats.model_dump(), indent=2) + "\n")


def read_stats(arrays: Path = ARRAYS) -> Stats:
    """Read the statistics of the train split.

    Raises:
        UserError: if stats.json is not what preprocess writes.
    """
    return read_json(arrays / STATS, Stats, "preprocess")


def load_images(split: str, arrays: Path = ARRAYS) -> np.ndarray:
    """Return the images N×H×W×3 of ``split`` as a memory map.

    Raises:
        UserError: if the file is not such an array.
    """
    path = arrays / f"{split}_images.npy"
    images = _map(path, ndim=4)
    if images.shape[3] != 3:
        raise UserError(f"{path}: 3 channels were expected, it has {images.shape[3]}; run `dvc repro preprocess`")
    return images


def load_split(split: str, arrays: Path = ARRAYS) -> tuple[list[Row], np.ndarray]:
    """Return the rows of ``split``, and its images N×H×W×3 as a memory map.

    Raises:
        UserError: if frames.csv or the images are not what preprocess writes, or do not fit.
    """
    rows, images = read_rows(split, arrays), load_images(split, arrays)
    if len(rows) != len(images):
        raise UserError(
            f"{arrays}: {len(images)} {split} frames, and {len(rows)} in frames.csv; run `dvc repro preprocess`"
        )
    return rows, images


def load_labelled(split: str, classes: int, arrays: Path = ARRAYS) -> tuple[np.ndarray, np.ndarray]:
    """Return the images N×H×W×3 and labels N×H×W of train or val as memory maps; ``classes`` is the number of classes.

    Raises:
        UserError: if a file is not such an array, their shapes differ, or a label is neither a class id nor void.
    """
    images, labels = load_images(split, arrays), _map(arrays / f"{split}_labels.npy", ndim=3)
    if labels.shape != images.shape[:3]:
        raise UserError(
            f"{arrays}: {split} images {images.shape} and labels {labels.shape} do not fit; run `dvc repro preprocess`"
        )
    if any(((label >= classes) & (label != VOID)).any() for label in labels):
        raise UserError(
            f"{arrays}: {split} labels have values that are no id of the {classes} classes; run `dvc repro preprocess`"
        )
    return images, labels


def read_rows(split: str, arrays: Path = ARRAYS) -> list[Row]:
    """Return the rows of ``split`` in array order.

    Raises:
        UserError: if frames.csv is not what preprocess writes.
    """
    path = arrays / FRAMES
    types = dict.fromkeys(COLUMNS, "str") | {"height": "int", "width": "int"}
    try:
        table = pd.read_csv(path, dtype=types, usecols=COLUMNS, keep_default_na=False)
        height, width = table["height"].astype(float), table["width"].astype(float)
        if (height < 1).any() or (width < 1).any() or (height * width > MAX_PIXELS).any():
            raise ValueError("a size that no frame has")
        rows = table.loc[table["split"] == split, list(COLUMNS)].itertuples(index=False, name=None)
        return [Row(Frame(split, drive, frame), height, width) for _, drive, frame, height, width in rows]
    except (ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not the table that preprocess writes ({reason}); run `dvc repro`") from None


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write frames.csv."""
    lines = [(row.frame.split, row.frame.drive, row.frame.name, row.height, row.width) for row in rows]
    pd.DataFrame(lines, columns=COLUMNS).to_csv(path, index=False)


class ArrayWriter:
    """A uint8 .npy file of known shape, written from first to last.

    It does not use a memory map: there a full disk kills the process with a signal and raises no error.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._file = path.open("wb")
        npy.write_array_header_1_0(self._file, {"descr": "|u1", "fortran_order": False, "shape": shape})

    def append(self, array: np.ndarray) -> None:
        """Write the next element along the first axis."""
        self._file.write(np.ascontiguousarray(array).data)

    def __enter__(self) -> "ArrayWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _map(path: Path, ndim: int) -> np.ndarray:
    try:
        # Copy-on-write, because torch warns about arrays that it may not write to.
        with np.errstate(over="raise"):
            array = npy.open_memmap(path, mode="c")
    except OSError:
        raise
    except Exception as error:  # numpy parses the header as Python code, and does not catch every error of that
        raise UserError(f"{path}: not a complete .npy file ({error}); run `dvc repro preprocess`") from None
    if array.dtype != np.uint8 or array.ndim != ndim:
        raise UserError(f"{path}: {ndim}-dimensional uint8 was expected; run `dvc repro preprocess`")
    return array
