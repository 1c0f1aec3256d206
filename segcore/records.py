"""What a model records of the data and the machine that its bytes depend on, besides its parameters and its start."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segcore.digests import md5

if TYPE_CHECKING:
    import torch

ARRAYS = Path("data/arrays")
TRAINED_ON = ("train_images.npy", "train_labels.npy", "stats.json")


def data_and_machine(where: "torch.device", precision: str, digest: Callable[[Path], str] = md5) -> dict[str, Any]:
    """The record of a model made here, on the device ``where`` and computed in ``precision``, as JSON can hold it.

    ``digest`` gives that of each file of data/arrays.
    """
    import numpy as np
    import torch

    from segcore import device, workers

    return {
        "md5": {name: digest(ARRAYS / name) for name in TRAINED_ON},
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "device": device.name(where),
        "precision": precision,
        "threads": workers.thread_count(),
    }
