"""metrics/frames.csv: true positives, false positives and false negatives of each validation frame and class."""

import io

import pandas as pd

from segcore.console import UserError
from segcore.labels import CLASSES


def read_counts(content: bytes, name: str) -> pd.DataFrame:
    """Read the table ``drive, frame, class, tp, fp, fn``; ``name`` is what messages call it.

    Raises:
        UserError: if it is not such a table.
    """
    types = {"drive": str, "frame": str, "class": str, "tp": "int64", "fp": "int64", "fn": "int64"}
    try:
        counts = pd.read_csv(io.BytesIO(content), usecols=list(types), dtype=types, keep_default_na=False)
    except (ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{name}: not the table that evaluate writes ({reason}); run `dvc repro`") from None
    unknown = set(counts["class"]) - set(CLASSES)
    if unknown:
        raise UserError(f"{name}: unknown class {min(unknown)!r}; run `dvc repro`")
    return counts


def score(counts: pd.DataFrame, by: tuple[str, ...] = ("drive", "frame")) -> pd.Series:
    """Score each frame, or what else the columns ``by`` name, with the mean IoU over the classes in its ground truth.

    What has no valid ground truth is left out.
    """
    sums = counts.groupby([*by, "class"])[["tp", "fp", "fn"]].sum()
    present = sums[sums["tp"] + sums["fn"] > 0]
    iou = present["tp"] / present.sum(axis="columns")
    return iou.groupby(level=list(by)).mean()
