"""Augmentation of whole batches on the device: flip, scale and crop, shift, colour jitter.

What is drawn is a function of (seed, step) alone, so that a run can be repeated or continued from any step. Mirroring
is not drawn: each frame is mirrored in every second epoch, so that two epochs show it both ways (Jordan, "94% on
CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, arXiv 2404.00498). The geometry is one affine map per frame, with
which the frame is sampled once (bilinear) and its labels once (nearest). Pixels from outside the frame are black,
before the colours are changed, and void in the labels.
"""

from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from segcore.dataset.classes import VOID
from segcore.runtime.typed import Real, Strict


class AugmentParams(Strict):
    """Section `augment`. Values are drawn uniformly from their ranges, anew for every frame of every batch."""

    flip: bool
    shift: int = Field(ge=0, le=64)
    scale_min: Real = Field(ge=0.25, le=4)
    scale_max: Real = Field(ge=0.25, le=4)
    brightness: Real = Field(ge=0, lt=1)
    contrast: Real = Field(ge=0, lt=1)
    saturation: Real = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> "AugmentParams":
        if self.scale_min > self.scale_max:
            raise ValueError("scale_min must not be above scale_max")
        return self


class Draws(NamedTuple):
    """The random values of a batch of B frames: ``theta`` B×2×3 for ``affine_grid``, ``factors`` B×3 for colours."""

    theta: Tensor
    factors: Tensor


def draw(params: AugmentParams, mirrored: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> Draws:
    """Draw the random values for B frames of ``size`` (height, width) pixels, on the CPU.

    Args:
        mirrored: B booleans, the frames to mirror if ``params`` has flip.
    """
    frames = len(mirrored)
    mirror = np.where(mirrored & params.flip, -1.0, 1.0)
    zoom = 1 / rng.uniform(params.scale_min, params.scale_max, frames)
    # In the coordinates of affine_grid a frame reaches from -1 to 1, and a window of 1/scale can move by 1 - 1/scale.
    centre = rng.uniform(-1, 1, (2, frames)) * np.abs(1 - zoom)
    pixels = rng.integers(0, params.shift, (2, frames), endpoint=True)
    height, width = size
    shift_x, shift_y = 2 * pixels[0] / width, 2 * pixels[1] / height
    theta = np.zeros((frames, 2, 3), dtype=np.float32)
    # From an output position to the input position it is read from: undo the shift, then the zoom, then the flip.
    theta[:, 0, 0] = mirror * zoom
    theta[:, 0, 2] = mirror * (centre[0] - shift_x * zoom)
    theta[:, 1, 1] = zoom
    theta[:, 1, 2] = centre[1] - shift_y * zoom
    spread = np.array([[params.brightness], [params.contrast], [params.saturation]])
    factors = rng.uniform(1 - spread, 1 + spread, (3, frames)).astype(np.float32)
    return Draws(torch.from_numpy(theta), torch.from_numpy(np.ascontiguousarray(factors.T)))


def apply(images: Tensor, labels: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Augment frames B×3×H×W (float, 0–1) and labels B×H×W (uint8) as drawn; return both with the same shapes."""
    grid = F.affine_grid(draws.theta, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
    # The sampler fills with zero, so labels are sampled as their distance from void.
    distance = (VOID - labels).unsqueeze(1).float()
    distance = F.grid_sample(distance, grid, mode="nearest", align_corners=False)
    labels = VOID - distance.squeeze(1).to(torch.uint8)
    return _jitter(images, draws.factors), labels


def _jitter(images: Tensor, factors: Tensor) -> Tensor:
    """Scale the brightness, then the contrast about the mean grey, then the saturation about each pixel's grey."""
    brightness, contrast, saturation = factors.T[:, :, None, None, None]
    images = (images * brightness).clamp_(0, 1)
    mean = _grey(images).mean(dim=(2, 3), keepdim=True)
    images = (mean + (images - mean) * contrast).clamp_(0, 1)
    grey = _grey(images)
    return (grey + (images - grey) * saturation).clamp_(0, 1)


def _grey(images: Tensor) -> Tensor:
    """Return the luma of ITU-R BT.601, B×1×H×W."""
    red, green, blue = images.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue
