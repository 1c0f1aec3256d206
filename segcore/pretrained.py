"""What training starts from: random numbers, or weights in the key layout that ERFNet's authors published, and ours.

Source of the layout: https://github.com/Eromera/erfnet_pytorch, network for Cityscapes and encoder for ImageNet.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from torch import Tensor

from segcore.console import UserError
from segcore.digests import md5
from segcore.erfnet import ERFNet
from segcore.params import Section, parse, read_yaml
from segcore.workers import bounded_memory

# The layers whose shape depends on the number of classes, and the axis of their weight that counts them.
CLASSIFIERS = {"encoder.output_conv": 0, "decoder.output_conv": 1}
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SHOWN = 5  # keys of each kind of problem
MAX_BYTES = 256 << 20
MAX_MEMORY = 1 << 30  # to read it; a few bytes can ask for any amount


class RandomStart(Section):
    """The content of the file that stands for a random start; see data/random_start.yaml."""

    start: Literal["random"]


def digest(path: Path) -> str | None:
    """The md5 of a file of weights; None for the file that stands for a random start."""
    return None if _is_random(path) else md5(path)


def initialise(model: ERFNet, path: Path) -> list[str]:
    """Leave the random start of ``model``, or copy the weights of ``path`` to it, and give lines for the user.

    Raises:
        UserError: as :func:`load_pretrained`.
    """
    if _is_random(path):
        parse(read_yaml(path), RandomStart, path)
        return []
    return load_pretrained(path, model)


def _is_random(path: Path) -> bool:
    return path.suffix == ".yaml"


def load_pretrained(path: Path, model: ERFNet) -> list[str]:
    """Copy the weights in a file into ``model``, in place, and give lines that say what was taken and what was not.

    The file is a ``.safetensors``, or what torch.save wrote: a state dict, or a checkpoint with one as ``state_dict``.
    It has the whole network or the encoder alone, the latter also with the keys of a training on ImageNet; the
    ``module.`` of DataParallel may stand before all keys. Classifier layers that it has for another number of classes
    stay as they are, and so do classifier layers, the decoder and ``num_batches_tracked`` where it has none.

    Raises:
        UserError: if the file is missing or damaged, has more than tensors, or has other keys, shapes, types or values
            that are not finite; ``model`` is then as it was.
    """
    found, notes = _in_our_layout(_read(path))
    wanted = model.state_dict()
    if model.decoder is None:
        if _take_out(found, "decoder."):
            notes.append("decoder not taken: with model.encoder_only there is none")
    elif not any(name.startswith("decoder.") for name in found):
        _take_out(wanted, "decoder.")
        notes.append("decoder left at its start: the file has the encoder only")
    for layer, axis in CLASSIFIERS.items():
        if f"{layer}.weight" in wanted and (reason := _left_out(found, wanted, layer, axis)):
            _take_out(found, f"{layer}.")
            _take_out(wanted, f"{layer}.")
            notes.append(f"{layer} left at its start: {reason}")
    if problems := list(_problems(found, wanted)):
        raise _error(path, "\n  ".join(["other weights than ERFNet's in the key layout of its authors", *problems]))
    model.load_state_dict(found, strict=False)
    return [f"{path}: {len(found)} tensors taken", *notes]


def _read(path: Path) -> dict[str, Any]:
    """The state dict in the file, whatever its keys; nothing in the file is run."""
    if not path.is_file():
        raise _error(path, "there is no such file")
    if path.stat().st_size > MAX_BYTES:
        raise _error(path, f"more than {MAX_BYTES:,} bytes; ERFNet's weights have about 8 million")
    data = path.read_bytes()
    try:
        with warnings.catch_warnings(), bounded_memory(MAX_MEMORY):
            warnings.simplefilter("ignore")  # torch warns of formats that it reads all the same
            if path.suffix == ".safetensors":
                content = safetensors.torch.load(data)
            else:
                content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # which one depends on where the parser tripped
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            reason = f"it holds a {refused[1]}, and only tensors are read, never code; save its state dict alone"
        else:
            reason = "empty, damaged, or neither of torch.save nor a .safetensors; only tensors are read, never code"
        raise _error(path, reason) from None
    if isinstance(content, Mapping) and "state_dict" in content:
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise _error(path, "no weights in it; a state dict was expected, or a checkpoint with one as `state_dict`")
    return {str(name): value for name, value in content.items()}


def _in_our_layout(state: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The state dict with the keys of :class:`ERFNet`, and what to say of it."""
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    tops = {name.split(".")[0] for name in state}
    if "features" not in tops or "encoder" in tops:
        return state, []
    ignored = _take_out(state, "classifier.linear.")
    notes = ["classifier.linear not taken: it is for the classes of ImageNet"] if ignored else []
    return {name.removeprefix("features."): value for name, value in state.items()}, notes


def _take_out(state: dict[str, Any], prefix: str) -> bool:
    """Remove the entries whose keys begin with ``prefix``; whether there were any."""
    names = [name for name in state if name.startswith(prefix)]
    for name in names:
        del state[name]
    return bool(names)


def _left_out(found: dict[str, Any], wanted: dict[str, Tensor], layer: str, axis: int) -> str:
    """Why this classifier layer cannot come from the file without that being an error; empty if it can."""
    names = f"{layer}.weight", f"{layer}.bias"
    if not any(name in found for name in names):
        return "the file has none"
    weight, bias = (list(getattr(found.get(name), "shape", ())) for name in names)
    ours = list(wanted[f"{layer}.weight"].shape)
    if len(bias) == 1 and bias[0] != ours[axis] and weight == [*ours[:axis], *bias, *ours[axis + 1 :]]:
        return f"the file has it for {bias[0]} classes, not {ours[axis]}"
    return ""


def _problems(found: dict[str, Any], wanted: dict[str, Tensor]) -> Iterator[str]:
    """One line per kind of problem, with the first keys that have it."""
    # Files of PyTorch before 0.4.1 have no such counters, and nothing here depends on them.
    missing = [name for name in wanted if name not in found and not name.endswith(".num_batches_tracked")]
    unknown = [name for name in found if name not in wanted]
    wrong = {name: _mismatch(found[name], wanted[name]) for name in found if name in wanted}
    listed = [f"{name} ({problem})" for name, problem in wrong.items() if problem]
    for kind, names in {"missing": missing, "unknown": unknown, "wrong": listed}.items():
        if names:
            more = f" … and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            yield f"{kind}: {', '.join(names[:SHOWN])}{more}"


def _mismatch(value: Any, target: Tensor) -> str:
    """Why ``value`` cannot be copied to ``target``; empty if it can."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided or value.is_meta:
        return "a dense tensor was expected"
    if value.shape != target.shape:
        return f"{_by(target)} was expected; it is {_by(value)}"
    if value.dtype not in (FLOATS if target.is_floating_point() else (target.dtype,)):
        return f"{_type(target)} was expected; it is {_type(value)}"
    return "" if value.to(target.dtype).isfinite().all() else "it has values that are not finite"


def _by(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a single number"


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _error(path: Path, reason: str) -> UserError:
    return UserError(f"train.init: {path}: {reason}\nName another file, or download or save this one again.")
