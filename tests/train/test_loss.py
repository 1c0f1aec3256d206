"""The loss against torch's own, and class weights computed by hand."""

import math

import pytest
import torch
from torch.nn import functional as F

from segcore.train.loss import class_weights, cross_entropy


def test_class_weights_by_hand():
    weights = class_weights("inverse_log", [0.3, 0.01])
    assert weights.tolist() == pytest.approx([1 / math.log(1.4), 1 / math.log(1.11)])
    assert class_weights("none", [0.3, 0.01]).tolist() == [1, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_loss_is_torchs_weighted_mean_over_pixels_that_are_not_void(dtype):
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(2, 7, 6, 5, generator=generator).to(dtype).requires_grad_()
    labels = torch.randint(0, 7, (2, 6, 5), generator=generator).to(torch.uint8)
    labels[:, :2] = 255
    weights = torch.rand(7, generator=generator) + 0.5
    total, weight = cross_entropy(scores, labels, weights)
    loss = total / weight
    twin = scores.detach().float().requires_grad_()
    expected = F.cross_entropy(twin, labels.long(), weights, ignore_index=255)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward(), expected.backward()
    torch.testing.assert_close(scores.grad.float(), twin.grad, rtol=1e-2, atol=1e-4)
    assert not scores.grad[:, :, :2].any()


def test_the_loss_of_void_alone_is_zero():
    scores = torch.randn(1, 7, 2, 2, requires_grad=True)
    total, weight = cross_entropy(scores, torch.full((1, 2, 2), 255, dtype=torch.uint8), torch.ones(7))
    total.backward()
    assert total.item() == weight.item() == 0
    assert not scores.grad.any()
