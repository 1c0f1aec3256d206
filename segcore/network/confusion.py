"""The confusion matrix of class ids, counted on the device."""

import torch
from torch import Tensor


def confusion_matrix(truth: Tensor, prediction: Tensor, classes: int) -> Tensor:
    """Count pixels by (true class, predicted class): C×C, int64, on the device of the inputs.

    Both inputs are class ids of the same shape. Pixels whose true id is ``classes`` or more, as for void, do not count.
    """
    valid = truth < classes
    pairs = truth[valid].long() * classes + prediction[valid].long()
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)
