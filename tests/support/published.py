"""Files of weights, and the key layouts that ERFNet's authors published, written down independently of our network.

Source: https://github.com/Eromera/erfnet_pytorch, train/erfnet.py and train/erfnet_imagenet.py.
"""

from pathlib import Path

import torch
from torch import Tensor

from segcore.files.model import save_weights
from tests.support.idd_lite import CLASSES

Layout = dict[str, tuple[int, ...]]
State = dict[str, Tensor]


def full(classes: int) -> Layout:
    """Return names and shapes of the whole network's state dict, in its order."""
    return {
        **_encoder("encoder"),
        "encoder.output_conv.weight": (classes, 128, 1, 1),
        "encoder.output_conv.bias": (classes,),
        **_layers("decoder.layers", DECODER),
        "decoder.output_conv.weight": (16, classes, 2, 2),
        "decoder.output_conv.bias": (classes,),
    }


def imagenet() -> Layout:
    """Return names and shapes of the state dict after a training of the encoder on ImageNet, by DataParallel.

    The order of the published file differs: within a block both normalisations come last.
    """
    return {
        **_encoder("module.features.encoder"),
        "module.classifier.linear.weight": (1000, 128),
        "module.classifier.linear.bias": (1000,),
    }


def tensors(layout: Layout) -> State:
    """Return a state dict of this layout with random values, all positive because running variances have to be."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.tensor(7) if name.endswith("num_batches_tracked") else torch.rand(shape, generator=generator) + 0.1
        for name, shape in layout.items()
    }


def network(classes: int = 7) -> State:
    """Return a state dict of the whole network with random values."""
    return tensors(full(classes))


def prefixed(prefix: str, state: State) -> State:
    """Return the state dict with ``prefix`` before each key."""
    return {f"{prefix}{name}": value for name, value in state.items()}


def without(state: State, top: str) -> State:
    """Return the state dict without the module ``top`` and all below it."""
    return {name: value for name, value in state.items() if not name.startswith(f"{top}.")}


def saved(path: Path, content: object, **options: bool) -> Path:
    """Write it with torch.save."""
    torch.save(content, path, **options)
    return path


def saved_as_before_1_6(path: Path, content: object) -> Path:
    """Write it as torch.save did before it wrote zip files."""
    return saved(path, content, _use_new_zipfile_serialization=False)


def saved_as_ours(path: Path, state: State, classes: list[str] = CLASSES) -> Path:
    """Write it as the train stage does, with the ending .safetensors."""
    path = path.with_suffix(".safetensors")
    save_weights(path, state, {"classes": classes})
    return path


def _encoder(top: str) -> Layout:
    return _down(f"{top}.initial_block", 3, 16, convolved=13) | _layers(f"{top}.layers", ENCODER)


def _layers(top: str, layers: list[tuple]) -> Layout:
    layout: Layout = {}
    for i, (kind, *channels) in enumerate(layers):
        layout |= kind(f"{top}.{i}", *channels)
    return layout


def _down(name: str, cin: int, cout: int, convolved: int) -> Layout:
    """``convolved`` of the ``cout`` channels come from the convolution; the others are the ``cin`` channels, pooled."""
    return {f"{name}.conv.weight": (convolved, cin, 3, 3), f"{name}.conv.bias": (convolved,), **_bn(f"{name}.bn", cout)}


def _up(name: str, cin: int, cout: int) -> Layout:
    return {f"{name}.conv.weight": (cin, cout, 3, 3), f"{name}.conv.bias": (cout,), **_bn(f"{name}.bn", cout)}


def _block(name: str, channels: int) -> Layout:
    layout: Layout = {}
    for pair in (1, 2):
        for kernel in ((3, 1), (1, 3)):
            conv = f"{name}.conv{kernel[0]}x{kernel[1]}_{pair}"
            layout |= {f"{conv}.weight": (channels, channels, *kernel), f"{conv}.bias": (channels,)}
        layout |= _bn(f"{name}.bn{pair}", channels)
    return layout


def _bn(name: str, channels: int) -> Layout:
    vectors = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{vector}": (channels,) for vector in vectors} | {f"{name}.num_batches_tracked": ()}


# Kind and channels of each layer.
ENCODER = [(_down, 16, 64, 48), *[(_block, 64)] * 5, (_down, 64, 128, 64), *[(_block, 128)] * 8]
DECODER = [(_up, 128, 64), *[(_block, 64)] * 2, (_up, 64, 16), *[(_block, 16)] * 2]
