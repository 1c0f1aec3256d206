"""Calibration of the confidence: the accuracy of pixels by their confidence, and the expected calibration error.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, section 2.
"""

import numpy as np

from segcore.dataset.classes import VOID

BINS = 15  # of equal width, as in the source


class Calibration:
    """Confidence and accuracy of all valid pixels so far, in bins ((i - 1) / 15, i / 15] of confidence."""

    def __init__(self) -> None:
        self.pixels, self.right, self.confidence = np.zeros((3, BINS))

    def add(self, truth: np.ndarray, prediction: np.ndarray, confidence: np.ndarray) -> None:
        """Count the pixels of one frame: class ids h×w, and the probability of the predicted class, h×w."""
        valid = truth != VOID
        believed = confidence[valid].astype(float)
        bins = np.clip(np.ceil(believed * BINS).astype(int) - 1, 0, BINS - 1)
        self.pixels += np.bincount(bins, minlength=BINS)
        self.right += np.bincount(bins, (truth == prediction)[valid], BINS)
        self.confidence += np.bincount(bins, believed, BINS)

    def merge(self, other: "Calibration") -> None:
        """Add the counts of other frames."""
        self.pixels += other.pixels
        self.right += other.right
        self.confidence += other.confidence

    @property
    def error(self) -> float | None:
        """Expected calibration error, 4 decimals: the mean over pixels of |accuracy - confidence| of their bin."""
        total = self.pixels.sum()
        return round(float(np.abs(self.right - self.confidence).sum() / total), 4) if total else None

    def rows(self) -> list[tuple[float, float, float]]:
        """Return mean confidence, accuracy and share of all pixels, 4 decimals, for each bin with pixels."""
        filled = self.pixels > 0
        pixels = self.pixels[filled]
        columns = self.confidence[filled] / pixels, self.right[filled] / pixels, pixels / pixels.sum()
        return list(zip(*(column.round(4).tolist() for column in columns), strict=True))
