"""Predict classes at a frame's native size with the network in a model file."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from segcore.dataset.classes import CLASSES
from segcore.files.arrays import Row
from segcore.files.model import Record, load_weights
from segcore.network.device import usable_precision
from segcore.network.erfnet import ERFNet
from segcore.network.tensors import Normalise, to_float, upload
from segcore.runtime.errors import UserError
from segcore.runtime.typed import validate


class Predictor:
    """A trained network with the input size, normalisation and precision it was trained with."""

    def __init__(self, path: Path, device: torch.device) -> None:
        """Load ``path``.

        Raises:
            UserError: if the file does not hold an ERFNet of this pipeline's classes.
        """
        state, values = load_weights(path)
        try:
            record = validate(values, Record, path)
            self._network = ERFNet(len(CLASSES), record.params["model"]["encoder_only"])
            self._normalise = Normalise(record.mean, record.std, device)
        except (UserError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{path}: not written by this pipeline ({error}); run `dvc repro train`") from None
        if record.classes != list(CLASSES):
            raise UserError(
                f"{path}: made for the classes {record.classes}, not {list(CLASSES)}; run `dvc repro train`"
            )
        try:
            self._network.load_state_dict(state)
        except RuntimeError as error:
            reason = shorten(str(error), 200)
            raise UserError(f"{path}: its weights are not ERFNet's ({reason}); run `dvc repro train`") from None
        self._network.eval().to(device)
        self._network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.device, self.size = device, record.input_size
        self.trained_in, self.precision = record.precision, usable_precision(record.precision, device)

    @torch.inference_mode()
    def scores(self, images: np.ndarray, mirrored: bool = False) -> Tensor:
        """Return class scores B×C×H×W, fp32, of uint8 frames B×H×W×3.

        Args:
            mirrored: predict the mirror images, and mirror the scores back.

        Raises:
            UserError: if the frames do not have the size that the network was trained with.
        """
        if images.shape[1:3] != self.size:
            raise UserError(
                f"the model was trained on frames of {_by(self.size)}, and these are {_by(images.shape[1:3])} "
                "(height × width); run `dvc repro train`"
            )
        batch = self._normalise(to_float(upload(torch.from_numpy(images), self.device)))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            scores = self._network(batch.flip(3) if mirrored else batch).float()
        return scores.flip(3) if mirrored else scores

    def predict(
        self, images: np.ndarray, rows: list[Row], flip: bool = False, batch_size: int = 8
    ) -> Iterator[tuple[Row, np.ndarray, np.ndarray | None]]:
        """Yield (row, prediction, flip prediction) for each frame of N×H×W×3: class ids at native size, uint8 h×w.

        The flip prediction comes from the class probabilities averaged over the frame and its mirror image, which are
        interpolated in place of the scores. Without ``flip`` it is ``None``.

        Raises:
            UserError: if the numbers of rows and frames differ, or as :meth:`scores`.
        """
        if len(rows) != len(images):
            raise UserError(f"frames.csv has {len(rows)} rows for {len(images)} frames; run `dvc repro preprocess`")
        for start in range(0, len(rows), batch_size):
            batch = slice(start, start + batch_size)
            scores = self.scores(images[batch])
            mirrored = self.scores(images[batch], mirrored=True) if flip else None
            for at, row in enumerate(rows[batch]):
                size = (row.height, row.width)
                mean = None if mirrored is None else to_native(scores[at].softmax(0) + mirrored[at].softmax(0), size)
                yield row, to_native(scores[at], size), mean


def to_native(scores: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Interpolate one frame's scores C×H×W to ``size`` (h, w), bilinear, and return the best class ids, uint8 h×w."""
    scores = F.interpolate(scores[None], size, mode="bilinear", align_corners=False)
    return scores[0].argmax(0).to(torch.uint8).cpu().numpy()


def _by(size: tuple[int, ...]) -> str:
    return "×".join(map(str, size))
