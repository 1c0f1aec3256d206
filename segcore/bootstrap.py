"""How sure a difference of IoU is: a paired bootstrap over drives.

Frames of one drive show the same street in the same light and are not independent, drives are. So whole drives are
drawn, as many as there are and with replacement, each time the same ones for both results.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993: percentile intervals (chapter 13).
"""

import numpy as np

# Of D drives all change in the same direction by luck in one of 2^(D - 1) cases, and then so do all draws from them.
DRIVES = 10
RESAMPLES = 10_000
COVERAGE = 0.95
SEED = 0  # the same two tables give the same interval


def intervals(base: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Lower and upper ends, (C+1)×2, of the difference in IoU of each class and, last, of their mean.

    ``base`` and ``new`` are counts D×C×3 of the same D drives: true positives, false positives, false negatives. Draws
    in which a class is in neither truth nor prediction of one of the two do not count for its interval; NaN where there
    is no draw left, and everywhere if there are fewer than ``DRIVES``.
    """
    drives = len(base)
    if drives < DRIVES:
        return np.full((base.shape[1] + 1, 2), np.nan)
    drawn = np.random.default_rng(SEED).multinomial(drives, np.full(drives, 1 / drives), RESAMPLES).astype(float)
    difference = scores(_sums(drawn, new)) - scores(_sums(drawn, base))
    ends = (1 - COVERAGE) / 2, (1 + COVERAGE) / 2
    known = (column[~np.isnan(column)] for column in difference.T)
    return np.array([np.quantile(column, ends) if len(column) else (np.nan, np.nan) for column in known])


def scores(counts: np.ndarray) -> np.ndarray:
    """IoU per class and, last, the mean of those there are, …×(C+1), from counts …×C×3; NaN without pixels."""
    union = counts.sum(-1)
    iou = np.divide(counts[..., 0], union, out=np.full(union.shape, np.nan), where=union > 0)
    there = ~np.isnan(iou)
    total, number = np.where(there, iou, 0).sum(-1), there.sum(-1)
    mean = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
    return np.concatenate([iou, mean[..., None]], -1)


def _sums(drawn: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Counts R×C×3 of each of R draws, from how often it has each drive, R×D, and the drives' counts D×C×3."""
    return (drawn @ counts.reshape(len(counts), -1)).reshape(len(drawn), *counts.shape[1:])
