"""What is odd in a data set: frames with an unusual mix of classes, and frames that are nearly the same picture."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from segcore.labels import CLASSES, VOID

THUMBNAIL = (32, 16)  # width, height: small enough that the same scene a moment later is nearly the same
BLOCK = 1024  # frames that are compared with all others at once


def count_classes(labels: np.ndarray) -> np.ndarray:
    """Pixels of each class, and in the last column of void: N×H×W class ids to int64 N×8."""
    ids = [*range(len(CLASSES)), VOID]
    return np.stack([np.bincount(label.ravel(), minlength=256)[ids] for label in labels])


def divergence(counts: np.ndarray) -> np.ndarray:
    """How far each frame's mix of classes is from that of all frames: 0 the same, 1 nothing in common.

    The Jensen-Shannon divergence to base 2: Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions
    on Information Theory 37 (1991).

    Args:
        counts: pixels of N frames in K classes, N×K, at least one in each frame.
    """
    mixes = counts / counts.sum(axis=1, keepdims=True)
    usual = counts.sum(axis=0) / counts.sum()
    middle = (mixes + usual) / 2
    return (_relative_entropy(mixes, middle) + _relative_entropy(usual, middle)) / 2


def thumbnail(image: np.ndarray) -> np.ndarray:
    """A frame, uint8 H×W×3, as a small picture in grey: float32, of mean 0 and length 1, or 0 where it is uniform.

    The scalar product of two is their correlation, which does not change with brightness and contrast.
    """
    grey = Image.fromarray(image).convert("L").resize(THUMBNAIL, Image.Resampling.BOX)
    flat = np.asarray(grey, dtype=np.float32).ravel()
    flat -= flat.mean()
    length = np.linalg.norm(flat)
    return flat / length if length else flat


class Pair(NamedTuple):
    """Two frames by their index, the first being the lower, and their correlation, from -1 to 1."""

    first: int
    second: int
    correlation: float


def most_alike(thumbnails: np.ndarray, groups: np.ndarray, *, same: bool) -> list[Pair]:
    """Each frame with the one that is most like it, each pair once, the most alike first.

    Args:
        thumbnails: N×D, each as :func:`thumbnail` gives it.
        groups: the group of each frame, as its split: N integers.
        same: whether frames of the same group are compared, or those of different ones.
    """
    everyone = np.arange(len(thumbnails))
    pairs = {}
    for start in range(0, len(thumbnails), BLOCK):
        block = everyone[start : start + BLOCK]
        correlations = thumbnails[block] @ thumbnails.T
        compared = ((groups[block, None] == groups) == same) & (block[:, None] != everyone)
        correlations[~compared] = -np.inf
        partners = correlations.argmax(axis=1)
        for k, partner, is_compared in zip(block, partners, compared.any(axis=1), strict=True):
            if is_compared:
                pair = (min(k, partner), max(k, partner))
                pairs.setdefault(pair, correlations[k - start, partner])
    found = [Pair(int(first), int(second), float(value)) for (first, second), value in pairs.items()]
    return sorted(found, key=lambda pair: (-pair.correlation, pair))


def _relative_entropy(mixes: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Of each row, in bits; what has no share adds nothing."""
    ratio = np.divide(mixes, reference, out=np.ones_like(reference), where=mixes > 0)
    return (mixes * np.log2(ratio)).sum(axis=1)
