"""Estimate how certain a difference of IoU is, by a paired bootstrap over drives.

Frames of one drive show the same street in the same light and are not independent; drives are. So whole drives are
drawn, as many as there are and with replacement, each time the same ones for both results.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993: percentile intervals (chapter 13).
"""

import numpy as np

from segcore.network.iou import class_iou, mean_iou

# The fewest drives for an interval. By luck, all D drives change in the same direction in one of 2^(D - 1) cases; all
# draws from them then do so, too.
MIN_DRIVES = 10
RESAMPLES = 10_000
COVERAGE = 0.95
SEED = 0  # fixed, so that the same two tables give the same interval


def intervals(base: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return the lower and upper ends, (C+1)×2, of the change in each class's IoU and, last, in mIoU.

    ``base`` and ``new`` are counts D×C×3 of the same D drives: true positives, false positives, false negatives. A draw
    is ignored for a class if in either result neither its truth nor its predictions contain that class. The ends are
    NaN where no draw is left, and everywhere if there are fewer than ``MIN_DRIVES`` drives.
    """
    drives = len(base)
    if drives < MIN_DRIVES:
        return np.full((base.shape[1] + 1, 2), np.nan)
    drawn = np.random.default_rng(SEED).multinomial(drives, np.full(drives, 1 / drives), RESAMPLES).astype(float)
    before, after = (np.tensordot(drawn, counts, 1) for counts in (base, new))  # R×C×3, of R draws
    difference = scores(after) - scores(before)
    ends = (1 - COVERAGE) / 2, (1 + COVERAGE) / 2
    known = (column[~np.isnan(column)] for column in difference.T)
    return np.array([np.quantile(column, ends) if len(column) else (np.nan, np.nan) for column in known])


def scores(counts: np.ndarray) -> np.ndarray:
    """Return the IoU of each class and, last, mIoU, …×(C+1), from counts …×C×3."""
    return np.concatenate([class_iou(counts), mean_iou(counts)[..., None]], -1)
