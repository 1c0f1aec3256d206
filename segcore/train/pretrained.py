"""Initialise the network with random numbers, or with weights that have the keys of ERFNet's authors, as ours do.

Source of the keys: https://github.com/Eromera/erfnet_pytorch, the network for Cityscapes and the encoder for ImageNet.
"""

import io
import re
import resource
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from torch import Tensor

from segcore.files.params import read_yaml
from segcore.network.erfnet import ERFNet
from segcore.runtime.errors import UserError
from segcore.runtime.typed import Strict, validate

# The layers whose shape depends on the number of classes, with the axis of the weight that counts them.
CLASSIFIERS = {"encoder.output_conv": 0, "decoder.output_conv": 1}
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SHOWN = 5  # keys of each kind of problem
MAX_BYTES = 256 << 20
MAX_MEMORY = 1 << 30  # while reading; a few bytes of a file can ask for any amount


class RandomStart(Strict):
    """The content of data/random_start.yaml, which stands for a random start."""

    start: Literal["random"]


def initialise(model: ERFNet, path: Path) -> list[str]:
    """Keep the random weights of ``model``, or copy the weights of ``path`` into it; return lines for the user.

    Raises:
        UserError: as :func:`load_pretrained`.
    """
    if is_random(path):
        validate(read_yaml(path), RandomStart, path)
        return []
    return load_pretrained(path, model)


def is_random(path: Path) -> bool:
    """Return whether the file stands for random numbers."""
    return path.suffix == ".yaml"


def load_pretrained(path: Path, model: ERFNet) -> list[str]:
    """Copy the weights in a file into ``model``, in place; return lines that say what was taken and what was not.

    The file is a ``.safetensors``, or what torch.save wrote: a state dict, or a checkpoint with one as ``state_dict``.
    It has the whole network or the encoder alone, which may have the keys of a training on ImageNet. All keys
    may begin with the ``module.`` of DataParallel. Classifier layers for a different number of classes are not taken.
    Classifier layers, the decoder and ``num_batches_tracked`` stay as they are where the file has none.

    Raises:
        UserError: if the file is missing or damaged, holds more than tensors, or has wrong keys, shapes or types, or
            values that are not finite; ``model`` is then unchanged.
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
        raise _error(path, "\n  ".join(["these are not ERFNet's weights with the keys of its authors", *problems]))
    model.load_state_dict(found, strict=False)
    return [f"{path}: {len(found)} tensors taken", *notes]


def _read(path: Path) -> dict[str, Any]:
    """Return the state dict in the file, whatever its keys. No code in the file is run."""
    if not path.is_file():
        raise _error(path, "there is no such file")
    if path.stat().st_size > MAX_BYTES:
        raise _error(path, f"more than {MAX_BYTES:,} bytes; ERFNet's weights have about 8 million")
    data = path.read_bytes()
    try:
        with warnings.catch_warnings(), _bounded_memory(MAX_MEMORY):
            warnings.simplefilter("ignore")  # torch warns about formats that it can read
            if path.suffix == ".safetensors":
                content = safetensors.torch.load(data)
            else:
                content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # its type depends on where the parser failed
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            reason = f"it holds a {refused[1]}, and only tensors are read, never code; save its state dict alone"
        else:
            reason = "empty, damaged, or neither from torch.save nor a .safetensors; only tensors are read, never code"
        raise _error(path, reason) from None
    if isinstance(content, Mapping) and "state_dict" in content:
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise _error(path, "no weights in it; a state dict was expected, or a checkpoint with one as `state_dict`")
    return {str(name): value for name, value in content.items()}


def _in_our_layout(state: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the state dict with the keys of :class:`ERFNet`, and lines for the user."""
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    tops = {name.split(".")[0] for name in state}
    if "features" not in tops or "encoder" in tops:
        return state, []
    ignored = _take_out(state, "classifier.linear.")
    notes = ["classifier.linear not taken: it is for the classes of ImageNet"] if ignored else []
    return {name.removeprefix("features."): value for name, value in state.items()}, notes


def _take_out(state: dict[str, Any], prefix: str) -> bool:
    """Remove the entries whose keys begin with ``prefix``; return whether there were any."""
    names = [name for name in state if name.startswith(prefix)]
    for name in names:
        del state[name]
    return bool(names)


def _left_out(found: dict[str, Any], wanted: dict[str, Tensor], layer: str, axis: int) -> str:
    """Return the reason to skip this classifier layer, which is not an error; empty if it is not skipped."""
    names = f"{layer}.weight", f"{layer}.bias"
    if not any(name in found for name in names):
        return "the file has none"
    weight, bias = (list(getattr(found.get(name), "shape", ())) for name in names)
    ours = list(wanted[f"{layer}.weight"].shape)
    if len(bias) == 1 and bias[0] != ours[axis] and weight == [*ours[:axis], *bias, *ours[axis + 1 :]]:
        return f"the file has it for {bias[0]} classes, not {ours[axis]}"
    return ""


def _problems(found: dict[str, Any], wanted: dict[str, Tensor]) -> Iterator[str]:
    """Yield a line per kind of problem, with the first keys that have it."""
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
    """Return why ``value`` cannot be copied to ``target``; empty if it can."""
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
    return UserError(f"train.init: {path}: {reason}\nName a different file, or download or save this one again.")


@contextmanager
def _bounded_memory(size: int) -> Iterator[None]:
    """Let this process allocate at most ``size`` bytes more than it has; a larger allocation raises an error."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * resource.getpagesize() + size
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
