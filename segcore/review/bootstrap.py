"""Estimate how certain a difference of IoU is, by a paired bootstrap over drives and, if there are several, seeds.

Frames of one drive show the same street in the same light and are not independent; drives are. So whole drives are
drawn, as many as there are and with replacement, each time the same ones for both results. Seeds are too few to be
drawn: the means of draws from two or three hardly differ. So Student's t, for two samples of equal variance, says how
far off the difference between the means of the seeds may be. An interval is too wide rather than too narrow where seeds
differ from drive to drive, because then both the drives and the seeds count this.

Sources: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993: percentile intervals (chapter 13); Student,
"The probable error of a mean", 1908.
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
    """Return the lower and upper ends, (C+1)×2, of the change in each class's mean IoU and, last, in the mean mIoU.

    ``base`` and ``new`` are counts S×D×C×3 of S seeds, which may be a different number in each, and the same D drives:
    true positives, false positives, false negatives. A draw is ignored for a class whose ground truth is not in it. The
    ends are NaN where no draw is left, and everywhere if there are fewer than ``MIN_DRIVES`` drives.
    """
    drives = base.shape[1]
    if drives < MIN_DRIVES:
        return np.full((base.shape[2] + 1, 2), np.nan)
    random = np.random.default_rng(SEED)
    drawn = random.multinomial(drives, np.full(drives, 1 / drives), RESAMPLES).astype(float)
    before, after = _draw_scores(drawn, base), _draw_scores(drawn, new)
    difference = after.mean(0) - before.mean(0)
    if freedom := len(base) + len(new) - 2:
        squares = sum(((side - side.mean(0)) ** 2).sum(0) for side in (before, after))
        error = np.sqrt(squares / freedom * (1 / len(base) + 1 / len(new)))
        difference += random.standard_t(freedom, (RESAMPLES, 1)) * error
    ends = (1 - COVERAGE) / 2, (1 + COVERAGE) / 2
    known = (column[~np.isnan(column)] for column in difference.T)
    return np.array([np.quantile(column, ends) if len(column) else (np.nan, np.nan) for column in known])


def _draw_scores(drawn: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Return the scores S×R×(C+1) of each seed in R draws; ``drawn``, R×D, says how often each drive is in one."""
    truth = seeds[0][..., [0, 2]].sum(-1)  # D×C, true positives and false negatives
    lost = (drawn @ truth == 0) & (truth.sum(0) > 0)  # else a single wrong pixel would be an IoU of 0
    found = []
    for counts in seeds:
        sums = np.tensordot(drawn, counts, 1)  # R×C×3
        sums[lost] = 0
        found.append(scores(sums))
    return np.stack(found)


def scores(counts: np.ndarray) -> np.ndarray:
    """Return the IoU of each class and, last, mIoU, …×(C+1), from counts …×C×3."""
    return np.concatenate([class_iou(counts), mean_iou(counts)[..., None]], -1)
