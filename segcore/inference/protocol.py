"""Scores by the protocol of a data set: one confusion matrix over all frames, without void.

Prediction and ground truth are compared at native size, or at a fixed size, to which Pillow's NEAREST resizes them:
OpenCV's picks different pixels.
"""

import math

import numpy as np
import torch
from PIL import Image

from segcore.dataset.frames import Frame
from segcore.files.dataset import Protocol
from segcore.files.scores import Scores
from segcore.network.confusion import confusion_matrix
from segcore.network.iou import class_counts, class_iou, mean_iou


class Evaluation:
    """The counts of all frames so far, with the confusion matrices C×C at the protocol's and at native size.

    The sums of :attr:`frames` give ``miou`` exactly. With the protocol ``native``, :attr:`confusion` and :attr:`native`
    are the same array.
    """

    def __init__(self, classes: list[str], protocol: Protocol) -> None:
        self.classes = classes
        self.frames: list[tuple[str, str, np.ndarray]] = []  # drive, frame, counts C×3
        self.native = np.zeros((len(classes), len(classes)), np.int64)
        self.confusion = self.native if protocol == "native" else np.zeros_like(self.native)
        self.pixels = 0
        self._size = None if protocol == "native" else (protocol.width, protocol.height)

    def add(self, frame: Frame, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Count one frame: class ids h×w, both at native size."""
        matrix = self._count(truth, prediction)
        self.native += matrix
        self.pixels += truth.size
        if self._size is not None:
            matrix = self._count(_resized(truth, self._size), _resized(prediction, self._size))
            self.confusion += matrix
        self.frames.append((frame.drive, frame.name, class_counts(matrix)))

    def merge(self, other: "Evaluation") -> None:
        """Add the counts of other frames."""
        self.native += other.native
        if self._size is not None:
            self.confusion += other.confusion
        self.pixels += other.pixels
        self.frames += other.frames

    @property
    def miou(self) -> float | None:
        """mIoU at the size of the protocol, with 4 decimals."""
        return _rounded(mean_iou(class_counts(self.confusion)))

    def scores(self, **more: float | None) -> Scores:
        """Return the scores, with ``more`` of their fields set."""
        counts, total = class_counts(self.confusion), self.confusion.sum()
        return Scores(
            miou=self.miou,
            miou_native=_rounded(mean_iou(class_counts(self.native))),
            pixel_accuracy=_rounded(self.confusion.diagonal().sum() / total if total else math.nan),
            iou=dict(zip(self.classes, map(_rounded, class_iou(counts)), strict=True)),
            **more,
        )

    def summary(self) -> str:
        """Return a line with the numbers of valid and void pixels at native size."""
        valid = int(self.native.sum())
        return f"ground truth of val: {valid:,} valid and {self.pixels - valid:,} void pixels"

    def _count(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return confusion_matrix(torch.tensor(truth), torch.tensor(prediction), len(self.classes)).numpy()


def _resized(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))


def _rounded(score: float | np.ndarray) -> float | None:
    """Round to 4 decimals, so that a diff of metrics stays readable; return ``None`` for NaN."""
    return None if math.isnan(score) else round(float(score), 4)
