"""The schedule, the loss and the average, against torch's own and against numbers worked out by hand."""

import math

import pytest
import torch
from torch.nn import functional as F

from segcore.loss import class_weights, cross_entropy
from segcore.training import TrainParams, average_share, learning_rate, update_average
from tests.tiny_training import PARAMS


def test_one_cycle_is_that_of_torch():
    params = TrainParams(**PARAMS)
    steps = 50
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=params.lr)
    reference = torch.optim.lr_scheduler.OneCycleLR(optimizer, params.lr, total_steps=steps)
    for step in range(steps):
        assert learning_rate(params, step, steps) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
        optimizer.step()
        if step + 1 < steps:
            reference.step()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 10])
@pytest.mark.parametrize("schedule", ["one_cycle", "poly", "constant"])
def test_schedules_of_very_few_steps_stay_within_bounds(schedule, steps):
    params = TrainParams(**(PARAMS | {"schedule": schedule}))
    assert all(0 < learning_rate(params, step, steps) <= params.lr for step in range(steps))


def test_poly_and_constant():
    poly = TrainParams(**(PARAMS | {"schedule": "poly"}))
    assert learning_rate(poly, 0, 100) == poly.lr
    assert learning_rate(poly, 75, 100) == pytest.approx(poly.lr * 0.25**0.9)
    assert learning_rate(TrainParams(**(PARAMS | {"schedule": "constant"})), 75, 100) == poly.lr


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
    loss = cross_entropy(scores, labels, weights)
    twin = scores.detach().float().requires_grad_()
    expected = F.cross_entropy(twin, labels.long(), weights, ignore_index=255)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward(), expected.backward()
    torch.testing.assert_close(scores.grad.float(), twin.grad, rtol=1e-2, atol=1e-4)
    assert not scores.grad[:, :, :2].any()


def test_a_batch_of_void_alone_costs_nothing():
    scores = torch.randn(1, 7, 2, 2, requires_grad=True)
    loss = cross_entropy(scores, torch.full((1, 2, 2), 255, dtype=torch.uint8), torch.ones(7))
    loss.backward()
    assert loss.item() == 0
    assert not scores.grad.any()


def test_the_average_follows_at_once_and_then_slowly():
    average, model = (torch.nn.BatchNorm1d(1) for _ in range(2))
    with torch.no_grad():
        average.weight.fill_(0)
        model.weight.fill_(1)
        model.num_batches_tracked.fill_(5)
    update_average(average, model, torch.tensor(average_share(0.99, step=0)))
    assert average.weight.item() == pytest.approx(0.9)
    assert average.num_batches_tracked.item() == 5
    update_average(average, model, torch.tensor(average_share(0.99, step=100_000)))
    assert average.weight.item() == pytest.approx(0.9 + 0.1 * 0.01)
