"""Each kind of block as ONNX nodes, against the module of torch, with random weights and batch norms."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from segcore.export import network
from segcore.export.graph import Graph
from segcore.network.erfnet import Downsampler, NonBottleneck1d, Upsampler
from tests.support.exported import random_network, randomise, session


def computed(add, module: nn.Module, x: torch.Tensor) -> np.ndarray:
    """Return what the nodes compute that ``add`` makes of ``module``."""
    graph = Graph()
    output = add(graph, module, "x", "block")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in ("x", output)]
    model = graph.model(values[:1], values[1:], {})
    onnx.checker.check_model(model, full_check=True)
    return session(model).run(None, {"x": x.numpy()})[0]


def assert_same(add, module: nn.Module, channels: int) -> None:
    torch.manual_seed(5)
    randomise(module)
    for size in ((1, channels, 8, 16), (3, channels, 24, 8)):
        x = torch.randn(size)
        with torch.inference_mode():
            expected = module(x).numpy()
        assert expected.std() > 0.1
        np.testing.assert_allclose(computed(add, module, x), expected, atol=1e-5)


@pytest.mark.parametrize(("cin", "cout"), [(3, 16), (16, 64)])
def test_downsampler(cin, cout):
    assert_same(network.downsampler, Downsampler(cin, cout), cin)


@pytest.mark.parametrize("dilation", [1, 2, 16])
def test_non_bottleneck_1d_without_its_dropout(dilation):
    assert_same(network.non_bottleneck_1d, NonBottleneck1d(16, dropout=0.3, dilation=dilation), 16)


def test_upsampler():
    assert_same(network.upsampler, Upsampler(16, 8), 16)


@pytest.mark.parametrize("conv", [nn.Conv2d(8, 5, 1), nn.ConvTranspose2d(8, 5, 2, stride=2)])
def test_convolutions_without_a_batch_norm(conv):
    assert_same(network.convolution, conv, 8)


@pytest.mark.parametrize("encoder_only", [False, True])
def test_the_whole_network(encoder_only):
    module = random_network(encoder_only)

    def add(graph, module, x, _):
        return network.erfnet(graph, module, x)

    for batch in (1, 3):
        x = torch.randn(batch, 3, 32, 64)
        with torch.inference_mode():
            expected = module(x).numpy()
        np.testing.assert_allclose(computed(add, module, x), expected, atol=1e-4 * np.abs(expected).max())


def test_batch_norms_are_folded():
    module, graph = random_network(), Graph()
    network.erfnet(graph, module, "x")
    operators = [node.op_type for node in graph.nodes]
    assert operators.count("Conv") + operators.count("ConvTranspose") == 3 + 17 * 4 + 3
    assert set(operators) == {"Conv", "ConvTranspose", "MaxPool", "Mul", "Add", "Concat", "Relu"}
    assert operators.count("Mul") == 3  # of the pooled channels
