"""Frames and labels at the network's input size, as uint8 .npy files that are read through a memory map.

Per split: ``{split}_images.npy`` N×H×W×3 and, where there is ground truth, ``{split}_labels.npy`` N×H×W. Beside them
``frames.csv`` says which frame each element is, in array order, and its native size.
"""

from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
from numpy.lib import format as npy
from pydantic import Field, ValidationError

from segcore.console import UserError
from segcore.idd_lite import MAX_PIXELS, Frame
from segcore.labels import CLASSES, VOID
from segcore.params import Section

LABELLED = ("train", "val")
COLUMNS = ("split", "drive", "frame", "height", "width")


class Row(NamedTuple):
    """One line of frames.csv: a frame, and its native size in pixels."""

    frame: Frame
    height: int
    width: int


Share = Annotated[float, Field(ge=0, le=1)]
Channels = Annotated[list[float], Field(min_length=3, max_length=3)]


class Stats(Section):
    """What stats.json says of the train split: see :mod:`segcore.preprocessing`."""

    mean: Channels
    std: Channels
    share: dict[str, Share]
    void_share: Share


def read_stats(arrays: Path) -> Stats:
    """The statistics of the train split.

    Raises:
        UserError: if stats.json is not what preprocess writes.
    """
    path = arrays / "stats.json"
    wrong = f"{path}: not the statistics that preprocess writes"
    try:
        stats = Stats.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UserError(f"{wrong} ({error.errors()[0]['msg']}); run `dvc repro preprocess`") from None
    if list(stats.share) != list(CLASSES):
        raise UserError(f"{wrong} (its classes are others); run `dvc repro preprocess`")
    return stats


def load_images(arrays: Path, split: str) -> np.ndarray:
    """Images N×H×W×3 of ``split`` as a memory map.

    Raises:
        UserError: if the file is not such an array.
    """
    path = arrays / f"{split}_images.npy"
    images = _map(path, ndim=4)
    if images.shape[3] != 3:
        raise UserError(f"{path}: 3 channels were expected, it has {images.shape[3]}; run `dvc repro preprocess`")
    return images


def load_labelled(arrays: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images N×H×W×3 and labels N×H×W of train or val, as memory maps.

    Raises:
        UserError: if a file is not such an array, the two do not belong together, or a label is no class id nor void.
    """
    images, labels = load_images(arrays, split), _map(arrays / f"{split}_labels.npy", ndim=3)
    if labels.shape != images.shape[:3]:
        raise UserError(
            f"{arrays}: {split} images {images.shape} and labels {labels.shape} do not fit; run `dvc repro preprocess`"
        )
    if any(((label >= len(CLASSES)) & (label != VOID)).any() for label in labels):
        raise UserError(f"{arrays}: {split} labels with what is no class id; run `dvc repro preprocess`")
    return images, labels


def read_rows(arrays: Path, split: str) -> list[Row]:
    """The frames of ``split`` in array order.

    Raises:
        UserError: if frames.csv is not the table that :func:`write_rows` writes.
    """
    path = arrays / "frames.csv"
    types = dict.fromkeys(COLUMNS, str) | {"height": int, "width": int}
    try:
        table = pd.read_csv(path, dtype=types, usecols=COLUMNS, keep_default_na=False)
        height, width = table["height"].astype(float), table["width"].astype(float)
        if (height < 1).any() or (width < 1).any() or (height * width > MAX_PIXELS).any():
            raise ValueError("a size that no frame has")
        rows = table[table["split"] == split].itertuples()
        return [Row(Frame(split, row.drive, row.frame), row.height, row.width) for row in rows]
    except (ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not the table that preprocess writes ({reason}); run `dvc repro`") from None


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write frames.csv."""
    lines = [(row.frame.split, row.frame.drive, row.frame.name, row.height, row.width) for row in rows]
    pd.DataFrame(lines, columns=COLUMNS).to_csv(path, index=False)


class ArrayWriter:
    """A uint8 .npy file of known shape, written from first to last.

    Not through a memory map: on a full disk that ends in a signal instead of an error.
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
        # Copy-on-write, because torch warns of arrays that it may not write to.
        with np.errstate(over="raise"):
            array = npy.open_memmap(path, mode="c")
    except OSError:
        raise
    except Exception as error:  # numpy reads the header as Python, and lets through what Python's own parser raises
        raise UserError(f"{path}: not a complete .npy file ({error}); run `dvc repro preprocess`") from None
    if array.dtype != np.uint8 or array.ndim != ndim:
        raise UserError(f"{path}: {ndim}-dimensional uint8 was expected; run `dvc repro preprocess`")
    return array
