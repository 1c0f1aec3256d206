"""Muon against its definition, and against torch's own Muon, which takes single matrices."""

import pytest
import torch

from segcore.network.erfnet import ERFNet
from segcore.train.optimizer import Muon, make_optimizers, orthogonal


@pytest.mark.parametrize("shape", [(6, 15), (8, 8)])
def test_orthogonal_is_the_quintic_iteration_of_its_source(shape):
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    for matrix, result in zip(matrices.double(), orthogonal(matrices), strict=True):
        x = matrix / matrix.norm()
        for _ in range(5):
            x = 3.4445 * x - 4.7750 * (x @ x.T) @ x + 2.0315 * (x @ x.T) @ (x @ x.T) @ x
        torch.testing.assert_close(result, x.float(), rtol=1e-4, atol=1e-4)


def test_orthogonal_keeps_the_singular_vectors_and_moves_the_values_near_one():
    matrix = torch.randn(1, 12, 30, generator=torch.Generator().manual_seed(2))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    middle = left.mT @ orthogonal(matrix) @ right.mT
    values = middle.diagonal(dim1=1, dim2=2)
    assert ((values > 0.6) & (values < 1.2)).all()
    assert (middle - torch.diag_embed(values)).abs().max() < 1e-4


def test_without_a_gradient_there_is_no_step():
    assert not orthogonal(torch.zeros(2, 3, 4)).any()


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_muon_takes_the_steps_of_torchs_muon(order):
    generator = torch.Generator().manual_seed(3)
    shapes = [(8, 4, 3, 1), (8, 4, 3, 1), (8, 4, 1, 3), (6, 2, 3, 3)]
    starts = [torch.randn(shape, generator=generator) for shape in shapes]
    own = [torch.nn.Parameter(start.clone(memory_format=order)) for start in starts]
    theirs = [torch.nn.Parameter(start.flatten(1).clone()) for start in starts]
    muon = Muon(own, torch.tensor(0.02), weight_decay=0.1)
    reference = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        for mine, other, shape in zip(own, theirs, shapes, strict=True):
            gradient = torch.randn(shape, generator=generator)
            mine.grad, other.grad = gradient.clone(memory_format=order), gradient.flatten(1)
        muon.step(), reference.step()
    for mine, other, start in zip(own, theirs, starts, strict=True):
        moved = (mine - start).flatten(1)
        assert (mine.flatten(1) - other).norm() / moved.norm() < 0.02  # torch iterates in bf16


def test_every_weight_belongs_to_one_optimizer():
    model = ERFNet(7)
    adam, muon = make_optimizers("muon", model, torch.tensor(0.01), weight_decay=0.0)
    weights = [weight for optimizer in (adam, muon) for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(map(id, weights)) == sorted(map(id, model.parameters()))
    names = {id(weight): name for name, weight in model.named_parameters()}
    hidden = {names[id(weight)] for group in muon.param_groups for weight in group["params"]}
    assert {"encoder.layers.0.conv.weight", "decoder.layers.1.conv1x3_2.weight"} < hidden
    assert (
        not {"encoder.initial_block.conv.weight", "encoder.output_conv.weight", "decoder.output_conv.weight"} & hidden
    )
    assert not any(name.endswith("bias") or "bn" in name for name in hidden)
    assert len(make_optimizers("adam", model, torch.tensor(0.01), weight_decay=0.0)) == 1
