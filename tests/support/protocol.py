"""Reference implementations in plain numpy: the IDD-Lite protocol and IoU by class, and random labels for them."""

import math

import numpy as np


def nearest(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize as Pillow's NEAREST does: take the source pixel under the centre of each target pixel."""
    rows = ((np.arange(height) + 0.5) * labels.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * labels.shape[1] / width).astype(int)
    return labels[np.ix_(rows, columns)]


def reference_iou(pairs: list[tuple[np.ndarray, np.ndarray]], classes: int = 7) -> list[float]:
    """Return the IoU of each class over all frames, from boolean masks without void; NaN for a class in neither map."""
    scores = []
    for c in range(classes):
        intersection = sum(np.sum((t == c) & (p == c)) for t, p in pairs)
        union = sum(np.sum(((t == c) | (p == c)) & (t != 255)) for t, p in pairs)
        scores.append(float(intersection / union) if union else math.nan)
    return scores


def random_pair(
    rng: np.random.Generator, height: int = 227, width: int = 320, classes: int = 7
) -> tuple[np.ndarray, np.ndarray]:
    """Return a truth with a tenth of void, and a prediction that is right in about two thirds of its pixels."""
    truth = rng.integers(0, classes, (height, width), dtype=np.uint8)
    prediction = np.where(rng.random((height, width)) < 0.6, truth, rng.integers(0, classes, (height, width)))
    truth[rng.random((height, width)) < 0.1] = 255
    return truth, prediction.astype(np.uint8)
