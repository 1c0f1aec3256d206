"""The layers over a shared batch, in one process: they compute what torch's own do."""

import pytest
import torch
from torch import nn

from segcore.network.erfnet import ERFNet
from segcore.train.global_batch import GlobalBatchNorm2d, GlobalDropout2d, share_batches


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_norm(dtype):
    torch.manual_seed(0)
    ours, theirs = GlobalBatchNorm2d(3, eps=1e-3), nn.BatchNorm2d(3, eps=1e-3)
    for layer in (ours, theirs):
        nn.init.constant_(layer.weight, 1.5)
        nn.init.constant_(layer.bias, -0.5)
    inputs = [(100 + torch.randn(4, 3, 5, 6)).to(dtype).requires_grad_() for _ in range(2)]
    inputs[1].data.copy_(inputs[0].data)
    weight = torch.randn(4, 3, 5, 6)
    results = [layer(values) for layer, values in zip((ours, theirs), inputs, strict=True)]
    for result in results:
        (result * weight).sum().backward()
    assert results[0].dtype == results[1].dtype == dtype
    close = {"rtol": 1e-3, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 0.02, "atol": 0.05}
    torch.testing.assert_close(*results, **close)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, **close)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(dict(ours.named_buffers()), dict(theirs.named_buffers()))
    for layer in (ours, theirs):
        layer.eval()
    torch.testing.assert_close(ours(inputs[0]), theirs(inputs[0]))


def test_dropout_is_the_same_bits():
    ours, theirs = GlobalDropout2d(0.3), nn.Dropout2d(0.3)
    values, results = torch.randn(4, 64, 5, 6), []
    for layer in (ours, theirs):
        torch.manual_seed(3)
        results.append(layer(values))
    assert torch.equal(*results)
    assert (results[0] == 0).all(3).all(2).any()
    assert torch.equal(ours.eval()(values), values)


@pytest.mark.parametrize("encoder_only", [False, True])
def test_every_layer_is_replaced_and_the_weights_keep_their_names(encoder_only, monkeypatch):
    network = ERFNet(7, encoder_only)
    names = [type(module).__name__ for module in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    monkeypatch.setenv("WORLD_SIZE", "2")
    share_batches(network, 4)
    kinds = [type(module) for module in network.modules()]
    assert nn.BatchNorm2d not in kinds and nn.Dropout2d not in kinds
    assert kinds.count(GlobalBatchNorm2d) == names.count("BatchNorm2d") > 0
    assert kinds.count(GlobalDropout2d) == names.count("Dropout2d") > 0
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
