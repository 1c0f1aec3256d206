"""Trained weights on disk: safetensors, with what made them as sorted JSON under one metadata key."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from segcore.console import UserError

# One key only: safetensors writes several in an order that changes from run to run.
KEY = "segcore"


def save_weights(path: Path, state: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write a state dict and the JSON-able ``about``; the same input gives the same bytes."""
    path.write_bytes(pack({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, about))


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_weights` wrote.

    Raises:
        UserError: if the file is no complete safetensors file, or was not written by this pipeline.
    """
    try:
        return unpack(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: {error}; run `dvc repro train`") from None


def pack(tensors: dict[str, Tensor], about: dict[str, Any]) -> bytes:
    """Contiguous tensors on the CPU, and ``about``, as a safetensors file has them."""
    return save(tensors, metadata={KEY: json.dumps(about, sort_keys=True)})


def unpack(data: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What :func:`pack` packed.

    Raises:
        ValueError: if it is no complete safetensors file, or was not packed here.
    """
    try:
        state = load(data)
        # The format: the header's length as 8 bytes, little-endian, then the header as JSON.
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, KeyError) as error:  # KeyError: a type of numbers that torch does not have
        raise ValueError(f"not a complete safetensors file ({error})") from None
    try:
        return state, json.loads(header["__metadata__"][KEY])
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("not written by this pipeline") from None
