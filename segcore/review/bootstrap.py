"""Estimate how certain a difference of IoU is, by a paired bootstrap over drives and, if there are several, seeds.

Frames of one drive show the same street in the same light and are not independent; drives are. So whole drives are
drawn, as many as there are and with replacement, each time the same ones for both results. Of S seeds, S - 1 are drawn:
S draws from few would vary too little, by a factor of (S - 1) / S.

Sources: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993: percentile intervals (chapter 13); Rao and Wu,
"Resampling inference with complex survey data", 1988: one draw less; Owen, "The pigeonhole bootstrap", 2007: two
factors, each drawn on its own.
"""

import numpy as np

from segcore.network.iou import class_iou, mean_iou

# The fewest drives for an interval. By luck, all D drives change in the same direction in one of 2^(D - 1) cases; all
# draws from them then do so, too.
MIN_DRIVES = 10
RESAMPLES = 10_000
COVERAGE = 0.95
SEED = 0  # fixed, so that the same two tables give the same interval


def intervals(base: np.ndarray, new: np.ndarray, same_seeds: bool = False) -> np.ndarray:
    """Return the lower and upper ends, (C+1)×2, of the change in each class's mean IoU and, last, in the mean mIoU.

    ``base`` and ``new`` are counts S×D×C×3 of S seeds, which may be a different number in each, and the same D drives:
    true positives, false positives, false negatives. If both have the ``same_seeds``, in the same order, each draw has
    the same ones for both. A draw is ignored for a class if in any of the results neither its truth nor its predictions
    contain that class. The ends are NaN where no draw is left, and everywhere if there are fewer than ``MIN_DRIVES``
    drives.
    """
    drives = base.shape[1]
    if drives < MIN_DRIVES:
        return np.full((base.shape[2] + 1, 2), np.nan)
    random = np.random.default_rng(SEED)
    drawn = random.multinomial(drives, np.full(drives, 1 / drives), RESAMPLES).astype(float)
    before, after = (scores(np.tensordot(drawn, counts, (1, 1))) for counts in (base, new))  # R×S×(C+1), of R draws
    of_base = _draw_seeds(random, len(base))
    of_new = of_base if same_seeds else _draw_seeds(random, len(new))
    difference = (after * of_new).sum(1) - (before * of_base).sum(1)
    ends = (1 - COVERAGE) / 2, (1 + COVERAGE) / 2
    known = (column[~np.isnan(column)] for column in difference.T)
    return np.array([np.quantile(column, ends) if len(column) else (np.nan, np.nan) for column in known])


def _draw_seeds(random: np.random.Generator, seeds: int) -> np.ndarray:
    """Return the weight of each seed in each draw, R×S×1."""
    if seeds == 1:
        return np.ones((1, 1, 1))
    return random.multinomial(seeds - 1, np.full(seeds, 1 / seeds), RESAMPLES)[..., None] / (seeds - 1)


def scores(counts: np.ndarray) -> np.ndarray:
    """Return the IoU of each class and, last, mIoU, …×(C+1), from counts …×C×3."""
    return np.concatenate([class_iou(counts), mean_iou(counts)[..., None]], -1)
