"""Make the record of a model, for JSON: what its bytes depend on, and nothing else."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segcore.files.arrays import ARRAYS, STATS
from segcore.network import device
from segcore.runtime.processes import count
from segcore.runtime.threads import thread_count
from segcore.train.loop import Training
from segcore.train.pretrained import is_random

TRAINED_ON = ("train_images.npy", "train_labels.npy", STATS)
VALIDATED_ON = ("val_images.npy", "val_labels.npy")


def make_record(run: Training) -> dict[str, Any]:
    """Return the record of the model that ``run`` makes: see :class:`segcore.files.model.Record`."""
    return {
        "classes": run.data.classes,
        "input_size": run.data.train.size,
        "mean": run.data.mean,
        "std": run.data.std,
        "params": run.recipe.recorded(),
        "init": init_digest(run.recipe.train.init),
        **data_and_machine(run.device, run.precision),
    }


def md5(path: Path) -> str:
    """Return the MD5 of a file, as dvc.lock has it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def init_digest(path: Path) -> str | None:
    """Return the digest of the weights that training starts from; ``None`` for a random start."""
    return None if is_random(path) else md5(path)


def data_and_machine(where: torch.device, precision: str, digest: Callable[[Path], str] = md5) -> dict[str, Any]:
    """Return the data and machine part of a record, for a model trained here on ``where`` in ``precision``.

    Args:
        digest: gives the digest of a file of data/arrays.
    """
    return {
        "md5": {name: digest(ARRAYS / name) for name in TRAINED_ON},
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "device": device.name(where),
        "precision": precision,
        "threads": thread_count(),
        **({"processes": count()} if count() > 1 else {}),
    }
