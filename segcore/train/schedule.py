"""The learning rate of each step."""

import math

from segcore.train.recipe import TrainParams


def learning_rate(params: TrainParams, step: int, steps: int) -> float:
    """Return the learning rate of ``step``, counted from 0, of ``steps``.

    one_cycle: from lr/25 up to lr over the first 30 % of the steps and down to lr/250,000 at the last, both along a
    cosine (Smith and Topin 2018; the learning rate of torch's ``OneCycleLR`` without its momentum). poly:
    lr · (1 - step/steps)^0.9, as ERFNet was trained, but by step and not by epoch.
    """
    if params.schedule == "constant":
        return params.lr
    if params.schedule == "poly":
        return params.lr * (1 - step / steps) ** 0.9
    start, end = params.lr / 25, params.lr / 250_000
    peak = 0.3 * steps - 1
    if step <= peak:
        return _cosine(start, params.lr, step / peak)
    return _cosine(params.lr, end, (step - peak) / (steps - 1 - peak))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
