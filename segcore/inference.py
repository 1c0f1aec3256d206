"""From a model file to predicted classes at a frame's native size."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from segcore.arrays import Row
from segcore.console import UserError
from segcore.device import usable_precision
from segcore.erfnet import ERFNet
from segcore.frames import Normalise, to_float, upload
from segcore.labels import CLASSES
from segcore.weights import load_weights


class Predictor:
    """A trained network with the input size, normalisation and precision it was trained with."""

    def __init__(self, path: Path, device: torch.device) -> None:
        """Load ``path``.

        Raises:
            UserError: if the file does not hold an ERFNet of this pipeline's classes.
        """
        state, about = load_weights(path)
        try:
            classes, self.size = about["classes"], tuple(about["input_size"])
            self.trained_in = about["precision"]
            self.precision = usable_precision(self.trained_in, device)
            self._network = ERFNet(len(CLASSES), about["params"]["model"]["encoder_only"])
            self._normalise = Normalise(about["mean"], about["std"], device)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{path}: not written by this pipeline ({error!r}); run `dvc repro train`") from None
        if classes != list(CLASSES):
            raise UserError(f"{path}: made for the classes {classes}, not {list(CLASSES)}; run `dvc repro train`")
        try:
            self._network.load_state_dict(state)
        except RuntimeError as error:
            reason = shorten(str(error), 200)
            raise UserError(f"{path}: its weights are not ERFNet's ({reason}); run `dvc repro train`") from None
        self._network.eval().to(device, memory_format=torch.channels_last)
        self.device = device

    @torch.inference_mode()
    def scores(self, images: np.ndarray, mirrored: bool = False) -> Tensor:
        """Class scores B×C×H×W, fp32, of uint8 frames B×H×W×3; ``mirrored``: read right to left, and turned back.

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
        """Yield each row with its predicted class ids, uint8 h×w at native size, of frames N×H×W×3.

        With ``flip`` the third is another such prediction, from the mean of the class probabilities of the frame and
        of its mirror image, which is what is interpolated then; without, it is None.

        Raises:
            UserError: if there are not as many rows as frames, or for what :meth:`scores` refuses.
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
    """Class ids, uint8 h×w, of one frame's scores C×H×W: bilinear interpolation to (h, w), then the highest."""
    scores = F.interpolate(scores[None], size, mode="bilinear", align_corners=False)
    return scores[0].argmax(0).to(torch.uint8).cpu().numpy()


def _by(size: tuple[int, ...]) -> str:
    return "×".join(map(str, size))
