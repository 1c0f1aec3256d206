"""Rank validation frames by the mean IoU of the single frame, and choose the worst, the median and the best."""

from math import ceil
from pathlib import Path
from typing import NamedTuple, TypeVar

from segcore.dataset.frames import Frame
from segcore.files.scores import COUNTS, frame_scores, read_counts
from segcore.runtime.errors import UserError

T = TypeVar("T")


class Scored(NamedTuple):
    """A validation frame and its score: the mean IoU over the classes in its ground truth."""

    frame: Frame
    score: float


def rank(path: Path = COUNTS) -> list[Scored]:
    """Score the frames of frames.csv and sort them, worst first, ties by name.

    Frames without valid ground truth are left out.

    Raises:
        UserError: if the file is not what evaluate writes, or no frame has valid ground truth.
    """
    scores = frame_scores(read_counts(path.read_bytes(), str(path))).sort_values(kind="stable")
    if scores.empty:
        raise UserError(f"{path}: no frame has valid ground truth, so there is nothing to draw")
    try:
        return [Scored(Frame("val", *key), score) for key, score in zip(scores.index, scores, strict=True)]
    except ValueError as error:
        raise UserError(f"{path}: {error}; run `dvc repro`") from None


def worst_median_best(ranked: list[T], wanted: int) -> dict[str, list[T]]:
    """Return ``wanted`` items from the start, the middle and the end, none twice; fewer items are divided evenly.

    Each list starts with what it is named for: the very worst, the nearest to the median, the very best.
    """
    worst = min(wanted, ceil(len(ranked) / 3))
    best = min(wanted, ceil((len(ranked) - worst) / 2))
    middle = (len(ranked) - 1) / 2
    between = sorted(range(worst, len(ranked) - best), key=lambda place: abs(place - middle))
    return {
        "worst": ranked[:worst],
        "median": [ranked[place] for place in between[:wanted]],
        "best": ranked[::-1][:best],
    }
