"""ERFNet as ONNX nodes: a function per kind of block, as in segcore/network/erfnet.py.

Each function takes the names of its input and of the block, and returns the name of its output. Batch norms, which are
linear in evaluation, are folded into the convolution before them. Dropout does nothing there.
"""

from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from segcore.export.graph import Graph
from segcore.network.erfnet import Downsampler, ERFNet, NonBottleneck1d, Upsampler

BATCH_NORM = ("running_mean", "running_var", "weight", "bias")


def erfnet(graph: Graph, network: ERFNet, x: str) -> str:
    """Turn normalised frames B×3×H×W into class scores B×C×H×W."""
    encoder, decoder = network.encoder, network.decoder
    x = downsampler(graph, encoder.initial_block, x, "encoder.initial_block")
    x = layers(graph, encoder.layers, x, "encoder.layers")
    if decoder is not None:
        x = layers(graph, decoder.layers, x, "decoder.layers")
        return convolution(graph, decoder.output_conv, x, "decoder.output_conv")
    x = convolution(graph, encoder.output_conv, x, "encoder.output_conv")
    scales = graph.constant("upsampling.scales", np.array([8, 8], np.float32))
    return graph.add("Resize", "upsampling", x, "", scales, axes=[2, 3], mode="linear")


def layers(graph: Graph, blocks: nn.ModuleList, x: str, name: str) -> str:
    """Add the blocks of an encoder or a decoder, one after the other."""
    kinds = {Downsampler: downsampler, NonBottleneck1d: non_bottleneck_1d, Upsampler: upsampler}
    for number, block in enumerate(blocks):
        x = kinds[type(block)](graph, block, x, f"{name}.{number}")
    return x


def downsampler(graph: Graph, block: Downsampler, x: str, name: str) -> str:
    """Add a :class:`Downsampler`. Its batch norm covers the pooled channels, too, which get a scale and a shift."""
    learnt = block.conv.out_channels
    conv = convolution(graph, block.conv, x, f"{name}.conv", block.bn)
    pool = graph.add("MaxPool", f"{name}.pool", x, kernel_shape=[2, 2], strides=[2, 2])
    scale, shift = (array(value[learnt:].reshape(-1, 1, 1)) for value in scale_and_shift(block.bn))
    pool = graph.add("Mul", f"{name}.pool.scaled", pool, graph.constant(f"{name}.pool.scale", scale))
    pool = graph.add("Add", f"{name}.pool.shifted", pool, graph.constant(f"{name}.pool.shift", shift))
    both = graph.add("Concat", f"{name}.concat", conv, pool, axis=1)
    return graph.add("Relu", f"{name}.relu", both)


def non_bottleneck_1d(graph: Graph, block: NonBottleneck1d, x: str, name: str) -> str:
    """Add a :class:`NonBottleneck1d`."""

    def relu(y: str) -> str:
        return graph.add("Relu", f"{y}.relu", y)

    y = relu(convolution(graph, block.conv3x1_1, x, f"{name}.conv3x1_1"))
    y = relu(convolution(graph, block.conv1x3_1, y, f"{name}.conv1x3_1", block.bn1))
    y = relu(convolution(graph, block.conv3x1_2, y, f"{name}.conv3x1_2"))
    y = convolution(graph, block.conv1x3_2, y, f"{name}.conv1x3_2", block.bn2)
    return relu(graph.add("Add", f"{name}.add", y, x))


def upsampler(graph: Graph, block: Upsampler, x: str, name: str) -> str:
    """Add an :class:`Upsampler`."""
    return graph.add("Relu", f"{name}.relu", convolution(graph, block.conv, x, f"{name}.conv", block.bn))


def convolution(
    graph: Graph, conv: nn.Conv2d | nn.ConvTranspose2d, x: str, name: str, bn: nn.BatchNorm2d | None = None
) -> str:
    """Add a convolution, transposed or not, with the batch norm of its output folded into it."""
    transposed = isinstance(conv, nn.ConvTranspose2d)
    weight, bias = values(conv, "weight", "bias")
    if bn is not None:
        mean, variance, scale, shift = (value[: len(bias)] for value in values(bn, *BATCH_NORM))
        weight, bias = fuse_conv_bn_weights(weight, bias, mean, variance, bn.eps, scale, shift, transposed)
    attributes: dict[str, Any] = {
        "kernel_shape": list(conv.kernel_size),
        "strides": list(conv.stride),
        "pads": [*conv.padding, *conv.padding],
        "dilations": list(conv.dilation),
    }
    if transposed:
        attributes["output_padding"] = list(conv.output_padding)
    inputs = graph.constant(f"{name}.weight", array(weight)), graph.constant(f"{name}.bias", array(bias))
    return graph.add("ConvTranspose" if transposed else "Conv", name, x, *inputs, **attributes)


def scale_and_shift(bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the batch norm as a factor and a summand for each channel."""
    mean, variance, scale, shift = values(bn, *BATCH_NORM)
    scale = scale * (variance + bn.eps).rsqrt()
    return scale, shift - mean * scale


def values(module: nn.Module, *names: str) -> list[Tensor]:
    """Return these parameters and buffers of a module in fp64, so that folding them rounds once, at the end."""
    state = module.state_dict()
    return [state[name].cpu().double() for name in names]


def array(tensor: Tensor) -> np.ndarray:
    """Return a tensor as a float32 array."""
    return tensor.detach().float().numpy()
