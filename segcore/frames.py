"""Frames as tensors: where they are kept, and how uint8 becomes the network's input."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor


class FrameStore:
    """Frames N×H×W×3 and labels N×H×W, uint8: on the device where they fit, else in host memory or its memory map."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, device: torch.device) -> None:
        self.device = device
        home = device if _fits(images.nbytes + labels.nbytes, device) else torch.device("cpu")
        self._images = torch.from_numpy(images).to(home)
        self._labels = torch.from_numpy(labels).to(home)

    def __len__(self) -> int:
        return len(self._images)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._images.shape[1], self._images.shape[2]

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Frames B×H×W×3 and labels B×H×W, uint8, on the device; ``index`` is on the CPU."""
        index = upload(index, self._images.device)
        return upload(self._images[index], self.device), upload(self._labels[index], self.device)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All frames in order, ``size`` at a time."""
        for index in torch.arange(len(self)).split(size):
            yield self.batch(index)


class Normalise:
    """Subtract the channel means and divide by the standard deviations, both on a 0–1 scale.

    Raises:
        ValueError: if these are not three finite numbers each.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        if not len(mean) == len(std) == 3 or not all(map(math.isfinite, (*mean, *std))):
            raise ValueError(f"three means and standard deviations were expected, not {mean} and {std}")
        self._mean = torch.tensor(mean, device=device).view(1, 3, 1, 1)
        self._scale = 1 / torch.tensor(std, device=device).clamp_min(1e-3).view(1, 3, 1, 1)  # a flat channel has none

    def __call__(self, images: Tensor) -> Tensor:
        return ((images - self._mean) * self._scale).contiguous(memory_format=torch.channels_last)


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` on ``device``, and without waiting for what a CUDA device still computes."""
    if device.type == tensor.device.type:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def to_float(images: Tensor) -> Tensor:
    """From uint8 B×H×W×3, 0–255, to float B×3×H×W, 0–1; memory stays in channels-last order."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def _fits(size: int, device: torch.device) -> bool:
    # The other half stays for the network.
    return device.type == "cuda" and size < torch.cuda.mem_get_info(device)[0] / 2
