"""The loss: cross-entropy over the pixels that are not void, with a weight per class.

A loss returns a sum over frames, and its weight, which does not depend on the scores. Several processes add up both. A
loss that is no such sum, for example Dice or Lovász over a batch, needs an exchange of its own.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from segcore.dataset.classes import VOID


def class_weights(kind: Literal["none", "inverse_log"], share: list[float]) -> Tensor:
    """Return one weight per class from its share of the train pixels; ``inverse_log`` is 1/ln(1.1 + share).

    Source: Paszke et al., "ENet", 2016; ERFNet was trained with 1.1 instead of ENet's 1.02.
    """
    shares = torch.tensor(share)
    match kind:
        case "none":
            return torch.ones_like(shares)
        case "inverse_log":
            return 1 / torch.log(1.1 + shares)


def cross_entropy(scores: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of scores B×C×H×W over the pixels of labels B×H×W that are not void, as a sum and its weight.

    The sum is that of the pixels' cross-entropies, each times the weight of its class; the weight is the sum of these
    weights. Their ratio is the mean. Both are in the type of ``weights``, and zero if all pixels are void.
    """
    target = labels.long()
    # Reduced here, because torch's own reduction in two dimensions is not deterministic on CUDA.
    losses = F.cross_entropy(scores.to(weights.dtype), target, weights, ignore_index=VOID, reduction="none")
    return losses.sum(), F.pad(weights, (0, VOID + 1 - len(weights)))[target].sum()
