"""The cost of a network is the sum over its layers."""

import pytest
import torch
from torch import nn

from segcore.export.comparison import multiply_adds
from segcore.network.erfnet import ERFNet


@pytest.mark.parametrize("classes", [2, 7, 19])
@pytest.mark.parametrize("encoder_only", [False, True])
def test_multiply_adds_are_those_of_the_layers(encoder_only, classes):
    """Each weight of a convolution is multiplied once per pixel of its output, or of its input if it is transposed."""
    network = ERFNet(classes, encoder_only).eval()
    found = multiply_adds(network, (24, 40))
    counted = []

    def count(layer, inputs, output):
        pixels = (inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output)[0, 0].numel()
        counted.append(pixels * layer.weight.numel())

    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.zeros(1, 3, 24, 40))
    assert found == sum(counted)
