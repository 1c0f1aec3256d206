"""Cut a large picture into overlapping windows, and blend the scores of the windows."""

from collections.abc import Iterator
from math import ceil

import numpy as np
import torch
from torch import Tensor

Size = tuple[int, int]  # height, width


def corners(size: Size, window: Size) -> list[tuple[int, int]]:
    """Return (top, left) of each window, row by row. Windows are evenly spaced, at most half a window apart."""
    tops, lefts = (_starts(length, part) for length, part in zip(size, window, strict=True))
    return [(top, left) for top in tops for left in lefts]


def _starts(length: int, part: int) -> list[int]:
    steps = ceil((length - part) / (part / 2))
    return [round(step * (length - part) / max(steps, 1)) for step in range(steps + 1)]


def cut(pixels: np.ndarray, window: Size) -> Iterator[np.ndarray]:
    """Yield the windows h×w×3 of a picture H×W×3, which is as large as a window or larger."""
    height, width = window
    for top, left in corners((pixels.shape[0], pixels.shape[1]), window):
        yield pixels[top : top + height, left : left + width]


def merge(scores: Iterator[Tensor], size: Size, window: Size) -> Tensor:
    """Blend the scores C×h×w of a picture's windows, in the order of :func:`cut`, into its scores C×H×W.

    Where windows overlap, their scores are averaged, with weights that fall from the middle of a window to its edges,
    where the network sees the least context.
    """
    places = corners(size, window)
    first = next(scores)
    if len(places) == 1:
        return first
    weight = _ramp(window[0], first)[:, None] * _ramp(window[1], first)
    total, weights = first.new_zeros(len(first), *size), first.new_zeros(size)
    for at, (top, left) in enumerate(places):
        part = (..., slice(top, top + window[0]), slice(left, left + window[1]))
        total[part] += weight * (next(scores) if at else first)
        weights[part] += weight
    return total.div_(weights)


def _ramp(length: int, like: Tensor) -> Tensor:
    """Return weights that rise from the first element to the middle and fall to the last."""
    ramp = torch.arange(1, length + 1, dtype=like.dtype, device=like.device)
    return torch.minimum(ramp, ramp.flip(0)) / length
