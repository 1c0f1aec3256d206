"""Initialise the network with random numbers, or with weights that have the keys of ERFNet's authors, as ours do.

Source of the keys: https://github.com/Eromera/erfnet_pytorch, the network for Cityscapes and the encoder for ImageNet.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from segcore.files.model import NotOurs, read_record
from segcore.files.params import read_yaml
from segcore.network.erfnet import ERFNet
from segcore.runtime.typed import Strict, validate
from segcore.train.weights_file import read, refusal

FIRST = "encoder.initial_block.conv.weight"  # every file has this key, after the prefix of all keys
# The layers whose shape depends on the number of classes, with the axis of the weight that counts them.
CLASSIFIERS = {"encoder.output_conv": 0, "decoder.output_conv": 1}
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SHOWN = 5  # keys of each kind of problem
MAX_NAMES = 300  # characters of the names of classes


class RandomStart(Strict):
    """The content of data/random_start.yaml, which stands for a random start."""

    start: Literal["random"]


class StateDict(NamedTuple):
    """Tensors of a file by name, where they are in it, and the prefix of their keys."""

    place: str  # their key in a checkpoint; empty if the file is the state dict itself
    prefix: str  # for example ``module.``, or empty
    state: dict[str, Any]

    @property
    def name(self) -> str:
        return _printable(f"`{self.place}{'.' if self.place else ''}{self.prefix}*`")


def initialise(model: ERFNet, path: Path, classes: list[str]) -> list[str]:
    """Keep the random weights of ``model``, or copy the weights of ``path`` into it; return lines for the user.

    Raises:
        UserError: as :func:`load_pretrained`.
    """
    if is_random(path):
        validate(read_yaml(path), RandomStart, path)
        return []
    return load_pretrained(path, model, classes)


def is_random(path: Path) -> bool:
    """Return whether the file stands for random numbers."""
    return path.suffix == ".yaml"


def load_pretrained(path: Path, model: ERFNet, classes: list[str]) -> list[str]:
    """Copy the weights in a file into ``model``, in place; return lines that say what was taken and what was not.

    ``classes`` are the names of the model's classes. Classifier layers are not taken from a model of this pipeline that
    has different ones, nor from any file for a different number of classes.

    The file is a ``.safetensors``, or what torch.save wrote: a state dict, or a checkpoint with one at any key. It has
    the whole network or the encoder alone. The network may be part of a larger module, for example ``module.`` of
    DataParallel, ``_orig_mod.`` of torch.compile, ``model.`` of Lightning or ``features.`` of a training on ImageNet;
    the other parts are not taken. Classifier layers, the decoder and ``num_batches_tracked`` stay as they are if the
    file has none.

    Raises:
        UserError: if the file is missing or damaged, holds more than tensors and plain values, has several networks, or
            wrong keys, shapes or types, or values that are not finite; ``model`` is then unchanged.
    """
    source = _find_network(path, read(path))
    theirs = _recorded_classes(path)
    different = theirs if theirs != classes else []
    wanted = model.state_dict()
    found, notes = _without_prefix(source, tuple(wanted))
    if model.decoder is None:
        if _take_out(found, "decoder."):
            notes.append("decoder not taken: with model.encoder_only there is none")
    elif not any(name.startswith("decoder.") for name in found):
        _take_out(wanted, "decoder.")
        notes.append("decoder keeps its random start: the file has the encoder only")
    for layer, axis in CLASSIFIERS.items():
        if f"{layer}.weight" in wanted and (reason := _left_out(found, wanted, layer, axis, different)):
            _take_out(found, f"{layer}.")
            _take_out(wanted, f"{layer}.")
            notes.append(f"{layer} keeps its random start: {reason}")
    if problems := list(_problems(found, wanted)):
        what = f"the tensors {source.name}" if source.place or source.prefix else "these"
        raise refusal(path, "\n  ".join([f"{what} are not ERFNet's weights with the keys of its authors", *problems]))
    model.load_state_dict(found, strict=False)
    place = f" from `{_printable(source.place)}`" if source.place else ""
    prefix = f", without the prefix `{_printable(source.prefix)}`" if source.prefix else ""
    return [f"{path}: {len(found)} tensors taken{place}{prefix}", *notes]


def _find_network(path: Path, content: Any) -> StateDict:
    """Return the only state dict with ERFNet's keys in the file: all of it, or a value of a checkpoint.

    If there is none, return the largest one, for the error message.
    """
    places = {"": content} | (dict(content) if isinstance(content, Mapping) else {})
    states = [
        StateDict(str(place), "", {str(name): value for name, value in state.items()})
        for place, state in places.items()
        if isinstance(state, Mapping) and any(isinstance(value, Tensor) for value in state.values())
    ]
    if not states:
        raise refusal(path, "no weights in it; a state dict was expected, or a checkpoint with one at any key")
    networks = [
        it._replace(prefix=name.removesuffix(FIRST)) for it in states for name in it.state if _ends_with(name, FIRST)
    ]
    if len(networks) > 1:
        names = " and ".join(it.name for it in networks)
        raise refusal(path, f"several networks in it: {names}; save the state dict of one of them alone")
    return networks[0] if networks else max(states, key=lambda it: len(it.state))


def _recorded_classes(path: Path) -> list[str]:
    """Return the names of the classes of a model of this pipeline; empty for any other file."""
    if path.suffix != ".safetensors":
        return []
    try:
        names = read_record(path).get("classes")
    except NotOurs:
        return []
    return list(map(str, names)) if isinstance(names, list) else []


def _without_prefix(source: StateDict, ours: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """Return the entries of the network, with the keys of :class:`ERFNet`, and lines for the user about the others."""
    prefix = source.prefix
    others = [name for name in source.state if not name.startswith(prefix)]
    if any(_ends_with(name, *ours) for name in others):
        return source.state, []  # only some of the layers have the prefix
    found = {name.removeprefix(prefix): value for name, value in source.state.items() if name.startswith(prefix)}
    return found, [f"outside of `{_printable(prefix)}`, not taken: {_listed(others)}"] if others else []


def _ends_with(name: str, *keys: str) -> bool:
    """Return whether the last components of a dotted name are one of these keys."""
    return f".{name}".endswith(tuple(f".{key}" for key in keys))


def _take_out(state: dict[str, Any], prefix: str) -> bool:
    """Remove the entries whose keys begin with ``prefix``; return whether there were any."""
    names = [name for name in state if name.startswith(prefix)]
    for name in names:
        del state[name]
    return bool(names)


def _left_out(found: dict[str, Any], wanted: dict[str, Tensor], layer: str, axis: int, different: list[str]) -> str:
    """Return the reason to skip this classifier layer, which is not an error; empty if it is not skipped.

    ``different`` are the names of the file's classes if it is known that ours are different.
    """
    names = f"{layer}.weight", f"{layer}.bias"
    if not any(name in found for name in names):
        return "the file has none"
    weight, bias = (list(getattr(found.get(name), "shape", ())) for name in names)
    ours = list(wanted[f"{layer}.weight"].shape)
    if len(bias) != 1 or weight != [*ours[:axis], *bias, *ours[axis + 1 :]]:
        return ""
    if different:
        return f"the file has it for the classes {shorten(', '.join(map(_printable, different)), MAX_NAMES)}"
    return f"the file has it for {bias[0]} classes, not {ours[axis]}" if bias[0] != ours[axis] else ""


def _problems(found: dict[str, Any], wanted: dict[str, Tensor]) -> Iterator[str]:
    """Yield a line per kind of problem, with the first keys that have it."""
    # Files of PyTorch before 0.4.1 have no such counters, and nothing here depends on them.
    missing = [name for name in wanted if name not in found and not name.endswith(".num_batches_tracked")]
    unknown = [name for name in found if name not in wanted]
    wrong = {name: _mismatch(found[name], wanted[name]) for name in found if name in wanted}
    listed = [f"{name} ({problem})" for name, problem in wrong.items() if problem]
    for kind, names in {"missing": missing, "unknown": unknown, "wrong": listed}.items():
        if names:
            yield f"{kind}: {_listed(names)}"


def _mismatch(value: Any, target: Tensor) -> str:
    """Return why ``value`` cannot be copied to ``target``; empty if it can."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided or value.is_meta:
        return "a dense tensor was expected"
    if value.shape != target.shape:
        return f"{_by(target)} was expected; it is {_by(value)}"
    if value.dtype not in (FLOATS if target.is_floating_point() else (target.dtype,)):
        return f"{_type(target)} was expected; it is {_type(value)}"
    return "" if value.to(target.dtype).isfinite().all() else "it has values that are not finite"


def _listed(names: list[str]) -> str:
    more = f" … and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(_printable, names[:SHOWN])) + more


def _printable(name: str) -> str:
    """Return the name without control characters, which a file could send to the terminal."""
    return name if name.isprintable() else repr(name)


def _by(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a single number"


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
