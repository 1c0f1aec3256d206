"""Read and write the scores of evaluate: evaluate.json, confusion.json, frames.csv and calibration.csv of metrics.

``frames.csv`` has a row per validation frame and class: ``drive, frame, class, tp, fp, fn``, counted in pixels at the
size of the protocol. Its sums give ``miou`` of ``evaluate.json`` exactly. The classes of a frame are in the order of
their ids.
"""

import io
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field

from segcore.runtime.errors import UserError
from segcore.runtime.typed import Strict, read_json

SCORES = Path("metrics/evaluate.json")
CONFUSION = Path("metrics/confusion.json")
COUNTS = Path("metrics/frames.csv")
CALIBRATION = Path("metrics/calibration.csv")

FRAME = ["drive", "frame"]
PIXELS = ["tp", "fp", "fn"]
COLUMNS = [*FRAME, "class", *PIXELS]


class Scores(Strict):
    """evaluate.json: 4 decimals; ``None`` for a class that occurs nowhere, which the means leave out."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    miou: float | None
    """mIoU by the protocol of the data set's organisers; for IDD-Lite, at 256×128."""
    miou_native: float | None
    """mIoU at native size."""
    pixel_accuracy: float | None
    """Share of the pixels that are right."""
    iou: dict[str, float | None]
    """IoU of each class."""
    miou_flip: float | None = None
    """mIoU of predictions averaged over each frame and its mirror image; with `evaluate.flip`."""
    ece: float | None = None
    """Expected calibration error at native size: the mean difference between confidence and accuracy."""


ClassName = Annotated[str, Field(min_length=1)]


class Cell(Strict):
    """One entry of confusion.json: this many pixels of class ``actual`` were predicted as ``predicted``."""

    actual: ClassName
    predicted: ClassName
    pixels: int = Field(ge=0, le=2**53)


def write_scores(path: Path, scores: Scores) -> None:
    """Write evaluate.json, only with what was computed."""
    path.write_text(json.dumps(scores.model_dump(exclude_unset=True), indent=2) + "\n")


def read_scores(path: Path = SCORES) -> Scores:
    """Read evaluate.json.

    Raises:
        UserError: if it is not what evaluate writes.
    """
    return read_json(path, Scores, "evaluate")


def write_confusion(path: Path, matrix: np.ndarray, classes: Sequence[str]) -> None:
    """Write confusion.json from a matrix C×C of pixels by (true class, predicted class)."""
    cells = [
        {"actual": actual, "predicted": predicted, "pixels": int(pixels)}
        for actual, row in zip(classes, matrix, strict=True)
        for predicted, pixels in zip(classes, row, strict=True)
    ]
    path.write_text(json.dumps(cells, indent=2) + "\n")


def read_confusion(path: Path = CONFUSION) -> pd.DataFrame:
    """Read confusion.json as a table C×C of pixels, its index the true and its columns the predicted class, in order.

    Raises:
        UserError: if it is not what evaluate writes.
    """
    cells: list[Cell] = read_json(path, list[Cell], "evaluate")
    classes = pd.Index(dict.fromkeys(cell.actual for cell in cells), name="actual")
    pairs = [(cell.actual, cell.predicted) for cell in cells]
    if not pairs or pairs != list(itertools.product(classes, classes)):
        raise UserError(
            f"{path}: not what evaluate writes (one entry for each pair of classes was expected); "
            "run `dvc repro evaluate`"
        )
    pixels = np.array([cell.pixels for cell in cells]).reshape(len(classes), -1)
    return pd.DataFrame(pixels, classes, classes.rename("predicted"))


def write_calibration(path: Path, rows: list[tuple[float, float, float]]) -> None:
    """Write calibration.csv from the mean confidence, the accuracy and the share of the pixels of each bin."""
    pd.DataFrame(rows, columns=["confidence", "accuracy", "share"]).to_csv(path, index=False)


def write_counts(path: Path, rows: list[tuple[str, str, np.ndarray]], classes: Sequence[str]) -> None:
    """Write frames.csv from (drive, frame, counts C×3 of TP, FP, FN) of each validation frame."""
    lines = [
        (drive, frame, name, *map(int, pixels))
        for drive, frame, counts in rows
        for name, pixels in zip(classes, counts, strict=True)
    ]
    pd.DataFrame(lines, columns=COLUMNS).to_csv(path, index=False)


def read_counts(content: bytes, name: str) -> pd.DataFrame:
    """Read the ``content`` of a frames.csv; ``name`` is what messages call it.

    Raises:
        UserError: if it is not such a table.
    """
    types = dict.fromkeys(COLUMNS, "str") | dict.fromkeys(PIXELS, "int64")
    try:
        table = pd.read_csv(io.BytesIO(content), usecols=COLUMNS, dtype=types, keep_default_na=False)
        if table.empty:
            raise ValueError("it has no rows")
        return table
    except (ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{name}: not the table that evaluate writes ({reason}); run `dvc repro`") from None


def classes_of(counts: pd.DataFrame) -> list[str]:
    """Return the classes of a result in the order of their ids, which is that of their first rows."""
    return list(counts["class"].unique())


def frame_scores(counts: pd.DataFrame, by: tuple[str, ...] = ("drive", "frame")) -> pd.Series:
    """Return the mean IoU of each frame over the classes in its ground truth, which is not mIoU.

    Args:
        counts: as :func:`read_counts` gives them.
        by: the columns to score by, for example ``("drive",)`` for whole drives.

    Frames or drives without valid ground truth are left out.
    """
    return class_scores(counts, by).groupby(level=list(by)).mean()


def class_scores(counts: pd.DataFrame, by: tuple[str, ...] = ("drive", "frame")) -> pd.Series:
    """Return the IoU of each class in the ground truth of each frame, or of what else to score ``by``."""
    sums = counts.groupby([*by, "class"])[PIXELS].sum()
    present = sums[sums["tp"] + sums["fn"] > 0]
    return present["tp"] / present.sum(axis="columns")
