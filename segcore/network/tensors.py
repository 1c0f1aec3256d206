"""Frames as tensors: where they are stored, and how uint8 becomes the input of the network."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from segcore.runtime.threads import map_in_order

READ_AHEAD = 2  # batches


class FrameStore:
    """Frames N×H×W×3 and labels N×H×W, uint8, on the device if they fit, else in host memory or their memory map."""

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
        """Return frames B×H×W×3 and labels B×H×W, uint8, on the device; ``index`` is on the CPU."""
        return self._upload(*self._read(index))

    def batches(self, indices: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield :meth:`batch` of each of ``indices``. What is not on the device is read ahead, in a thread."""
        if self._images.device.type != "cpu":
            yield from map(self.batch, indices)
            return
        with closing(map_in_order(self._read, indices, ahead=READ_AHEAD, threads=1)) as batches:
            for images, labels in batches:
                yield self._upload(images, labels)

    def _read(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames and labels where they are stored; in pinned memory, if they have to go to a CUDA device."""
        if self._images.device.type != "cpu":
            index = upload(index, self._images.device)
            return self._images[index], self._labels[index]
        # NumPy reads with this thread alone; torch would start as many again as compute.
        images, labels = (torch.from_numpy(store.numpy()[index.numpy()]) for store in (self._images, self._labels))
        return (images.pin_memory(), labels.pin_memory()) if self.device.type == "cuda" else (images, labels)

    def _upload(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


class Normalise:
    """Subtract the channel means and divide by the standard deviations, both on a 0–1 scale.

    Raises:
        ValueError: unless these are three finite numbers each.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        if not len(mean) == len(std) == 3 or not all(map(math.isfinite, (*mean, *std))):
            raise ValueError(f"three means and standard deviations were expected, not {mean} and {std}")
        self._mean = torch.tensor(mean, device=device).view(1, 3, 1, 1)
        # At least 0.001, because the deviation of a uniform channel is 0.
        self._scale = 1 / torch.tensor(std, device=device).clamp_min(1e-3).view(1, 3, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        return ((images - self._mean) * self._scale).contiguous(memory_format=torch.channels_last)


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """Return ``tensor`` on ``device``, without waiting for a CUDA device to finish its work."""
    if device.type == tensor.device.type:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def to_float(images: Tensor) -> Tensor:
    """Turn uint8 B×H×W×3, 0–255, into float B×3×H×W, 0–1; memory stays in channels-last order."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def _fits(size: int, device: torch.device) -> bool:
    # Frames get at most half of the free memory; the other half is for the network.
    return device.type == "cuda" and size < torch.cuda.mem_get_info(device)[0] / 2
