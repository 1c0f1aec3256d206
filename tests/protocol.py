"""A plain numpy reading of the IDD-Lite protocol, and labels to try it on."""

import numpy as np


def nearest(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pillow's NEAREST in index arithmetic: the source pixel under the centre of each target pixel."""
    rows = ((np.arange(height) + 0.5) * labels.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * labels.shape[1] / width).astype(int)
    return labels[np.ix_(rows, columns)]


def reference_iou(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """IoU per class over all frames, from boolean masks; void left out of both sides."""
    scores = []
    for c in range(7):
        intersection = sum(np.sum((t == c) & (p == c)) for t, p in pairs)
        union = sum(np.sum(((t == c) | (p == c)) & (t != 255)) for t, p in pairs)
        scores.append(intersection / union)
    return scores


def random_pair(rng: np.random.Generator, height: int = 227, width: int = 320) -> tuple[np.ndarray, np.ndarray]:
    truth = rng.integers(0, 7, (height, width), dtype=np.uint8)
    prediction = np.where(rng.random((height, width)) < 0.6, truth, rng.integers(0, 7, (height, width)))
    truth[rng.random((height, width)) < 0.1] = 255
    return truth, prediction.astype(np.uint8)
