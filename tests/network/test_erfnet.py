"""The network against its description in the paper: sizes, number of parameters, receptive field."""

import pytest
import torch

from segcore.network.erfnet import Downsampler, ERFNet, NonBottleneck1d


def test_the_whole_network_has_the_parameters_of_the_paper():
    # 2.06 million in the paper; the exact number for 7 classes is the sum over its table of layers.
    assert sum(p.numel() for p in ERFNet(7).parameters()) == 2_064_314


@pytest.mark.parametrize("encoder_only", [False, True])
def test_scores_have_the_size_of_the_input(encoder_only):
    scores = ERFNet(7, encoder_only).eval()(torch.zeros(2, 3, 32, 64))
    assert scores.shape == (2, 7, 32, 64)


def test_every_trained_parameter_gets_a_gradient():
    model = ERFNet(7)
    model(torch.randn(2, 3, 32, 32)).square().mean().backward()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    # Kept for the published key layout; only an encoder trained alone uses it.
    assert without == {"encoder.output_conv.weight", "encoder.output_conv.bias"}


def test_a_pixel_is_seen_through_the_dilated_blocks():
    """The receptive field of the encoder covers a 64-pixel neighbourhood: a change there reaches the score."""
    torch.manual_seed(0)
    model = ERFNet(7, encoder_only=True).eval()
    first = torch.zeros(1, 3, 16, 256)
    second = first.clone()
    second[..., 150] = 5
    changed = (model(first) - model(second)).abs().amax((0, 1, 2)) > 0
    assert changed[150 - 64 : 150 + 64].all()


def test_the_downsampler_concatenates_a_maximum_to_its_convolution():
    block = Downsampler(3, 16).eval()
    x = torch.rand(1, 3, 4, 4)
    assert torch.allclose(block(x)[0, 13:, 0, 0], x[0, :, :2, :2].amax((1, 2)) / (1 + 1e-3) ** 0.5)


def test_a_block_of_zero_weights_is_the_rectified_identity():
    block = NonBottleneck1d(4).eval()
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(1, 4, 5, 6)
    assert torch.equal(block(x), x.relu())
