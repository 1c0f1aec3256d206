"""The model file: weights as safetensors, with a record of what made them as sorted JSON under one metadata key."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field
from safetensors import SafetensorError, safe_open

from segcore.dataset.classes import ClassNames
from segcore.runtime.errors import UserError
from segcore.runtime.typed import Strict

if TYPE_CHECKING:  # torch takes seconds to import, and the record is read without it
    from torch import Tensor

MODEL = Path("data/model/erfnet.safetensors")
KEY = "segcore"  # one key only: safetensors writes several in an order that changes from run to run


class NotOurs(ValueError):
    """A file is not a complete safetensors file, or was not written by this pipeline. The text says which."""


class Record(Strict):
    """The record of a model: everything that its bytes depend on, and nothing that differs between equal runs."""

    model_config = ConfigDict(extra="ignore")
    classes: ClassNames
    input_size: tuple[int, int] = Field(strict=False)  # height, width
    mean: list[float]
    std: list[float]
    params: dict[str, dict[str, Any]]
    init: str | None  # md5 of the weights that training started from
    versions: dict[str, str]
    device: str
    precision: str
    threads: int  # of each process
    processes: int = 1  # in the file only if there were several


def save_weights(path: Path, state: "dict[str, Tensor]", record: dict[str, Any]) -> None:
    """Write a state dict and a record that JSON can hold. The same input gives the same bytes."""
    path.write_bytes(pack({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, record))


def pack(tensors: "dict[str, Tensor]", record: dict[str, Any]) -> bytes:
    """Return contiguous tensors on the CPU and a record as the bytes of a safetensors file."""
    from safetensors.torch import save

    return save(tensors, metadata={KEY: json.dumps(record, sort_keys=True)})


def load_weights(path: Path) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """Read the state dict and the record that :func:`save_weights` wrote.

    Raises:
        UserError: if the file is not a complete safetensors file, or was not written by this pipeline.
    """
    try:
        return unpack(path)
    except NotOurs as error:
        raise UserError(f"{path}: {error}; `dvc repro train` makes {MODEL}") from None


def unpack(path: Path) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """Read the tensors and the record of a file with the bytes of :func:`pack`.

    Raises:
        NotOurs: if the file is not a complete safetensors file, or was not written by this pipeline.
    """
    record = read_record(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except SafetensorError as error:
        raise NotOurs(f"not a complete safetensors file ({error})") from None
    return tensors, record


def read_record(path: Path) -> dict[str, Any]:
    """Read the record alone, without torch.

    Raises:
        NotOurs: if the file is not a complete safetensors file, or was not written by this pipeline.
    """
    with path.open("rb"):
        pass  # safetensors does not name a file that is missing or unreadable
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise NotOurs(f"not a complete safetensors file ({error})") from None
    try:
        record = json.loads(metadata[KEY])
    except (KeyError, ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise NotOurs(f"safetensors, but not written by this pipeline: it has no metadata under the key {KEY!r}")
    return record
