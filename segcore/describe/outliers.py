"""Find frames with an unusual mix of classes, and frames that are nearly the same picture."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from segcore.dataset.classes import VOID

THUMBNAIL = (32, 16)  # width, height: so small that the same scene a moment later looks nearly the same
BLOCK = 1024  # frames that are compared with all others at once, which bounds the memory


def count_classes(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the pixels of each of C classes and, last, of void: int64 N×(C+1), from class ids N×H×W."""
    ids = [*range(classes), VOID]
    return np.stack([np.bincount(label.ravel(), minlength=256)[ids] for label in labels])


def divergence(counts: np.ndarray) -> np.ndarray:
    """Return how far the mix of classes of each frame is from that of all frames: 0 is the same, 1 nothing in common.

    This is the Jensen-Shannon divergence to base 2: Lin, "Divergence Measures Based on the Shannon Entropy", IEEE
    Transactions on Information Theory 37 (1991).

    Args:
        counts: pixels by frame and class, N×K, at least one in each frame.
    """
    mixes = counts / counts.sum(axis=1, keepdims=True)
    usual = counts.sum(axis=0) / counts.sum()
    middle = (mixes + usual) / 2
    return (_relative_entropy(mixes, middle) + _relative_entropy(usual, middle)) / 2


def _relative_entropy(mixes: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the relative entropy of each row in bits. A class without a share adds nothing."""
    ratio = np.divide(mixes, reference, out=np.ones_like(reference), where=mixes > 0)
    return (mixes * np.log2(ratio)).sum(axis=1)


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return a frame, uint8 H×W×3, as a small grey picture: a float32 vector of mean 0 and length 1; 0 if uniform.

    The scalar product of two thumbnails is their correlation, which does not depend on brightness and contrast.
    """
    grey = Image.fromarray(image).convert("L").resize(THUMBNAIL, Image.Resampling.BOX)
    flat = np.asarray(grey, dtype=np.float32).ravel()
    flat -= flat.mean()
    length = np.linalg.norm(flat)
    return flat / length if length else flat


class Pair(NamedTuple):
    """Two frames by their indices, the lower one first, and their correlation, from -1 to 1."""

    first: int
    second: int
    correlation: float


def most_alike(thumbnails: np.ndarray, groups: np.ndarray, *, same: bool) -> list[Pair]:
    """Pair each frame with the one most like it; return each pair once, the most alike first.

    Args:
        thumbnails: N×D, each as :func:`thumbnail` returns it.
        groups: the group of each frame, for example its split: N integers.
        same: whether to compare frames of the same group, or of different ones.
    """
    everyone = np.arange(len(thumbnails))
    best: dict[tuple[int, int], float] = {}
    for start in range(0, len(thumbnails), BLOCK):
        block = everyone[start : start + BLOCK]
        correlations = thumbnails[block] @ thumbnails.T
        compared = ((groups[block, None] == groups) == same) & (block[:, None] != everyone)
        correlations[~compared] = -np.inf
        for k, partner, correlation in zip(block, correlations.argmax(axis=1), correlations.max(axis=1), strict=True):
            if correlation > -np.inf:
                best.setdefault((int(min(k, partner)), int(max(k, partner))), float(correlation))
    pairs = [Pair(*frames, correlation) for frames, correlation in best.items()]
    return sorted(pairs, key=lambda pair: (-pair.correlation, pair))
