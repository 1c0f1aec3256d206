"""Statistics of the train split."""

import numpy as np

from segcore.dataset.classes import VOID
from segcore.files.arrays import Stats


class Statistics:
    """Mean and standard deviation of each channel, and class shares, from exact integer sums."""

    def __init__(self, classes: list[str]) -> None:
        self._names = classes
        self._levels = np.zeros((3, 256), dtype=np.int64)
        self._classes = np.zeros(256, dtype=np.int64)

    def add(self, image: np.ndarray, label: np.ndarray) -> None:
        """Count one frame H×W×3 and its labels H×W."""
        for channel in range(3):
            self._levels[channel] += np.bincount(image[..., channel].ravel(), minlength=256)
        self._classes += np.bincount(label.ravel(), minlength=256)

    @property
    def missing(self) -> list[str]:
        """Names of the classes that no pixel has."""
        return [name for name, pixels in zip(self._names, self._classes, strict=False) if not pixels]

    def summary(self) -> Stats:
        """Return the statistics with 6 decimals."""
        level = np.arange(256) / 255
        mean = self._levels @ level / self._levels.sum(axis=1)
        variance = self._levels @ level**2 / self._levels.sum(axis=1) - mean**2
        std = np.sqrt(variance.clip(0))  # of a channel with one level, rounding may leave a little below 0
        share = self._classes / self._classes.sum()
        return Stats(
            mean=mean.round(6).tolist(),
            std=std.round(6).tolist(),
            share={name: round(float(share[i]), 6) for i, name in enumerate(self._names)},
            void_share=round(float(share[VOID]), 6),
        )
