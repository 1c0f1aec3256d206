"""A model file with random weights of the encoder alone, which predicts small frames at once."""

from pathlib import Path
from typing import Any

import torch

from segcore.files.model import save_weights
from segcore.network.erfnet import ERFNet
from tests.support.idd_lite import CLASSES

SIZE = (32, 64)  # height, width


def tiny_network(classes: int = len(CLASSES)) -> ERFNet:
    """Return the network of :func:`save_tiny_model`."""
    torch.manual_seed(4)
    return ERFNet(classes, encoder_only=True).eval()


def save_tiny_model(path: Path, state: dict[str, torch.Tensor] | None = None, **changes: Any) -> None:
    """Write the model; ``changes`` replace parts of its record."""
    record = {
        "classes": CLASSES,
        "input_size": SIZE,
        "mean": [0.4] * 3,
        "std": [0.3] * 3,
        "precision": "fp32",
        "params": {"model": {"encoder_only": True}},
        "init": None,
        "versions": {},
        "device": "CPU",
        "threads": 1,
    } | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(path, state or tiny_network(len(record["classes"])).state_dict(), record)
