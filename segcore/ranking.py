"""Which frames are worth a look: the worst, the median and the best of val, by the mean IoU of the single frame."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import Field

from segcore.console import UserError
from segcore.counts import read_counts, score
from segcore.idd_lite import Frame
from segcore.params import Section

T = TypeVar("T")


class RenderParams(Section):
    """The section ``render``: how many frames are drawn."""

    frames: int = Field(ge=1, le=50)  # the worst so many of the validation frames, as many median, as many best
    test_frames: int = Field(ge=0, le=50)


class Scored(NamedTuple):
    """A validation frame and its score: the mean IoU over the classes that occur in its ground truth."""

    frame: Frame
    miou: float


def rank(path: Path) -> list[Scored]:
    """Score the frames of a table ``drive, frame, class, tp, fp, fn`` and sort them, worst first, ties by name.

    Frames without valid ground truth are left out.

    Raises:
        UserError: if the file is not such a table, or no frame has valid ground truth.
    """
    scores = score(read_counts(path.read_bytes(), str(path))).sort_values(kind="stable")
    if scores.empty:
        raise UserError(f"{path}: no frame has valid ground truth, so there is nothing to draw")
    try:
        return [Scored(Frame("val", drive, name), miou) for (drive, name), miou in scores.items()]
    except ValueError as error:
        raise UserError(f"{path}: {error}; run `dvc repro`") from None


def worst_median_best(ranked: list[T], wanted: int) -> dict[str, list[T]]:
    """Take ``wanted`` from the start, the middle and the end, nothing twice: too few are shared out evenly.

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


def evenly(items: Sequence[T], wanted: int) -> list[T]:
    """Take the middle item of each of ``wanted`` equal stretches, or all items where there are no more."""
    taken = min(wanted, len(items))
    return [items[(2 * i + 1) * len(items) // (2 * taken)] for i in range(taken)]
