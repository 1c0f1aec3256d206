"""IoU per class and their mean, from counts of pixels: true positives, false positives and false negatives.

mIoU here is over a whole data set and over the classes that occur in truth or prediction. The score of a single frame
is something different: see :func:`segcore.files.scores.frame_scores`.
"""

import numpy as np


def class_counts(matrix: np.ndarray) -> np.ndarray:
    """Return the counts C×3 (TP, FP, FN) of each class from a confusion matrix C×C (true class, predicted class)."""
    hits = matrix.diagonal()
    return np.stack([hits, matrix.sum(0) - hits, matrix.sum(1) - hits], -1)


def class_iou(counts: np.ndarray) -> np.ndarray:
    """Return TP / (TP + FP + FN) of each class, …×C, from counts …×C×3; NaN where a class is in neither map."""
    union = counts.sum(-1)
    return np.divide(counts[..., 0], union, out=np.full(union.shape, np.nan), where=union > 0)


def mean_iou(counts: np.ndarray) -> np.ndarray:
    """Return the mean of :func:`class_iou` over the classes that have one; NaN where no pixel counts."""
    iou = class_iou(counts)
    known = ~np.isnan(iou)
    total, number = np.where(known, iou, 0).sum(-1), known.sum(-1)
    return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
