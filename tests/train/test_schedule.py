"""The schedule against torch's own."""

import pytest
import torch

from segcore.train.recipe import TrainParams
from segcore.train.schedule import learning_rate
from tests.support.tiny_training import PARAMS


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
