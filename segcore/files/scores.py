"""Read and write the scores of evaluate: evaluate.json, confusion.json, frames.csv and calibration.csv of metrics.

``frames.csv`` has a row per validation frame and class: ``drive, frame, class, tp, fp, fn``, counted in pixels at the
size of the protocol. Its sums give ``miou`` of ``evaluate.json`` exactly.
"""

import io
import json
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from segcore.dataset.classes import CLASSES
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

    miou: float | None
    miou_native: float | None
    pixel_accuracy: float | None
    iou: dict[str, float | None]
    miou_flip: float | None = None
    ece: float | None = None  # expected calibration error of the confidence at native size


ClassName = Annotated[str, Field(pattern=f"^({'|'.join(CLASSES)})$")]


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


def write_confusion(path: Path, matrix: np.ndarray) -> None:
    """Write confusion.json from a matrix C×C of pixels by (true class, predicted class)."""
    cells = [
        {"actual": actual, "predicted": predicted, "pixels": int(matrix[i, j])}
        for i, actual in enumerate(CLASSES)
        for j, predicted in enumerate(CLASSES)
    ]
    path.write_text(json.dumps(cells, indent=2) + "\n")


def read_confusion(path: Path = CONFUSION) -> pd.DataFrame:
    """Read confusion.json as a table C×C of pixels, its index the true and its columns the predicted class.

    Raises:
        UserError: if it is not what evaluate writes.
    """
    cells = read_json(path, list[Cell], "evaluate")
    listed = pd.DataFrame([cell.model_dump() for cell in cells], columns=list(Cell.model_fields))
    pixels = listed.pivot_table("pixels", "actual", "predicted", aggfunc="sum", fill_value=0)
    return pixels.reindex(index=CLASSES, columns=CLASSES, fill_value=0)


def write_calibration(path: Path, rows: list[tuple[float, float, float]]) -> None:
    """Write calibration.csv from the mean confidence, the accuracy and the share of the pixels of each bin."""
    pd.DataFrame(rows, columns=["confidence", "accuracy", "share"]).to_csv(path, index=False)


def write_counts(path: Path, rows: list[tuple[str, str, np.ndarray]]) -> None:
    """Write frames.csv from (drive, frame, counts C×3 of TP, FP, FN) of each validation frame."""
    lines = [
        (drive, frame, name, *map(int, counts[i])) for drive, frame, counts in rows for i, name in enumerate(CLASSES)
    ]
    pd.DataFrame(lines, columns=COLUMNS).to_csv(path, index=False)


def read_counts(content: bytes, name: str) -> pd.DataFrame:
    """Read the ``content`` of a frames.csv; ``name`` is what messages call it.

    Raises:
        UserError: if it is not such a table.
    """
    types = dict.fromkeys(COLUMNS, "str") | dict.fromkeys(PIXELS, "int64")
    try:
        counts = pd.read_csv(io.BytesIO(content), usecols=COLUMNS, dtype=types, keep_default_na=False)
    except (ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{name}: not the table that evaluate writes ({reason}); run `dvc repro`") from None
    unknown = set(counts["class"]) - set(CLASSES)
    if unknown:
        raise UserError(f"{name}: unknown class {min(unknown)!r}; run `dvc repro`")
    return counts


def frame_scores(counts: pd.DataFrame, by: tuple[str, ...] = ("drive", "frame")) -> pd.Series:
    """Return the mean IoU of each frame over the classes in its ground truth, which is not mIoU.

    Args:
        counts: as :func:`read_counts` gives them.
        by: the columns to score by, for example ``("drive",)`` for whole drives.

    Frames or drives without valid ground truth are left out.
    """
    sums = counts.groupby([*by, "class"])[PIXELS].sum()
    present = sums[sums["tp"] + sums["fn"] > 0]
    iou = present["tp"] / present.sum(axis="columns")
    return iou.groupby(level=list(by)).mean()
