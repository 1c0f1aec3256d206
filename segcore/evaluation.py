"""The IDD-Lite protocol: prediction and ground truth at 256×128, one confusion matrix over all frames, void left out.

Source: the organisers' evaluation code for the IDD-Lite challenge of NCVPRIPG 2019. Their resizing is Pillow's NEAREST;
OpenCV's picks other pixels.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from segcore.confusion import confusion_matrix, iou, mean_iou, pixel_accuracy, rounded
from segcore.labels import CLASSES
from segcore.params import Section

PROTOCOL_SIZE = (256, 128)  # width, height


class EvaluateParams(Section):
    """Section ``evaluate``; ``flip``: score, beside the plain predictions, the mean of a frame's and its mirror's."""

    flip: bool


def _zeros() -> Tensor:
    return torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.int64)


@dataclass
class Evaluation:
    """Counts of all frames so far; the sums of :attr:`frames` give ``miou`` exactly."""

    frames: list[dict[str, Any]] = field(default_factory=list)
    protocol: Tensor = field(default_factory=_zeros)
    native: Tensor = field(default_factory=_zeros)
    pixels: int = 0

    def add(self, drive: str, frame: str, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Count one frame: class ids h×w, both at native size."""
        self.native += _matrix(truth, prediction)
        self.pixels += truth.size
        matrix = _matrix(_protocol_size(truth), _protocol_size(prediction))
        self.protocol += matrix
        for i, name in enumerate(CLASSES):
            hits = int(matrix[i, i])
            wrong = {"fp": int(matrix[:, i].sum()) - hits, "fn": int(matrix[i].sum()) - hits}
            self.frames.append({"drive": drive, "frame": frame, "class": name, "tp": hits, **wrong})

    @property
    def valid(self) -> int:
        """Pixels at native size that are not void."""
        return int(self.native.sum())

    def metrics(self) -> dict[str, Any]:
        """``metrics/evaluate.json``: 4 decimals, ``None`` for a class that is nowhere, which the means leave out."""
        return {
            "miou": rounded(mean_iou(self.protocol)),
            "miou_native": rounded(mean_iou(self.native)),
            "pixel_accuracy": rounded(pixel_accuracy(self.protocol)),
            "iou": {name: rounded(value) for name, value in zip(CLASSES, iou(self.protocol), strict=True)},
        }

    def confusion(self) -> list[dict[str, Any]]:
        """``metrics/confusion.json``: pixels by true and predicted class."""
        return [
            {"actual": actual, "predicted": predicted, "pixels": int(self.protocol[i, j])}
            for i, actual in enumerate(CLASSES)
            for j, predicted in enumerate(CLASSES)
        ]

    def table(self) -> pd.DataFrame:
        """``metrics/frames.csv``: true positives, false positives and false negatives per frame and class."""
        return pd.DataFrame(self.frames, columns=["drive", "frame", "class", "tp", "fp", "fn"])


def _protocol_size(labels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(labels).resize(PROTOCOL_SIZE, Image.Resampling.NEAREST))


def _matrix(truth: np.ndarray, prediction: np.ndarray) -> Tensor:
    return confusion_matrix(torch.tensor(truth.ravel()), torch.tensor(prediction.ravel()), len(CLASSES))
