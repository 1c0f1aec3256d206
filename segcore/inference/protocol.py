"""The IDD-Lite protocol: prediction and ground truth at 256×128, one confusion matrix over all frames, without void.

Source: the organisers' evaluation code for the IDD-Lite challenge of NCVPRIPG 2019. It resizes with Pillow's NEAREST;
OpenCV's picks different pixels.
"""

import math

import numpy as np
import torch
from PIL import Image

from segcore.dataset.classes import CLASSES
from segcore.dataset.frames import Frame
from segcore.files.scores import Scores
from segcore.network.confusion import confusion_matrix
from segcore.network.iou import class_counts, class_iou, mean_iou

PROTOCOL_SIZE = (256, 128)  # width, height


class Evaluation:
    """The counts of all frames so far. The sums of :attr:`frames` give ``miou`` exactly."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, str, np.ndarray]] = []  # drive, frame, counts C×3
        self.protocol = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
        self.native = np.zeros_like(self.protocol)
        self.pixels = 0

    def add(self, frame: Frame, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Count one frame: class ids h×w, both at native size."""
        self.native += _matrix(truth, prediction)
        self.pixels += truth.size
        matrix = _matrix(_protocol_size(truth), _protocol_size(prediction))
        self.protocol += matrix
        self.frames.append((frame.drive, frame.name, class_counts(matrix)))

    @property
    def miou(self) -> float | None:
        """mIoU at the size of the protocol, with 4 decimals."""
        return _rounded(mean_iou(class_counts(self.protocol)))

    def scores(self, **more: float | None) -> Scores:
        """Return the scores, with ``more`` of their fields set."""
        counts, total = class_counts(self.protocol), self.protocol.sum()
        return Scores(
            miou=self.miou,
            miou_native=_rounded(mean_iou(class_counts(self.native))),
            pixel_accuracy=_rounded(self.protocol.diagonal().sum() / total if total else math.nan),
            iou=dict(zip(CLASSES, map(_rounded, class_iou(counts)), strict=True)),
            **more,
        )

    def summary(self) -> str:
        """Return a line with the numbers of valid and void pixels at native size."""
        valid = int(self.native.sum())
        return f"ground truth of val: {valid:,} valid and {self.pixels - valid:,} void pixels"


def _protocol_size(labels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(labels).resize(PROTOCOL_SIZE, Image.Resampling.NEAREST))


def _matrix(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return confusion_matrix(torch.tensor(truth), torch.tensor(prediction), len(CLASSES)).numpy()


def _rounded(score: float | np.ndarray) -> float | None:
    """Round to 4 decimals, so that a diff of metrics stays readable; return ``None`` for NaN."""
    return None if math.isnan(score) else round(float(score), 4)
