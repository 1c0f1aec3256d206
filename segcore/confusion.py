"""Confusion matrices in pixels, and what is read from them: IoU per class, their mean, pixel accuracy."""

import torch
from torch import Tensor


def confusion_matrix(truth: Tensor, prediction: Tensor, classes: int) -> Tensor:
    """Count pixels by (true class, predicted class): C×C, int64, on the device of the inputs.

    Both inputs are class ids of the same shape. Pixels whose true id is not below ``classes``, as void, do not count.
    """
    valid = truth < classes
    pairs = truth[valid].long() * classes + prediction[valid].long()
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)


def iou(matrix: Tensor) -> list[float | None]:
    """TP / (TP + FP + FN) per class; ``None`` where a class is neither in the truth nor in the prediction."""
    matrix = matrix.double()
    hits = matrix.diag()
    union = matrix.sum(0) + matrix.sum(1) - hits
    return [float(h / u) if u else None for h, u in zip(hits, union, strict=True)]


def mean_iou(matrix: Tensor) -> float | None:
    """The mean of :func:`iou` over the classes that have one; ``None`` where no pixel counts."""
    values = [value for value in iou(matrix) if value is not None]
    return sum(values) / len(values) if values else None


def pixel_accuracy(matrix: Tensor) -> float | None:
    """The share of counted pixels whose class is right; ``None`` where no pixel counts."""
    total = int(matrix.sum())
    return int(matrix.diag().sum()) / total if total else None


def rounded(score: float | None) -> float | None:
    """4 decimals, so that a diff of metrics stays readable."""
    return None if score is None else round(score, 4)
