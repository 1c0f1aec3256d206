"""Compute class scores with the network of a model file, and from them class ids at any size."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from textwrap import shorten

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from segcore.files.dataset import Dataset
from segcore.files.model import MODEL, Record, load_weights
from segcore.network.device import usable_precision
from segcore.network.erfnet import ERFNet
from segcore.network.tensors import Normalise, to_float, upload
from segcore.runtime.console import say
from segcore.runtime.errors import UserError
from segcore.runtime.typed import validate

BATCH_SIZE = 8  # fixed, because the rounding of a convolution may depend on it


class Predictor:
    """A trained network with the input size, normalisation and precision it was trained with."""

    def __init__(self, path: Path, device: torch.device, precision: str | None = None) -> None:
        """Load ``path``.

        Args:
            precision: bf16 or fp32, instead of the precision of training.

        Raises:
            UserError: if the file does not hold an ERFNet of this pipeline.
        """
        state, values = load_weights(path)
        try:
            self.record = validate(values, Record, path)
        except UserError as error:
            raise UserError(f"{error}; `dvc repro train` makes {MODEL}") from None
        try:
            self.network = ERFNet(len(self.record.classes), self.record.params["model"]["encoder_only"])
            self._normalise = Normalise(self.record.mean, self.record.std, device)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"{path}: not written by this pipeline ({error}); `dvc repro train` makes {MODEL}"
            ) from None
        try:
            self.network.load_state_dict(state)
        except RuntimeError as error:
            reason = shorten(str(error), 200)
            raise UserError(
                f"{path}: its weights are not ERFNet's ({reason}); `dvc repro train` makes {MODEL}"
            ) from None
        self.network.eval().to(device)
        self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.device, self.size = device, self.record.input_size
        wanted = precision or self.record.precision
        self.precision = usable_precision(wanted, device)
        if self.precision != wanted:
            say(f"{device} has no {wanted}: computing in {self.precision}")

    @property
    def classes(self) -> list[str]:
        """Names of the classes in the order of their ids."""
        return self.record.classes

    @torch.inference_mode()
    def scores(self, frames: Iterable[np.ndarray], mirrored: bool = False) -> Iterator[Tensor]:
        """Yield the class scores C×H×W, fp32, of each frame, uint8 H×W×3 at the network's input size.

        Args:
            frames: predicted in batches of ``BATCH_SIZE``. The last batch is filled with copies of its last frame, so
                that the scores of a frame do not depend on the number of frames.
            mirrored: predict the mirror images, and mirror the scores back.

        Raises:
            UserError: if a frame has a different size.
        """
        waiting = iter(frames)
        while batch := list(islice(waiting, BATCH_SIZE)):
            for frame in batch:
                self._check(frame)
            padded = np.stack(batch + batch[-1:] * (BATCH_SIZE - len(batch)))
            images = self._normalise(to_float(upload(torch.from_numpy(padded), self.device)))
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                scores = self.network(images.flip(3) if mirrored else images).float()
            yield from (scores.flip(3) if mirrored else scores)[: len(batch)]

    def _check(self, frame: np.ndarray) -> None:
        if frame.shape[:2] != self.size:
            raise UserError(
                f"the model was trained on frames of {_by(self.size)}, and these are {_by(frame.shape[:2])} "
                "(height × width); run `dvc repro train`"
            )


def check_classes(path: Path, classes: list[str], dataset: Dataset) -> None:
    """Check that the model in ``path``, which predicts ``classes``, can be scored on ``dataset``.

    Raises:
        UserError: if the data set has different classes.
    """
    if classes != dataset.names:
        raise UserError(
            f"{path}: the model predicts {', '.join(classes)}, and the classes of {dataset.name} are "
            f"{', '.join(dataset.names)}. It cannot be scored on a data set with different classes; run `dvc repro`"
        )


@torch.inference_mode()
def to_native(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate the scores C×H×W of one frame to ``size`` (h, w), bilinear, and return the best class ids, uint8 h×w.

    The first class wins a tie. The classes are handled one by one, which takes a quarter of the time and memory of
    ``argmax`` on a CPU.
    """
    classes = (_interpolate(score, size) for score in scores)
    best = next(classes)
    ids = torch.zeros(size, dtype=torch.uint8, device=scores.device)
    for number, score in enumerate(classes, 1):
        ids.masked_fill_(score > best, number)
        best = torch.maximum(best, score)
    return ids


@torch.inference_mode()
def confidence(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the probability of the best class, float h×w: the softmax of scores C×H×W, interpolated to ``size``."""
    best = torch.full(size, -torch.inf, device=scores.device)
    total = torch.zeros(size, device=scores.device)  # of exp(score - best)
    for score in scores:
        score = _interpolate(score, size)
        highest = torch.maximum(best, score)
        total = total.mul_((best - highest).exp_()).add_((score - highest).exp_())
        best = highest
    return total.reciprocal_()


def _interpolate(score: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(score[None, None], size, mode="bilinear", align_corners=False)[0, 0]


def _by(size: tuple[int, ...]) -> str:
    return "×".join(map(str, size))
