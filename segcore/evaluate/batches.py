"""Predict batches of frames, and score them by themselves, so that several processes can share the batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from segcore.evaluate.calibration import Calibration
from segcore.files.arrays import Row
from segcore.files.dataset import Dataset
from segcore.files.images import NATIVE, read_labels, write_labels
from segcore.inference.predictor import BATCH_SIZE, Predictor, confidence, to_native
from segcore.inference.protocol import Evaluation


@dataclass
class Counts:
    """The counts of validation frames: of the predictions, of the predictions with flip, and of the confidence."""

    plain: Evaluation
    flipped: Evaluation
    calibration: Calibration

    def merge(self, other: "Counts") -> None:
        """Add the counts of other frames."""
        self.plain.merge(other.plain)
        self.flipped.merge(other.flipped)
        self.calibration.merge(other.calibration)


class Scorer:
    """Predict frames with ``predictor`` into the folder ``predictions``, and score those that have labels."""

    def __init__(self, predictor: Predictor, dataset: Dataset, flip: bool, predictions: Path) -> None:
        self._predictor, self._dataset, self._flip, self._predictions = predictor, dataset, flip, predictions

    def nothing(self) -> Counts:
        """Return the counts of no frames."""
        plain, flipped = (Evaluation(self._predictor.classes, self._dataset.protocol) for _ in range(2))
        return Counts(plain, flipped, Calibration())

    def score(self, rows: Sequence[Row], images: np.ndarray) -> list[Counts]:
        """Predict and score a batch of validation frames, each by itself."""
        mirror_images = self._predictor.scores(images, mirrored=True) if self._flip else repeat(None)
        results = []
        for row, scores, mirrored in zip(rows, self._predictor.scores(images), mirror_images, strict=False):
            results.append(result := self.nothing())
            size = (row.height, row.width)
            prediction = to_native(scores, size).cpu().numpy()
            write_labels(self._predictions / row.frame.prediction, prediction)
            truth = read_labels(NATIVE / row.frame.label, (row.width, row.height), len(self._predictor.classes))
            result.plain.add(row.frame, truth, prediction)
            result.calibration.add(truth, prediction, confidence(scores, size).cpu().numpy())
            if mirrored is not None:
                mean = scores.softmax(0) + mirrored.softmax(0)
                result.flipped.add(row.frame, truth, to_native(mean, size).cpu().numpy())
        return results

    def predict(self, rows: Sequence[Row], images: np.ndarray) -> list[None]:
        """Predict a batch of frames without labels."""
        for row, scores in zip(rows, self._predictor.scores(images), strict=True):
            prediction = to_native(scores, (row.height, row.width)).cpu().numpy()
            write_labels(self._predictions / row.frame.prediction, prediction)
        return [None] * len(rows)


def batches(rows: Sequence[Row], images: np.ndarray) -> list[tuple[Sequence[Row], np.ndarray]]:
    """Return rows and images of each batch of ``BATCH_SIZE`` frames."""
    return [(rows[i : i + BATCH_SIZE], images[i : i + BATCH_SIZE]) for i in range(0, len(rows), BATCH_SIZE)]
