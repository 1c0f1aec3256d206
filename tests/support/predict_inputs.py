"""A model and pictures for `python -m segcore predict`, in the working folder."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.tiny_model import save_tiny_model

MODEL = Path("erfnet.safetensors")
OUT = Path("out")


def write_inputs() -> None:
    """Write a model and three pictures of different sizes, below ``in``."""
    save_tiny_model(MODEL)
    rng = np.random.default_rng(1)
    for name, size in {"in/a.png": (50, 70), "in/sub/b_1_image.jpg": (32, 64), "in/sub/c.bmp": (20, 90)}.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(name)


def rows() -> list[dict[str, str]]:
    """Return the rows of predictions.csv."""
    with (OUT / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))
